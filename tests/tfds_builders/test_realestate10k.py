import numpy as np
import pytest

from tests.tfds_builders import pair_sets
from tests.tfds_builders.known_geometry import image_file
from tfds_builders.items import MaxBad
from tfds_builders.realestate10k import realestate10k_dataset_builder as module
from tfds_builders.realestate10k.clip import read_clip
from tfds_builders.realestate10k.realestate10k_dataset_builder import Builder
from tfds_builders.writing import write_dataset
from vlm3_jax.errors import BadInput

CLIPS = {"train/0000cc6d8b108390": "attic", "test/0000eeaf2e84d65a": "barn"}
# Of later frames than the first two, so that order by name is not that by time.
TIMES = ["52553000", "99553000", "100053000", "100653000"]
UNIT = 0.25
"""Of the poses, metres."""


def line(time, view, unit):
    camera = view.camera
    w, h = camera.width, camera.height
    w2c = np.linalg.inv(view.c2w)
    w2c[:3, 3] /= unit
    numbers = [camera.fx / w, camera.fy / h, camera.cx / w, camera.cy / h, 0, 0]
    return " ".join([time, *map(repr, map(float, [*numbers, *w2c[:3].ravel()]))])


def write_raw(folder, metric=False):
    """Depth maps in the unit of the poses, or in metres with that unit beside them."""
    for clip, scene in CLIPS.items():
        name = clip.partition("/")[2]
        views = pair_sets.scenes(4)[scene]
        text = ["https://www.youtube.com/watch?v=x"]
        text += [line(time, view, UNIT) for time, view in zip(TIMES, views, strict=True)]
        for part in (clip.partition("/")[0], f"frames/{name}", f"depth/{name}"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / f"{clip}.txt").write_text("\n".join(text) + "\n")
        for time, view in zip(TIMES, views, strict=True):
            (folder / "frames" / name / f"{time}.jpg").write_bytes(view.file("JPEG"))
            depth = view.depth if metric else view.depth / UNIT
            if time == TIMES[1]:
                data = image_file(np.rint(depth * 1000).astype(np.uint16))
                (folder / "depth" / name / f"{time}.png").write_bytes(data)
            else:
                np.save(folder / "depth" / name / f"{time}.npy", depth.astype(np.float32))
        if metric:
            (folder / "depth" / name / "scale.txt").write_text(f"{UNIT}\n")
    return folder


@pytest.mark.parametrize("config", ["colmap", "estimated_metric"])
def test_pairs_are_true(tmp_path, config):
    builder = Builder(config=config, data_dir=tmp_path / "out")
    is_metric = config == "estimated_metric"
    write_dataset(builder, write_raw(tmp_path / "raw", metric=is_metric))
    for clip, scene in CLIPS.items():
        split, name = clip.split("/")
        made = pair_sets.records(builder, split)
        assert len(made) >= 5
        views = dict(zip(TIMES, pair_sets.scenes(4)[scene], strict=True))
        for record in made:
            found, one, two = pair_sets.sides(record)
            assert found == name and record.scale_type == config
            unit = 1.0 if is_metric else UNIT
            pair_sets.assert_true(record, views[one], views[two], unit=unit)


def test_a_line_of_the_release(tmp_path):
    # Focal lengths and centre as shares of the size, then two zeros, then world to camera by rows.
    rows = "1.0 0.0 0.0 0.5 0.0 1.0 0.0 0.25 0.0 0.0 1.0 -2.0"
    text = f"https://www.youtube.com/watch?v=x\n52553000 0.5 0.9 0.5 0.25 0.0 0.0 {rows}\n"
    (tmp_path / "a.txt").write_text(text)
    (frame,) = read_clip(tmp_path / "a.txt").values()
    assert frame.camera(640, 360).to_array().tolist() == [320, 324, 320, 90, 640, 360]
    assert frame.c2w(2.0, "a")[:3, 3].tolist() == [-1.0, -0.5, 4.0]


