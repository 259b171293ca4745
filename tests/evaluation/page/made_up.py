"""An evaluation that never ran: records, answers with noise, and results of their real scores."""

import dataclasses
import io
import math

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from tests.tiny import textured_image
from vlm3_jax.data.records import DepthRecord, PairRecord, RegionRecord
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.tasks import correspondence, depth, objects, pose

CAMERA = Camera(100.0, 100.0, 48.0, 32.0, 96, 64)
UNREADABLE = "I cannot tell <b>how far</b> & why"


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What an evaluation leaves behind, and what it asked about."""

    results: dict
    lines: list[dict]
    records: dict[str, dict]
    """By benchmark and key."""

    def record_of(self, line):
        return self.records[line["benchmark"]][line["image"]]


def evaluation(images: int = 12, noise: float = 0.3, unread: float = 0.05) -> Evaluation:
    """Four benchmarks, one a task; answers are off by so much, and some cannot be read."""
    rng = np.random.default_rng(5)
    made = {
        "ibims1": ("depth", *_depth(rng, images, noise, unread)),
        "rooms_correspondence": ("correspondence", *_correspondence(rng, images, noise, unread)),
        "eth3d_pose": ("pose", *_pose(rng, images, noise, unread)),
        "spatial_rgpt": ("objects", *_objects(rng, images, noise, unread)),
    }
    lines, benchmarks, records = [], {}, {}
    for name, (task, found, answered, metrics, constant) in made.items():
        answered = [{"benchmark": name, "task": task} | line for line in answered]
        lines += answered
        records[name] = {record.key: record for record in found}
        metrics = {key: value for key, value in metrics.items() if not key.startswith("num_")}
        benchmarks[name] = {
            "task": task,
            "dataset": f"set_of_{name}/config",
            "split": "test",
            "facts": {},
            "metrics": metrics,
            "intervals": {
                key: [0.9 * value, 1.1 * value] for key, value in metrics.items() if value
            },
            "counts": {
                "images": images,
                "questions": len(answered),
                "unparsed": sum(line["parsed"] is None for line in answered),
                "unfinished": sum(not line["finished"] for line in answered),
            },
            "best_constant": constant,
            "format_ceiling": {key: 0.99 * value for key, value in metrics.items() if value},
        }
    results = {
        "checkpoint": "runs/made_up/train",
        "dtype": "float32",
        "device": "cpu",
        "swap_images": False,
        "config": {"decoding": {"max_new_tokens": 20}},
        "benchmarks": benchmarks,
    }
    return Evaluation(results, lines, records)


def _line(rng, record, question, text, parsed, **fields):
    finished = text != UNREADABLE
    return {
        "image": record.key,
        "shown_image": record.key,
        "prompt": question.prompt,
        "answer": text,
        "finished": finished,
        "parsed": parsed,
        "score": None,
        "error": None,
        "log_probability": -float(rng.exponential()),
        **fields,
    }


def _image(rng) -> bytes:
    file = io.BytesIO()
    Image.fromarray(textured_image(rng, CAMERA.height, CAMERA.width)).save(file, format="PNG")
    return file.getvalue()


def _texts(rng, texts, unread):
    return [UNREADABLE if rng.random() < unread else text for text in texts]


def _depth(rng, images, noise, unread):
    records = [
        DepthRecord(
            key=f"made/room/{i}",
            image=_image(rng),
            camera=CAMERA,
            points_xy=rng.uniform(0, (CAMERA.width, CAMERA.height), (10, 2)).astype(np.float32),
            depth_m=np.exp(rng.normal(1, 0.6, 10)).astype(np.float32),
        )
        for i in range(images)
    ]
    lines = []
    for record in records:
        questions = depth.ask(CAMERA, CAMERA, record.points_xy, record.depth_m)
        said = record.depth_m * np.exp(noise * rng.normal(0, 1, 10))
        for question, text in zip(
            questions, _texts(rng, map(depth.format_answer, said), unread), strict=True
        ):
            parsed = depth.parse_answer(text)
            score = int(depth.is_correct(parsed, question.truth))
            fields = {"truth": question.truth, "point_xy": question.point_xy, "score": score}
            lines.append(_line(rng, record, question, text, parsed, **fields))
    truths = [line["truth"] for line in lines]
    score = depth.score([line["parsed"] for line in lines], truths)
    metres, reached = depth.best_constant(truths)
    return records, lines, dataclasses.asdict(score), {"metres": metres, "delta1": reached}


def _pairs(rng, images):
    records = []
    for i in range(images):
        turned = np.eye(4)
        turned[:3, :3] = Rotation.from_euler("YXZ", rng.normal(0, 25, 3), degrees=True).as_matrix()
        turned[:3, 3] = rng.normal(0, 1, 3)
        sides = (CAMERA.width, CAMERA.height)
        first = rng.uniform(0, sides, (8, 2))
        second = np.clip(first + rng.normal(0, 8, (8, 2)), 0, np.array(sides) - 1)
        records.append(
            PairRecord(
                key=f"made/scene/{i}-{i + 1}",
                images=(_image(rng), _image(rng)),
                cameras=(CAMERA, CAMERA),
                c2w=(np.eye(4), turned),
                corr=np.concatenate([first, second], axis=1).astype(np.float32),
                covisibility=(0.5, 0.5),
                covisibility_normalised=(0.5, 0.5),
                scale_type="metric",
                split="test",
                _depth_maps=((b"", 0.0), (b"", 0.0)),
            )
        )
    return records


def _correspondence(rng, images, noise, unread):
    records, lines = _pairs(rng, images), []
    for i, record in enumerate(records):
        backward = i % 3 == 2
        sides = (CAMERA.width, CAMERA.height)
        for question in correspondence.ask(sides, sides, record.corr, backward=backward):
            said = np.array(question.truth) + 100 * noise * rng.standard_t(2, 2)
            (text,) = _texts(rng, [correspondence.format_answer(tuple(said))], unread)
            parsed = correspondence.parse_answer(text)
            fields = {
                "truth": question.truth,
                "point_xy": question.point_xy,
                "truth_xy": question.truth_xy,
                "backward": backward,
                "error": None if parsed is None else math.dist(parsed, question.truth),
            }
            lines.append(_line(rng, record, question, text, parsed, **fields))
    score = correspondence.score(
        [line["parsed"] for line in lines], [line["truth"] for line in lines], (600, 400)
    )
    constant = {"position": [500.0, 500.0], "epe_mean": 210.0, "same_position_epe_mean": 120.0}
    return records, lines, dataclasses.asdict(score), constant


def _pose(rng, images, noise, unread):
    records, lines, answers, truths = _pairs(rng, images), [], [], []
    for record in records:
        near = record.c2w[1].copy()
        wrong = Rotation.from_euler("YXZ", 20 * noise * rng.normal(0, 1, 3), degrees=True)
        near[:3, :3] = near[:3, :3] @ wrong.as_matrix()
        near[:3, 3] += 0.4 * noise * rng.normal(0, 1, 3)
        read = {}
        questions = pose.ask(*record.c2w, metric=True)
        for question, said in zip(
            questions, pose.ask(record.c2w[0], near, metric=True), strict=True
        ):
            (text,) = _texts(rng, [said.answer], unread)
            parsed = read[question.kind] = pose.parse_answer(question.kind, text)
            truth = question.truth[0] if len(question.truth) == 1 else question.truth
            fields = {"kind": question.kind, "truth": truth}
            lines.append(_line(rng, record, question, text, parsed, **fields))
        answers.append(pose.PoseAnswer(**read))
        truths.append(record.c2w[1])
    truths = np.array(truths)
    score = pose.score(answers, truths[:, :3, :3], truths[:, :3, 3], [True] * images)
    return records, lines, dataclasses.asdict(score), {"auc_30": 0.02, "angle": 20.0}


def _objects(rng, images, noise, unread):
    records, lines, asked, texts = [], [], [], []
    for i in range(images):
        corners = rng.uniform(0, (60, 40), (3, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(10, 20, (3, 2))], axis=1)
        depth_map = rng.uniform(1, 6) + np.add.outer(np.arange(64) / 20, np.arange(96) / 20)
        lifted = objects.lift(boxes, depth_map, CAMERA)
        questions = objects.ask(lifted, 8, rng, vary=False)
        records.append(
            RegionRecord(
                key=f"made/region/{i}",
                image=_image(rng),
                camera=CAMERA,
                boxes_xyxy=boxes.astype(np.float32),
                questions=tuple(question.prompt for question in questions),
                answers=tuple(question.answer for question in questions),
                qa_types=("",) * len(questions),
                categories=tuple(question.category for question in questions),
                split="test",
            )
        )
        for question in questions:
            said = question.answer
            if question.category in objects.questions.LENGTHS:
                said = objects.format_length(question.truth * math.exp(noise * rng.normal()))
            elif rng.random() < noise:
                said = "Yes." if question.truth is False else "No, 3 o'clock."
            (text,) = _texts(rng, [said], unread)
            verdict = objects.by_rules(question, text)
            fields = {
                "category": question.category,
                "truth": question.truth,
                "truth_text": question.answer,
                "boxes": [[int(n) for n in name[21:-1].split(", ")] for name in question.regions],
                "score": int(verdict.success),
                "error": verdict.error,
            }
            parsed = objects.parse_answer(question.category, text, question.regions)
            lines.append(_line(rng, records[-1], question, text, parsed, **fields))
            asked.append(question)
            texts.append(text)
    score = dataclasses.asdict(objects.score(asked, texts))
    metrics = {key: value for key, value in score.items() if isinstance(value, float)}
    metrics |= {f"accuracy_{k.replace('/', '_')}": v for k, v in score["accuracy"].items()}
    metrics |= {f"success_{k.removesuffix('_data')}": v for k, v in score["success"].items()}
    return records, lines, metrics, {"qualitative_accuracy": 0.5, "answers": {"left_choice": 0}}
