"""The infrared camera: temperatures through blur, gain, noise and fixed-pattern noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.data.synthetic.canvas import TEMPERATURE, Canvas, blur, normal
from bench.data.synthetic.world import World


def expose(canvas: Canvas, world: World, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The infrared picture, H×W, 0..255: warm is bright."""
    camera = canvas.camera
    shape = (camera.height_px, camera.width)
    scale = camera.height_px / 288.0
    seen = blur(canvas.layers[TEMPERATURE], 0.75 * scale)
    low = world.regime.air - 13.0 + 3.0 * float(rng.random())
    span = 34.0 + 6.0 * float(rng.random())
    level = 255.0 * (seen - low) / span
    columns = 1.3 * (rng.random((1, shape[1])) - 0.5) * 2.0
    rows = 0.6 * (rng.random((shape[0], 1)) - 0.5) * 2.0
    level = level + columns + rows + 2.0 * normal(rng, *shape)
    return np.clip(np.floor(level + 0.5), 0.0, 255.0).astype(np.uint8)
