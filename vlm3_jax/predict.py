r"""Asks a model about images.

    python -m vlm3_jax.predict --checkpoint=CKPT --task=depth --image=A.png --fx=FX \
        --points="x,y x,y" --out=DIR
    python -m vlm3_jax.predict --checkpoint=CKPT --task=chat --image=A.png --prompt="..."

Prints one JSON object on standard output. With --out, DIR/prediction.json holds it too, and after
--task=depth DIR/prediction.png shows the points and their metres on the image.
"""

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from vlm3_jax import cli
from vlm3_jax.data.chat import Sample, Turn
from vlm3_jax.data.depth_samples import DepthSampling
from vlm3_jax.data.images import decode, resize
from vlm3_jax.decoding.config import DecodingConfig
from vlm3_jax.decoding.load import load_decoder, resolve_dtype
from vlm3_jax.decoding.runner import Answer
from vlm3_jax.errors import BadInput
from vlm3_jax.evaluation.picture import draw_points
from vlm3_jax.files import check_folder, json_bytes, write_whole
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.parallel.mesh import MeshConfig
from vlm3_jax.tasks import depth

_QUESTIONS = 16  # Points asked about at a time.
_MESH = MeshConfig(fsdp=1, tensor=-1)  # All devices work on one image, so it is there soonest.

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "checkpoint", None, "Hugging Face folder, hub id, or folder of train or convert."
)
flags.DEFINE_enum("task", None, ["depth", "chat"], "What to ask.")
flags.DEFINE_multi_string("image", [], "An image file; --task=chat takes any number of them.")
flags.DEFINE_float("fx", None, "Focal length along x, in pixels of the image.")
flags.DEFINE_float("fy", None, "Focal length along y; that along x by default.")
flags.DEFINE_float(
    "cx", None, "Principal point; the middle of the image, (width - 1) / 2, by default."
)
flags.DEFINE_float(
    "cy", None, "Principal point; the middle of the image, (height - 1) / 2, by default."
)
flags.DEFINE_float("focal", 1000.0, "Focal length in pixels that images with --fx are resized to.")
flags.DEFINE_string("points", None, 'Pixels "x,y x,y ..." of the image, for --task=depth.')
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


def main() -> None:
    """Runs the command: everything given is checked before the weights are read."""
    if FLAGS.out is not None:
        check_folder(FLAGS.out, "--out")
    {"depth": _depth, "chat": _chat}[FLAGS.task]()


def _depth() -> None:
    _refuse("prompt")
    if len(FLAGS.image) != 1:
        raise BadInput(f"--task=depth takes one --image, but {len(FLAGS.image)} are given.")
    if FLAGS.fx is None:
        raise BadInput(
            "--task=depth needs the camera: give its focal length in pixels as --fx (and --fy,"
            " --cx, --cy where the defaults in --help are wrong)."
        )
    points = _parse_points(FLAGS.points)
    name = FLAGS.image[0]
    image = _read_image(name)
    camera = _camera(image, name)
    unified, shown = _unify(image, camera, name)
    turns = tuple(Turn(prompt) for prompt in depth.prompts(camera, unified, np.array(points)))

    answers = _answer(Sample((shown,), turns, key=name))
    metres = [depth.parse_answer(text) for text, _ in answers]
    result = {
        "task": "depth",
        "checkpoint": FLAGS.checkpoint,
        "image": name,
        "camera": asdict(camera),
        "focal": FLAGS.focal,
        "points": [
            {"x": x, "y": y, "metres": value, "answer": text, "finished": answer.finished}
            for (x, y), value, (text, answer) in zip(points, metres, answers, strict=True)
        ],
        "parse_failures": metres.count(None),
    }
    if FLAGS.out is not None:
        labels = ["?" if value is None else f"{value:.2f} m" for value in metres]
        picture = io.BytesIO()
        draw_points(image, points, labels).save(picture, format="PNG")
        write_whole(Path(FLAGS.out) / "prediction.png", picture.getvalue())
    _finish(result)


def _chat() -> None:
    _refuse("points")
    if not FLAGS.prompt:
        raise BadInput('--task=chat needs something to say: give --prompt="...".')
    if FLAGS.fx is not None and not FLAGS.image:
        raise BadInput("--fx is given without an --image.")
    shown = []
    for name in FLAGS.image:
        image = _read_image(name)
        camera = _camera(image, name)
        shown.append(image if camera is None else _unify(image, camera, name)[1])

    sample = Sample(tuple(shown), (Turn(FLAGS.prompt),), key="the conversation")
    ((text, answer),) = _answer(sample)
    _finish(
        {
            "task": "chat",
            "checkpoint": FLAGS.checkpoint,
            "images": FLAGS.image,
            "prompt": FLAGS.prompt,
            "text": text,
            "token_ids": answer.token_ids,
            "finished": answer.finished,
        }
    )


def _refuse(flag: str) -> None:
    if FLAGS[flag].value is not None:
        raise BadInput(f"--{flag} means nothing to --task={FLAGS.task}: leave it out.")


def _parse_points(text: str | None) -> list[tuple[float, float]]:
    pairs = [part.split(",") for part in (text or "").split()]
    try:
        points = [(float(x), float(y)) for x, y in pairs]
    except ValueError as error:
        raise BadInput(f'--points={text} are no points: give them as "x,y x,y".') from error
    if not points:
        raise BadInput('--task=depth needs pixels to ask about: give --points="x,y x,y".')
    return points


def _read_image(name: str) -> np.ndarray:
    try:
        data = Path(name).read_bytes()
    except OSError as error:
        raise BadInput(f"--image={name} cannot be read: {error.strerror}.") from error
    return decode(data, name)


def _camera(image: np.ndarray, name: str) -> Camera | None:
    """The camera that the flags describe; None where they describe none."""
    height, width = image.shape[:2]
    if FLAGS.fx is None:
        for flag in ("fy", "cx", "cy"):
            if FLAGS[flag].value is not None:
                raise BadInput(f"--{flag} is given without --fx, the focal length in pixels.")
        return None
    camera = Camera(
        fx=FLAGS.fx,
        fy=FLAGS.fx if FLAGS.fy is None else FLAGS.fy,
        cx=(width - 1) / 2 if FLAGS.cx is None else FLAGS.cx,
        cy=(height - 1) / 2 if FLAGS.cy is None else FLAGS.cy,
        width=width,
        height=height,
    )
    camera.check(name)
    return camera


def _unify(image: np.ndarray, camera: Camera, name: str) -> tuple[Camera, np.ndarray]:
    unified = DepthSampling(focal=FLAGS.focal).unify(camera, name)
    return unified, resize(image, unified.width, unified.height)


def _answer(sample: Sample) -> list[tuple[str, Answer]]:
    """The texts of the answers to the sample's turns, each asked alone, with their tokens."""
    config = DecodingConfig(
        images=1,
        questions=min(len(sample.turns), _QUESTIONS),
        max_new_tokens=FLAGS.max_new_tokens,
    )
    encoder, decoder = load_decoder(FLAGS.checkpoint, resolve_dtype(FLAGS.dtype), _MESH, config)
    answers = decoder.answer([encoder.encode_prompts(sample)])
    return [(encoder.decode(answer.token_ids), answer) for answer in answers]


def _finish(result: dict[str, Any]) -> None:
    """Writes and prints the result."""
    if FLAGS.out is not None:
        write_whole(Path(FLAGS.out) / "prediction.json", json_bytes(result))
    print(json.dumps(result, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    cli.run(main)
