"""The whole benchmark on a tiny model, and each of its claims of equal work."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from launch.bench.decoding import ours, theirs
from launch.bench.decoding.agreement import agreements
from launch.bench.decoding.flops import Prompts, decoding_flops, prompt_sizes
from launch.bench.decoding.folder import prepare
from launch.bench.decoding.plan import OurSide, Outcome, Pass, Plan, TorchSide
from launch.bench.decoding.questions import draw_samples
from launch.bench.decoding.report import first_difference, readable, summary
from launch.make_model import write_assets
from launch.model_sizes import SIZES
from tests.commands import run_all
from tests.decoding.reference import Reference, write_lively_hf
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.errors import BadInput
from vlm3_jax.hub.folder import load_params, save_params_folder
from vlm3_jax.training.flops import flops_per_token_pair

QUESTIONS = 3


@pytest.fixture(autouse=True, scope="module")
def single_thread():
    """torch's threads wait for each other, on a busy machine for minutes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theirs.torch, "set_num_threads", lambda threads: None)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def lively(tiny_hf_untied, tmp_path_factory):
    """A tiny model whose greedy answers vary with the question."""
    return write_lively_hf(tiny_hf_untied, tmp_path_factory.mktemp("bench") / "lively")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder in DepthLM's format, of two images of different size."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(1)
    lines = []
    for name, (width, height) in {"a.png": (96, 64), "b.png": (70, 110)}.items():
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
        line = {
            "image": name,
            "intrinsics": [80, 80, width / 2, height / 2, width, height],
            "pixel_coords": [[1, 1]],
            "depth": [1.0],
        }
        lines.append(json.dumps(line) + "\n")
    (folder / "views.jsonl").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def plan(lively, images):
    return Plan(
        weights=lively,
        samples=draw_samples(images, 2, QUESTIONS, focal=80, seed=0),
        counts=(1, QUESTIONS),
        max_new_tokens=24,
        in_flight=2,
        torch_questions=6,
        torch_attention="sdpa",
        dtype="float32",
    )


@pytest.fixture(scope="module")
def mine(plan):
    return ours.measure(plan, OurSide())


def outcome(*answers, seconds=6.0, **about):
    """Of passes with as many questions an image as they answer about image 0."""
    passes = [Pass(sum(key[0] == 0 for key in said), seconds, said) for said in answers]
    return Outcome(tuple(passes), 1.0, {"devices": 1, "dtype": "float32"} | about)


def test_all_sides_say_what_transformers_says(lively, plan, mine):
    alone, batched = (theirs.measure(plan, TorchSide(batch)) for batch in (1, 4))
    reference = Reference(lively)
    stop_tokens = reference.model.generation_config.eos_token_id
    for key in [(image, turn) for image in range(2) for turn in range(QUESTIONS)]:
        sample = plan.samples[key[0]].alone(key[1])
        expected = tuple(reference.generate(sample, plan.max_new_tokens, stop_tokens))
        assert mine.passes[1].answers[key] == expected
        assert alone.passes[0].answers[key] == batched.passes[0].answers[key] == expected
    assert len(set(mine.passes[1].answers.values())) > QUESTIONS
    assert {one.questions_an_image: len(one.answers) for one in mine.passes} == {1: 2, 3: 6}
    rounds = {"ours": [mine, mine], "batched": [batched], "notebook": [alone]}
    found = agreements(rounds)
    assert [(found[name].compared, found[name].identical) for name in found] == [(6, 6), (16, 16)]


def test_answers_end_at_a_stop_token(lively, plan, mine, tmp_path):
    """One that an answer contains, so that answers of a batch end at different lengths."""
    stop = mine.passes[1].answers[0, 0][5]
    folder = prepare(str(lively), tmp_path, fixed_length=True)
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(settings | {"eos_token_id": [stop]}))
    plan = replace(plan, weights=folder, counts=(QUESTIONS,))
    here = ours.measure(plan, OurSide()).passes[0].answers
    there = theirs.measure(plan, TorchSide(6)).passes[0].answers
    assert here == there
    assert len({len(answer) for answer in here.values()}) > 1
    for answer in here.values():
        assert stop not in answer[:-1]
        assert answer[-1] == stop or len(answer) == plan.max_new_tokens


