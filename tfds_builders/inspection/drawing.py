"""Records as pictures with their labels drawn."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from PIL import Image

from tfds_builders.inspection.collect import Sample
from tfds_builders.inspection.measure import matches, reprojection_error, view_depth
from vlm3_jax.data.images import decode
from vlm3_jax.data.records import DepthRecord, PairRecord, RegionRecord
from vlm3_jax.errors import BadInput
from vlm3_jax.evaluation.colormap import depth_levels, paint, turbo
from vlm3_jax.evaluation.picture import draw_boxes, draw_matches, draw_points
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.pose import relative_pose, rotation_angle_degrees
from vlm3_jax.page import document as doc
from vlm3_jax.page.charts import number

_LONG_SIDE = 640
_MOST_POINTS, _MOST_MATCHES, _MOST_QUESTIONS = 1000, 40, 8
_STOPS = 16


def card(sample: Sample) -> Markup:
    """A record with its labels, for a page."""
    draw = {DepthRecord: _view, PairRecord: _pair, RegionRecord: _regions}[type(sample.record)]
    try:
        parts = draw(sample)
    except BadInput as error:
        parts = [doc.notes([f"It cannot be drawn: {error}"])]
    return doc.card(f"{sample.split}: {sample.record.key}", parts)


def _view(sample: Sample) -> list[Markup]:
    record: DepthRecord = sample.record
    image, scale = _reduced(decode(record.image, record.key))
    depth = view_depth(sample.features)
    seen = record.depth_m if depth is None else np.r_[record.depth_m, depth[depth > 0]]
    limits = _limits(seen)
    chosen = _some(len(record.points_xy), _MOST_POINTS)
    xy = _moved(record.points_xy[chosen], scale)
    colours = [tuple(c) for c in turbo(depth_levels(record.depth_m[chosen], limits)).tolist()]
    points = draw_points(image, xy.tolist(), [""] * len(xy), colours)
    parts = [doc.picture(points, f"{len(xy)} labelled points on {record.key}")]
    if depth is not None:
        parts.append(doc.picture(_depth_picture(depth, limits), f"depth map of {record.key}"))
    unit = _unit(record.scale_type)
    span = f"{number(record.depth_m.min())} to {number(record.depth_m.max())}{unit}"
    facts = [
        _camera(record.camera),
        f"{len(record.points_xy):,} points, {span}, {record.label_kind}, {record.scale_type}",
        "pose known" if record.c2w is not None else "no pose",
    ]
    return [doc.side_by_side(parts), _colour_bar(limits, unit), _lines(facts)]


def _pair(sample: Sample) -> list[Markup]:
    record: PairRecord = sample.record
    reduced = [_reduced(decode(data, record.key), _LONG_SIDE * 3 // 4) for data in record.images]
    corr = matches(record)
    shown = corr[_some(len(corr), _MOST_MATCHES)]
    ends = [
        _moved(shown[:, 2 * view : 2 * view + 2], scale).tolist()
        for view, (_, scale) in enumerate(reduced)
    ]
    lines = draw_matches(reduced[0][0], reduced[1][0], ends[0], ends[1])
    parts = [doc.picture(lines, f"{len(shown)} correspondences of {record.key}")]
    depths = [record.depth(view) for view in (0, 1)]
    known = [depth[depth > 0] for depth in depths if depth is not None]
    unit = _unit(record.scale_type)
    if sum(map(len, known)):
        limits = _limits(np.concatenate(known))
        maps = [
            doc.picture(_depth_picture(depth, limits), f"depth map of view {view + 1}")
            for view, depth in enumerate(depths)
            if depth is not None
        ]
        parts += [doc.side_by_side(maps), _colour_bar(limits, unit)]
    return [*parts, _lines(_pair_facts(record, len(corr), len(shown), unit))]


def _pair_facts(record: PairRecord, found: int, shown: int, unit: str) -> list[str]:
    rotation, moved = relative_pose(*record.c2w)
    kind = "correspondences" if len(record.corr) else "matches derived from the depth maps"
    count = f"{found:,} {kind}" + (f", {shown} drawn" if shown < found else "")
    error = reprojection_error(record)
    if len(error):
        off = f"{number(np.median(error))} pixels"
        count += f"; median distance from where the depth map puts them {off}"
    raw, normalised = (
        " and ".join(f"{score:.2f}" for score in scores)
        for scores in (record.covisibility, record.covisibility_normalised)
    )
    return [
        *(f"view {view}: {_camera(camera)}" for view, camera in enumerate(record.cameras, 1)),
        count,
        f"covisibility {raw}, normalised {normalised}",
        f"cameras {number(np.linalg.norm(moved))}{unit} apart, turned by"
        f" {rotation_angle_degrees(rotation):.1f}°, {record.scale_type}",
    ]


def _regions(sample: Sample) -> list[Markup]:
    record: RegionRecord = sample.record
    image, scale = _reduced(decode(record.image, record.key))
    boxes = np.asarray(record.boxes_xyxy) * scale
    names = [f"[{number}]" for number in range(len(boxes))]
    picture = draw_boxes(image, [_ordered(box) for box in boxes.tolist()], names)
    asked = list(zip(record.categories, record.questions, record.answers, strict=True))
    facts = [
        _camera(record.camera) if record.camera else f"{_size(image, scale)}, camera unknown",
        f"boxes: {len(boxes)}, questions: {len(asked)}",
    ]
    if len(asked) > _MOST_QUESTIONS:
        facts.append(f"the first {_MOST_QUESTIONS} questions:")
    texts = Markup("").join(
        Markup("<li>{} <em>{}</em> {}</li>").format(question, answer, f"({name})" if name else "")
        for name, question, answer in asked[:_MOST_QUESTIONS]
    )
    return [
        doc.picture(picture, f"{len(boxes)} boxes on {record.key}"),
        _lines(facts),
        Markup('<ol class="qa">{}</ol>').format(texts),
    ]


def _reduced(image: np.ndarray, long_side: int = _LONG_SIDE) -> tuple[np.ndarray, float]:
    """An image scaled down to a longer side, and by what."""
    scale = min(1.0, long_side / max(image.shape[:2]))
    if scale == 1:
        return image, 1.0
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    small = Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(small), scale


def _moved(xy: np.ndarray, scale: float) -> np.ndarray:
    """Pixels of an image that was scaled; an integer is the centre of its pixel."""
    return (xy + 0.5) * scale - 0.5


def _depth_picture(depth: np.ndarray, limits: tuple[float, float]) -> Image.Image:
    scale = min(1.0, _LONG_SIDE * 3 / 4 / max(depth.shape))
    height, width = (max(1, round(side * scale)) for side in depth.shape)
    rows, columns = (
        np.arange(small) * full // small
        for small, full in zip((height, width), depth.shape, strict=True)
    )
    some = depth[np.ix_(rows, columns)]
    return Image.fromarray(paint(depth_levels(np.where(some > 0, some, np.nan), limits)))


def _limits(depth: np.ndarray) -> tuple[float, float]:
    """Depths between which colours run."""
    near, far = np.percentile(np.asarray(depth, np.float64), (2, 98))
    return float(near), float(far)


def _colour_bar(limits: tuple[float, float], unit: str) -> Markup:
    levels = np.linspace(1, 0, _STOPS)  # Near is left, and red.
    near, far = limits
    ticks = [f"{number(depth)}{unit}" for depth in (near, (near * far) ** 0.5, far)]
    return doc.colour_bar([tuple(c) for c in turbo(levels).tolist()], ticks, "depth")


def _some(total: int, most: int) -> np.ndarray:
    """Places of at most so many, evenly spaced."""
    return np.unique(np.linspace(0, total - 1, min(total, most)).round().astype(int))


def _ordered(box: Sequence[float]) -> tuple[float, ...]:
    """A box that can be drawn, even if its sides are swapped."""
    x1, y1, x2, y2 = box
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _camera(camera: Camera) -> str:
    across = 2 * np.degrees(np.arctan(camera.width / 2 / camera.fx))
    focal = f"fx {camera.fx:.1f}, fy {camera.fy:.1f}, centre ({camera.cx:.1f}, {camera.cy:.1f})"
    return f"{camera.width}x{camera.height}, {focal} pixels, {across:.0f}° across"


def _size(image: np.ndarray, scale: float) -> str:
    height, width = (round(side / scale) for side in image.shape[:2])
    return f"{width}x{height}"


def _unit(scale_type: str) -> str:
    return "" if scale_type == "colmap" else " m"


def _lines(texts: Sequence[str]) -> Markup:
    return Markup("").join(Markup("<p>{}</p>").format(text) for text in texts)
