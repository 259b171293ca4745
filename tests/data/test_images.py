import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from tests.tiny import textured_image
from vlm3_jax.data.images import ImageProcessor, decode, resize
from vlm3_jax.errors import BadInput

# Width x height: cameras, odd sizes, thin ones, below the smallest and above the largest area.
SIZES = [
    (640, 480), (480, 640), (1215, 920), (1024, 768), (128, 96), (96, 128), (320, 240),
    (333, 777), (2, 2), (31, 33), (32, 32), (16, 48), (47, 49), (65, 63), (100, 3), (3, 100),
    (2, 400), (400, 2), (1990, 10), (10, 1990), (5, 999), (1200, 6), (250, 1000), (1000, 250),
    (1500, 1500), (1601, 1599), (720, 1281), (1920, 1080), (64, 2000), (2001, 63),
]  # fmt: skip


@pytest.fixture(params=["exact", "fast"])
def backend(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def bounded(tiny_hf, tmp_path_factory):
    """A checkpoint folder whose smallest and largest area both come into play."""
    folder = tmp_path_factory.mktemp("processor")
    text = (tiny_hf / "preprocessor_config.json").read_text()
    text = text.replace(str(32 * 32), str(256 * 256)).replace(str(4096 * 4096), str(1024 * 1024))
    (folder / "preprocessor_config.json").write_text(text)
    return folder


def encode(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def reference_patches(folder, image: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """uint8 levels of transformers' patches, without their two equal time steps."""
    processor = Qwen2VLImageProcessorPil.from_pretrained(folder, do_normalize=False)
    out = processor(images=[Image.fromarray(image)], return_tensors="np")
    size = processor.patch_size
    levels = out["pixel_values"].reshape(-1, 3, processor.temporal_patch_size, size, size) * 255
    assert (levels[:, :, 0] == levels[:, :, 1]).all()
    return levels[:, :, 0].reshape(len(levels), -1), tuple(out["image_grid_thw"][0, 1:])


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("bounds", ["wide", "narrow"])
def test_patches_equal_those_of_transformers(size, bounds, tiny_hf, bounded, rng):
    folder = tiny_hf if bounds == "wide" else bounded
    image = textured_image(rng, size[1], size[0])
    expected, expected_grid = reference_patches(folder, image)
    exact = ImageProcessor.from_folder(folder)
    for processor in (exact, replace(exact, backend="fast")):
        patches, grid = processor.patches(image, "a")
        assert patches.dtype == np.uint8
        assert grid == expected_grid == processor.grid(*size)
        assert np.abs(patches - expected).max() <= 1e-3


def test_the_released_depth_sample_has_4408_patches(tiny_hf):
    assert ImageProcessor.from_folder(tiny_hf).grid(1215, 920) == (58, 76)


def test_resize_keeps_an_image_of_that_size(backend, rng):
    image = textured_image(rng, 30, 40)
    assert resize(image, 40, 30, backend) is image
    assert resize(image, 20, 10, backend).shape == (10, 20, 3)


def test_a_folder_without_settings_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"no readable preprocessor_config\.json"):
        ImageProcessor.from_folder(tmp_path)


def test_other_settings_than_qwens_are_refused(tiny_hf, tmp_path):
    shutil.copy(tiny_hf / "preprocessor_config.json", tmp_path)
    path = tmp_path / "preprocessor_config.json"
    path.write_text(path.read_text().replace("{", '{"do_rescale": false, ', 1))
    with pytest.raises(BadInput, match="do_rescale is False"):
        ImageProcessor.from_folder(tmp_path)


def test_colours_are_kept(backend, rng):
    image = textured_image(rng, 20, 30)
    for mode in ("RGB", "P", "CMYK"):
        stored = Image.fromarray(image).convert(mode)
        data = encode(stored, "TIFF" if mode == "CMYK" else "PNG")
        np.testing.assert_array_equal(decode(data, "a", backend), np.asarray(stored.convert("RGB")))


def test_greyscale_fills_three_channels(backend, rng):
    grey = textured_image(rng, 20, 30)[..., 0]
    bits = grey > 128
    for image, levels in ((grey, grey), (bits, 255 * bits)):
        decoded = decode(encode(Image.fromarray(image)), "a", backend)
        np.testing.assert_array_equal(decoded, np.stack([levels] * 3, -1))


def test_16_bit_greyscale_keeps_its_range(backend):
    ramp = np.linspace(0, 65535, 64 * 8).astype(np.uint16).reshape(8, 64)
    for kind in ("PNG", "TIFF"):
        decoded = decode(encode(Image.fromarray(ramp), kind), "a", backend)
        np.testing.assert_array_equal(decoded, np.stack([ramp >> 8] * 3, -1))


def test_transparency_is_laid_on_white(backend, rng):
    pixels = np.dstack([textured_image(rng, 16, 16), np.full((16, 16), 128, np.uint8)])
    pixels[:8, :, 3] = 0
    decoded = decode(encode(Image.fromarray(pixels)), "a", backend)
    assert (decoded[:8] == 255).all()
    expected = pixels[8:, :, :3] * (128 / 255) + 255 * (127 / 255)
    assert np.abs(decoded[8:] - expected).max() <= 1
    indexed = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4), "P")
    indexed.putpalette([7] * 768)
    decoded = decode(encode(indexed, transparency=3), "a", backend)
    assert (decoded[0, 3] == 255).all() and (decoded[0, 2] == 7).all()


