import json

import numpy as np
import pytest

from tests.tfds_builders import pair_sets
from tests.tfds_builders.known_geometry import known_view
from tfds_builders.items import MaxBad
from tfds_builders.spatial_rgpt import json_rows
from tfds_builders.spatial_rgpt.json_rows import read_row, rows
from tfds_builders.spatial_rgpt.spatial_rgpt_dataset_builder import Builder
from tfds_builders.writing import write_dataset
from vlm3_jax.data.records import RegionRecord
from vlm3_jax.data.sources import open_source
from vlm3_jax.errors import BadInput
from vlm3_jax.tasks.objects.questions import from_record

BENCH, TRAIN = "SpatialRGPT-Bench_v1.json", "result_10_depth_convs.json"
BOXES = [[4, 5, 20, 30], [30.5, 10, 60, 40], [10, 2, 40, 47]]


def bench_row(name="quantitative_1", image="kitti/attic.png", **changes) -> dict:
    row = {
        "id": name,
        "image_info": {"file_path": image, "height": 64, "width": 96},
        "text_q": "How far is it?",
        "qa_info": {"type": "quantitative", "category": "distance_data", "class": ["a", "b"]},
        "rle": [],
        "bbox": BOXES[:2],
        "conversations": [
            {"from": "human", "value": "<image>\nHow far is <mask> from <mask>? é"},
            {"from": "gpt", "value": "Region [0] is 2.5 meters from Region [1]."},
        ],
    }
    return row | changes


def train_row(name="attic", **changes) -> dict:
    row = {
        "filename": name,
        "bbox": [BOXES[0], BOXES[1], BOXES[0], BOXES[2], BOXES[1]],
        "conversations": [
            {"from": "human", "value": "<image>\nIs <mask> <depth> wider than <mask> <depth>?"},
            {"from": "gpt", "value": "Region [0] is wider than Region [1]."},
            {"from": "human", "value": "How tall is <mask> <depth>?"},
            {"from": "gpt", "value": "Region [0] is 2 feet tall."},
            {"from": "human", "value": "Which is taller, <mask> <depth> or <mask> <depth>?"},
            {"from": "gpt", "value": "Standing taller is Region [1], not region [0]."},
        ],
    }
    return row | changes


def write_raw(folder, name, text):
    for scene in ("attic", "barn"):
        view = known_view(scene, 0)
        for path, kind in ((f"images/kitti/{scene}.png", "PNG"), (f"images/{scene}.jpg", "JPEG")):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(view.file(kind))
    (folder / name).write_text(text)
    return folder


def built(tmp_path, config, raw, max_bad=None):
    builder = Builder(config=config, data_dir=tmp_path / "out")
    write_dataset(builder, raw, max_bad=MaxBad.parse(max_bad) if max_bad else None)
    split = "test" if config == "bench" else "train"
    records = list(open_source(tmp_path / "out", f"spatial_rgpt/{config}", split, RegionRecord))
    return {record.key: record for record in records}, builder


@pytest.mark.parametrize("form", ["list", "lines"])
def test_bench(tmp_path, form):
    qualitative = bench_row(
        "qualitative_1",
        "kitti/barn.png",
        qa_info={"type": "qualitative", "category": "left_predicate"},
        bbox=[[-3, 5, 20, 30], [30, 10, 99, 40]],
    )
    lines = [json.dumps(bench_row(), ensure_ascii=False), json.dumps(qualitative)]
    text = "\n".join(lines) if form == "lines" else "[" + ",\n ".join(lines) + "]"
    raw = write_raw(tmp_path / "raw", BENCH, text)
    records, _ = built(tmp_path, "bench", raw)
    assert len(records) == 2
    record = records["spatial_rgpt_bench/attic/quantitative_1"]
    assert record.image == known_view("attic", 0).file() and record.camera is None
    assert record.questions == ("How far is <mask> from <mask>? é",)
    assert record.answers == ("Region [0] is 2.5 meters from Region [1].",)
    assert (record.qa_types, record.categories) == (("quantitative",), ("distance_data",))
    assert record.boxes_xyxy.dtype == np.float32
    np.testing.assert_array_equal(record.boxes_xyxy, BOXES[:2])
    # The task that asks these questions takes them as they are.
    texts = record.questions[0], record.answers[0]
    question = from_record(record.categories[0], *texts, record.boxes_xyxy, 96, 64)
    assert "(42, 78, 208, 469)" in question.prompt and question.truth == 2.5
    record = records["spatial_rgpt_bench/barn/qualitative_1"]
    np.testing.assert_array_equal(record.boxes_xyxy, [[0, 5, 20, 30], [30, 10, 96, 40]])


def test_training_set_counts_regions_through(tmp_path):
    raw_rows = [train_row(), train_row("barn"), train_row()]
    raw = write_raw(tmp_path / "raw", TRAIN, json.dumps(raw_rows))
    records, _ = built(tmp_path, "open_spatial", raw)
    assert set(records) == {"open_spatial/attic/0", "open_spatial/barn/0", "open_spatial/attic/2"}
    record = records["open_spatial/barn/0"]
    assert record.image == known_view("barn", 0).file("JPEG") and record.split == "train"
    np.testing.assert_array_equal(record.boxes_xyxy, BOXES)
    assert list(zip(record.questions, record.answers, strict=True)) == [
        ("Is Region [0] wider than Region [1]?", "Region [0] is wider than Region [1]."),
        ("How tall is Region [0]?", "Region [0] is 2 feet tall."),
        (
            "Which is taller, Region [2] or Region [1]?",
            "Standing taller is Region [1], not region [2].",
        ),
    ]


