"""The painter: a pinhole camera, an anti-aliased polygon rasteriser and the layers it paints into.

Only additions, products, quotients and square roots are used, in a fixed order and in double
precision, so that every machine makes the same samples. The rasteriser accumulates signed areas
along sub-scanlines, as scan converters of fonts do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Colour = tuple[float, float, float]
Point2 = tuple[float, float]
Point3 = tuple[float, float, float]

# Layers of the canvas: albedo, emitted light, temperature (°C), depth (m), light on the object,
# and the temperature of the scenery alone, which cold objects take on.
ALBEDO = slice(0, 3)
EMISSION = slice(3, 6)
TEMPERATURE = 6
DEPTH = 7
LIGHT = 8
SCENERY = 9
LAYERS = 10
SUBROWS = 4
BLACK: Colour = (0.0, 0.0, 0.0)


def decay(depth: Array) -> Array:
    """Nearly exp(-depth), from products and one quotient (libm's exp may vary)."""
    t: Array = 1.0 / (1.0 + np.asarray(depth, np.float64) / 16.0)
    for _ in range(4):
        t = t * t
    return t


def smooth(t: Array) -> Array:
    """The smooth step from 0 at t <= 0 to 1 at t >= 1."""
    inside = np.clip(t, 0.0, 1.0)
    step: Array = inside * inside * (3.0 - 2.0 * inside)
    return step


def blur(image: Array, sigma: float) -> Array:
    """Gaussian-like blur of H×W with mirrored borders, by a direct separable sum."""
    radius = min(max(1, int(2.5 * sigma + 0.5)), min(image.shape) - 1)
    steps = np.arange(-radius, radius + 1, dtype=np.float64)
    kernel = decay(steps * steps / (2.0 * sigma * sigma))
    kernel = kernel / kernel.sum()
    for axis in (0, 1):
        pad = [(radius, radius) if a == axis else (0, 0) for a in (0, 1)]
        wide = np.pad(image, pad, mode="reflect")
        n = image.shape[axis]
        out = np.zeros_like(image)
        for k in range(2 * radius + 1):
            part = wide[k : k + n] if axis == 0 else wide[:, k : k + n]
            out += kernel[k] * part
        image = out
    return image


def enlarge(grid: Array, height: int, width: int) -> Array:
    """Smooth interpolation of a coarse lattice to height×width."""

    def positions(n: int, m: int) -> tuple[NDArray[np.intp], Array]:
        at: Array = (np.arange(n, dtype=np.float64) + 0.5) * ((m - 1) / n)
        low = np.minimum(at.astype(np.intp), m - 2)
        return low, smooth(at - low)

    y, fy = positions(height, grid.shape[0])
    x, fx = positions(width, grid.shape[1])
    rows = grid[y] + (grid[y + 1] - grid[y]) * fy[:, None]
    out: Array = rows[:, x] + (rows[:, x + 1] - rows[:, x]) * fx[None, :]
    return out


def clouds(rng: np.random.Generator, height: int, width: int, cell: float, octaves: int) -> Array:
    """Lattice noise in 0..1 (mean about a half), H×W; cell is the coarsest grain in pixels."""
    total = np.zeros((height, width))
    weight, norm = 1.0, 0.0
    for _ in range(octaves):
        rows, columns = int(height / cell) + 3, int(width / cell) + 3
        total += weight * enlarge(rng.random((rows, columns)), height, width)
        norm += weight
        weight, cell = weight * 0.5, max(cell * 0.5, 1.0)
    return total / norm


def normal(rng: np.random.Generator, height: int, width: int) -> Array:
    """Nearly normal noise with unit variance, H×W: the centred sum of four random bytes."""
    raw = np.frombuffer(rng.bytes(4 * height * width), np.uint8).reshape(4, height, width)
    noise: Array = (raw.sum(axis=0, dtype=np.int64) - 510.0) / 147.8
    return noise


@dataclass(frozen=True)
class Camera:
    """A pinhole camera looking along +z from `height` metres over the ground; x right, y up."""

    width: int
    height_px: int
    focal: float
    centre: float
    horizon: float
    height: float

    def project(self, point: Point3) -> Point2:
        """Pixel coordinates, on a grid of 1/64 pixel so that the last bits do not matter."""
        x, y, z = point
        z = max(z, 0.6)
        column = self.centre + self.focal * x / z
        row = self.horizon - self.focal * (y - self.height) / z
        return round(column * 64.0) / 64.0, round(row * 64.0) / 64.0


@dataclass(frozen=True)
class Material:
    """What a patch is made of. albedo and emission are linear RGB; temperature in °C, or None for
    the temperature of whatever lies behind the object (invisible to the infrared camera)."""

    albedo: Colour
    temperature: float | None
    emission: Colour = BLACK
    light: float = 0.0


Region = tuple[slice, slice]


def coverage(points: Sequence[Point2], height: int, width: int) -> tuple[Region, Array] | None:
    """The share of each pixel that a polygon covers, on the part of the frame it touches."""
    p = np.asarray(points, np.float64)
    x0, y0 = np.floor(p.min(axis=0)).astype(int)
    x1, y1 = np.ceil(p.max(axis=0)).astype(int)
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    if x1 <= x0 or y1 <= y0:
        return None
    rows, columns = (y1 - y0) * SUBROWS, x1 - x0
    at = y0 + (np.arange(rows) + 0.5) / SUBROWS
    xa, ya = p[:, 0], p[:, 1]
    xb, yb = np.roll(xa, -1), np.roll(ya, -1)
    below_a, below_b = ya[None, :] <= at[:, None], yb[None, :] <= at[:, None]
    row, edge = np.nonzero(below_a != below_b)
    slope = (xb - xa) / np.where(ya == yb, 1.0, yb - ya)
    x = np.clip(xa[edge] + (at[row] - ya[edge]) * slope[edge] - x0, 0.0, float(columns))
    whole = x.astype(np.intp)
    part = x - whole
    sign = np.where(yb[edge] > ya[edge], 1.0, -1.0)
    index = row * (columns + 2) + whole
    size = rows * (columns + 2)
    area = (
        np.bincount(index, sign * (1.0 - part), size)
        + np.bincount(index + 1, sign * part, size + 1)[:size]
    )
    cover = np.abs(np.cumsum(area.reshape(rows, columns + 2), axis=1))[:, :columns]
    share = np.minimum(cover, 1.0).reshape(y1 - y0, SUBROWS, columns).mean(axis=1)
    return (slice(y0, y1), slice(x0, x1)), share


@dataclass
class Canvas:
    """The layers under the painter's brush, and which object owns each pixel (0 = none)."""

    camera: Camera
    layers: Array
    owner: NDArray[np.int32]
    backdrop: Array
    drawn: dict[int, NDArray[np.bool_]] = field(default_factory=dict)

    @staticmethod
    def blank(camera: Camera) -> Canvas:
        """An empty canvas of the camera's size."""
        size = (camera.height_px, camera.width)
        return Canvas(camera, np.zeros((LAYERS, *size)), np.zeros(size, np.int32), np.zeros(size))

    def keep_backdrop(self, sigma: float, region: Region) -> None:
        """Remember the temperatures behind an object, without their detail."""
        self.backdrop = self.layers[SCENERY].copy()
        part = self.backdrop[region]
        if min(part.shape) > 2:
            part = blur(part, sigma)
        self.backdrop[region] = part

    def values(self, material: Material, depth: float) -> Array:
        """The layer values (LAYERS) of a material at a depth."""
        t = 0.0 if material.temperature is None else material.temperature
        return np.array([*material.albedo, *material.emission, t, depth, material.light, t])

    def fill(self, points: Sequence[Point2], material: Material, depth: float, owner: int) -> None:
        """Paint one polygon (pixels) of one material."""
        found = coverage(points, self.camera.height_px, self.camera.width)
        if found is None:
            return
        region, share = found
        new = np.broadcast_to(self.values(material, depth)[:, None, None], (LAYERS, *share.shape))
        if material.temperature is None:
            new = new.copy()
            new[TEMPERATURE] = self.backdrop[region]
        self.blend(region, share, new, owner)

    def blend(self, region: Region, share: Array, new: Array, owner: int) -> None:
        """Lay layer values over a region, weighted by the covered share, for an owner."""
        count = SCENERY if owner else LAYERS
        under = self.layers[(slice(0, count), *region)]
        under += share * (new[:count] - under)
        solid = share >= 0.5
        self.owner[region][solid] = owner
        if owner:
            mine = self.drawn.get(owner)
            if mine is None:
                mine = self.drawn[owner] = np.zeros(self.owner.shape, np.bool_)
            mine[region] |= solid

    def darken(self, points: Sequence[Point2], amount: float) -> None:
        """A contact shadow on what is already painted."""
        found = coverage(points, self.camera.height_px, self.camera.width)
        if found is not None:
            region, share = found
            self.layers[(ALBEDO, *region)] *= 1.0 - amount * share
