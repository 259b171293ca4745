"""What an inspection leaves behind: a page, and text for the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tfds_builders.inspection import drawing
from tfds_builders.inspection.collect import Sample
from vlm3_jax.page import document as doc
from vlm3_jax.page.charts import histogram, number, shares

_HEAD = ("", "least", "5%", "median", "95%", "most", "of")
_COLUMNS = ("min", "p5", "median", "p95", "max")
_NO_FINDING = "Nothing looks wrong by the numbers. Look at the pictures: labels must fit them."
_CAVEATS = {
    "depth": "Points near an edge must change colour with the surface they are on.",
    "pair": "Lines must join the same thing in both pictures; depth maps must fit their pictures.",
    "region": "Boxes must be around what the questions are about.",
}


@dataclass(frozen=True)
class Quantity:
    """One of the things that were measured.

    Attributes:
        title: what it is.
        unit: of it, or ''.
        counted: what has one.
        figures: of a `Tally`.
    """

    title: str
    unit: str
    counted: str
    figures: dict[str, Any]


def quantities(statistics: dict[str, Any]) -> list[Quantity]:
    """What there is to show of a dataset's numbers, in order; only what was counted."""
    cameras, measured = statistics["cameras"], statistics["measured"]
    kind = statistics[statistics["kind"]]
    length = "m" if "colmap" not in statistics["scale_types"] else "m or units of the scene"
    of_kind = {
        "depth": [
            ("Depth", length, "points", "depth"),
            ("Points a view", "", "views", "points_a_view"),
        ],
        "pair": [
            ("Correspondences a pair", "", "pairs", "correspondences"),
            ("Covisibility, 1 in 2", "share of pixels", "pairs", "covisibility_1_in_2"),
            ("Covisibility, 2 in 1", "share of pixels", "pairs", "covisibility_2_in_1"),
            ("Normalised covisibility, view 1", "", "pairs", "covisibility_normalised_1"),
            ("Normalised covisibility, view 2", "", "pairs", "covisibility_normalised_2"),
            ("Distance between cameras", length, "pairs", "baseline"),
            ("Rotation between cameras", "degrees", "pairs", "rotation_degrees"),
        ],
        "region": [
            ("Boxes an image", "", "images", "boxes_an_image"),
            ("Questions an image", "", "images", "questions_an_image"),
            ("Area of boxes", "share of the image", "boxes", "box_area"),
        ],
    }[statistics["kind"]]
    of_cameras = [
        ("Focal length fx", "pixels", "images", "fx"),
        ("Focal length fy", "pixels", "images", "fy"),
        ("Horizontal field of view", "degrees", "images", "field_of_view_degrees"),
        ("Principal point off centre", "share of a side", "images", "principal_point_off_centre"),
    ]
    of_measured = [
        ("Depth map coverage", "share of pixels", "maps", "depth_map_coverage"),
        ("Labels off depth map", "share of the depth", "points", "label_differs_from_depth_map"),
        ("Reprojection error", "pixels", "points", "reprojection_error_pixels"),
        ("Covisibility off depth maps", "", "scores", "covisibility_differs_from_depth_maps"),
        ("Pictures at the same points", "correlation", "pairs", "likeness_of_pictures"),
    ]
    sources = ((kind, of_kind), (cameras, of_cameras), (measured, of_measured))
    return [
        Quantity(title, unit, counted, source[key])
        for source, rows in sources
        for title, unit, counted, key in rows
        if source[key]["count"]
    ]


def page(statistics: dict[str, Any], samples: Sequence[Sample]) -> str:
    """The page.

    Args:
        statistics: of `collect`, with `findings`.
        samples: the records to draw.
    """
    found, kind = statistics["findings"], statistics["kind"]
    notes = doc.notes(found) if found else doc.notes([_NO_FINDING], "good")
    pictures = doc.cards([drawing.card(sample) for sample in samples])
    sections = [
        doc.Section("Checks", [notes]),
        doc.Section(
            "Samples", [f"{len(samples)} records, drawn by chance. {_CAVEATS[kind]}", pictures]
        ),
        doc.Section("Numbers", _numbers(statistics)),
    ]
    return doc.document(statistics["name"], sections, _lead(statistics))


