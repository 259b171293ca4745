"""What makes a build look wrong, in words."""

from collections.abc import Callable, Iterator
from typing import Any

from vlm3_jax.page.charts import number

_METRIC = {"metric", "estimated_metric"}
_ENOUGH = 200
"""Values without which a share says little."""
_SEVERAL = 5


def findings(statistics: dict[str, Any]) -> list[str]:
    """Says what looks wrong, a sentence each; none where nothing does.

    Args:
        statistics: of `collect`.
    """
    checks: list[Callable[[dict[str, Any]], Iterator[str]]] = [_records, _cameras]
    checks.append({"depth": _depth, "pair": _pair, "region": _region}[statistics["kind"]])
    return [finding for check in checks for finding in check(statistics)] + list(
        _measured(statistics)
    )


def _records(statistics: dict[str, Any]) -> Iterator[str]:
    records, images = statistics["records"], statistics["images"]
    if refused := records["refused"]:
        yield f"{refused:,} of {records['read']:,} records are refused by the loaders."
    if failed := images["do_not_open"]:
        yield f"{failed:,} images do not open."
    if other := images["of_another_size_than_their_camera"]:
        yield f"{other:,} images have another size than their camera's width and height."
    for what in records["told"]:
        yield f"For example: {what}"
    if duplicates := records["duplicates"]:
        yield f"{duplicates:,} records have the dataset, scene and frame of another one."
    if other := records["of_another_split"]:
        yield f"{other:,} records name another split than the one they are in."
    scenes = statistics["scenes"]
    if shared := scenes["in_several_splits"]:
        first = scenes["first_in_several_splits"][0]
        yield f"{shared:,} scenes are in several splits, for example {first}."


def _cameras(statistics: dict[str, Any]) -> Iterator[str]:
    cameras = statistics["cameras"]
    if (share := cameras["principal_point_off_by_a_fifth"]) > 0:
        yield f"The principal point of {_percent(share)} of cameras is more than 20% off centre."
    if (share := cameras["fx_differs_from_fy_by_a_tenth"]) > 0:
        yield f"fx and fy of {_percent(share)} of the cameras differ by more than 10%."
    view = cameras["field_of_view_degrees"]
    if view["count"] and (view["min"] < 15 or view["max"] > 140):
        yield (
            f"Cameras see from {number(view['min'])} to {number(view['max'])} degrees across: is"
            " the focal length in pixels of the stored image?"
        )


def _depth(statistics: dict[str, Any]) -> Iterator[str]:
    figures, is_metric = statistics["depth"], set(statistics["scale_types"]) <= _METRIC
    depth = figures["depth"]
    if not depth["count"]:
        yield "No point has a depth."
        return
    if is_metric:
        yield from _scale(depth["median"], "median depth")
        if (share := figures["beyond_200"]) > 0:
            yield f"{_percent(share)} of the depths are beyond 200 m."
    if depth["count"] < _ENOUGH:
        return
    densest = figures["densest"]
    if densest["share"] > 0.2:
        where = number(densest["depth"])
        yield f"{_percent(densest['share'])} of the points have the same depth, {where}."
    elif figures["at_the_largest"] > 0.02:
        share, where = figures["at_the_largest"], number(depth["max"])
        yield f"{_percent(share)} of the depths are exactly the largest, {where}: cut off there?"
    yield from _reach(figures["reach"], "points")


def _pair(statistics: dict[str, Any]) -> Iterator[str]:
    figures = statistics["pair"]
    for way in ("1_in_2", "2_in_1"):
        raw = figures[f"covisibility_{way}"]
        if raw["count"] >= _SEVERAL and raw["min"] == raw["max"]:
            yield f"Every covisibility ({way.replace('_', ' ')}) is {number(raw['min'])}."
        if raw["count"] and (raw["min"] < 0 or raw["max"] > 1):
            yield f"Covisibilities go from {number(raw['min'])} to {number(raw['max'])}: no shares."
    if same := figures["same_pose"]:
        yield f"{same:,} pairs have the same pose twice."
    if none := figures["correspondences"].get("zeros"):
        share = _percent(none / figures["correspondences"]["count"])
        yield f"{share} of the pairs have no correspondences: they only tell how the camera moved."
    if set(statistics["scale_types"]) <= _METRIC and figures["baseline"]["count"]:
        baseline = figures["baseline"]["median"]
        if baseline > 100:
            yield f"The median distance between two cameras of a pair is {number(baseline)} m."


