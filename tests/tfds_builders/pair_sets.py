"""What the tests of builders of pairs share: the built pairs against the truth."""

import json
from pathlib import Path

import numpy as np

from tests.tfds_builders.known_geometry import KnownView, correspondence_error, known_views
from tfds_builders.base import Builder
from tfds_builders.items import MaxBad
from tfds_builders.writing import write_dataset
from vlm3_jax.data.records import PairRecord
from vlm3_jax.data.sources import open_source
from vlm3_jax.geometry.camera import Camera

# Small; its numbers all differ, so that none can stand for another.
CAMERA = Camera(fx=52.0, fy=54.0, cx=30.5, cy=24.0, width=64, height=48)


def scenes(count: int = 3, camera: Camera = CAMERA) -> dict[str, list[KnownView]]:
    """Views of both scenes of known geometry."""
    return {scene: known_views(scene, count, camera) for scene in ("attic", "barn")}


def built(builder: Builder, raw: Path, split: str, max_bad: str | None = None) -> list[PairRecord]:
    """Builds a set and reads back its pairs."""
    write_dataset(builder, raw, max_bad=MaxBad.parse(max_bad) if max_bad else None)
    return records(builder, split)


def records(builder: Builder, split: str) -> list[PairRecord]:
    """Pairs of a set that is built."""
    folder = Path(builder.data_dir).parent
    return list(open_source(folder.parent, folder.name, split, PairRecord))


def bad_lines(builder: Builder) -> list[dict]:
    """The report of bad records."""
    report = Path(f"{builder.data_dir}.bad.jsonl")
    return [json.loads(line) for line in report.read_text().splitlines()]


def sides(record: PairRecord) -> tuple[str, str, str]:
    """Scene, and the frames of both views."""
    _, scene, frames = record.key.split("/")
    return scene, *frames.split("-")


def assert_true(record: PairRecord, one: KnownView, two: KnownView, unit: float = 1.0) -> None:
    """Checks a pair against the views that it was made of.

    Args:
        record: as it was read back.
        one: what view 1 is a picture of.
        two: the same of view 2.
        unit: of the record's lengths, metres.
    """
    for side, view in enumerate((one, two)):
        np.testing.assert_allclose(record.cameras[side].to_array(), view.camera.to_array())
        depth = record.depth(side)
        known = depth > 0
        assert known.mean() > 0.5
        np.testing.assert_allclose(depth[known] * unit, view.depth[known], rtol=4e-3)
    relative = np.linalg.inv(record.c2w[0]) @ record.c2w[1]
    relative[:3, 3] *= unit
    np.testing.assert_allclose(relative, np.linalg.inv(one.c2w) @ two.c2w, atol=1e-4)
    assert record.corr.dtype == np.float32 and len(record.corr) > 10
    off = np.array([correspondence_error(one, two, corr[None]) for corr in record.corr])
    # Beside edges the tolerance takes in what is hidden by less than it.
    assert np.isfinite(off).mean() > 0.9 and off[np.isfinite(off)].max() < 0.5
    assert min(record.covisibility_normalised) > 0.2
