r"""The benchmarks, by name.

python -m vlm3_jax.evaluate --config=configs/eval.py:ibims1,eth3d_pose --checkpoint=CKPT \
    --workdir=DIR --config.data_dir=DATA

Without names, all of them. The papers name the sets, but publish neither how many images, points
and pairs they take nor which: the numbers here are a choice, large enough for intervals of one or
two points. Labels are those of the release, since the paper's rows were scored on such: SUN RGB-D
and NYUv2 at 0.8 of the sensor's scale; `--config.benchmarks.sun_rgbd.dataset=sun_rgbd/corrected`
takes the true one. Which configs and splits VLM3 took is not published either.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

_ALL = placeholder(int)  # None, and an integer can be put in its place by a flag.
_IMAGES = {"images": 500, "seed": 0}


def _depth(dataset: str, split: str) -> dict:
    sampling = {"depth": {"focal": 1000.0, "questions_per_image": 10}}
    return {"task": "depth", "dataset": dataset, "split": split, "sampling": sampling} | _IMAGES


def _correspondence(dataset: str, split: str) -> dict:
    sampling = {"correspondence": {"longer_side": 1024, "questions_per_pair": 10}}
    named = {"task": "correspondence", "dataset": dataset, "split": split}
    return named | {"sampling": sampling} | _IMAGES


def _pose(dataset: str, split: str) -> dict:
    sampling = {"pose": {"focal": 750.0}}  # All four questions about a pair.
    return {"task": "pose", "dataset": dataset, "split": split, "sampling": sampling} | _IMAGES


def _objects(dataset: str, split: str) -> dict:
    sampling = {"objects": {"focal": 1000.0, "questions_per_image": _ALL}}
    named = {"task": "objects", "dataset": dataset, "split": split, "sampling": sampling}
    return named | _IMAGES | {"images": _ALL}  # As SpatialRGPT scores them.


BENCHMARKS = {
    # The eight depth sets of the paper.
    "argoverse2": _depth("argoverse2/release_faithful", "validation"),
    "ddad": _depth("ddad/release_faithful", "validation"),
    "nuscenes": _depth("nuscenes/release_faithful", "test"),
    "eth3d": _depth("eth3d", "test"),
    "scannetpp": _depth("scannetpp_iphone/release_faithful", "test"),
    "sun_rgbd": _depth("sun_rgbd/release_faithful", "test"),
    "ibims1": _depth("ibims1", "test"),
    "nyu_v2": _depth("nyu_v2/release_faithful", "test"),
    # iBims-1 with the very points that DepthLM released, which needs no other download.
    "ibims1_depthlm": _depth("depthlm_jsonl", "test"),
    # Pairs.
    "eth3d_correspondence": _correspondence("wai/eth3d", "test"),
    "dtu_correspondence": _correspondence("dtu", "test"),
    "ta_wb_correspondence": _correspondence("ta_wb", "test"),
    "eth3d_pose": _pose("wai/eth3d", "test"),
    "scannetpp_pose": _pose("wai/scannetppv2", "test"),
    # Objects.
    "spatial_rgpt": _objects("spatial_rgpt/bench", "test"),
    # Rendered rooms, which anyone can build: for trying out, not for comparing.
    "rooms_depth": _depth("synthetic_rooms/views", "validation"),
    "rooms_correspondence": _correspondence("synthetic_rooms/pairs", "validation"),
    "rooms_pose": _pose("synthetic_rooms/pairs", "validation"),
    "rooms_objects": _objects("synthetic_rooms/regions", "validation"),
}


def get_config(names: str = "all") -> ConfigDict:
    """Args: names of benchmarks with commas between them, or `all`."""
    chosen = list(BENCHMARKS) if names == "all" else names.split(",")
    if unknown := [name for name in chosen if name not in BENCHMARKS]:
        raise ValueError(
            f"there is no benchmark {', '.join(map(repr, unknown))} in configs/eval.py: choose of"
            f" {', '.join(BENCHMARKS)}."
        )
    return ConfigDict(
        {
            "data_dir": "data",
            "benchmarks": {name: BENCHMARKS[name] for name in chosen},
            "swap_images": False,  # True: the control that asks about another record's images.
            "decoding": {"images": 4, "questions": 10, "max_new_tokens": 128},
            "dtype": "auto",  # float32 on a CPU, bfloat16 elsewhere.
            # tensor > 1 is for a model too big for a device.
            "mesh": {"replica": -1, "fsdp": 1, "tensor": 1},
        }
    )
