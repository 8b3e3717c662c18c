"""The four regimes of M3FD (day, overcast, night, challenge) as numbers: light, air, warmth."""

from __future__ import annotations

from dataclasses import dataclass

from bench.data.synthetic.canvas import Colour

REGIMES = ("day", "overcast", "night", "challenge")


@dataclass(frozen=True)
class Regime:
    """ambient: light on every surface, linear RGB. sky: colours at the zenith and the horizon.
    fog: extinction per metre, range; fog_colour: linear. air: °C; sun: warmth of lit surfaces;
    ground, walls, plants, heaven: temperatures over the air. noise: visible sensor noise in
    levels; lights: vehicles and street lamps are lit."""

    name: str
    ambient: Colour
    sky: tuple[Colour, Colour]
    fog: tuple[float, float]
    fog_colour: Colour
    air: float
    sun: float
    ground: float
    walls: float
    plants: float
    heaven: tuple[float, float]
    noise: float
    lights: bool


TABLE = {
    "day": Regime(
        "day", (1.05, 1.0, 0.93), ((0.14, 0.30, 0.62), (0.55, 0.66, 0.78)), (0.0005, 0.002),
        (0.60, 0.66, 0.74), 14.0, 5.0, 5.0, 5.0, 0.0, (-24.0, -11.0), 2.0, False,
    ),
    "overcast": Regime(
        "overcast", (0.62, 0.64, 0.67), ((0.36, 0.40, 0.45), (0.52, 0.55, 0.58)), (0.002, 0.007),
        (0.50, 0.53, 0.56), 11.0, 1.0, 2.0, 2.0, 0.5, (-14.0, -7.0), 2.5, False,
    ),
    "night": Regime(
        "night", (0.020, 0.022, 0.030), ((0.0015, 0.002, 0.005), (0.008, 0.008, 0.012)),
        (0.0005, 0.003), (0.012, 0.012, 0.016), 8.0, 0.0, 2.5, 4.0, -0.5, (-22.0, -10.0), 3.5, True,
    ),
    "challenge": Regime(
        "challenge", (0.16, 0.17, 0.20), ((0.11, 0.12, 0.15), (0.14, 0.15, 0.18)), (0.012, 0.028),
        (0.14, 0.15, 0.18), 6.0, 0.0, 2.0, 3.0, 0.0, (-12.0, -6.0), 3.5, True,
    ),
}  # fmt: skip