def _region(statistics: dict[str, Any]) -> Iterator[str]:
    figures = statistics["region"]
    boxes = figures["boxes_an_image"]
    num_boxes = boxes["mean"] * boxes["count"] if boxes["count"] else 0
    if outside := figures["boxes_outside"]:
        yield f"{outside:,} boxes leave their image, or have no area."
    if small := figures["boxes_under_4_pixels"]:
        yield f"{small:,} boxes are less than 4 pixels wide or high."
    if refused := figures["questions_refused"]:
        example = figures["first_refused_question"]
        yield f"{refused:,} questions cannot be asked; the first one: {example}"
    unread, known = sum(figures["answers_unread"].values()), figures["answers_with_category"]
    if unread > 0.05 * known:
        share = _percent(unread / known)
        yield f"{share} of the answers cannot be read by the rules of their category."
    if num_boxes >= _ENOUGH:
        yield from _reach(figures["reach"], "boxes")


def _measured(statistics: dict[str, Any]) -> Iterator[str]:
    measured = statistics["measured"]
    if failed := measured["failed"]:
        yield (
            f"{failed:,} of {measured['records']:,} records do not decode; the first one:"
            f" {measured['first_failure']}"
        )
    label = measured["label_differs_from_depth_map"]
    if label["count"] and label["median"] > 0.02:
        yield f"Labelled depths differ from the depth maps by {_percent(label['median'])} (median)."
    pixels = measured["reprojection_error_pixels"]
    if pixels["count"] and pixels["median"] > 1:
        yield (
            f"Correspondences are {number(pixels['median'])} pixels (median) from where depth maps,"
            " cameras and poses put them."
        )
    covisibility = measured["covisibility_differs_from_depth_maps"]
    if covisibility["count"] and covisibility["median"] > 0.15:
        yield (
            f"Covisibilities differ by {number(covisibility['median'])} (median) from what depth"
            " maps, cameras and poses give."
        )
    likeness = measured["likeness_of_pictures"]
    if likeness["count"] >= _SEVERAL and likeness["median"] < 0.3:
        yield (
            "Two pictures have little in common where they should show the same points: their grey"
            f" levels correlate by {number(likeness['median'])} (median of {likeness['count']}"
            " pairs)."
        )
    for way, mirrored in measured["likeness_of_mirrored_pictures"].items():
        if likeness["count"] >= _SEVERAL and mirrored["median"] > likeness["median"] + 0.05:
            yield (
                f"Pictures {way} have more in common where they should show the same points: their"
                f" grey levels correlate by {number(mirrored['median'])} and not"
                f" {number(likeness['median'])} (medians)."
            )
    coverage = measured["depth_map_coverage"]
    if coverage["count"] and coverage["median"] < 0.05:
        yield f"Depth maps cover {_percent(coverage['median'])} of their images (median)."


def _scale(median: float, what: str) -> Iterator[str]:
    if not 0.2 <= median <= 100:
        yield f"The {what} is {number(median)} m: are they metres?"


def _reach(reach: dict[str, float], what: str) -> Iterator[str]:
    for axis, side in (("x", "width"), ("y", "height")):
        if reach[axis] < 0.75:
            yield (
                f"No {what} lie beyond {_percent(reach[axis])} of an image's {side}: are they"
                " pixels of the stored image?"
            )


def _percent(share: float) -> str:
    return f"{number(100 * share)}%"
