"""One pass over the records of a built dataset."""

import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tfds_builders.inspection.kinds import (
    CameraStatistics,
    DepthStatistics,
    PairStatistics,
    RegionStatistics,
)
from tfds_builders.inspection.measure import Measures
from vlm3_jax.data.records import DepthRecord, PairRecord, Record, RegionRecord
from vlm3_jax.data.sources import Dataset, Source, open_source
from vlm3_jax.errors import BadInput
from vlm3_jax.evaluation.progress import with_progress

_KINDS = {
    DepthRecord: DepthStatistics,
    PairRecord: PairStatistics,
    RegionRecord: RegionStatistics,
}
_MEASURED = 64
"""Records whose images and depth maps are decoded and compared."""
_TOLD = 5
"""Records that are named of those that are wrong in one way."""


@dataclass(frozen=True)
class Sample:
    """A record that is shown.

    Attributes:
        split: that it is in.
        features: as TFDS reads them.
        record: what loaders make of them.
    """

    split: str
    features: dict[str, Any]
    record: Record


def collect(
    data_dir: Path,
    dataset: Dataset,
    split: str | None = None,
    *,
    samples: int = 12,
    max_records: int | None = None,
    seed: int = 0,
) -> tuple[dict[str, Any], list[Sample]]:
    """Reads records once.

    Args:
        data_dir: the folder that datasets were built into.
        dataset: what to read.
        split: or a part of one in TFDS's notation; None for all splits.
        samples: how many records to keep.
        max_records: read so many, evenly spaced; None for all.
        seed: decides which are kept.

    Returns:
        Statistics for JSON, and the records that were kept.

    Raises:
        BadInput: there is no such split.
    """
    names = [split] if split else [name for name, size in dataset.splits.items() if size]
    sources = {
        name: open_source(data_dir, dataset.name, name, dataset.record_type) for name in names
    }
    total = sum(map(len, sources.values()))
    places = _spaced(total, min(max_records or total, total))
    rng = np.random.default_rng(seed)
    shown = set(rng.choice(places, min(samples, len(places)), replace=False).tolist())
    measured = set(places[_spaced(len(places), min(_MEASURED, len(places)))].tolist())
    statistics = _Statistics(dataset, len(places))
    kept = []
    numbered = _numbered(sources, places)
    for number, name, features in with_progress(numbered, len(places), "records"):
        record = statistics.add(name, features, number in measured)
        if record is not None and number in shown:
            kept.append(Sample(name, features, record))
    return statistics.result({name: len(source) for name, source in sources.items()}), kept


def _spaced(total: int, count: int) -> np.ndarray:
    return np.unique(np.linspace(0, total - 1, count).round().astype(np.int64))


def _numbered(
    sources: dict[str, Source], places: np.ndarray
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Records by their places, counted through all splits."""
    first = 0
    for name, source in sources.items():
        here = places[(places >= first) & (places < first + len(source))]
        for place in here.tolist():
            yield place, name, source.features[place - first]
        first += len(source)


class _Statistics:
    def __init__(self, dataset: Dataset, count: int):
        self._dataset, self._count = dataset, 0
        self._hashes = np.zeros(count, np.uint64)
        self._kind, self._cameras = _KINDS[dataset.record_type](), CameraStatistics()
        self._measures = Measures()
        self._read: Counter[str] = Counter()
        self._scenes: dict[str, Counter[str]] = {}
        self._datasets: Counter[str] = Counter()
        self._scale_types: Counter[str] = Counter()
        self._sizes: Counter[tuple[int, int]] = Counter()
        self._formats: Counter[str] = Counter()
        self._unreadable, self._not_images, self._other_size, self._other_split = 0, 0, 0, 0
        self._told: list[str] = []

    def add(self, split: str, features: dict[str, Any], measured: bool) -> Record | None:
        """Counts a record and returns it; None if loaders would refuse it."""
        names = [features[name] for name in ("dataset", "scene", "frame")]
        digest = hashlib.blake2b(b"\0".join(names), digest_size=8).digest()
        self._hashes[self._count] = int.from_bytes(digest, "big")
        self._count += 1
        self._read[split] += 1
        dataset, scene, _ = (name.decode() for name in names)
        self._scenes.setdefault(split, Counter())[f"{dataset}/{scene}"] += 1
        self._datasets[dataset] += 1
        try:
            record = self._dataset.record_type.from_features(features)
        except BadInput as error:
            self._unreadable += 1
            self._tell(str(error))
            return None
        if not isinstance(record, RegionRecord):
            self._scale_types[record.scale_type] += 1
        self._other_split += bool(record.split) and record.split != split.partition("[")[0]
        if not self._add_views(record):
            return None
        self._measures.follow(record)
        if measured:
            self._measures.add(features, record)
        return record

    def _add_views(self, record: Record) -> bool:
        images, cameras = views(record)
        for image, camera in zip(images, cameras, strict=True):
            size = self._image(image, record.key)
            if size is None:
                return False
            if camera is not None and size != (camera.width, camera.height):
                self._other_size += 1
                stated = f"{camera.width}x{camera.height}"
                self._tell(f"{record.key}: its image is {size[0]}x{size[1]}, its camera {stated}.")
            self._cameras.add(camera)
        self._kind.add(record, size) if isinstance(record, RegionRecord) else self._kind.add(record)
        return True

    def _image(self, data: bytes, key: str) -> tuple[int, int] | None:
        """Counts an image and returns its width and height; None if it is none."""
        try:
            with Image.open(io.BytesIO(data)) as image:
                self._sizes[image.size] += 1
                self._formats[image.format] += 1
                return image.size
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            self._not_images += 1
            self._tell(f"{key}: its image does not open ({error}).")
            return None

    def _tell(self, what: str) -> None:
        if len(self._told) < _TOLD:
            self._told.append(what)

    def result(self, built: dict[str, int]) -> dict[str, Any]:
        a_scene = [count for scenes in self._scenes.values() for count in scenes.values()]
        every = Counter(scene for scenes in self._scenes.values() for scene in scenes)
        shared = sorted(scene for scene, splits in every.items() if splits > 1)
        return {
            "name": self._dataset.name,
            "version": self._dataset.version,
            "kind": self._dataset.record_type.KIND,
            "records": {
                "built": sum(built.values()),
                "read": self._count,
                "refused": self._unreadable,
                "duplicates": self._count - len(np.unique(self._hashes)),
                "of_another_split": self._other_split,
                "told": self._told,
            },
            "splits": {
                name: {
                    "built": size,
                    "read": self._read[name],
                    "scenes": len(self._scenes.get(name, ())),
                }
                for name, size in built.items()
            },
            "scenes": {
                "count": len(every),
                "records_a_scene": {
                    "min": min(a_scene),
                    "median": float(np.median(a_scene)),
                    "max": max(a_scene),
                },
                "in_several_splits": len(shared),
                "first_in_several_splits": shared[:1],
            },
            "datasets": dict(self._datasets),
            "scale_types": dict(self._scale_types),
            "images": {
                "count": sum(self._sizes.values()),
                "sizes": {f"{w}x{h}": count for (w, h), count in self._sizes.most_common()},
                "formats": dict(self._formats),
                "do_not_open": self._not_images,
                "of_another_size_than_their_camera": self._other_size,
            },
            "cameras": self._cameras.result(),
            self._dataset.record_type.KIND: self._kind.result(),
            "measured": self._measures.result(),
        }


def views(record: Record) -> tuple[tuple[bytes, ...], tuple]:
    """The images of a record and their cameras."""
    if isinstance(record, PairRecord):
        return record.images, record.cameras
    return (record.image,), (record.camera,)
