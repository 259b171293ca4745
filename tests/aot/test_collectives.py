import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vlm3_jax.aot.collectives import traffic

REPOSITORY = Path(__file__).parents[2]
SIZE = 1024 * 4  # Bytes of the array in `tests.aot.collectives_program`; its loop runs 5 times.


def test_known_programs_on_eight_devices():
    done = subprocess.run(
        [sys.executable, "-m", "tests.aot.collectives_program"],
        env=os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "gather": {"all-gather": 5 * 3 * SIZE},
        "scatter": {"reduce-scatter": 5 * 3 / 4 * SIZE},
        "reduce": {"all-reduce": 5 * 2 * 7 / 8 * SIZE},
        "permute": {"collective-permute": 5 * SIZE},
        "exchange": {"all-to-all": 5 * 3 / 4 * SIZE},
        "branch": {"all-reduce": 5 * 2 * 2 * 7 / 8 * SIZE},
    }


# What the TPU's and the GPU's compilers write, cut short.
HEAD = "HloModule jit_step, is_scheduled=true, num_partitions=16\n\n"


def of_entry(*lines: str, before: str = "") -> dict[str, float]:
    body = "\n".join(f"  {line}" for line in lines)
    found = traffic(f"{HEAD}{before}\nENTRY %main (p: f32[4]) -> f32[4] {{\n{body}\n}}\n")
    return {kind: size for kind, size in found.bytes.items() if size} | (
        {"unknown": found.unknown_loops} if found.unknown_loops else {}
    )


@pytest.mark.parametrize(
    ("groups", "size"),
    [
        ("{{0,2,4,6},{1,3,5,7}}", 4),
        ("[2,8]<=[8,2]T(1,0)", 8),
        ("mesh['axis_0'=2,'axis_1'=8] {'axis_1'}", 8),
        ("mesh['axis_0'=2,'axis_1'=8] {'axis_0','axis_1'}", 16),
        ("mesh['axis_0'=16] {'axis_0':(1)4}", 4),
        ("mesh['axis_0'=2,'axis_1'=8], device_ids=([8,2]T(1,0)) {'axis_0'}", 2),
        ("{}", 16),
    ],
)
def test_sizes_of_groups(groups, size):
    shape = "bf16[32,64]{1,0:T(8,128)(2,1)}"
    line = f"%g = {shape} all-gather(%p), replica_groups={groups}, dimensions={{0}}"
    assert of_entry(line) == {"all-gather": 32 * 64 * 2 * (size - 1) / size}


def test_starts_name_operands_first_and_may_hold_several():
    groups = "replica_groups=[2,8]<=[16]"
    found = of_entry(
        f"%a = ((bf16[6,8]{{1,0}}, /*index=1*/f32[2]{{0}}), (bf16[48,8]{{1,0}}, f32[16]{{0}}))"
        f" all-gather-start(%p, %q), {groups}",
        "%b = (bf16[48,8]{1,0}, f32[16]{0}) all-gather-done(%a)",
        f"%c = ((bf16[16,4]{{1,0}}), (bf16[2,4]{{1,0}})) reduce-scatter-start(%p), {groups}",
        f"%d = (bf16[4]{{0}}, s32[2]{{0}}) all-reduce-start(%p, %q), {groups}, to_apply=%add",
        "%e = (bf16[12,1]{1,0:T(8,128)(2,1)}, bf16[12,1]{1,0}, u32[]{:S(2)}, u32[]{:S(2)})"
        " collective-permute-start(%p), source_target_pairs={{0,4},{2,6}}",
        before="%add (x: f32[], y: f32[]) -> f32[] {\n  ROOT %z = f32[] add(%x, %y)\n}\n",
    )
    assert found == {
        "all-gather": (48 * 8 * 2 + 16 * 4) * 7 / 8,
        "reduce-scatter": 16 * 4 * 2 * 7 / 8,
        "all-reduce": 2 * (4 * 2 + 2 * 4) * 7 / 8,
        "collective-permute": 24,
    }


