"""The paper's mixtures, as `data.sources` of a configuration.

Every function takes a weighting:

- `paper`: as published. For depth these are weights that the paper found best; for pairs it tells
  numbers of images only, which are taken as the weights.
- `size`: by the number of records that were built.
- `uniform`: every dataset as often as the others.

The paper's largest depth set, 10M street views with weight 1.0, is internal to its authors and
left out, so the others have their weights relative to each other.
"""

from typing import Any

Sources = dict[str, dict[str, Any]]
WEIGHTINGS = ("paper", "size", "uniform")

# Builder and the paper's weight; which labels the paper trained on is not known.
DEPTH = {
    "argoverse2": ("argoverse2/{labels}", 0.21),
    "waymo": ("waymo/{labels}", 0.04),
    "nuscenes": ("nuscenes/{labels}", 0.01),
    "scannetpp": ("scannetpp_iphone/{labels}", 0.01),
    "taskonomy": ("taskonomy", 0.51),
    "hm3d": ("hm3d", 0.78),
    "matterport3d": ("matterport3d/{labels}", 0.006),
}

# Builder and the paper's number of images, of views that share more than 25%.
PAIRS = {
    "blendedmvs": ("wai/blendedmvs", 450_000),
    "dynamicreplica": ("wai/dynamicreplica", 1_000_000),
    "sailvos3d": ("wai/sailvos3d", 350_000),
    "scannetpp": ("wai/scannetppv2", 1_000_000),
    "mpsd": ("wai/mpsd", 13_000),
    "realestate10k": ("realestate10k/colmap", 880_000),
    "dl3dv": ("wai/dl3dv", 2_600_000),
    "megadepth": ("wai/megadepth", 190_000),
    "ase": ("wai/ase", 2_000_000),
    "gta_sfm": ("gta_sfm/w2c", 90_000),
    "tartanair_v2": ("wai/tav2_wb", 850_000),
    "unrealstereo4k": ("wai/unrealstereo4k", 270_000),
    "mvs_synth": ("wai/mvs_synth", 190_000),
    "spring": ("wai/spring", 20_000),
}

OBJECTS = {"open_spatial": ("spatial_rgpt/open_spatial", 1.0)}


def depth(weighting: str = "paper", labels: str = "release_faithful") -> Sources:
    """Points of single views.

    Args:
        weighting: one of `WEIGHTINGS`.
        labels: `release_faithful`, as DepthLM's scripts make them, or `corrected`.
    """
    named = {key: (name.format(labels=labels), weight) for key, (name, weight) in DEPTH.items()}
    return _sources("depth", named, weighting)


def correspondence(weighting: str = "paper") -> Sources:
    """Pixels of pairs of views."""
    return _sources("correspondence", PAIRS, weighting)


def pose(weighting: str = "paper") -> Sources:
    """Movements between pairs of views."""
    return _sources("pose", PAIRS, weighting)


def objects(weighting: str = "paper") -> Sources:
    """Questions about regions."""
    return _sources("objects", OBJECTS, weighting)


def together(*of_tasks: Sources) -> Sources:
    """Sources of several tasks, each label with its task before it: `pose_dl3dv`."""
    return {
        f"{source['task']}_{label}": source
        for sources in of_tasks
        for label, source in sources.items()
    }


def _sources(task: str, datasets: dict[str, tuple[str, float]], weighting: str) -> Sources:
    if weighting not in WEIGHTINGS:
        raise ValueError(f"{weighting!r} is no weighting: name {', '.join(WEIGHTINGS)}.")
    weights = {
        label: {"paper": {"weight": float(weight)}, "size": {}, "uniform": {"weight": 1.0}}
        for label, (_, weight) in datasets.items()
    }
    return {
        label: {"name": name, "task": task, **weights[label][weighting]}
        for label, (name, _) in datasets.items()
    }
