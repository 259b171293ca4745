"""Relative pose of two views, and rotations as yaw, pitch and roll.

Convention of VLM3's pose task, on OpenCV axes: `R = Ry(yaw) Rx(pitch) Rz(roll)` takes camera-2
vectors into camera 1; yaw > 0 turns right, pitch > 0 looks up, roll > 0 banks right.
"""

import math

import numpy as np

from vlm3_jax.errors import BadInput

# Poses come as text or float32: their rotations are orthogonal up to this.
ORTHOGONAL = 1e-3


def check_rigid(pose: np.ndarray, name: str) -> None:
    """Checks that a matrix is a rotation and a translation.

    Args:
        pose: of any kind, [4, 4].
        name: what it is called in an error.

    Raises:
        BadInput: it is not finite, scales, shears or mirrors, or its last row is not 0 0 0 1.
    """
    pose = np.asarray(pose, np.float64)
    if pose.shape != (4, 4) or not np.isfinite(pose).all():
        raise BadInput(f"{name} is no 4x4 matrix of finite numbers; correct or leave out the view.")
    rotation = pose[:3, :3]
    determinant = np.linalg.det(rotation)
    error = np.abs(rotation @ rotation.T - np.eye(3)).max()
    if determinant < 0 or error > ORTHOGONAL:
        raise BadInput(
            f"{name} is not rigid: its rotation has determinant {determinant:.4g} and is orthogonal"
            f" up to {error:.2g} only; correct or leave out the view."
        )
    if not np.array_equal(pose[3], [0, 0, 0, 1]):
        raise BadInput(
            f"{name} is not rigid: its last row is {pose[3].tolist()} instead of 0, 0, 0, 1;"
            " correct or leave out the view."
        )


def relative_pose(c2w_1: np.ndarray, c2w_2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expresses camera 2 in the frame of camera 1.

    Args:
        c2w_1: rigid camera-to-world matrix of the first view, [4, 4].
        c2w_2: the same of the second view.

    Returns:
        The rotation [3, 3] that takes camera-2 vectors into camera 1, and camera 2's centre in
        camera 1's frame [3], metres.
    """
    c2w_1, c2w_2 = np.asarray(c2w_1, np.float64), np.asarray(c2w_2, np.float64)
    world_to_1 = c2w_1[:3, :3].T
    return world_to_1 @ c2w_2[:3, :3], world_to_1 @ (c2w_2[:3, 3] - c2w_1[:3, 3])


def from_yaw_pitch_roll(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Builds the rotation [3, 3] from degrees."""
    (sy, cy), (sp, cp), (sr, cr) = (
        (math.sin(math.radians(angle)), math.cos(math.radians(angle)))
        for angle in (yaw, pitch, roll)
    )
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


def yaw_pitch_roll(rotation: np.ndarray) -> tuple[float, float, float]:
    """Splits a rotation [3, 3] into degrees: yaw, roll in (-180, 180], pitch in [-90, 90].

    Looking straight up or down leaves only the sum of yaw and roll defined; roll is 0 there.
    """
    r = np.asarray(rotation, np.float64)
    cos_pitch = math.hypot(r[0, 2], r[2, 2])
    pitch = math.atan2(-r[1, 2], cos_pitch)
    if cos_pitch > 1e-9:
        yaw = math.atan2(r[0, 2], r[2, 2])
        # Of Ry(-yaw) R, so that roll makes up for what yaw loses to rounding near the lock.
        sy, cy = math.sin(yaw), math.cos(yaw)
        roll = math.atan2(sy * r[2, 1] - cy * r[0, 1], cy * r[0, 0] - sy * r[2, 0])
    else:
        yaw, roll = math.atan2(-r[2, 0], r[0, 0]), 0.0
    return math.degrees(yaw), math.degrees(pitch), math.degrees(roll)


def rotation_angle_degrees(rotation: np.ndarray) -> float:
    """Total angle of a rotation [3, 3], degrees in [0, 180]."""
    r = np.asarray(rotation, np.float64)
    # Half the angle from its sine, |R - I| / sqrt(8), and cosine: arccos of the trace alone would
    # lose half the digits of small angles.
    half_sine = np.linalg.norm(r - np.eye(3)) / math.sqrt(8)
    half_cosine = math.sqrt(max((1 + np.trace(r)) / 4, 0.0))
    return math.degrees(2 * math.atan2(half_sine, half_cosine))


def direction_error_degrees(
    direction: np.ndarray, truth: np.ndarray, *, signed: bool = True
) -> float:
    """Angle between two vectors [3] of any length, degrees.

    Args:
        direction: one vector.
        truth: the other.
        signed: in [0, 180]; else opposite vectors count as equal, and it is in [0, 90].

    Returns:
        The angle; 90 if a vector is zero, infinite if one is not finite.
    """
    a, b = np.asarray(direction, np.float64), np.asarray(truth, np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return math.inf
    # Divided by the largest part first: the square of a very large or small one is inexact.
    a, b = (v / max(np.abs(v).max(), np.finfo(np.float64).tiny) for v in (a, b))
    if not (a.any() and b.any()):
        return 90.0
    angle = math.degrees(math.atan2(np.linalg.norm(np.cross(a, b)), float(a @ b)))
    return angle if signed else min(angle, 180 - angle)
