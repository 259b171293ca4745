r"""Asks a model about images.

    python -m vlm3_jax.predict --checkpoint=CKPT --task=depth --image=A.png --fx=FX \
        --points="x,y x,y" --out=DIR
    python -m vlm3_jax.predict --checkpoint=CKPT --task=depth --image=A.jpg --stride=8 --out=DIR
    python -m vlm3_jax.predict --checkpoint=CKPT --task=correspondence --image=A.png \
        --image=B.png --points="x,y x,y" --out=DIR
    python -m vlm3_jax.predict --checkpoint=CKPT --task=pose --image=A.png --image=B.png --fx=FX
    python -m vlm3_jax.predict --checkpoint=CKPT --task=objects --image=A.png --fx=FX \
        --boxes="x1,y1,x2,y2 x1,y1,x2,y2" --prompt="How far apart are Region [0] and Region [1]?"
    python -m vlm3_jax.predict --checkpoint=CKPT --task=chat --image=A.png --prompt="..."

Prints one JSON object on standard output; with --out, DIR/prediction.json holds it too. After
--task=depth, DIR/prediction.png shows points and their metres on the image; for a map (--stride or
--num_points) there are

    depth_color.png   a picture to look at
    depth_mm.png      16 bits, millimetres, 0 where there is no value
    depth.npy         float32, metres, NaN where there is no value
    points.ply        coloured points in metres: x right, y down, z forward from the camera
    points.jsonl      every point's pixel, answer and log_probability of the answer

and each cell of the map is stride x stride pixels, asked about at its middle (`grid` in
prediction.json). With --certainty=8 every point has likely_metres, the depth with the most
probability within a factor of 1.25; confidence, that probability; low and high, the shortest range
with 80% of the probability; and unexplained, the probability of what was not followed. A map has

    confidence.png    a picture: red is certain, blue is not, grey has no value
    confidence.npy    float32, 0 to 1, NaN where there is no value

too, and its depths stay the answers. Of a folder of images each gets its own folder in DIR. The
camera comes from --fx, --fov or --cameras, else from the photo's EXIF; `camera_source` says which.

--task=correspondence finds pixels of the first image (x1, y1) in the second (x2, y2; null where the
answer holds none); DIR/prediction.png joins them by lines. --task=pose states how the camera moved
from the first image to the second, on axes x right, y down, z forward: `rotation` takes camera-2
vectors into camera 1, `translation_metres` is camera 2's centre in camera 1's frame. It and
`distance_metres` are in metres only where the checkpoint was trained on metric poses.
--task=objects asks about boxes, which the prompt names as Region [i], counted from 0; `metres` and
`clock_hour` are the length and the direction in the answer, if it states one. Its camera may be
unknown; then the image is shown as it is.
"""

import json
from pathlib import Path
from typing import Any

from absl import flags

from vlm3_jax import cli
from vlm3_jax.data.shown import FOCAL, LONGER_SIDE, POSE_FOCAL
from vlm3_jax.errors import BadInput
from vlm3_jax.files import check_folder
from vlm3_jax.prediction import (
    chat_command,
    correspondence_command,
    depth_command,
    objects_command,
    pose_command,
)
from vlm3_jax.prediction.chat_command import ChatRequest
from vlm3_jax.prediction.correspondence_command import CorrespondenceRequest
from vlm3_jax.prediction.depth_request import DepthRequest
from vlm3_jax.prediction.intrinsics import CameraOptions
from vlm3_jax.prediction.objects_command import ObjectsRequest
from vlm3_jax.prediction.points import PointOptions
from vlm3_jax.prediction.pose_command import PoseRequest

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "checkpoint", None, "Hugging Face folder, hub id, or folder of train or convert."
)
flags.DEFINE_enum(
    "task", None, ["depth", "correspondence", "pose", "objects", "chat"], "What to ask."
)
flags.DEFINE_multi_string(
    "image",
    [],
    "An image file; for --task=depth also a folder of images; --task=correspondence and pose take"
    " two files, --task=chat any number.",
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
    "focal",
    None,
    "Focal length in pixels that images with a camera are resized to; 1000 by default, 750 for"
    " --task=pose.",
)
flags.DEFINE_integer(
    "longer_side",
    None,
    "Pixels that the longer side of both images is resized to, for --task=correspondence; 1024 by"
    " default.",
)
flags.DEFINE_string("points", None, 'Pixels "x,y x,y ..." of the (first) image.')
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
flags.DEFINE_integer(
    "certainty",
    None,
    "How certain each depth is, from so many digit prefixes of it (about 8) expanded at a time;"
    " off by default.",
)
flags.DEFINE_string(
    "boxes", None, 'Boxes "x1,y1,x2,y2 ..." in pixels of the image, for --task=objects.'
)
flags.DEFINE_string("prompt", None, "What to say, for --task=chat and objects.")
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
_MAPS = ("stride", "num_points", "mask")
_POINTS = ("points", "points_file", *_MAPS)
_DEPTH = ("depth_kind", "certainty")
# What means nothing to a task.
_FOREIGN = {
    "depth": ("longer_side", "boxes", "prompt"),
    "correspondence": (*_CAMERA, "focal", *_MAPS, *_DEPTH, "boxes", "prompt"),
    "pose": (*_POINTS, *_DEPTH, "longer_side", "boxes", "prompt"),
    "objects": (*_POINTS, *_DEPTH, "longer_side"),
    "chat": (*_POINTS, *_DEPTH, "longer_side", "boxes"),
}