def test_nothing_is_compiled_in_a_timed_pass(plan, monkeypatch):
    assert [one.compilations for one in ours.measure(plan, OurSide()).passes] == [0, 0]
    answer = ours._answer
    # Warmed up with one question only, the pass meets images for which nothing is compiled yet.
    monkeypatch.setattr(
        ours, "_answer", lambda *args: answer(*args) if args[-1] == QUESTIONS else None
    )
    cold = ours.measure(replace(plan, in_flight=1, counts=(QUESTIONS,)), OurSide()).passes[0]
    assert cold.compilations > 0


def test_a_fixed_length_leaves_the_checkpoint_alone(lively, plan, tmp_path):
    before = (lively / "generation_config.json").read_text()
    folder = prepare(str(lively), tmp_path, fixed_length=True)
    assert folder != lively and (lively / "generation_config.json").read_text() == before
    plan = replace(plan, weights=folder, counts=(1,), torch_questions=1)
    for found in (ours.measure(plan, OurSide()), theirs.measure(plan, TorchSide(1))):
        assert {len(answer) for answer in found.passes[0].answers.values()} == {24}
    assert prepare(str(lively), tmp_path, fixed_length=False) == lively


@pytest.mark.slow
def test_folders_of_train_are_exported(lively, plan, tmp_path):
    assets, params = load_params(lively)
    save_params_folder(params, assets, tmp_path / "native")
    folder = prepare(str(tmp_path / "native"), tmp_path, fixed_length=False)
    plan = replace(plan, counts=(1,))
    expected = ours.measure(plan, OurSide()).passes[0].answers
    assert ours.measure(replace(plan, weights=folder), OurSide()).passes[0].answers == expected


def test_questions_are_the_same_for_the_same_seed(images):
    one, again = (draw_samples(images, 2, 20, focal=80, seed=4) for _ in range(2))
    assert [s.turns for s in one] == [s.turns for s in again]
    assert one[0].turns != draw_samples(images, 2, 20, focal=80, seed=5)[0].turns
    # The first questions are those of a shorter run about one image.
    assert draw_samples(images, 1, 20, focal=80, seed=4)[0].turns == one[0].turns
    assert one[1].images[0].shape == (110, 70, 3) and one[1].key == "b.png"
    first, second = draw_samples(None, 2, 1, focal=280, seed=0)
    assert first.images[0].shape == (240, 320, 3)
    assert np.abs(first.images[0].astype(int) - second.images[0]).mean() > 20


@pytest.mark.parametrize("break_it", ["few", "missing", "size"])
def test_folders_of_images_that_do_not_fit(images, tmp_path, break_it):
    line = (images / "views.jsonl").read_text().splitlines()[0]
    (tmp_path / "views.jsonl").write_text(line)
    message = r"names 1 images in 1 \*.jsonl files, but --num_images is 2"
    if break_it == "missing":
        message = "views.jsonl line 1: the image .*a.png cannot be read"
    if break_it == "size":
        Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
        message = "is 64x64, but its intrinsics are of a 96x64 image"
    with pytest.raises(BadInput, match=message):
        draw_samples(tmp_path, 2 if break_it == "few" else 1, 1, focal=80, seed=0)


def test_flops_are_those_that_torch_counts(lively, plan):
    """Of one question, image and all, but for keys that torch computes and masks."""
    plan = replace(plan, torch_attention="eager")
    generator = theirs.Generator(plan, torch.device("cpu"))
    new_tokens = 7
    with FlopCounterMode(display=False) as counter:
        (answer,) = generator.answer([(0, 0)], new_tokens).values()
    assert len(answer) == new_tokens
    encoder = Encoder.from_folder(lively)
    config, sizes = encoder.config, prompt_sizes(encoder, plan.samples[0], 1)
    counted = decoding_flops(config, sizes, [new_tokens])
    length = sizes.prefix + sizes.own[0]
    masked = length * (length - 1) / 2 * flops_per_token_pair(config.text)
    # torch also multiplies positions by frequencies, once for each token and patch.
    assert counter.get_total_flops() == pytest.approx(counted.alone + masked, rel=1e-3)
    assert masked > 1e-2 * counted.alone


