"""What stands where: the camera, the street and a handful of objects, drawn by lot.

Each object gets a signature: seen by both cameras, only in the infrared (dark, or behind smoke, but
warm) or only in the visible (clear, but as cold as what lies behind it).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bench.data.synthetic.canvas import Camera, Point2
from bench.data.synthetic.regimes import TABLE, Regime

CLASSES = ("People", "Car", "Bus", "Motorcycle", "Lamp", "Truck")
# Drawn share, half width, height, half length (m), nearest and farthest distance (m).
KINDS = {
    "People": (0.35, 0.40, 1.78, 0.35, 6.0, 28.0),
    "Car": (0.27, 0.95, 1.60, 2.15, 9.0, 40.0),
    "Bus": (0.06, 1.28, 3.10, 5.0, 15.0, 50.0),
    "Motorcycle": (0.13, 0.45, 1.70, 1.0, 6.5, 26.0),
    "Lamp": (0.12, 0.50, 5.40, 0.3, 9.0, 30.0),
    "Truck": (0.07, 1.22, 3.15, 3.6, 13.0, 45.0),
}
BOTH, INFRARED, VISIBLE = "both", "infrared", "visible"
# Shares of (infrared only, visible only) by class; the rest is seen by both. Smoke of one object
# also hides its neighbours, so that the infrared's share ends up higher than drawn.
SHARES = {"Lamp": (0.0, 0.55), "Bus": (0.16, 0.22), "Truck": (0.16, 0.22)}
COMMON_SHARES = (0.28, 0.30)


@dataclass(frozen=True)
class Thing:
    """An object: class, place, heading, whether its front faces us, and who can see it."""

    kind: str
    x: float
    z: float
    forward: Point2
    ahead: bool
    signature: str
    cause: str
    seed: int


@dataclass(frozen=True)
class Street:
    """The road: centre, half width, pavement and verge widths, lanes per direction (m)."""

    centre: float
    half: float
    pavement: float
    verge: float
    lanes: int
    crossing: float


@dataclass(frozen=True)
class Plume:
    """Smoke in front of whatever is farther than z: its extent in the picture, and its lean."""

    x0: float
    y0: float
    x1: float
    y1: float
    z: float
    lean: float


@dataclass(frozen=True)
class World:
    """Everything that is decided before painting. things run from far to near."""

    regime: Regime
    camera: Camera
    street: Street
    fog: float
    things: tuple[Thing, ...]
    plumes: tuple[Plume, ...]


def box(thing: Thing, camera: Camera) -> tuple[float, float, float, float]:
    """The rough extent of an object in the picture (x0, y0, x1, y1), unclipped."""
    _, half, height, long, _, _ = KINDS[thing.kind]
    fx, fz = thing.forward
    reach = half * abs(fz) + long * abs(fx)
    low = 0.0
    if thing.kind == "Lamp":
        low, height, reach = 3.0, 4.7, 0.6
    x0, y1 = camera.project((thing.x - reach, low, thing.z))
    x1, y0 = camera.project((thing.x + reach, height, thing.z))
    return x0, y0, x1, y1


def _heading(rng: np.random.Generator, kind: str, forward: bool, across: bool) -> Point2:
    """A unit heading from the rational circle: along the street with a small turn, or across."""
    t = 0.06 * (float(rng.random()) - 0.5)
    if across:
        t += 0.9 + 0.15 * float(rng.random())
    if kind in ("People", "Lamp"):
        return 0.0, 1.0
    c, s = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    if across and float(rng.random()) < 0.5:
        s = -s
    return (s, c) if forward else (s, -c)


def _spot(rng: np.random.Generator, kind: str, street: Street) -> tuple[float, bool, bool]:
    """A lateral place for a class, whether it heads away from us, and whether it stands across."""
    side = 1.0 if rng.random() < 0.5 else -1.0
    lane = street.half / street.lanes
    if kind == "People":
        if rng.random() < 0.25:
            return street.centre + street.half * (2 * float(rng.random()) - 1), True, False
        offset = 0.4 + (street.pavement - 0.6) * float(rng.random())
        return street.centre + side * (street.half + offset), True, False
    if kind == "Lamp":
        return street.centre + side * (street.half + 0.5), True, False
    across = float(rng.random()) < (0.45 if kind == "Motorcycle" else 0.16)
    k = int(rng.integers(street.lanes))
    x = street.centre + side * lane * (k + 0.5) + 0.3 * (float(rng.random()) - 0.5)
    if kind == "Motorcycle" and rng.random() < 0.5:
        x = street.centre + side * (street.half - 0.7)
    return x, side > 0, across


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """The share of box a that box b covers."""
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    return max(w, 0.0) * max(h, 0.0) / max((a[2] - a[0]) * (a[3] - a[1]), 1e-6)


def _fits(new: Thing, things: list[Thing], camera: Camera) -> bool:
    """In the frame, on free ground, and neither hidden by nor hiding another object."""
    x0, y0, x1, y1 = box(new, camera)
    frame = (0.0, 0.0, float(camera.width), float(camera.height_px))
    if _overlap((x0, y0, x1, y1), frame) < 0.75:
        return False
    if not 13.0 <= (y1 - y0) * 288.0 / camera.height_px <= 150.0:
        return False
    if (x1 - x0) > 0.42 * camera.width:
        return False
    for other in things:
        near, far = (new, other) if new.z < other.z else (other, new)
        # A cold or an unlit object would show as a gap in a warm or a lit one behind it.
        shows = near.signature == VISIBLE or near.cause == "dark" != far.cause
        if _overlap(box(far, camera), box(near, camera)) > (0.03 if shows else 0.35):
            return False
        a, b = KINDS[new.kind], KINDS[other.kind]
        if abs(new.z - other.z) < a[3] + b[3] and abs(new.x - other.x) < a[1] + b[1] + 0.2:
            return False
    return True


def _plume(rng: np.random.Generator, thing: Thing, camera: Camera) -> Plume:
    """Smoke that hides an object, wider than it by a random margin on each side."""
    x0, y0, x1, y1 = box(thing, camera)
    side = 0.5 * ((x1 - x0) + (y1 - y0))
    m = [side * (0.12 + 0.5 * float(rng.random()) ** 2) for _ in range(3)]
    lean = 1.6 * (float(rng.random()) - 0.5)
    return Plume(x0 - m[0], y0 - m[1], x1 + m[2], y1 + 0.10 * side, thing.z - 0.6, lean)


def _hidden(thing: Thing, plumes: list[Plume], camera: Camera) -> bool:
    """Does smoke cover a good part of an object?"""
    return any(
        thing.z > 0.86 * p.z and _overlap(box(thing, camera), (p.x0, p.y0, p.x1, p.y1)) > 0.2
        for p in plumes
    )


def _drift(plume: Plume) -> Plume:
    """The plume with the thinner smoke that rises and leans from it."""
    w, h = plume.x1 - plume.x0, plume.y1 - plume.y0
    return replace(plume, x0=plume.x0 - 0.5 * w, x1=plume.x1 + 0.5 * w, y0=plume.y0 - 1.3 * h)


def _smoke(
    rng: np.random.Generator, things: list[Thing], camera: Camera, decoys: int
) -> tuple[list[Thing], list[Plume]]:
    """Plumes, and the objects as they are behind them: no object may be hidden from both cameras,
    so what another object's smoke hides is made warm (a lamp is taken away).

    As many plumes again hide nothing, or the smoke itself would give the objects away.
    """
    plumes = [_plume(rng, t, camera) for t in things if t.cause == "smoke"]
    settled = []
    for thing in things:
        if thing.cause == "smoke":
            settled.append(thing)
        elif _hidden(thing, plumes, camera):
            if thing.kind != "Lamp":
                settled.append(replace(thing, signature=INFRARED, cause="smoke"))
        elif thing.signature == VISIBLE and _hidden(thing, [_drift(p) for p in plumes], camera):
            if thing.kind != "Lamp":
                settled.append(replace(thing, signature=BOTH))
        else:
            settled.append(thing)
    for _ in range(3 * decoys):
        lot = rng.random(3)
        kind = ("People", "Car", "Motorcycle")[int(rng.integers(3))]
        z = KINDS[kind][4] + (KINDS[kind][5] - KINDS[kind][4]) * float(lot[0]) ** 2
        x = (0.9 * float(lot[1]) - 0.45) * camera.width * z / camera.focal
        ghost = Thing(kind, x, z, (0.0, 1.0), False, BOTH, "", 0)
        decoy = _plume(rng, ghost, camera)
        if decoys and not any(_hidden(thing, [_drift(decoy)], camera) for thing in settled):
            plumes.append(decoy)
            decoys -= 1
    return settled, plumes


def build(rng: np.random.Generator, regime_name: str, width: int, height: int) -> World:
    """Draw a world by lot."""
    regime = TABLE[regime_name]
    unit = min(width, height * 4.0 / 3.0)
    camera = Camera(
        width, height, 0.98 * unit, width * (0.42 + 0.16 * float(rng.random())),
        height * (0.40 + 0.10 * float(rng.random())), 1.7 + 0.8 * float(rng.random()),
    )  # fmt: skip
    lanes = 1 + int(rng.integers(2))
    half = 3.4 * lanes + 0.4 + (1.5 if lanes == 1 else 0.0)
    street = Street(
        -0.5 * half + 0.8 * (float(rng.random()) - 0.5), half, 2.2 + 1.5 * float(rng.random()),
        2.4 + 4.5 * float(rng.random()), lanes,
        8.0 + 16.0 * float(rng.random()) if rng.random() < 0.4 else -1.0,
    )  # fmt: skip
    fog = regime.fog[0] + (regime.fog[1] - regime.fog[0]) * float(rng.random())
    wanted = 5 + int(rng.integers(5))
    things: list[Thing] = []
    for _ in range(160):
        if len(things) == wanted:
            break
        draw, kind = float(rng.random()), "Truck"
        for name in CLASSES:
            draw -= KINDS[name][0]
            if draw < 0:
                kind = name
                break
        near, far = KINDS[kind][4:]
        far = min(far, 0.75 / fog)
        t = float(rng.random())
        z = 1.0 / (1.0 / near + (1.0 / far - 1.0 / near) * t)
        x, away, across = _spot(rng, kind, street)
        infrared, visible = SHARES.get(kind, COMMON_SHARES)
        lot = float(rng.random())
        signature = INFRARED if lot < infrared else VISIBLE if lot < infrared + visible else BOTH
        cause = ""
        if signature == INFRARED:
            cause = "dark" if regime.name == "night" else "smoke"
        if regime.name == "challenge" and not things:
            # Glare belongs to this regime: one oncoming car with its headlights on.
            kind, signature, cause, away, across = "Car", BOTH, "", False, False
            x, z = street.centre - 0.5 * street.half / street.lanes, 11.0 + 14.0 * t
        new = Thing(
            kind, x, z, _heading(rng, kind, away, across), not away, signature, cause,
            int(rng.integers(2**31)),
        )  # fmt: skip
        if _fits(new, things, camera):
            things.append(new)
    decoys = 0 if regime.name == "night" else int(rng.integers(3))
    settled, plumes = _smoke(rng, things, camera, decoys)
    settled.sort(key=lambda thing: -thing.z)
    return World(regime, camera, street, fog, tuple(settled), tuple(plumes))
