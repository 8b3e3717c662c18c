"""The six classes as small solids: convex prisms and flat patches in metres, drawn in perspective.

Local axes of an object: u to its right, v up, w forward; the origin is on the ground below its
centre. A patch with an outward direction is drawn only where it faces the camera.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.data.synthetic.canvas import Canvas, Material, Point2, Point3

# Twelve points of the unit circle with rational coordinates: the same on every machine.
_TAN = (-3.732, -1.732, -1.0, -0.577, -0.268, 0.0, 0.268, 0.577, 1.0, 1.732, 3.732)
CIRCLE: tuple[Point2, ...] = (
    *(((1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)) for t in _TAN),
    (-1.0, 0.0),
)


@dataclass(frozen=True)
class Patch:
    """A flat polygon in local metres; outward is None for patches that are always drawn."""

    points: tuple[Point3, ...]
    material: Material
    outward: Point3 | None = None


@dataclass(frozen=True)
class Part:
    """Patches drawn in their order; parts of an object are drawn from far to near (by centre)."""

    centre: Point3
    patches: tuple[Patch, ...]
    labelled: bool = True


@dataclass(frozen=True)
class Pose:
    """Where an object stands: ground position and unit heading (fx, fz)."""

    x: float
    z: float
    forward: Point2 = (0.0, 1.0)

    def place(self, point: Point3) -> Point3:
        """Local metres to world metres."""
        u, v, w = point
        fx, fz = self.forward
        return self.x + u * fz + w * fx, v, self.z - u * fx + w * fz


def shaded(material: Material, factor: float) -> Material:
    """The material on a face that gets less light."""
    r, g, b = material.albedo
    return replace(material, albedo=(r * factor, g * factor, b * factor))


def _faces(points: Sequence[Point3], outward: Point3, eye: Point3) -> bool:
    """Does a flat polygon, oriented towards `outward`, face the eye (all in the same axes)?"""
    a, b, c = points[0], points[1], points[2]
    p, q = [b[i] - a[i] for i in range(3)], [c[i] - a[i] for i in range(3)]
    n = (p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0])
    turn = sum(n[i] * outward[i] for i in range(3))
    view = sum(n[i] * (eye[i] - a[i]) for i in range(3))
    return turn * view > 0.0


def draw(canvas: Canvas, parts: Sequence[Part], pose: Pose, owner: int) -> None:
    """Paint an object's parts from far to near."""
    dx, dz = -pose.x, -pose.z
    fx, fz = pose.forward
    eye = (dx * fz - dz * fx, canvas.camera.height, dx * fx + dz * fz)

    def distance(part: Part) -> float:
        return sum((part.centre[i] - eye[i]) ** 2 for i in range(3))

    for part in sorted(parts, key=distance, reverse=True):
        for patch in part.patches:
            if patch.outward is not None and not _faces(patch.points, patch.outward, eye):
                continue
            pixels = [canvas.camera.project(pose.place(p)) for p in patch.points]
            canvas.fill(pixels, patch.material, pose.z, owner if part.labelled else 0)


def prism(
    profile: Sequence[Point2], half: tuple[float, float], material: Material
) -> tuple[Patch, ...]:
    """A convex solid: a profile in (w, v), extruded to ±half (bottom, top) along u.

    The profile runs counter-clockwise seen with w to the right and v up.
    """
    low, high = min(v for _, v in profile), max(v for _, v in profile)
    span = max(high - low, 1e-6)

    def wide(v: float) -> float:
        return half[0] + (half[1] - half[0]) * (v - low) / span

    patches = []
    for (w0, v0), (w1, v1) in zip(profile, [*profile[1:], profile[0]], strict=True):
        quad = (
            (-wide(v0), v0, w0), (wide(v0), v0, w0), (wide(v1), v1, w1), (-wide(v1), v1, w1),
        )  # fmt: skip
        outward = (0.0, -(w1 - w0), v1 - v0)
        length = math.sqrt(outward[1] ** 2 + outward[2] ** 2) or 1.0
        factor = 0.8 + 0.3 * outward[1] / length
        patches.append(Patch(quad, shaded(material, factor), outward))
    for sign, factor in ((-1.0, 0.66), (1.0, 0.72)):
        points = tuple((sign * wide(v), v, w) for w, v in profile)
        patches.append(Patch(points, shaded(material, factor), (sign, 0.0, 0.0)))
    return tuple(patches)


def on_sides(
    outline: Sequence[Point2], half: tuple[float, float], material: Material
) -> tuple[Patch, ...]:
    """The same (w, v) outline on both flanks; half is the flank's |u| at v = 0 and v = 1."""
    return tuple(
        Patch(
            tuple((s * (half[0] + (half[1] - half[0]) * v), v, w) for w, v in outline),
            material,
            (s, 0.0, 0.0),
        )
        for s in (-1.0, 1.0)
    )


def on_end(
    outline: Sequence[Point2], at: tuple[Point2, Point2], material: Material, ahead: bool
) -> Patch:
    """An outline in (u, v) on the front (or rear) face that runs through two (w, v) points."""
    (w0, v0), (w1, v1) = at
    slope = (w1 - w0) / (v1 - v0)
    points = tuple((u, v, w0 + slope * (v - v0)) for u, v in outline)
    return Patch(points, material, (0.0, 0.0, 1.0 if ahead else -1.0))


def rectangle(u0: float, u1: float, v0: float, v1: float) -> tuple[Point2, ...]:
    """The four corners, counter-clockwise."""
    return (u0, v0), (u1, v0), (u1, v1), (u0, v1)


def disc(u: float, v: float, ru: float, rv: float) -> tuple[Point2, ...]:
    """A twelve-sided ellipse."""
    return tuple((u + ru * a, v + rv * b) for a, b in CIRCLE)


def flat(outline: Sequence[Point2], material: Material, w: float = 0.0) -> Patch:
    """An outline in (u, v) that is always drawn."""
    return Patch(tuple((u, v, w) for u, v in outline), material)


def wheels(
    places: Sequence[float], half: float, radius: float, tyre: Material, hub: Material
) -> tuple[Patch, ...]:
    """Discs on both flanks with their hubs, and the treads seen from the ends."""
    patches: list[Patch] = []
    for w in places:
        patches += on_sides(disc(w, radius, radius, radius), (half, half), tyre)
        patches += on_sides(disc(w, radius, 0.55 * radius, 0.55 * radius), (half, half), hub)
    for ahead in (False, True):
        w = max(places) + radius * 0.8 if ahead else min(places) - radius * 0.8
        for s in (-1.0, 1.0):
            outline = rectangle(s * half - 0.11 * (s + 1), s * half + 0.11 * (1 - s), 0.0, radius)
            patches.append(on_end(outline, ((w, 0.0), (w, 1.0)), tyre, ahead))
    return tuple(patches)