def test_what_is_common_is_found_in_the_tokens(lively, plan):
    encoder = Encoder.from_folder(lively)
    sample = plan.samples[0]
    rows = [prompt.text.tokens.tolist() for prompt in encoder.encode_prompts(sample)]
    found = prompt_sizes(encoder, sample, QUESTIONS)
    assert len({tuple(row[: found.prefix]) for row in rows}) == 1
    assert len({tuple(row[: found.prefix + 1]) for row in rows}) > 1
    assert found.own == tuple(len(row) - found.prefix for row in rows)
    assert (found.patches, found.image_tokens) == (24, 6)  # 96x64 pixels.
    assert prompt_sizes(encoder, sample, 1).own == (1,)


def test_sharing_saves_vision_and_prefix(lively):
    config = Encoder.from_folder(lively).config
    one = Prompts(patches=24, image_tokens=6, prefix=30, own=(20,))
    many = replace(one, own=(20,) * 50)
    single = decoding_flops(config, one, [8])
    assert single.alone == single.shared
    # Where the cut between what is common and a question's own lies changes nothing for one.
    moved = decoding_flops(config, replace(one, prefix=10, own=(40,)), [8])
    assert moved.alone == pytest.approx(single.alone)
    all_of_them = decoding_flops(config, many, [8] * 50)
    assert all_of_them.alone == pytest.approx(50 * single.alone)
    saved = decoding_flops(config, replace(one, own=(1,)), [0]).alone  # Vision and prefix.
    assert all_of_them.alone - all_of_them.shared == pytest.approx(49 * saved)


def test_bounds_of_the_model_that_is_compared_on_a_cpu(tmp_path):
    """100 questions at 640x480 and fx 560; counted by other code from the shapes: 9.1 and 24.0."""
    write_assets(tmp_path, SIZES["130m"])
    encoder = Encoder.from_folder(tmp_path)
    bounds = []
    for focal, patches in ((600, 1344), (1000, 3888)):
        (sample,) = draw_samples(None, 1, 100, focal=focal, seed=0)
        sizes = prompt_sizes(encoder, sample, 100)
        assert sizes.patches == patches == 4 * sizes.image_tokens
        flops = decoding_flops(encoder.config, sizes, [40] * 100)
        bounds.append(flops.alone / flops.shared)
    assert bounds == pytest.approx([9.1, 24.0], abs=0.1)


def test_figures(plan):
    keys = [(image, turn) for image in range(2) for turn in range(QUESTIONS)]
    answers = {key: (7, 8, 9, 10) for key in keys}
    first = {key: answers[key] for key in keys if key[1] == 0}
    rounds = {
        "notebook": [outcome(answers, seconds=s) for s in (60.0, 48.0)],
        "ours": [
            replace(short, passes=(short.passes[0], long.passes[0]))
            for short, long in (
                (outcome(first, seconds=4.0), outcome(answers, seconds=8.0)),
                (outcome(first, seconds=4.0), outcome(answers, seconds=8.0)),
            )
        ],
    }
    figures = summary(plan, rounds)
    one, three = figures["comparisons"]
    assert one["times_as_fast_as"]["notebook"] == {"medians": 4.5, "by_round": [5.0, 4.0]}
    assert three["times_as_fast_as"]["notebook"]["medians"] == pytest.approx(6.75)
    assert three["reached"] == pytest.approx(6.75 / three["work"]["bound"])
    assert one["work"]["bound"] == 1 < three["work"]["bound"] < 3
    (notebook,) = figures["sides"]["notebook"]["passes"]
    assert notebook["seconds_a_question"] == {"median": 9.0, "least": 8.0, "most": 10.0}
    assert figures["sides"]["ours"]["passes"][1]["new_tokens_per_s"]["median"] == 24 / 8
    # 2 s for one question on an image and 4 s for three.
    assert figures["slopes"]["ours"] == pytest.approx(
        {"seconds_an_image": 1.0, "seconds_a_further_question": 1.0}
    )
    assert "6.75 times" in readable(figures) and first_difference(figures) is None
    json.dumps(figures)


