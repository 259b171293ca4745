import numpy as np
from scipy.ndimage import map_coordinates

from tfds_builders.rectify import jpeg, sample_image, source_map
from vlm3_jax.data.images import decode
from vlm3_jax.geometry.camera import Camera

CAMERA = Camera(50, 52, 20, 15, 40, 30)


def test_a_straight_lens_leaves_pixels_where_they_are():
    source = source_map(lambda rays: rays * [50, 52] + [20, 15], CAMERA)
    x, y = np.meshgrid(np.arange(40), np.arange(30))
    np.testing.assert_allclose(source, np.stack([x, y], -1), atol=1e-9)


def test_agrees_with_scipy(rng):
    image = rng.integers(0, 256, (30, 40, 3), np.uint8)
    source = rng.uniform([-3, -3], [42, 32], (25, 35, 2))
    source[0, 0] = 39, 29  # The last pixel is inside.
    found = sample_image(image, source)
    inside = ((source >= 0) & (source <= [39, 29])).all(-1)
    coordinates = [source[..., 1], source[..., 0]]
    for channel in range(3):
        values = image[..., channel].astype(float)
        expected = map_coordinates(values, coordinates, order=1, mode="nearest")
        off = np.abs(found[..., channel] - np.where(inside, expected, 0))
        assert off.max() <= 0.501
    assert (found[0, 0] == image[-1, -1]).all() and (~inside).sum() > 50


def test_jpeg():
    pixels = np.full((30, 40, 3), 77, np.uint8)
    assert np.abs(decode(jpeg(pixels), "a").astype(int) - 77).max() <= 1
