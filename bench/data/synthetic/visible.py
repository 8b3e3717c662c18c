"""The visible camera: light on albedo, lamps and their glow, fog, smoke and sensor noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.data.synthetic.canvas import (
    ALBEDO,
    DEPTH,
    EMISSION,
    LIGHT,
    Array,
    Canvas,
    blur,
    clouds,
    decay,
    enlarge,
    normal,
)
from bench.data.synthetic.world import INFRARED, World

WARM_WHITE = (1.0, 0.86, 0.64)


def _illumination(canvas: Canvas, world: World) -> Array:
    """Light on each pixel, 3×H×W: ambient, pools under lamps, shadow around dark objects."""
    regime, camera = world.regime, canvas.camera
    depth = canvas.layers[DEPTH]
    light: Array = np.ones((3, *depth.shape)) * np.array(regime.ambient)[:, None, None]
    if not regime.lights:
        return light
    columns = (np.arange(camera.width) + 0.5 - camera.centre)[None, :]
    x = columns * depth / camera.focal
    pools, shade = np.zeros_like(depth), np.ones_like(depth)
    for thing in world.things:
        square = (x - thing.x) ** 2 + 0.5 * (depth - thing.z) ** 2
        if thing.cause == "dark":
            shade *= 1.0 - 1.0 / (1.0 + square / 14.0) ** 2
        elif thing.signature != INFRARED:
            pools += 1.0 / (1.0 + square / 4.0) ** 2
    pools = np.minimum(pools, 1.0) * shade * (0.42 if regime.name == "night" else 0.15)
    glow = pools + canvas.layers[LIGHT]
    for k in range(3):
        light[k] += WARM_WHITE[k] * glow
    return light


def _smoke(canvas: Canvas, world: World, rng: np.random.Generator) -> tuple[Array, Array]:
    """Optical depth of the smoke before each pixel, and the smoke's brightness."""
    camera = canvas.camera
    shape = (camera.height_px, camera.width)
    grain = clouds(rng, *shape, camera.height_px / 9.0, 5)
    ragged = 2.2 * (clouds(rng, *shape, camera.height_px / 14.0, 4) - 0.5)
    total = np.zeros(shape)
    ys = np.arange(shape[0])[:, None] + 0.5
    xs = np.arange(shape[1])[None, :] + 0.5
    for p in world.plumes:
        cx, cy = 0.5 * (p.x0 + p.x1), 0.5 * (p.y0 + p.y1)
        rx, ry = 0.5 * (p.x1 - p.x0), 0.5 * (p.y1 - p.y0)
        d = ((xs - cx) / (1.35 * rx)) ** 2 + ((ys - cy) / (1.35 * ry)) ** 2
        puff = 13.0 * np.clip(1.3 - d + ragged, 0.0, 1.0) ** 2
        for k in range(3):
            ux, uy = cx + p.lean * rx * (k + 1) * 0.6, cy - ry * (0.9 + 0.55 * k)
            r = rx * (0.9 + 0.25 * k)
            d = ((xs - ux) ** 2 + (ys - uy) ** 2) / (r * r)
            puff += (3.0 - 0.8 * k) * np.clip(1.0 - d + ragged, 0.0, 1.0) ** 2
        behind = np.clip((canvas.layers[DEPTH] - (p.z - 0.12 * p.z)) / (0.1 * p.z), 0.0, 1.0)
        total += puff * (0.4 + 1.2 * grain) * behind
    return total, grain


def _glow(light: Array, scale: float, haze: float) -> Array:
    """Light scattered in lens and air, H×W: two wide blurs at a quarter of the resolution."""
    h, w = light.shape
    rows, columns = -(-h // 4) * 4, -(-w // 4) * 4
    wide = np.pad(light, ((0, rows - h), (0, columns - w)))
    small = wide.reshape(rows // 4, 4, columns // 4, 4).mean(axis=(1, 3))
    spread: Array = 0.5 * blur(small, 0.9 * scale) + (0.12 + haze) * blur(small, 4.0 * scale)
    return enlarge(spread, h, w)


def expose(canvas: Canvas, world: World, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The visible picture, H×W×3 RGB, 0..255."""
    regime, camera = world.regime, canvas.camera
    scale = camera.height_px / 288.0
    light = _illumination(canvas, world)
    clear = decay(world.fog * canvas.layers[DEPTH])
    tau, grain = _smoke(canvas, world, rng)
    through = decay(tau)
    grey = (0.75 + 0.5 * grain) * (0.62 if regime.name != "challenge" else 0.95)
    haze = 0.55 if regime.name == "challenge" else 0.10
    out = np.empty((camera.height_px, camera.width, 3))
    for k in range(3):
        fog = regime.fog_colour[k]
        lamp = canvas.layers[EMISSION][k]
        scene = canvas.layers[ALBEDO][k] * light[k] + np.minimum(lamp, 3.0)
        scene = scene * clear + fog * (1.0 - clear)
        tone = grey * (regime.ambient[k] if regime.name != "challenge" else fog)
        scene = scene * through + tone * (1.0 - through)
        strong = np.maximum(lamp - 0.9, 0.0) * clear * through
        if strong.any():
            scene = scene + _glow(strong, scale, haze)
        out[:, :, k] = scene
    level = 255.0 * np.sqrt(np.clip(out, 0.0, 1.0))
    for k in range(3):
        level[:, :, k] += regime.noise * normal(rng, camera.height_px, camera.width)
    return np.clip(np.floor(level + 0.5), 0.0, 255.0).astype(np.uint8)
