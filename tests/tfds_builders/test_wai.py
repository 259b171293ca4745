import json
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from tests.tfds_builders import pair_sets
from tests.tfds_builders.known_geometry import KnownView, image_file
from tfds_builders.wai.files import read_exr
from tfds_builders.wai.wai_dataset_builder import Builder
from tfds_builders.writing import write_dataset
from vlm3_jax.errors import BadInput

# Names of scenes in map-anything's lists, for the views of each known scene.
SPRING = {"attic": "0001", "barn": "0013"}


def write_exr(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {"Y": np.ascontiguousarray(values, np.float16)}) as file:
        file.write(str(path))


def write_png(path: Path, data: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(image_file(data))


def write_scene(folder: Path, views: list[KnownView], scale: float = 1.0, **meta) -> None:
    """A scene as map-anything's conversion leaves it, its lengths `scale` times those of views."""
    camera = views[0].camera
    frames = []
    for view in views:
        (folder / "images").mkdir(parents=True, exist_ok=True)
        (folder / "images" / f"{view.frame}.png").write_bytes(view.file())
        write_exr(folder / "depth" / f"{view.frame}.exr", view.depth * scale)
        c2w = view.c2w.copy()
        c2w[:3, 3] *= scale
        frames.append(
            {
                "frame_name": view.frame,
                "file_path": f"images/{view.frame}.png",
                "image": f"images/{view.frame}.png",
                "depth": f"depth/{view.frame}.exr",
                "transform_matrix": c2w.tolist(),
            }
        )
    values = {
        "scene_name": folder.name,
        "version": "0.1",
        "shared_intrinsics": True,
        "camera_model": "PINHOLE",
        "camera_convention": "opencv",
        "scale_type": "metric",
        **{"fl_x": camera.fx, "fl_y": camera.fy, "cx": camera.cx, "cy": camera.cy},
        **{"w": camera.width, "h": camera.height},
        "frames": frames,
        "frame_modalities": {
            "image": {"frame_key": "image", "format": "image"},
            "depth": {"frame_key": "depth", "format": "depth"},
        },
        "scene_modalities": {},
    }
    (folder / "scene_meta.json").write_text(json.dumps(values | meta))


def edit(folder: Path, change) -> None:
    """Changes scene_meta.json."""
    path = folder / "scene_meta.json"
    meta = json.loads(path.read_text())
    change(meta)
    path.write_text(json.dumps(meta))


def add_modality(folder: Path, modality: str, file: str, values: dict[str, np.ndarray]) -> None:
    """Adds a mask or map of every frame, named as wai_processing's stages name theirs."""
    key = modality.replace("/", "_")
    for frame, data in values.items():
        path = folder / file.format(frame)
        write_exr(path, data) if path.suffix == ".exr" else write_png(path, data)

    def change(meta):
        entry = meta["frame_modalities"]
        *outer, last = modality.split("/")
        for part in outer:
            entry = entry.setdefault(part, {})
        entry[last] = {"frame_key": key, "format": "binary"}
        for frame in meta["frames"]:
            frame[key] = file.format(frame["frame_name"])

    edit(folder, change)


def store_scores(folder: Path, scores: np.ndarray) -> None:
    path = folder / "covisibility" / "v0" / "pairwise_covisibility--{}x{}.npy".format(*scores.shape)
    path.parent.mkdir(parents=True)
    np.save(path, scores.astype(np.float32))


def builder(tmp_path, config: str) -> Builder:
    return Builder(config=config, data_dir=tmp_path / "out")


def known(records, scenes):
    """Each record with what its views show."""
    for record in records:
        scene, one, two = pair_sets.sides(record)
        yield record, scenes[scene][int(one)], scenes[scene][int(two)]


def masks(views, value=255) -> dict[str, np.ndarray]:
    """Of each frame, a mask whose left half is `value`."""
    made = {}
    for view in views:
        mask = np.full(view.depth.shape, 255 - value, np.uint8)
        mask[:, :32] = value
        made[view.frame] = mask
    return made


def test_pairs_are_true_and_the_scores_computed_where_none_are_stored(tmp_path):
    scenes = pair_sets.scenes()
    for name, views in scenes.items():
        write_scene(tmp_path / "raw" / name, views)
    made = pair_sets.built(builder(tmp_path, "mpsd"), tmp_path / "raw", "train")
    assert {pair_sets.sides(record)[0] for record in made} == {"attic", "barn"}
    assert len(made) == 6
    for record, one, two in known(made, scenes):
        pair_sets.assert_true(record, one, two)
        assert record.scale_type == "metric" and record.split == "train"
        assert record.images == (one.file(), two.file())


def test_stored_scores_decide(tmp_path):
    scenes = pair_sets.scenes()
    scores = np.eye(3)
    scores[0, 1], scores[1, 0] = 0.5, 0.3  # Normalised 0.4 both ways; the others stay below.
    scores[0, 2] = scores[2, 0] = 0.14
    for name, views in scenes.items():
        write_scene(tmp_path / "raw" / name, views)
        store_scores(tmp_path / "raw" / name, scores)
    made = pair_sets.built(builder(tmp_path, "mpsd"), tmp_path / "raw", "train")
    assert len(made) == 2
    for record, one, two in known(made, scenes):
        pair_sets.assert_true(record, one, two)
        is_swapped = one.frame == "001"
        expected = (0.3, 0.5) if is_swapped else (0.5, 0.3)
        np.testing.assert_allclose(record.covisibility, expected)
        np.testing.assert_allclose(record.covisibility_normalised, (0.4, 0.4), rtol=1e-6)


def test_scores_of_frames_marked_as_bad_are_left_out(tmp_path):
    scenes = pair_sets.scenes()
    for name, views in scenes.items():
        write_scene(tmp_path / "raw" / name, views)
        edit(tmp_path / "raw" / name, lambda meta: meta["frames"][1].update(is_bad=True))
    store_scores(tmp_path / "raw" / "barn", np.full((3, 3), 0.9))
    made = pair_sets.built(builder(tmp_path, "mpsd"), tmp_path / "raw", "train")
    frames = {(scene, frozenset(f)) for scene, *f in map(pair_sets.sides, made)}
    assert frames == {(scene, frozenset({"000", "002"})) for scene in ("attic", "barn")}


def test_a_scene_of_many_pairs_is_several_items_of_the_same_pairs(tmp_path, monkeypatch):
    scenes = {"attic": pair_sets.known_views("attic", 4, pair_sets.CAMERA)}
    raw = tmp_path / "raw"
    write_scene(raw / "attic", scenes["attic"])
    store_scores(raw / "attic", np.full((4, 4), 0.9))
    whole = pair_sets.built(builder(tmp_path / "a", "mvs_synth"), raw, "train")
    monkeypatch.setattr(Builder, "RECORDS_PER_SHARD", 2)
    parts = builder(tmp_path / "b", "mvs_synth")
    assert [item.records for item in parts.items(raw)["train"]] == [2, 2, 2]
    parts = pair_sets.built(parts, raw, "train")
    assert len(whole) == 6
    by_key = {record.key: record.corr for record in parts}
    assert len(by_key) == 6
    assert all(np.array_equal(by_key[record.key], record.corr) for record in whole)


def test_spring_holds_out_scenes_and_masks_sky_and_doubt(tmp_path):
    scenes = pair_sets.scenes(2)
    for name, views in scenes.items():
        folder = tmp_path / "raw" / SPRING[name]
        write_scene(folder, views)
        add_modality(folder, "pred_mask/moge2", "moge/v0/mask/{}.png", masks(views))
        sky = {view.frame: np.zeros((48, 64), np.uint8) for view in views}
        for mask in sky.values():
            mask[:8] = 255
        add_modality(folder, "skymask", "skymask/{}.png", sky)
    raw = tmp_path / "raw"
    built = builder(tmp_path, "spring")
    write_dataset(built, raw)
    for split, scene in (("train", "attic"), ("validation", "barn")):
        (record,) = pair_sets.records(built, split)
        assert pair_sets.sides(record)[0] == SPRING[scene]
        depth = record.depth(0)
        assert (depth[:8] == 0).all() and (depth[:, 32:] == 0).all() and (depth[8:, :32] > 0).all()
        assert record.corr[:, :2].max() < 48 and (record.corr[:, 0] < 32).all()


def test_dl3dv_takes_mvsanywheres_depth_where_it_is_sure(tmp_path):
    scenes = pair_sets.scenes(2)
    raw = tmp_path / "raw"
    for name, views in scenes.items():
        folder = raw / name
        write_scene(folder, views, scale=3.0, scale_type="colmap")
        # Its maps have another size than the pictures: each pixel twice here.
        wide = {v.frame: np.repeat(v.depth * 3.0, 2, axis=1) for v in views}
        add_modality(folder, "pred_depth/mvsanywhere", "mvsanywhere/v0/depth/{}.exr", wide)
        sure = {
            v.frame: np.where(np.arange(128) < 100, 0.9, 0.25)[None].repeat(48, 0) for v in views
        }
        add_modality(folder, "depth_confidence/mvsanywhere", "mvsanywhere/v0/conf/{}.exr", sure)
        add_modality(folder, "pred_mask/moge2", "moge/v0/mask/{}.png", masks(views, 0))
        for frame in ("000", "001"):
            (folder / "depth" / f"{frame}.exr").unlink()
    with pytest.raises(BadInput, match=r"dl3dv_scene_list_val\.npy is missing.*Manual download"):
        write_dataset(builder(tmp_path, "dl3dv"), raw)
    (raw / "val").mkdir()
    np.save(raw / "val" / "dl3dv_scene_list_val.npy", np.array(["barn"]))
    built = builder(tmp_path, "dl3dv")
    write_dataset(built, raw)
    for split, scene in (("train", "attic"), ("validation", "barn")):
        (record,) = pair_sets.records(built, split)
        assert pair_sets.sides(record)[0] == scene and record.scale_type == "colmap"
        known_at = np.flatnonzero((record.depth(0) > 0).any(0))
        assert (known_at.min(), known_at.max()) == (32, 49)
        _, one, two = pair_sets.sides(record)
        views = scenes[scene]
        off = [
            pair_sets.correspondence_error(views[int(one)], views[int(two)], corr[None])
            for corr in record.corr
        ]
        off = np.array(off)
        assert np.isfinite(off).mean() > 0.9 and off[np.isfinite(off)].max() < 0.5


def test_the_farthest_pixels_and_infinite_ones_are_dropped(tmp_path):
    scenes = pair_sets.scenes(2)
    for name, views in scenes.items():
        write_scene(tmp_path / "raw" / name, views)
        depth = views[0].depth.copy()
        depth[0] = np.inf
        write_exr(tmp_path / "raw" / name / "depth" / "000.exr", depth)
    made = pair_sets.built(builder(tmp_path, "sailvos3d"), tmp_path / "raw", "train")
    for record, one, two in known(made, scenes):
        for side, view in enumerate((one, two)):
            depth = record.depth(side)
            rows = depth[1:] if view.frame == "000" else depth
            assert (depth[0] == 0).all() or view.frame != "000"
            share = (rows == 0).mean()
            assert 0.02 < share <= 0.05
            assert view.depth[depth > 0].max() <= np.percentile(view.depth, 95) + 0.01


def test_scannetpp_takes_rendered_depth_and_its_own_splits(tmp_path):
    names = {"attic": "1c7a683c92", "barn": "0e900bcc5c"}
    scenes = pair_sets.scenes(2)
    for name, views in scenes.items():
        folder = tmp_path / "raw" / names[name]
        write_scene(folder, views)
        (folder / "depth").rename(folder / "rendered_depth")

        def change(meta):
            meta["frame_modalities"]["rendered_depth"] = {"frame_key": "rendered_depth"}
            for frame in meta["frames"]:
                frame["rendered_depth"] = frame.pop("depth").replace("depth", "rendered_depth", 1)

        edit(folder, change)
    built = builder(tmp_path, "scannetppv2")
    write_dataset(built, tmp_path / "raw")
    assert [pair_sets.sides(r)[0] for r in pair_sets.records(built, "validation")] == ["1c7a683c92"]
    assert [pair_sets.sides(r)[0] for r in pair_sets.records(built, "test")] == ["0e900bcc5c"]


def truncated(folder):
    path = folder / "depth" / "001.exr"
    path.write_bytes(path.read_bytes()[:-30])


def negative(folder):
    write_exr(folder / "depth" / "001.exr", np.full((48, 64), -1.0))


def not_a_number(folder):
    write_exr(folder / "depth" / "001.exr", np.full((48, 64), np.nan))


def gone(folder):
    (folder / "depth" / "001.exr").unlink()


def bad_image(folder):
    (folder / "images" / "001.png").write_bytes(b"no picture")


def sheared(folder):
    edit(folder, lambda meta: meta["frames"][1]["transform_matrix"][0].__setitem__(1, 0.4))


def distorted(folder):
    edit(folder, lambda meta: meta["frames"][1].update(camera_model="OPENCV"))


def no_focal(folder):
    edit(folder, lambda meta: meta["frames"][1].update(fl_x=None))


def outside(folder):
    edit(folder, lambda meta: meta["frames"][1].update(image="../secret.png"))


BAD_FRAMES = {
    truncated: "001.exr does not decode as OpenEXR",
    negative: "depths that are negative",
    not_a_number: "depths that are not finite",
    gone: "001.exr cannot be read",
    bad_image: "001.png does not decode",
    sheared: "pose is not rigid",
    distorted: "camera model is OPENCV; undistort",
    no_focal: "are not all numbers",
    outside: "is no path inside",
}


@pytest.mark.parametrize("spoil", BAD_FRAMES, ids=lambda spoil: spoil.__name__)
def test_a_bad_frame_is_named_and_costs_itself(tmp_path, spoil):
    scenes = pair_sets.scenes()
    for name, views in scenes.items():
        write_scene(tmp_path / "raw" / name, views)
    spoil(tmp_path / "raw" / "barn")
    built = builder(tmp_path, "mpsd")
    made = pair_sets.built(built, tmp_path / "raw", "train", max_bad="1")
    (line,) = pair_sets.bad_lines(built)
    assert line["key"] == "barn/001" and BAD_FRAMES[spoil] in line["reason"]
    kept = sorted((scene, *sorted(frames)) for scene, *frames in map(pair_sets.sides, made))
    assert kept == [
        ("attic", "000", "001"),
        ("attic", "000", "002"),
        ("attic", "001", "002"),
        ("barn", "000", "002"),
    ]


def no_json(folder):
    (folder / "scene_meta.json").write_text("{")


def empty(folder):
    edit(folder, lambda meta: meta.update(frames=[]))


def twice(folder):
    edit(folder, lambda meta: meta["frames"].append(meta["frames"][0]))


def scores_of_others(folder):
    store_scores(folder, np.eye(4))


def scores_cut(folder):
    store_scores(folder, np.eye(3))
    (path,) = folder.glob("covisibility/v0/*.npy")
    path.write_bytes(path.read_bytes()[:-4])


BAD_SCENES = {
    no_json: "is no WAI scene",
    empty: "are none",
    twice: "two frames of one name",
    scores_of_others: "not of the scene's 3 frames",
    scores_cut: "is not 3x3 float32 numbers",
}


@pytest.mark.parametrize("spoil", BAD_SCENES, ids=lambda spoil: spoil.__name__)
def test_a_bad_scene_is_named_and_costs_itself(tmp_path, spoil):
    for name, views in pair_sets.scenes().items():
        write_scene(tmp_path / "raw" / name, views)
    spoil(tmp_path / "raw" / "barn")
    built = builder(tmp_path, "mpsd")
    made = pair_sets.built(built, tmp_path / "raw", "train", max_bad="99%")
    assert {pair_sets.sides(record)[0] for record in made} == {"attic"}
    (line,) = pair_sets.bad_lines(built)
    assert BAD_SCENES[spoil] in line["reason"] and "barn" in line["reason"]


def test_a_pickled_list_is_never_loaded(tmp_path):
    write_scene(tmp_path / "raw" / "attic", pair_sets.scenes(2)["attic"])
    (tmp_path / "raw" / "val").mkdir()
    path = tmp_path / "raw" / "val" / "blendedmvs_scene_list_val.npy"
    np.save(path, np.array(["attic", None], object), allow_pickle=True)
    with pytest.raises(BadInput, match="may be a pickle, which is never loaded"):
        write_dataset(builder(tmp_path, "blendedmvs"), tmp_path / "raw")


def test_an_empty_folder_is_an_error(tmp_path):
    (tmp_path / "raw").mkdir()
    with pytest.raises(BadInput, match=r"scene_meta\.json is missing.*'Manual download'"):
        write_dataset(builder(tmp_path, "eth3d"), tmp_path / "raw")


def test_eth3d_is_all_test_and_a_named_split_is_kept(tmp_path):
    for name, views in pair_sets.scenes(2).items():
        write_scene(tmp_path / "raw" / name, views)
    assert list(builder(tmp_path, "eth3d").items(tmp_path / "raw")) == ["test"]
    (tmp_path / "raw" / "train").mkdir()
    (tmp_path / "raw" / "train" / "mvs_synth_scene_list_train.txt").write_text("attic\n")
    items = builder(tmp_path, "mvs_synth").items(tmp_path / "raw")
    assert {split: [item.key for item in part] for split, part in items.items()} == {
        "train": ["attic"]
    }


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("compression", ["ZIP_COMPRESSION", "PIZ_COMPRESSION", "NO_COMPRESSION"])
def test_exr_of_one_channel_is_read_as_it_is(tmp_path, rng, dtype, compression):
    values = rng.uniform(0, 100, (9, 7)).astype(dtype)
    header = {"compression": getattr(OpenEXR, compression), "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {"Z": values}) as file:
        file.write(str(tmp_path / "a.exr"))
    read = read_exr(tmp_path / "a.exr")
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, values.astype(np.float32))


def test_exr_of_colours_is_an_error(tmp_path):
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {"RGB": np.zeros((4, 4, 3), np.float32)}) as file:
        file.write(str(tmp_path / "a.exr"))
    with pytest.raises(BadInput, match="3 channels"):
        read_exr(tmp_path / "a.exr")
    Image.new("L", (4, 4)).save(tmp_path / "b.png")
    with pytest.raises(BadInput, match="does not decode as OpenEXR"):
        read_exr(tmp_path / "b.png")
