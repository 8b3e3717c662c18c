"""What decides how an object looks to each camera: paint and clothes, warmth, the light on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.data.synthetic.canvas import BLACK, Colour, Material

CLOTHES: tuple[Colour, ...] = (
    (0.55, 0.06, 0.05), (0.08, 0.18, 0.55), (0.75, 0.72, 0.66), (0.75, 0.55, 0.05),
    (0.05, 0.30, 0.28), (0.40, 0.10, 0.35), (0.80, 0.35, 0.10), (0.10, 0.10, 0.11),
)  # fmt: skip
TROUSERS: tuple[Colour, ...] = (
    (0.04, 0.05, 0.10), (0.10, 0.14, 0.26), (0.05, 0.05, 0.05), (0.30, 0.25, 0.17),
)  # fmt: skip
PAINTS: tuple[Colour, ...] = (
    (0.75, 0.76, 0.78), (0.55, 0.05, 0.04), (0.06, 0.13, 0.45), (0.03, 0.03, 0.035),
    (0.30, 0.32, 0.34), (0.72, 0.50, 0.05), (0.80, 0.80, 0.78), (0.06, 0.26, 0.16),
)  # fmt: skip
BRIGHT_PAINTS: tuple[Colour, ...] = (
    (0.82, 0.82, 0.82), (0.70, 0.07, 0.05), (0.78, 0.55, 0.06), (0.10, 0.28, 0.70),
)  # fmt: skip
BRIGHT_CLOTHES: tuple[Colour, ...] = (
    (0.85, 0.82, 0.78), (0.80, 0.10, 0.08), (0.85, 0.62, 0.05), (0.15, 0.40, 0.85),
    (0.95, 0.42, 0.08),
)  # fmt: skip
DARK: Colour = (0.045, 0.045, 0.05)
SKIN: tuple[Colour, ...] = ((0.55, 0.33, 0.23), (0.42, 0.24, 0.15), (0.20, 0.11, 0.07))


@dataclass(frozen=True)
class Look:
    """What decides an object's appearance in both cameras.

    air: air temperature. warm: False for an object as cold as what lies behind it.
    dull: None, or for an unlit object the albedo of what lies behind it. bright: clear colours.
    lamps: its lights are on.
    light: extra light that falls on it (linear). sun: warmth of sunlit surfaces.
    """

    air: float
    warm: bool
    dull: Colour | None
    bright: bool
    lamps: bool
    light: float
    sun: float

    def of(self, albedo: Colour, above_air: float, emission: Colour = BLACK) -> Material:
        """A material of this object; above_air in °C over the air."""
        light = self.light
        if self.dull is not None:
            tone = 0.65 + 0.15 * (albedo[0] + albedo[1] + albedo[2])
            albedo = (tone * self.dull[0], tone * self.dull[1], tone * self.dull[2])
            emission, light = BLACK, 0.0
        temperature = self.air + above_air if self.warm else None
        return Material(albedo, temperature, emission, light)


def pick(rng: np.random.Generator, choices: tuple[Colour, ...]) -> Colour:
    """One of the colours, slightly varied."""
    c = choices[int(rng.integers(len(choices)))]
    k = 0.85 + 0.3 * float(rng.random())
    return min(c[0] * k, 0.95), min(c[1] * k, 0.95), min(c[2] * k, 0.95)
