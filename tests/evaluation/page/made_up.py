"""An evaluation without a model: right answers with noise, judged as any others."""

import math
from dataclasses import dataclass

import numpy as np

from tests.evaluation.records import make
from vlm3_jax.data.records import Record
from vlm3_jax.data.sampling import (
    CorrespondenceSampling,
    DepthSampling,
    ObjectsSampling,
    PoseSampling,
    Samplings,
)
from vlm3_jax.evaluation import report
from vlm3_jax.evaluation.benchmark import Prediction
from vlm3_jax.evaluation.config import Benchmark, EvalConfig
from vlm3_jax.evaluation.judging import Said
from vlm3_jax.evaluation.summary import summarize
from vlm3_jax.evaluation.tasks import JUDGES
from vlm3_jax.tasks import correspondence, depth, objects, pose

UNREADABLE = "I cannot tell <b>how far</b> & why"

_TASKS = {
    "ibims1": "depth",
    "rooms_correspondence": "correspondence",
    "eth3d_pose": "pose",
    "spatial_rgpt": "objects",
}
_SAMPLINGS = Samplings(
    depth=DepthSampling(focal=100.0, questions_per_image=10),
    correspondence=CorrespondenceSampling(longer_side=64, questions_per_pair=8, directions="both"),
    pose=PoseSampling(focal=45.0),
    objects=ObjectsSampling(focal=45.0, questions_per_image=None),
)


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation leaves behind, and what it asked about."""

    results: dict
    lines: list[dict]
    records: dict[str, dict[str, Record]]
    """By benchmark and key."""

    def record_of(self, line: dict) -> Record:
        return self.records[line["benchmark"]][line["image"]]


def evaluation(images: int = 12, noise: float = 0.2, unread: float = 0.06) -> Evaluation:
    """Four benchmarks, one a task; so large a share of the answers cannot be read."""
    rng = np.random.default_rng(5)
    config = EvalConfig(
        {
            name: Benchmark(task, f"set_of_{name}/config", sampling=_SAMPLINGS)
            for name, task in _TASKS.items()
        }
    )
    lines, parts, records = [], {}, {}
    for name, benchmark in config.benchmarks.items():
        judge, found = JUDGES[benchmark.task], []
        made = make(benchmark.task, images)
        for index, record in enumerate(made):
            for question in benchmark.asks.ask(record, rng, vary=False):
                is_read = rng.random() >= unread
                text = _said(rng, benchmark.task, question, noise) if is_read else UNREADABLE
                judged = judge.judge(question, record.key, Said(text))
                log_probability = -float(rng.exponential())
                found.append(
                    Prediction(
                        index, index, record.key, text, (1,), is_read, log_probability, judged
                    )
                )
        parts[name] = summarize(benchmark, judge, found, images)
        lines += [report.line(name, config, one) for one in found]
        records[name] = {record.key: record for record in made}
    results = report.results(
        config, parts, checkpoint="runs/made_up/train", dtype="float32", device="cpu"
    )
    return Evaluation(results, lines, records)


def _said(rng: np.random.Generator, task: str, question, noise: float) -> str:
    truth = np.array(question.truth, np.float64)
    if task == "depth":
        return depth.format_answer(float(truth) * math.exp(noise * rng.normal()))
    if task == "correspondence":
        return correspondence.format_answer(tuple(truth + 100 * noise * rng.normal(size=2)))
    if task == "pose":
        return _pose(rng, question.kind, truth, noise)
    if question.category == "width_data":
        return objects.format_length(float(truth) * math.exp(noise * rng.normal()))
    return question.answer if rng.random() >= noise else "Yes."


def _pose(rng: np.random.Generator, kind: str, truth: np.ndarray, noise: float) -> str:
    if kind == "direction":
        near = truth + noise * rng.normal(size=3)
        return pose.format_direction(near / np.linalg.norm(near))
    if kind == "distance":
        return pose.format_distance(float(truth[0]) * math.exp(noise * rng.normal()))
    near = truth + 20 * noise * rng.normal(size=len(truth))
    return pose.format_angle(abs(near[0])) if kind == "angle" else pose.format_yaw_pitch_roll(*near)