def test_tpu_fusions():
    """One gather that spreads over the fusions it overlaps with, and a reduce-scatter."""
    gather = (
        '%g = bf16[16,8]{1,0} all-gather(%p), replica_groups={}, frontend_attributes={chain_id="3"}'
    )
    parts = "".join(
        f"%part.{i} (p: bf16[1,8]) -> bf16[16,8] {{\n  {gather}\n}}\n\n" for i in range(3)
    )
    scatter = (
        "%all-reduce-scatter.1 (p: bf16[32,8]) -> bf16[2,8] {\n"
        "  %r = bf16[32,8]{1,0} all-reduce(%p), replica_groups=[1,16]<=[16], to_apply=%add\n"
        "  ROOT %s = bf16[2,8]{1,0} dynamic-slice(%r, %i), dynamic_slice_sizes={2,8}\n}\n"
    )
    found = of_entry(
        "%start = (bf16[16,8]{1,0}, u32[]) fusion(%p), kind=kCustom, calls=%part.0",
        "%fusion.1 = (bf16[16,8]{1,0}, u32[]) fusion(%q), kind=kOutput, calls=%part.1",
        "%done = bf16[16,8]{1,0} fusion(%q), kind=kCustom, calls=%part.2",
        "%fusion.2 = bf16[2,8]{1,0} fusion(%q), kind=kCustom, calls=%all-reduce-scatter.1",
        before=parts + scatter,
    )
    assert found == {"all-gather": 16 * 8 * 2 * 15 / 16, "reduce-scatter": 32 * 8 * 2 * 15 / 16}


def loop(start: str, step: str, end: str) -> dict[str, float]:
    body = (
        "%body (p: (f32[4], s32[])) -> (f32[4], s32[]) {\n"
        "  %p = (f32[4]{0}, s32[]) parameter(0)\n"
        "  %i = s32[] get-tuple-element(%p), index=1\n"
        "  %x = f32[4]{0} get-tuple-element(%p), index=0\n"
        "  %one = s32[] constant(1)\n"
        "  %first = s32[] add(%i, %one)\n"
        f"  %next = s32[] {step}\n"
        "  %r = f32[4]{0} all-reduce(%x), replica_groups={}, to_apply=%add\n"
        "  ROOT %t = (f32[4]{0}, s32[]) tuple(%r, %next)\n}\n\n"
        "%condition (p: (f32[4], s32[])) -> pred[] {\n"
        "  %p = (f32[4]{0}, s32[]) parameter(0)\n"
        "  %i = s32[] get-tuple-element(%p), index=1\n"
        f"  %end = s32[] {end}\n"
        "  ROOT %less = pred[] compare(%i, %end), direction=LT\n}\n\n"
        "%add (x: f32[], y: f32[]) -> f32[] {\n  ROOT %z = f32[] add(%x, %y)\n}\n"
    )
    return of_entry(
        "%p = f32[4]{0} parameter(0)",
        f"%start = s32[]{{:T(128)}} {start}",
        "%copy.1 = s32[]{:T(128)} copy(%start)",
        "%tuple.1 = (f32[4]{0}, s32[]{:T(128)}) tuple(%p, %copy.1)",
        "%while.1 = (f32[4]{0}, s32[]) while(%tuple.1), condition=%condition, body=%body",
        before=body,
    )


def test_loops_whose_length_is_not_written():
    once = 2 * 16 * 15 / 16
    by_one, by_two = "copy(%first)", "add(%first, %one)"
    assert loop("constant(0)", by_one, "constant(8)") == {"all-reduce": 8 * once}
    assert loop("constant(2)", by_one, "constant(8)") == {"all-reduce": 6 * once}
    assert loop("constant(0)", by_two, "constant(7)") == {"all-reduce": 4 * once}
    unknown = {"all-reduce": once, "unknown": ("while.1",)}
    assert loop("parameter(1)", by_one, "constant(8)") == unknown
    assert loop("constant(0)", by_one, "parameter(1)") == unknown
    assert loop("constant(0)", "multiply(%first, %first)", "constant(8)") == unknown