def test_the_first_difference_is_named(plan):
    keys = [(image, turn) for image in range(2) for turn in range(QUESTIONS)]
    answers = {key: (7, 8, 9, 10) for key in keys}
    other = answers | {(1, 0): (7, 8, 1, 10), (1, 2): (7, 8, 9)}
    plan = replace(plan, counts=(QUESTIONS,))
    rounds = {"ours": [outcome(answers), outcome(other)], "notebook": [outcome(answers)] * 2}
    figures = summary(plan, rounds)
    found = figures["agreement"]["ours"]
    assert (found["compared"], found["identical"]) == (12, 10)
    assert found["agreeing_tokens"] == pytest.approx((10 * 4 + 2 + 3) / 12)
    assert first_difference(figures) == (
        "ours and notebook differ in question 0 (from 0) about b.png, from token 2 on"
    )
    rounds["ours"] = [outcome(answers | {(0, 1): (7, 8, 9)})] * 2
    assert "question 1 (from 0) about a.png" in first_difference(summary(plan, rounds))


def test_torch_without_the_device_of_jax_is_refused(plan):
    assert not torch.cuda.is_available()
    with pytest.raises(BadInput, match="jax runs on gpu"):
        theirs.measure(replace(plan, platform="gpu"), TorchSide(1))


def test_flags_are_checked():
    cases = {
        "--sides=ours,theirs": "--sides names 'theirs': choose of notebook, batched, ours",
        "--sides=notebook": "--sides=notebook lacks ours, which all are compared to",
        "--questions=1,0": "--questions=1,0 are no numbers of questions",
        "--num_images=3": "names 0 images in 0 *.jsonl files, but --num_images is 3",
    }
    common = ["--checkpoint=none", "--images=none"]
    runs = run_all("launch.bench_decode", [[*common, case] for case in cases])
    for run, message in zip(runs, cases.values(), strict=True):
        assert run.status == 2 and message in run.err.splitlines()[-1], run.err


@pytest.mark.slow
def test_command(lively, images, tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # Compiling takes most of the time.
    common = [f"--checkpoint={lively}", f"--images={images}", "--focal=80", "--max_new_tokens=8"]
    several = ["--questions=4", "--rounds=2", "--num_images=2", "--notorch"]
    several += ["--sides=notebook,ours"]
    both, alone = run_all(
        "launch.bench_decode",
        [
            [*common, "--questions=1,6", "--rounds=1", f"--out={tmp_path / 'both.json'}"],
            [*common, *several, f"--out={tmp_path / 'alone.json'}"],
        ],
    )
    assert both.status == 0, both.err
    assert "ours is faster" in both.out and "(timed on" not in both.out
    figures = json.loads((tmp_path / "both.json").read_text())
    assert list(figures["sides"]) == ["notebook", "batched", "ours"]
    assert figures["dtype"] == "float32"
    assert [one["questions_an_image"] for one in figures["comparisons"]] == [1, 6]
    assert set(figures["comparisons"][1]["times_as_fast_as"]) == {"notebook", "batched"}
    assert figures["sides"]["batched"]["passes"][0]["answered"] == 6
    found = figures["agreement"]["ours"]
    assert found["compared"] == found["identical"] == 7 and found["agreeing_tokens"] == 8

    assert alone.status == 0, alone.err
    figures = json.loads((tmp_path / "alone.json").read_text())
    assert list(figures["sides"]) == ["ours"]
    (one,) = figures["sides"]["ours"]["passes"]
    assert one["answered"] == 8 and len(one["seconds"]) == 2


@pytest.mark.slow
def test_a_difference_in_float32_is_an_error(lively, images):
    common = [f"--checkpoint={lively}", f"--images={images}", "--focal=80", "--max_new_tokens=4"]
    common += ["--questions=2", "--rounds=1", "--sides=ours,ours_one_row", "--notorch"]
    differing, coarse = run_all(
        "tests.launch.differing_decode",
        [[*common, "--dtype=float32"], [*common, "--dtype=bfloat16"]],
    )
    assert differing.status == 1
    assert differing.err.splitlines()[-1] == (
        "error: ours_one_row and ours differ in question 1 (from 0) about a.png, from token 3 on."
    )
    assert coarse.status == 0, coarse.err
    assert "ours_one_row: 1 of 2 answers" in coarse.out
