"""Compiles the training step of a configuration for a TPU or GPU machine without having one.

    python -m launch.aot_compile --config=configs/depth.py --topology=v5e:16x16 \
        --config.batch_size=256 [--slices=2] [--low_effort] [--out=FILE]

Says whether it fits, how much memory a device needs, what a step computes and what devices
exchange. It needs the compiler of that hardware, not the hardware: `pip install "jax[tpu]"` or
`"jax[cuda12]"`. A model without weights will do: `launch/make_model.py --noweights`.
"""

import dataclasses
from pathlib import Path

import jax
from absl import flags

from vlm3_jax import cli
from vlm3_jax.aot.report import compile_report, readable
from vlm3_jax.aot.topologies import Topology
from vlm3_jax.config import define_flag, parse
from vlm3_jax.files import check_folder, json_bytes, write_whole
from vlm3_jax.hub import folder as hub
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.training.config import TrainConfig

CONFIG = define_flag(TrainConfig)
TOPOLOGY = flags.DEFINE_string(
    "topology", None, "Like v5e:16x16 (chips) or h100:256 (GPUs).", required=True
)
SLICES = flags.DEFINE_integer("slices", 1, "TPU slices, joined by the data centre's network.")
LOW_EFFORT = flags.DEFINE_boolean(
    "low_effort", False, "Compile many times faster, to a slower program of about the same memory."
)
OUT = flags.DEFINE_string("out", None, "File for the report as JSON.")


def main() -> None:
    """Prints the report."""
    config = parse(TrainConfig, CONFIG.value)
    topology = Topology(TOPOLOGY.value, SLICES.value)
    if OUT.value:
        check_folder(Path(OUT.value).parent, "--out")
    jax.config.update("jax_enable_compilation_cache", False)
    if LOW_EFFORT.value:
        jax.config.update("jax_exec_time_optimization_effort", -1.0)
    model = Qwen3VLConfig.from_folder(hub.assets_dir(config.model.checkpoint))
    report = compile_report(config, model, topology)
    print(readable(report))
    if OUT.value:
        write_whole(Path(OUT.value), json_bytes(dataclasses.asdict(report)))


if __name__ == "__main__":
    cli.run(main)