def missing(raw):
    (raw / "images/kitti/barn.png").unlink()


def corrupt(raw):
    (raw / "images/kitti/barn.png").write_bytes(b"no picture")


def edited(**changes):
    def spoil(raw):
        lines = [bench_row(), bench_row("quantitative_2", "kitti/barn.png", **changes)]
        (raw / BENCH).write_text(json.dumps(lines))

    return spoil


SAID = bench_row()["conversations"]
BAD_ROWS = {
    "missing": (missing, "barn.png cannot be read"),
    "corrupt": (corrupt, "barn.png does not decode"),
    "other_size": (
        edited(image_info={"file_path": "kitti/barn.png", "height": 64, "width": 95}),
        "is 96x64, but image_info tells 95x64",
    ),
    "outside": (
        edited(image_info={"file_path": "../secret.png", "height": 64, "width": 96}),
        "is no path inside",
    ),
    "no_info": (edited(qa_info=None), "has no qa_info"),
    "one_box": (edited(bbox=BOXES[:1]), "refers to region 1"),
    "empty_box": (edited(bbox=[BOXES[0], [9, 9, 9, 12]]), "has the box [9.0, 9.0, 9.0, 12.0]"),
    "box_off": (edited(bbox=[BOXES[0], [97, 9, 99, 12]]), "has the box"),
    "box_nan": (edited(bbox=[BOXES[0], [float("nan"), 9, 9, 12]]), "has the box"),
    "box_of_three": (edited(bbox=[[1, 2, 3]]), "is no list of boxes"),
    "no_answer": (edited(conversations=SAID[:1]), "do not take turns"),
    "no_conversation": (edited(conversations=None), "has no conversation"),
    "number": (edited(conversations=[SAID[0], {"from": "gpt", "value": 3}]), "is no text"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_named_and_costs_itself(tmp_path, case):
    spoil, message = BAD_ROWS[case]
    lines = [bench_row(), bench_row("quantitative_2", "kitti/barn.png")]
    raw = write_raw(tmp_path / "raw", BENCH, json.dumps(lines))
    spoil(raw)
    records, builder = built(tmp_path, "bench", raw, "1")
    assert set(records) == {"spatial_rgpt_bench/attic/quantitative_1"}
    (line,) = pair_sets.bad_lines(builder)
    assert line["key"] == "quantitative_2" and message in line["reason"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bbox": BOXES}, "has 5 times <mask>, but 3 boxes"),
        ({"filename": None}, "has no filename"),
        ({"filename": "/etc/a"}, "is no path inside"),
        (
            {
                "bbox": BOXES[:1],
                "conversations": [
                    {"from": "human", "value": "Is <mask> tall?"},
                    {"from": "gpt", "value": "Region [1] is."},
                ],
            },
            "refers to region 1",
        ),
    ],
    ids=["boxes", "no_name", "absolute", "region"],
)
def test_a_bad_row_of_the_training_set(tmp_path, changes, message):
    text = json.dumps([train_row(), train_row("barn", **changes)])
    records, builder = built(
        tmp_path, "open_spatial", write_raw(tmp_path / "raw", TRAIN, text), "1"
    )
    assert set(records) == {"open_spatial/attic/0"}
    (line,) = pair_sets.bad_lines(builder)
    assert message in line["reason"] and "row 1" in line["reason"]


def test_an_id_that_comes_twice_is_bad(tmp_path):
    lines = [bench_row(), bench_row(image="kitti/barn.png")]
    raw = write_raw(tmp_path / "raw", BENCH, json.dumps(lines))
    _, builder = built(tmp_path, "bench", raw, "1")
    assert "comes twice" in pair_sets.bad_lines(builder)[0]["reason"]


@pytest.mark.parametrize("gone", [BENCH, "images"])
def test_what_is_missing_is_named(tmp_path, gone):
    raw = write_raw(tmp_path / "raw", BENCH, json.dumps([bench_row()]))
    (raw / gone).rename(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match=f"{gone} is missing.*'Manual download'.*spatial_rgpt"):
        built(tmp_path, "bench", raw)


@pytest.mark.parametrize("chunk", [1, 7, 100, 2**20])
def test_rows_are_found_whatever_the_chunks(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(json_rows, "_CHUNK", chunk)
    values = [{"a": 'é "{[', "b": [{"c": i}]} for i in range(5)]
    path = tmp_path / "a.json"
    for text in (
        json.dumps(values, ensure_ascii=False, indent=1),
        "\n".join(json.dumps(v, ensure_ascii=False) for v in values) + "\n",
    ):
        path.write_text(text)
        assert [read_row(path, place) for place, _ in rows(path)] == values


@pytest.mark.parametrize("text", ['[{"a": 1}, {"a"', "no json", '[{"a": 1}, 3]', '[{"a": }]'])
def test_a_file_that_is_not_json_is_named(tmp_path, text):
    raw = write_raw(tmp_path / "raw", BENCH, text)
    with pytest.raises(BadInput, match=f"{BENCH} is n.* byte"):
        built(tmp_path, "bench", raw)
