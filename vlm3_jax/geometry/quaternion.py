"""Poses written as a unit quaternion and a translation."""

from collections.abc import Sequence

import numpy as np

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.pose import ORTHOGONAL


def rotation_from_wxyz(wxyz: Sequence[float], name: str) -> np.ndarray:
    """The rotation matrix of a unit quaternion w + xi + yj + zk.

    Args:
        wxyz: the four numbers, real part first; of length one up to rounding, which is undone.
        name: what it is called in an error.

    Returns:
        float64 [3, 3].

    Raises:
        BadInput: it is not four finite numbers of length one.
    """
    q = np.asarray(wxyz, np.float64)
    length = np.linalg.norm(q)
    if q.shape != (4,) or not abs(length - 1) < ORTHOGONAL:
        raise BadInput(
            f"{name}: {q.tolist()} is no unit quaternion w, x, y, z (its length is {length:g});"
            " correct or leave out the view."
        )
    w, x, y, z = q / length
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def pose_from_wxyz(wxyz: Sequence[float], translation: Sequence[float], name: str) -> np.ndarray:
    """The rigid matrix of a quaternion and a translation, float64 [4, 4].

    Raises:
        BadInput: see `rotation_from_wxyz`; or the translation is not three finite numbers.
    """
    pose = np.eye(4)
    pose[:3, :3] = rotation_from_wxyz(wxyz, name)
    t = np.asarray(translation, np.float64)
    if t.shape != (3,) or not np.isfinite(t).all():
        raise BadInput(
            f"{name}: the translation {t.tolist()} is not three finite numbers; correct or leave"
            " out the view."
        )
    pose[:3, 3] = t
    return pose