def test_frames_are_spread_over_time(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MAX_VIEWS", 2)
    builder = Builder(config="colmap", data_dir=tmp_path / "out")
    write_dataset(builder, write_raw(tmp_path / "raw"))
    (record,) = pair_sets.records(builder, "train")
    assert set(pair_sets.sides(record)[1:]) == {TIMES[0], TIMES[-1]}


def test_clips_without_depth_are_left_out_and_counted(tmp_path, caplog):
    raw = write_raw(tmp_path / "raw")
    (raw / "train" / "other.txt").write_text("url\n")
    builder = Builder(config="colmap", data_dir=tmp_path / "out")
    items = builder.items(raw)
    assert {split: [item.key for item in part] for split, part in items.items()} == {
        split: [name] for split, name in (clip.split("/") for clip in CLIPS)
    }
    assert "1 clips have no folder" in caplog.text


NAME = "0000cc6d8b108390"
DEPTH, IMAGE = f"depth/{NAME}/{TIMES[2]}.npy", f"frames/{NAME}/{TIMES[2]}.jpg"


def depth_of(value, shape=(48, 64)):
    return lambda raw: np.save(raw / DEPTH, np.full(shape, value, np.float32))


def pose_of(rows):
    def spoil(raw):
        path = raw / "train" / f"{NAME}.txt"
        lines = path.read_text().splitlines()
        lines[3] = " ".join([TIMES[2], "0.5 0.5 0.5 0.5 0 0", rows])
        path.write_text("\n".join(lines))

    return spoil


BAD = {
    "nan": (depth_of(np.nan), "not finite"),
    "negative": (depth_of(-1), "negative"),
    "small": (depth_of(1, (24, 32)), "is 32x24, but its image 64x48"),
    "axes": (depth_of(1, (48, 64, 1)), "has 3 axes"),
    "cut": (lambda raw: (raw / DEPTH).write_bytes((raw / DEPTH).read_bytes()[:500]), "damaged"),
    "pickle": (
        lambda raw: np.save(raw / DEPTH, np.array([{}], object), allow_pickle=True),
        "allow_pickle=False",
    ),
    "image": (lambda raw: (raw / IMAGE).write_bytes(b"x"), "does not decode"),
    "no_image": (lambda raw: (raw / IMAGE).unlink(), "is missing; cut it from the video"),
    "scaled": (pose_of("2 0 0 0 0 2 0 0 0 0 2 0"), "pose is not rigid"),
    "mirrored": (pose_of("-1 0 0 0 0 1 0 0 0 0 1 0"), "pose is not rigid"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_frame_is_named_and_costs_itself(tmp_path, case):
    spoil, message = BAD[case]
    raw = write_raw(tmp_path / "raw")
    spoil(raw)
    builder = Builder(config="colmap", data_dir=tmp_path / "out")
    made = pair_sets.built(builder, raw, "train", max_bad="1")
    (entry,) = pair_sets.bad_lines(builder)
    assert entry["key"] == f"{NAME}/{TIMES[2]}" and message in entry["reason"]
    frames = {frame for record in made for frame in pair_sets.sides(record)[1:]}
    assert frames == {TIMES[0], TIMES[1], TIMES[3]}


def text_of(text):
    return lambda raw: (raw / "train" / f"{NAME}.txt").write_text(text)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (text_of("url\n1 2 3\n"), "line 2 has 3 columns instead of 19"),
        (text_of("url\n1 " + "x " * 18), "is damaged"),
        (lambda raw: (raw / f"depth/{NAME}/scale.txt").unlink(), "scale.txt cannot be read"),
        (lambda raw: (raw / f"depth/{NAME}/scale.txt").write_text("-1"), "holds -1"),
    ],
    ids=["columns", "text", "no_scale", "negative_scale"],
)
def test_a_bad_clip_is_named_and_costs_itself(tmp_path, spoil, message):
    raw = write_raw(tmp_path / "raw", metric=True)
    (raw / "train" / "good.txt").write_text((raw / "test" / "0000eeaf2e84d65a.txt").read_text())
    for part in ("depth", "frames"):
        (raw / part / "good").symlink_to(raw / part / "0000eeaf2e84d65a")
    spoil(raw)
    builder = Builder(config="estimated_metric", data_dir=tmp_path / "out")
    write_dataset(builder, raw, max_bad=MaxBad.parse("15"))
    (entry,) = pair_sets.bad_lines(builder)
    assert entry["key"] == NAME and message in entry["reason"]
    for split in ("train", "test"):
        assert len(pair_sets.records(builder, split)) >= 5


@pytest.mark.parametrize("gone", ["depth", "frames"])
def test_what_is_missing_is_named(tmp_path, gone):
    raw = write_raw(tmp_path / "raw")
    (raw / gone).rename(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match=f"{gone} is missing.*'Manual download'.*realestate10k"):
        write_dataset(Builder(config="colmap", data_dir=tmp_path / "out"), raw)
