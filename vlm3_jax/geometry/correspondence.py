"""Where the pixels of one view lie in another, and which of them it sees."""

import numpy as np

from vlm3_jax.geometry.camera import Camera, project, unproject

# Two depths this close are the same surface; for rendered, noise-free depth maps.
ABSOLUTE_TOLERANCE_M = 0.02
RELATIVE_TOLERANCE = 0.01


def reproject(
    xy: np.ndarray,
    z: np.ndarray,
    camera_1: Camera,
    camera_2: Camera,
    c2w_1: np.ndarray,
    c2w_2: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Moves pixels [N, 2] of view 1 with depth z [N] into view 2.

    Returns:
        Pixels of view 2 [N, 2], NaN where the point is behind it, and their depths there [N].
    """
    world_to_2 = np.linalg.inv(np.asarray(c2w_2, np.float64))
    one_to_two = world_to_2 @ np.asarray(c2w_1, np.float64)
    xyz = unproject(camera_1, xy, z) @ one_to_two[:3, :3].T + one_to_two[:3, 3]
    return project(camera_2, xyz)


def correspond(
    xy: np.ndarray,
    z: np.ndarray,
    camera_1: Camera,
    camera_2: Camera,
    c2w_1: np.ndarray,
    c2w_2: np.ndarray,
    depth_2: np.ndarray,
    absolute_tolerance: float = ABSOLUTE_TOLERANCE_M,
    relative_tolerance: float = RELATIVE_TOLERANCE,
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the pixels of view 2 that show the same surface points as pixels of view 1.

    A point is seen when it falls on a pixel of view 2 and that pixel's depth agrees with its own;
    a larger difference means that something stands in between.

    Args:
        xy: pixels of view 1, [N, 2].
        z: their depths along the optical axis, metres [N]; 0 or NaN marks no depth.
        camera_1: intrinsics of view 1.
        camera_2: intrinsics of view 2.
        c2w_1: pose of view 1, [4, 4].
        c2w_2: pose of view 2, [4, 4].
        depth_2: depth map of view 2, metres [H, W]; 0 where there is none.
        absolute_tolerance: metres by which the two depths may differ.
        relative_tolerance: the same as a share of the depth, added to it.

    Returns:
        Pixels of view 2 [N, 2], float64, clipped into 0..W-1 and 0..H-1 where seen (a point in the
        outer half of an edge pixel has no centre beyond it), NaN where not; and seen, bool [N].
    """
    z = np.nan_to_num(np.asarray(z, np.float64))
    xy_2, z_2 = reproject(xy, z, camera_1, camera_2, c2w_1, c2w_2)
    last = np.array([camera_2.width - 1, camera_2.height - 1])
    inside = np.all((xy_2 >= -0.5) & (xy_2 < last + 0.5), axis=-1) & (z > 0)
    xy_2 = np.clip(np.where(inside[:, None], xy_2, 0), 0, last)
    column, row = np.rint(xy_2).astype(np.int64).T
    there = np.asarray(depth_2, np.float64)[row, column]
    tolerance = absolute_tolerance + relative_tolerance * z_2
    seen = inside & (there > 0) & (np.abs(z_2 - there) < tolerance)
    return np.where(seen[:, None], xy_2, np.nan), seen