def test_exif_orientation_is_not_applied(backend, rng):
    exif = Image.Exif()
    exif[0x0112] = 6  # Turned by 90 degrees.
    stored = Image.fromarray(textured_image(rng, 24, 40))
    for kind in ("PNG", "JPEG"):
        assert decode(encode(stored, kind, exif=exif), "a", backend).shape == (24, 40, 3)


@pytest.mark.parametrize("size", [(1, 50), (50, 1), (402, 2), (2, 402)])
def test_sizes_that_cannot_be_resized_are_refused(size, backend, tiny_hf):
    image = Image.new("RGB", size)
    for kind in ("PNG", "JPEG"):
        with pytest.raises(BadInput, match=rf"room/7\.png is {size[0]}x{size[1]}"):
            decode(encode(image, kind), "room/7.png", backend)
    with pytest.raises(BadInput, match=f"{size[0]}x{size[1]}"):
        processor = replace(ImageProcessor.from_folder(tiny_hf), backend=backend)
        processor.patches(np.asarray(image), "a")


def test_bytes_that_are_no_image_are_refused(backend, rng):
    whole = encode(Image.fromarray(textured_image(rng, 40, 40)))
    floats = encode(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF")
    for data in (b"", b"not an image", whole[:100], whole[: len(whole) // 2], floats):
        with pytest.raises(BadInput, match=r"room/7\.png does not decode"):
            decode(data, "room/7.png", backend)


@pytest.mark.parametrize(
    "options",
    [
        {"subsampling": 0},
        {"subsampling": 1},
        {"subsampling": 2},
        {"progressive": True},
        {"keep_rgb": True, "subsampling": 0},
        {"restart_marker_blocks": 3},
    ],
    ids=str,
)
def test_both_backends_say_the_same_of_jpegs_and_of_damaged_ones(options, rng):
    whole = encode(Image.fromarray(textured_image(rng, 70, 91)), "JPEG", **options)
    damaged = [whole, whole[:-2], whole + b"more", whole[:30], whole[:600]]
    for _ in range(60):
        place = rng.integers(2, len(whole))
        damaged.append(whole[:place] + rng.bytes(2) + whole[place + 2 :])
        damaged.append(whole[:place])
    outcomes = [[outcome(data, backend) for backend in ("exact", "fast")] for data in damaged]
    for exact, fast in outcomes:
        assert isinstance(exact, str) == isinstance(fast, str)
        np.testing.assert_array_equal(fast, exact)
    refused = [isinstance(exact, str) for exact, _ in outcomes]
    assert not refused[0] and any(refused)


def outcome(data: bytes, backend: str) -> np.ndarray | str:
    try:
        return decode(data, "a", backend)
    except BadInput as error:
        return str(error)


@pytest.mark.parametrize("mode", ["L", "CMYK", "YCbCr"])
def test_jpegs_of_other_colours_decode_alike(mode, rng):
    data = encode(Image.fromarray(textured_image(rng, 40, 30)).convert(mode), "JPEG")
    np.testing.assert_array_equal(decode(data, "a", "fast"), decode(data, "a"))


def test_the_fast_backend_does_not_leave_jpegs_to_pillow(rng, monkeypatch):
    image = Image.fromarray(textured_image(rng, 40, 30))
    expected = decode(encode(image, "JPEG"), "a")
    frames = encode(image, "MPO", save_all=True, append_images=[image.rotate(90)])
    monkeypatch.setattr("vlm3_jax.data.images.to_rgb", None)
    for data in (encode(image, "JPEG"), frames):
        np.testing.assert_array_equal(decode(data, "a", "fast"), expected)


def test_real_images(ibims1, tiny_hf):
    for path in sorted((ibims1 / "rgb").iterdir())[:3]:
        image = decode(path.read_bytes(), path.name)
        expected, grid = reference_patches(tiny_hf, image)
        processor = ImageProcessor.from_folder(tiny_hf)
        patches, own_grid = processor.patches(image, "a")
        assert own_grid == grid
        assert np.abs(patches - expected).max() <= 1e-3


@pytest.mark.slow
def test_real_images_are_equal_at_several_focal_lengths(ibims1, tiny_hf):
    exact = ImageProcessor.from_folder(tiny_hf)
    fast = replace(exact, backend="fast")
    for path in sorted((ibims1 / "rgb").iterdir()):
        stored = Image.open(path).convert("RGB")
        data = encode(stored, "JPEG", quality=90)
        image = decode(data, path.name)
        np.testing.assert_array_equal(decode(data, path.name, "fast"), image)
        for width, height in ((1215, 920), (640, 480), (417, 313), (1153, 861)):
            shown = resize(image, width, height)
            np.testing.assert_array_equal(resize(image, width, height, "fast"), shown)
            patches, grid = exact.patches(shown, path.name)
            own_patches, own_grid = fast.patches(shown, path.name)
            assert own_grid == grid
            np.testing.assert_array_equal(own_patches, patches)
