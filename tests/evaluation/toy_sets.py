"""Small built sets for all tasks, and the settings under which a tiny model is soon done."""

import dataclasses
from pathlib import Path

from tests.commands import REPOSITORY
from tests.tfds_builders.test_depthlm_jsonl import line, write_set
from tfds_builders.build import build
from tfds_builders.synthetic_rooms.synthetic_rooms_dataset_builder import Builder, RoomsConfig
from tfds_builders.writing import write_dataset

TASKS = {
    "ibims1_depthlm": "depth",
    "rooms_correspondence": "correspondence",
    "rooms_objects": "objects",
    "rooms_pose": "pose",
}
NAMES = tuple(TASKS)


def build_sets(folder: Path) -> Path:
    """Two depth images in a test split and one in another; a room's pairs and its objects."""
    two = [line(), line(image="kitchen/b.png")]
    raw = write_set(folder / "raw", rooms=two, train=[line(depth=[1, 2, 3])])
    build("depthlm_jsonl", folder / "data", raw)
    changes = {"scenes": {"validation": 1}, "views": 4, "lenses": 2, "width": 96, "height": 64}
    for name in ("pairs", "regions"):
        recipe = dataclasses.replace(
            Builder.builder_configs[name].recipe, focals=(60.0, 80.0), **changes
        )
        write_dataset(
            Builder(
                config=RoomsConfig(name=f"tiny_{name}", recipe=recipe), data_dir=folder / "data"
            )
        )
    return folder / "data"


def arguments(checkpoint, data_dir, workdir, *more: str, names=NAMES) -> list[str]:
    """Of a command that asks two questions about two images of each set."""
    few = "questions_per_image=2", "questions_per_pair=2"
    small = {
        "ibims1_depthlm": ("sampling.depth.focal=60", f"sampling.depth.{few[0]}"),
        "rooms_correspondence": (
            "dataset=synthetic_rooms/tiny_pairs",
            "sampling.correspondence.longer_side=64",
            f"sampling.correspondence.{few[1]}",
        ),
        "rooms_objects": (
            "dataset=synthetic_rooms/tiny_regions",
            "sampling.objects.focal=60",
            f"sampling.objects.{few[0]}",
        ),
        "rooms_pose": ("dataset=synthetic_rooms/tiny_pairs", "sampling.pose.focal=60"),
    }
    return [
        f"--config={REPOSITORY}/configs/eval.py:{','.join(names)}",
        f"--checkpoint={checkpoint}",
        f"--workdir={workdir}",
        f"--config.data_dir={data_dir}",
        "--config.decoding.questions=2",
        "--config.decoding.max_new_tokens=8",
        *(f"--config.benchmarks.{n}.{s}" for n in names for s in small[n]),
        *(f"--config.benchmarks.{name}.images=2" for name in names),
        *more,
    ]