def _numbers(statistics: dict[str, Any]) -> list[Markup]:
    rows = quantities(statistics)
    spread = [row for row in rows if row.figures["min"] < row.figures["max"]]
    drawn = [
        histogram(
            row.figures["histogram"]["edges"],
            row.figures["histogram"]["counts"],
            row.title,
            row.unit,
            row.counted,
            row.figures["histogram"]["log"],
        )
        for row in spread
        if sum(row.figures["histogram"]["counts"])
    ]
    named = [shares(values, title) for title, values in _named(statistics).items() if values]
    splits = [
        [name, f"{split['built']:,}", f"{split['read']:,}", f"{split['scenes']:,}"]
        for name, split in statistics["splits"].items()
    ]
    measured = statistics["measured"]["records"]
    compared = f"What is compared with depth maps and pictures is of {measured:,} records."
    return [
        doc.facts(_facts(statistics)),
        doc.table(("split", "records", "of them read", "scenes"), splits),
        doc.table(_HEAD, _table(rows)),
        *([] if statistics["kind"] == "region" else [compared]),
        doc.charts(drawn),
        doc.charts(named),
    ]


def _lead(statistics: dict[str, Any]) -> str:
    records = statistics["records"]
    read = "all" if records["read"] == records["built"] else f"{records['read']:,}, evenly spaced,"
    return (
        f"Version {statistics['version']}: {records['built']:,} {statistics['kind']} records of"
        f" {_scenes(statistics['scenes']['count'])}; {read} read."
    )


def _scenes(count: int) -> str:
    return f"{count:,} scene{'' if count == 1 else 's'}"


def _facts(statistics: dict[str, Any]) -> dict[str, str]:
    a_scene, cameras = statistics["scenes"]["records_a_scene"], statistics["cameras"]
    facts = {
        "Images": f"{statistics['images']['count']:,}",
        "Scenes": f"{statistics['scenes']['count']:,}",
        "Records a scene": "{} to {}".format(*(number(a_scene[key]) for key in ("min", "max"))),
        "Median of a scene": number(a_scene["median"]),
        "Duplicate keys": f"{statistics['records']['duplicates']:,}",
    }
    if cameras["fx"]["count"]:
        facts["Cameras with fx ≠ fy"] = f"{100 * cameras['fx_differs_from_fy']:.0f}%"
    if cameras["unknown"]:
        facts["Cameras unknown"] = f"{cameras['unknown']:,}"
    if statistics["kind"] == "depth":
        facts["Views without a pose"] = f"{statistics['depth']['without_pose']:,}"
    if statistics["kind"] == "pair":
        facts["Without both depth maps"] = f"{statistics['pair']['without_both_depth_maps']:,}"
    return facts


def _named(statistics: dict[str, Any]) -> dict[str, dict[str, int]]:
    kind = statistics[statistics["kind"]]
    return {
        "Image sizes": statistics["images"]["sizes"],
        "Image files": statistics["images"]["formats"],
        "Datasets": statistics["datasets"],
        "Scale types": statistics["scale_types"],
        "Label kinds": kind.get("label_kinds", {}),
        "Question types": kind.get("qa_types", {}),
        "Question categories": kind.get("categories", {}),
        "Answers that rules cannot read": kind.get("answers_unread", {}),
    }


def _table(rows: Sequence[Quantity]) -> list[list[str]]:
    return [
        [
            f"{row.title} ({row.unit})" if row.unit else row.title,
            *(number(row.figures[column]) for column in _COLUMNS),
            f"{row.figures['count']:,} {row.counted}",
        ]
        for row in rows
    ]


def text(statistics: dict[str, Any]) -> str:
    """The same for a terminal."""
    named = [
        f"{title}: "
        + ", ".join(f"{name} {count:,}" for name, count in list(values.items())[:6])
        + (f" and {len(values) - 6} others" if len(values) > 6 else "")
        for title, values in _named(statistics).items()
        if values
    ]
    splits = ", ".join(
        f"{name} {split['built']:,} ({_scenes(split['scenes'])})"
        for name, split in statistics["splits"].items()
    )
    lines = [f"{statistics['name']}: {_lead(statistics)}", f"Splits: {splits}", *named]
    lines += _aligned([list(_HEAD), *_table(quantities(statistics))])
    found = statistics["findings"]
    lines += ["Looks wrong:", *(f"- {finding}" for finding in found)] if found else [_NO_FINDING]
    return "\n".join(lines)


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
