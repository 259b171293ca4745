"""Turns what a camera's rays hit into the picture it takes."""

import numpy as np

from tfds_builders.synthetic_rooms.lighting import (
    LightMaps,
    casters_onto,
    contact,
    face_axes,
    headlight,
    lamp_light,
    visible_share,
)
from tfds_builders.synthetic_rooms.raycast import FIRST_SOLID, Hits
from tfds_builders.synthetic_rooms.scene import Scene
from tfds_builders.synthetic_rooms.solids import Solid, surface
from tfds_builders.synthetic_rooms.textures import Material, sample
from vlm3_jax.geometry.camera import Camera

EXPOSURE = 1.9


def shade(
    scene: Scene, maps: LightMaps | None, camera: Camera, c2w: np.ndarray, hits: Hits
) -> np.ndarray:
    """Paints a view.

    Args:
        scene: the room.
        maps: baked light of a room with lamps; None where the camera carries the only light.
        camera: intrinsics.
        c2w: pose of the camera, [4, 4].
        hits: what its pixels see.

    Returns:
        sRGB picture, uint8 [H, W, 3].
    """
    depth, seen = hits.depth.ravel(), hits.surface.ravel()
    rays = hits.rays.reshape(3, -1)
    points = rays * depth + c2w[:3, 3].astype(np.float32)[:, None]
    lengths = np.sqrt((rays * rays).sum(0))
    light = np.empty((depth.size, 3), np.float32)
    patches = seen.astype(np.int16) * 8  # Distinct wherever an edge shows.
    for number in np.flatnonzero(np.bincount(seen)):
        pixels = np.flatnonzero(seen == number)
        here, ray = np.take(points, pixels, 1), np.take(rays, pixels, 1)
        if number < FIRST_SOLID:
            material = scene.faces[number]
            normal, u, v = _face(number, here)
        else:
            solid = scene.solids[number - FIRST_SOLID]
            material = solid.material
            normal, u, v, side = surface(solid, here)
            patches[pixels] += side
        slant = np.abs((ray * normal).sum(0)) / lengths[pixels]
        reach = depth[pixels] * lengths[pixels]
        grey = sample(
            material.pattern,
            *_in_periods(material, u, v),
            reach / np.float32(camera.fx * material.period) / np.sqrt(np.maximum(slant, 0.05)),
        )
        albedo = material.ramp[(grey * 255).astype(np.uint8)]
        if maps is None:
            light[pixels] = albedo * headlight(reach, slant)[:, None]
        elif number < FIRST_SOLID:
            light[pixels] = albedo * maps.lookup(number, u, v)[:, None]
        elif solid.name:
            matt, shine = _lit_solid(scene, solid, here, normal, ray / lengths[pixels])
            light[pixels] = albedo * matt[:, None] + shine[:, None]
        elif material.emission:
            light[pixels] = material.emission
        else:
            light[pixels] = albedo * _on_the_wall(maps, here, normal)[:, None]
    picture = _develop(light).reshape(*hits.depth.shape, 3)
    return _soften_edges(picture, patches.reshape(hits.depth.shape))


def _face(number: int, points: np.ndarray):
    normal = np.zeros((3, 1), np.float32)
    normal[number // 2] = -1 if number % 2 else 1
    u_axis, v_axis = face_axes(number)
    return normal, points[u_axis], points[v_axis]


def _in_periods(material: Material, u: np.ndarray, v: np.ndarray):
    scale = np.float32(1 / material.period)
    if material.pattern == "painting":  # Spans its panel once, upright, about the centre.
        return u * scale + np.float32(0.5), np.float32(0.5) - v * scale
    return u * scale, -v * scale


def _lit_solid(scene: Scene, solid: Solid, points, normals, sight):
    """Matt light and highlight on points [3, N] of a solid seen along unit vectors `sight`."""
    matt = scene.ambient * contact(scene, points, without=solid)
    matt *= np.float32(0.85) + np.float32(0.15) * normals[2]
    shine = np.zeros(points.shape[1], np.float32)
    for lamp in scene.lamps:
        direct = lamp_light(lamp, points, normals)
        lit = np.flatnonzero(direct > 0)
        direct[lit] *= visible_share(lamp, points[:, lit], casters_onto(scene, solid, lamp))
        matt += direct
        if solid.material.gloss:
            to_lamp = lamp.centre[:, None] - points
            to_lamp /= np.sqrt((to_lamp * to_lamp).sum(0))
            halfway = to_lamp - sight
            cosine = (halfway * normals).sum(0) / np.sqrt((halfway * halfway).sum(0))
            shine += np.float32(solid.material.gloss) * np.maximum(cosine, 0) ** 60
    return matt, shine


def _on_the_wall(maps: LightMaps, points, normals):
    """Light of the face of the room behind points [3, N] of a picture, board or rug."""
    light = np.zeros(points.shape[1], np.float32)
    faces = 2 * np.abs(normals).argmax(0) + (normals.sum(0) < 0)
    for face in np.flatnonzero(np.bincount(faces)):
        on_it = np.flatnonzero(faces == face)
        u_axis, v_axis = face_axes(face)
        light[on_it] = maps.lookup(face, points[u_axis, on_it], points[v_axis, on_it])
    return light


def _develop(light: np.ndarray) -> np.ndarray:
    """Linear light to sRGB bytes: a soft shoulder for highlights, then gamma 2."""
    return (255 * np.sqrt(1 - np.exp(light * np.float32(-EXPOSURE))) + 0.5).astype(np.uint8)


def _soften_edges(picture: np.ndarray, patches: np.ndarray) -> np.ndarray:
    """Blends pixels beside an edge with their four neighbours, which hides the steps."""
    height, width = patches.shape
    edge = np.zeros((height, width), bool)
    across = patches[:, 1:] != patches[:, :-1]
    down = patches[1:] != patches[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    row, column = np.nonzero(edge)
    blend = picture[row, column].astype(np.uint16) * 4
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        blend += picture[np.clip(row + dy, 0, height - 1), np.clip(column + dx, 0, width - 1)]
    picture[row, column] = (blend + 4) // 8
    return picture
