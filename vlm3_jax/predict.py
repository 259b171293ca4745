r"""Asks a model about images.

    python -m vlm3_jax.predict --checkpoint=CKPT --task=depth --image=A.png --fx=FX \
        --points="x,y x,y" --out=DIR
    python -m vlm3_jax.predict --checkpoint=CKPT --task=depth --image=A.jpg --stride=8 --out=DIR
    python -m vlm3_jax.predict --checkpoint=CKPT --task=chat --image=A.png --prompt="..."

Prints one JSON object on standard output; with --out, DIR/prediction.json holds it too. After
--task=depth, DIR/prediction.png shows points and their metres on the image; for a map (--stride or
--num_points) there are

    depth_color.png   a picture to look at
    depth_mm.png      16 bits, millimetres, 0 where there is no value
    depth.npy         float32, metres, NaN where there is no value
    points.ply        coloured points in metres: x right, y down, z forward from the camera
    points.jsonl      every point's pixel and answer

and each cell of the map is stride x stride pixels, asked about at its middle (`grid` in
prediction.json). Of a folder of images each gets its own folder in DIR. The camera comes from
--fx, --fov or --cameras, else from the photo's EXIF; `camera_source` says from where.
"""

import json
from pathlib import Path
from typing import Any

from absl import flags

from vlm3_jax import cli
from vlm3_jax.errors import BadInput
from vlm3_jax.files import check_folder, json_bytes, write_whole
from vlm3_jax.prediction import depth_command
from vlm3_jax.prediction.depth_request import DepthRequest
from vlm3_jax.prediction.depth_results import PREDICTION
from vlm3_jax.prediction.intrinsics import CameraOptions, camera_finder
from vlm3_jax.prediction.points import PointOptions
from vlm3_jax.prediction.predictor import Predictor, read_bytes, read_image

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "checkpoint", None, "Hugging Face folder, hub id, or folder of train or convert."
)
flags.DEFINE_enum("task", None, ["depth", "chat"], "What to ask.")
flags.DEFINE_multi_string(
    "image",
    [],
    "An image file; for --task=depth also a folder of images; --task=chat takes any number of"
    " files.",
)
flags.DEFINE_float("fx", None, "Focal length along x, in pixels of the image.")
flags.DEFINE_float("fy", None, "Focal length along y; that along x by default.")
flags.DEFINE_float(
    "cx", None, "Principal point; the middle of the image, (width - 1) / 2, by default."
)
flags.DEFINE_float(
    "cy", None, "Principal point; the middle of the image, (height - 1) / 2, by default."
)
flags.DEFINE_float("fov", None, "Horizontal field of view in degrees, instead of --fx.")
flags.DEFINE_string(
    "cameras",
    None,
    "Folder with cameras and images of COLMAP (.bin or .txt), or a transforms.json of nerfstudio,"
    " instead of --fx.",
)
flags.DEFINE_float(
    "focal", 1000.0, "Focal length in pixels that images with a camera are resized to."
)
flags.DEFINE_string("points", None, 'Pixels "x,y x,y ..." of the image, for --task=depth.')
flags.DEFINE_string("points_file", None, "File with x and y of a pixel a line.")
flags.DEFINE_integer("stride", None, "A map of every so many pixels, across and down.")
flags.DEFINE_integer("num_points", None, "A map of about so many points.")
flags.DEFINE_string(
    "mask", None, "Image of the same size: the map has values only where it is not zero."
)
flags.DEFINE_enum(
    "depth_kind",
    None,
    ["euclid", "z"],
    "What the model was taught to say: distance from the camera's centre (as most of VLM3's data),"
    " or depth along its axis; euclid by default. Only points.ply depends on it.",
)
flags.DEFINE_string("prompt", None, "What to say, for --task=chat.")
flags.DEFINE_integer("max_new_tokens", 128, "Longest answer.")
flags.DEFINE_enum(
    "dtype",
    "auto",
    ["auto", "float32", "bfloat16"],
    "Type of the computation; auto is float32 on a CPU and bfloat16 elsewhere.",
)
flags.DEFINE_string("out", None, "Folder for the results.")
flags.mark_flags_as_required(["checkpoint", "task"])

_CAMERA = ("fx", "fy", "cx", "cy", "fov", "cameras")
_POINTS = ("points", "points_file", "stride", "num_points", "mask")


def main() -> int:
    """Runs the command: everything given is checked before the weights are read."""
    if FLAGS.out:
        check_folder(FLAGS.out, "--out")
    return {"depth": _depth, "chat": _chat}[FLAGS.task]()


def _depth() -> int:
    _refuse("prompt")
    if len(FLAGS.image) != 1:
        raise BadInput(f"--task=depth takes one --image, but {len(FLAGS.image)} are given.")
    request = DepthRequest(
        checkpoint=FLAGS.checkpoint,
        image=Path(FLAGS.image[0]),
        camera=CameraOptions(**_values(_CAMERA)),
        points=PointOptions(**_values(_POINTS)),
        kind=FLAGS.depth_kind or "euclid",
        focal=FLAGS.focal,
        dtype=FLAGS.dtype,
        max_new_tokens=FLAGS.max_new_tokens,
        out=Path(FLAGS.out) if FLAGS.out else None,
    )
    result, status = depth_command.run(request)
    _print(result)
    return status


def _chat() -> int:
    _refuse(*_POINTS, "depth_kind")
    if not FLAGS.prompt:
        raise BadInput('--task=chat needs something to say: give --prompt="...".')
    options = CameraOptions(**_values(_CAMERA))
    if options.given and not FLAGS.image:
        raise BadInput("a camera is given without an --image.")
    images = [read_image(name) for name in FLAGS.image]
    cameras = []
    if options.given:
        find = camera_finder(options)
        for name, image in zip(FLAGS.image, images, strict=True):
            height, width = image.shape[:2]
            cameras.append(find(Path(name), read_bytes(name), width, height).camera)

    predictor = Predictor.from_pretrained(
        FLAGS.checkpoint,
        focal=FLAGS.focal,
        dtype=FLAGS.dtype,
        questions=1,
        max_new_tokens=FLAGS.max_new_tokens,
    )
    said = predictor.chat(images, FLAGS.prompt, cameras)
    result = {
        "task": "chat",
        "checkpoint": FLAGS.checkpoint,
        "images": FLAGS.image,
        "prompt": FLAGS.prompt,
        "text": said.text,
        "token_ids": said.token_ids,
        "finished": said.finished,
    }
    if FLAGS.out:
        write_whole(Path(FLAGS.out) / PREDICTION, json_bytes(result))
    _print(result)
    return 0


def _values(names: tuple[str, ...]) -> dict[str, Any]:
    return {name: FLAGS[name].value for name in names}


def _refuse(*names: str) -> None:
    for name in names:
        if FLAGS[name].value is not None:
            raise BadInput(f"--{name} means nothing to --task={FLAGS.task}: leave it out.")


def _print(result: dict[str, Any]) -> None:
    print(json.dumps(result, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    cli.run(main)
