import dataclasses
import io
import json

import numpy as np
import pytest
from PIL import Image

from tests.tfds_builders.known_geometry import (
    _ROOMS,
    CAMERA,
    SCENES,
    correspondence_error,
    known_views,
    write_plain,
)
from vlm3_jax.geometry.camera import Camera, unproject
from vlm3_jax.geometry.correspondence import correspond, reproject


@pytest.fixture(params=SCENES)
def views(request):
    return known_views(request.param)


def test_depth_is_where_the_ray_leaves_free_space(views):
    room, (low, high) = (np.array(part) for part in _ROOMS[views[0].scene])

    def is_free(points):
        return (np.abs(points) < room).all(-1) & ~((points > low) & (points < high)).all(-1)

    for view in views:
        y, x = np.mgrid[:64:7, :96:7].reshape(2, -1)
        rays = unproject(view.camera, np.stack([x, y], -1), np.ones(len(x))) @ view.c2w[:3, :3].T
        for share in (0.001, 0.3, 0.7, 0.9, 0.999):
            assert is_free(view.c2w[:3, 3] + rays * (share * view.depth[y, x])[:, None]).all()
        assert not is_free(view.c2w[:3, 3] + rays * (1.001 * view.depth[y, x])[:, None]).any()


def test_a_point_has_the_same_colour_in_every_view_that_sees_it(views):
    one, two = views[:2]
    y, x = np.mgrid[:64, :96].reshape(2, -1)
    xy, z = np.stack([x, y], -1), one.depth.ravel()
    found, seen = correspond(xy, z, CAMERA, CAMERA, one.c2w, two.c2w, two.depth, 1e-3, 1e-3)
    column, row = np.rint(found[seen]).astype(int).T
    difference = one.image[y[seen], x[seen]].astype(int) - two.image[row, column]
    assert seen.mean() > 0.4
    assert np.abs(difference).max() < 40 and np.abs(difference).mean() < 6


def test_something_is_hidden(views):
    one, two = views[0], views[-1]
    y, x = np.mgrid[:64, :96].reshape(2, -1)
    cameras = CAMERA, CAMERA, one.c2w, two.c2w
    landed, z = reproject(np.stack([x, y], -1), one.depth.ravel(), *cameras)
    inside = ((landed > 0) & (landed < [95, 63])).all(-1) & (z > 0)
    true_z = two.z_at(landed[inside])
    assert 20 < (z[inside] > 1.05 * true_z).sum() < 0.5 * inside.sum()


def labels(view):
    xy = np.array([[10, 12], [50, 40], [90, 5]])
    return xy, view.depth[xy[:, 1], xy[:, 0]]


def test_true_labels_have_no_error_and_wrong_ones_have(views):
    view = views[1]
    xy, z = labels(view)
    stored = view.camera, view.c2w
    assert view.label_error(*stored, xy, z) < 1e-9
    half = Camera(35, 36, 23.5, 15, 48, 32)
    assert view.label_error(half, view.c2w, xy / 2, z) < 1e-9
    assert view.label_error(*stored, xy, z * 1.02) > 0.5
    assert view.label_error(*stored, xy + np.array([3, 0]), z) > 0.5
    assert view.label_error(view.camera, np.linalg.inv(view.c2w), xy, z) > 10
    assert view.label_error(dataclasses.replace(CAMERA, cy=CAMERA.cy + 3), view.c2w, xy, z) > 0.5
    euclid = np.linalg.norm(unproject(view.camera, xy, z), axis=-1)
    assert view.label_error(*stored, xy, euclid) > 2


def test_correspondence_error(views):
    one, two = views[:2]
    xy = np.array([[40, 20], [70, 30]])
    z = one.depth[xy[:, 1], xy[:, 0]]
    landed, _ = reproject(xy, z, CAMERA, CAMERA, one.c2w, two.c2w)
    corr = np.hstack([xy, landed])
    assert correspondence_error(one, two, corr) < 1e-9
    assert correspondence_error(one, two, corr + np.array([0, 0, 3, 4])) == pytest.approx(5)
    assert correspondence_error(two, one, corr) > 3


def test_plain_files(views, tmp_path):
    write_plain(tmp_path, views)
    base = tmp_path / views[2].scene / views[2].frame
    image = np.asarray(Image.open(io.BytesIO(base.with_suffix(".png").read_bytes())))
    np.testing.assert_array_equal(image, views[2].image)
    np.testing.assert_array_equal(np.load(base.with_suffix(".npy")), views[2].depth)
    numbers = json.loads(base.with_suffix(".json").read_text())
    assert numbers["intrinsics"] == [70, 72, 47, 30, 96, 64]
    np.testing.assert_array_equal(numbers["c2w"], views[2].c2w)