def main() -> int:
    """Runs the command: everything given is checked before the weights are read."""
    if FLAGS.out:
        check_folder(FLAGS.out, "--out")
    for name in _FOREIGN[FLAGS.task]:
        if FLAGS[name].value is not None:
            raise BadInput(f"--{name} means nothing to --task={FLAGS.task}: leave it out.")
    result, status = _TASKS[FLAGS.task]()
    print(json.dumps(result, ensure_ascii=False), flush=True)
    return status


def _depth() -> tuple[dict[str, Any], int]:
    (image,) = _images(1)
    request = DepthRequest(
        image=image,
        camera=CameraOptions(**_values(_CAMERA)),
        points=PointOptions(**_values(_POINTS)),
        kind=FLAGS.depth_kind or "euclid",
        branches=FLAGS.certainty or 0,
        focal=_focal(FOCAL),
        **_model(),
    )
    return depth_command.run(request)


def _correspondence() -> tuple[dict[str, Any], int]:
    request = CorrespondenceRequest(
        images=_images(2),
        points=PointOptions(**_values(("points", "points_file"))),
        longer_side=LONGER_SIDE if FLAGS.longer_side is None else FLAGS.longer_side,
        **_model(),
    )
    return correspondence_command.run(request), 0


def _pose() -> tuple[dict[str, Any], int]:
    request = PoseRequest(
        images=_images(2),
        camera=CameraOptions(**_values(_CAMERA)),
        focal=_focal(POSE_FOCAL),
        **_model(),
    )
    return pose_command.run(request), 0


def _objects() -> tuple[dict[str, Any], int]:
    (image,) = _images(1)
    request = ObjectsRequest(
        image=image,
        camera=CameraOptions(**_values(_CAMERA)),
        focal=_focal(FOCAL),
        boxes=_needed("boxes", "boxes to ask about", "x1,y1,x2,y2 x1,y1,x2,y2"),
        question=_needed("prompt", "a question", "How wide is Region [0]?"),
        **_model(),
    )
    return objects_command.run(request), 0


def _chat() -> tuple[dict[str, Any], int]:
    request = ChatRequest(
        images=tuple(map(Path, FLAGS.image)),
        camera=CameraOptions(**_values(_CAMERA)),
        focal=_focal(FOCAL),
        prompt=_needed("prompt", "something to say", "..."),
        **_model(),
    )
    return chat_command.run(request), 0


_TASKS = {
    "depth": _depth,
    "correspondence": _correspondence,
    "pose": _pose,
    "objects": _objects,
    "chat": _chat,
}


def _images(number: int) -> tuple[Path, ...]:
    if len(FLAGS.image) != number:
        wanted = {1: "one --image", 2: "two, --image=A --image=B"}[number]
        raise BadInput(f"--task={FLAGS.task} takes {wanted}, but {len(FLAGS.image)} are given.")
    return tuple(map(Path, FLAGS.image))


def _model() -> dict[str, Any]:
    out = Path(FLAGS.out) if FLAGS.out else None
    return _values(("checkpoint", "dtype", "max_new_tokens")) | {"out": out}


def _focal(default: float) -> float:
    return default if FLAGS.focal is None else FLAGS.focal


def _needed(name: str, what: str, form: str) -> str:
    if not FLAGS[name].value:
        raise BadInput(f'--task={FLAGS.task} needs {what}: give --{name}="{form}".')
    return FLAGS[name].value


def _values(names: tuple[str, ...]) -> dict[str, Any]:
    return {name: FLAGS[name].value for name in names}


if __name__ == "__main__":
    cli.run(main)
