"""Points of Waymo's range images (waymo-open-dataset: range_image_utils, v2 lidar_utils)."""

import numpy as np

from vlm3_jax.errors import BadInput


def vehicle_points(
    ranges: np.ndarray,
    inclinations: np.ndarray,
    lidar_to_vehicle: np.ndarray,
    pixel_poses: np.ndarray,
    vehicle_to_world: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The points of a range image in the car's frame at the time of the frame.

    Args:
        ranges: metres, [H, W]; not positive where there is no return.
        inclinations: of the rows, radians, [H], from the lowest beam up, as calibrations have them.
        lidar_to_vehicle: extrinsic of the lidar, [4, 4].
        pixel_poses: roll, pitch, yaw, x, y, z of the car in the world as each pixel was measured,
            [H, W, 6].
        vehicle_to_world: pose of the car at the time of the frame, [4, 4].

    Returns:
        Points, float64 [N, 3], and which pixels have one, bool [H, W].
    """
    height, width = ranges.shape
    if len(inclinations) != height or pixel_poses.shape != (height, width, 6):
        raise BadInput(
            f"the range image is {height}x{width}, but has {len(inclinations)} inclinations and"
            f" poses of shape {pixel_poses.shape}; fetch the segment anew."
        )
    valid = ranges > 0
    row, column = np.nonzero(valid)
    # The first row is the highest beam, the first column points backwards and they go clockwise.
    inclination = np.asarray(inclinations, np.float64)[::-1][row]
    azimuth = np.pi * (2 * (width - column - 0.5) / width - 1)
    azimuth = azimuth - np.arctan2(lidar_to_vehicle[1, 0], lidar_to_vehicle[0, 0])
    flat = np.cos(inclination)
    rays = np.stack([np.cos(azimuth) * flat, np.sin(azimuth) * flat, np.sin(inclination)], -1)
    points = _move(lidar_to_vehicle, rays * np.asarray(ranges, np.float64)[valid][:, None])
    poses = np.asarray(pixel_poses, np.float64)[valid]
    world = np.einsum("nij,nj->ni", _rotations(poses[:, :3]), points) + poses[:, 3:]
    return _move(np.linalg.inv(vehicle_to_world), world), valid


def uniform_inclinations(lowest: float, highest: float, height: int) -> np.ndarray:
    """Inclinations of the rows where the calibration has only the range of them, [height]."""
    return (np.arange(height) + 0.5) / height * (highest - lowest) + lowest


def _move(pose: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ pose[:3, :3].T + pose[:3, 3]


def _rotations(roll_pitch_yaw: np.ndarray) -> np.ndarray:
    """Rz(yaw) Ry(pitch) Rx(roll) of angles [N, 3], [N, 3, 3]."""
    (sr, sp, sy), (cr, cp, cy) = np.sin(roll_pitch_yaw).T, np.cos(roll_pitch_yaw).T
    rows = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    return np.moveaxis(np.array(rows), -1, 0)
