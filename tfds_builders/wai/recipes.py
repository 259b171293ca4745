"""What differs between the datasets in the WAI format: depth, masks, tolerances, splits.

Source: map-anything, wai_processing/configs/covisibility, mapanything/datasets/wai and
datasets/utils/data_splits.py. How many pairs a scene gives is ours: so many that about the number
that VLM3 names can be drawn.
"""

from dataclasses import dataclass, field

from tfds_builders import scannetpp_scenes, tartanair
from vlm3_jax.geometry.covisibility import GROUND_TRUTH, MULTI_VIEW_STEREO, Tolerance

MVSANYWHERE_CONFIDENCE = 0.25
_SQUARE = (224, 224)


@dataclass(frozen=True)
class Recipe:
    """How pairs are made of a dataset.

    Attributes:
        title: its name.
        scale_type: where scene_meta.json names none.
        depth: modality of the depth maps, or several, of which the first that is there counts.
        masks: modalities whose zero means that there is no depth.
        skies: modalities whose one means the same.
        confidence: modality whose values over a quarter mean that there is depth.
        drop_far: leaves out the farthest 5% of a depth map.
        tolerance: of depths, for covisibility.
        size: width and height at which covisibility is computed, where it is not a long side of
            224.
        threshold: of covisibility.
        max_pairs: most pairs of a scene.
        validation: its scenes, by name.
        test: its scenes, by name.
        only_test: all scenes are of the split test.
        held_out: one scene in so many is for validation, where no list names them; 0 for none.
        needs_lists: the scenes for validation are many and only map-anything's lists name them.
    """

    title: str
    scale_type: str = "metric"
    depth: tuple[str, ...] = ("depth",)
    masks: tuple[str, ...] = ()
    skies: tuple[str, ...] = ()
    confidence: str | None = None
    drop_far: bool = False
    tolerance: Tolerance = GROUND_TRUTH
    size: tuple[int, int] | None = None
    threshold: float = 0.25
    max_pairs: int = 1000
    validation: frozenset[str] = field(default_factory=frozenset)
    test: frozenset[str] = field(default_factory=frozenset)
    only_test: bool = False
    held_out: int = 0
    needs_lists: bool = False


_MOGE = "pred_mask/moge2"

RECIPES = {
    "blendedmvs": Recipe(
        "BlendedMVS", "colmap", masks=(_MOGE,), tolerance=MULTI_VIEW_STEREO, needs_lists=True
    ),
    "dynamicreplica": Recipe("DynamicReplica", held_out=20),
    "sailvos3d": Recipe("SAIL-VOS 3D", drop_far=True),
    "scannetppv2": Recipe(
        "ScanNet++ v2",
        depth=("rendered_depth", "depth"),
        validation=scannetpp_scenes.VALIDATION,
        test=scannetpp_scenes.TEST,
    ),
    "mpsd": Recipe(
        "MPSD", tolerance=MULTI_VIEW_STEREO, size=(224, 126), threshold=0.15, max_pairs=5
    ),
    "dl3dv": Recipe(
        "DL3DV-10K",
        "colmap",
        depth=("pred_depth/mvsanywhere",),
        masks=(_MOGE,),
        confidence="depth_confidence/mvsanywhere",
        tolerance=MULTI_VIEW_STEREO,
        max_pairs=300,
        needs_lists=True,
    ),
    "megadepth": Recipe(
        "MegaDepth",
        "colmap",
        masks=(_MOGE,),
        size=_SQUARE,
        validation=frozenset({"0015_0", "0015_1", "0022_0"}),
    ),
    "ase": Recipe("Aria Synthetic Environments", size=_SQUARE, held_out=20, max_pairs=25),
    "tav2_wb": Recipe(
        "TartanAir v2, wide baseline",
        max_pairs=20_000,
        validation=tartanair.VALIDATION,
        test=tartanair.TEST,
    ),
    "unrealstereo4k": Recipe("UnrealStereo4K", drop_far=True, max_pairs=35_000),
    "mvs_synth": Recipe("MVS-Synth", drop_far=True, max_pairs=2000),
    "spring": Recipe(
        "Spring",
        masks=(_MOGE,),
        skies=("skymask",),
        validation=frozenset({"0013", "0023", "0037"}),
    ),
    "eth3d": Recipe("ETH3D", size=_SQUARE, threshold=0.025, only_test=True),
}
