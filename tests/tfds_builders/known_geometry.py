"""Scenes whose every pixel is known: the inside of a textured box with a block in it.

Colour and depth of a pixel follow from its ray alone, so that a test can write them in the raw
layout of any dataset and compare what a builder made of it with the truth.
"""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from vlm3_jax.geometry.camera import Camera, project, unproject

CAMERA = Camera(fx=70.0, fy=72.0, cx=47.0, cy=30.0, width=96, height=64)
SCENES = ("attic", "barn")
# Half sizes of each scene's room, its centre the origin, and corners of the block in it.
_ROOMS = {
    "attic": ((2.0, 1.4, 3.0), ((-0.5, 0.4, 1.0), (0.3, 1.4, 1.6))),
    "barn": ((3.0, 2.0, 4.0), ((0.2, -0.3, 1.2), (0.9, 2.0, 2.2))),
}


@dataclass(frozen=True, eq=False)
class KnownView:
    """A picture of a scene.

    Attributes:
        scene: one of `SCENES`.
        frame: its name, unique in the scene.
        camera: intrinsics.
        c2w: pose, OpenCV axes, float64 [4, 4], metres.
        image: uint8 [H, W, 3].
        depth: along the optical axis, metres, float64 [H, W], positive everywhere.
    """

    scene: str
    frame: str
    camera: Camera
    c2w: np.ndarray
    image: np.ndarray
    depth: np.ndarray

    def file(self, kind: str = "PNG") -> bytes:
        """The image as a file; a JPEG has other pixels."""
        return image_file(self.image, kind)

    def z_at(self, xy: np.ndarray) -> np.ndarray:
        """True depth at pixels [N, 2], whole or not."""
        return _cast(self.scene, self.camera, self.c2w, np.asarray(xy, np.float64))[0]

    def label_error(self, camera: Camera, c2w: np.ndarray, xy: np.ndarray, z: np.ndarray) -> float:
        """How far stored labels are from the truth, at most, in pixels of this view.

        Args:
            camera: stored intrinsics, of this view's whole image in any size.
            c2w: stored pose.
            xy: labelled pixels of that image, [N, 2].
            z: their depths along the optical axis, [N].

        Returns:
            The largest of two distances: from where a label lands, by all that is stored, to the
            pixel that it was taken at; and from the point there to the true surface, at its depth.
        """
        taken_at = xy * [self.camera.width / camera.width, self.camera.height / camera.height]
        world = to_world(camera, c2w, xy, z)
        landed = self.project(world)
        surface = to_world(self.camera, self.c2w, landed, self.z_at(landed))
        off = np.linalg.norm(world - surface, axis=-1) / np.asarray(z) * self.camera.fx
        return float(np.maximum(off, np.linalg.norm(landed - taken_at, axis=-1)).max())

    def project(self, world: np.ndarray) -> np.ndarray:
        """Pixels [N, 2] of world points [N, 3]."""
        return project(self.camera, (world - self.c2w[:3, 3]) @ self.c2w[:3, :3])[0]


def correspondence_error(one: KnownView, two: KnownView, corr: np.ndarray) -> float:
    """Largest distance in pixels of x2, y2 from where view 2 sees what view 1 shows at x1, y1.

    Infinite where view 2 does not see it. Both views have the size of the stored images.
    """
    world = to_world(one.camera, one.c2w, corr[:, :2], one.z_at(corr[:, :2]))
    landed = two.project(world)
    there = to_world(two.camera, two.c2w, landed, two.z_at(landed))
    hidden = np.linalg.norm(there - world, axis=-1) > 1e-3
    error = np.where(hidden, np.inf, np.linalg.norm(landed - corr[:, 2:], axis=-1))
    return float(error.max())


def to_world(camera: Camera, c2w: np.ndarray, xy: np.ndarray, z: np.ndarray) -> np.ndarray:
    """World points [N, 3] of pixels [N, 2] with depths [N]."""
    return unproject(camera, xy, z) @ c2w[:3, :3].T + c2w[:3, 3]


def known_views(scene: str, count: int = 3, camera: Camera = CAMERA) -> list[KnownView]:
    """Pictures of a scene whose neighbours share most of what they show."""
    return [known_view(scene, number, camera) for number in range(count)]


def known_view(scene: str, number: int, camera: Camera = CAMERA, turn: float = 0) -> KnownView:
    """The picture `number` of a scene: the camera moves to the right and turns to the left.

    `turn`, degrees to the right, is for several cameras in one place.
    """
    c2w = np.eye(4)
    angles = [turn - 6.0 * number, 2.0 * number - 3, 1.5 * number]
    c2w[:3, :3] = Rotation.from_euler("YXZ", angles, degrees=True).as_matrix()
    c2w[:3, 3] = 0.25 * number - 0.2, 0.05 * number, -1.5 + 0.1 * number
    x, y = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    z, world = _cast(scene, camera, c2w, np.stack([x, y], -1).reshape(-1, 2).astype(float))
    shape = camera.height, camera.width
    image = _colour(world).reshape(*shape, 3)
    return KnownView(scene, f"{number:03d}", camera, c2w, image, z.reshape(shape))


def write_plain(folder: Path, views: list[KnownView]) -> None:
    """Writes SCENE/FRAME.png, FRAME.npy with the depth, FRAME.json with intrinsics and pose."""
    for view in views:
        base = folder / view.scene / view.frame
        base.parent.mkdir(parents=True, exist_ok=True)
        base.with_suffix(".png").write_bytes(view.file())
        np.save(base.with_suffix(".npy"), view.depth)
        numbers = {"intrinsics": view.camera.to_array().tolist(), "c2w": view.c2w.tolist()}
        base.with_suffix(".json").write_text(json.dumps(numbers))


def image_file(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """Encodes uint8 [H, W, 3], or uint16 [H, W] for raw depth maps."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=kind)
    return file.getvalue()


def _cast(
    scene: str, camera: Camera, c2w: np.ndarray, xy: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Depths [N] of what the rays through pixels [N, 2] meet first, and where [N, 3]."""
    room, (low, high) = (np.array(part) for part in _ROOMS[scene])
    eye, rays = c2w[:3, 3], unproject(camera, xy, np.ones(len(xy))) @ c2w[:3, :3].T
    rays = np.where(np.abs(rays) < 1e-12, 1e-12, rays)
    far = np.max(np.stack([(room - eye) / rays, (-room - eye) / rays]), axis=0).min(-1)
    sides = np.sort(np.stack([(low - eye) / rays, (high - eye) / rays]), axis=0)
    enter, leave = sides[0].max(-1), sides[1].min(-1)
    z = np.where((enter < leave) & (enter > 0), np.minimum(enter, far), far)
    return z, eye + z[:, None] * rays


def _colour(world: np.ndarray) -> np.ndarray:
    """A smooth texture in space, so that a point has the same colour in every view."""
    phases = world @ np.array([[3.1, 1.3, -2.2], [1.7, -2.9, 2.3], [-1.1, 2.6, 3.3]])
    return np.rint(128 + 100 * np.sin(phases)).astype(np.uint8)
