"""The stage: sky, road and pavements, houses with windows, trees, and the objects on it."""

from __future__ import annotations

import numpy as np

from bench.data.synthetic import figures, shapes, vehicles
from bench.data.synthetic.canvas import (
    ALBEDO,
    DEPTH,
    EMISSION,
    LAYERS,
    SCENERY,
    TEMPERATURE,
    Array,
    Canvas,
    Colour,
    Material,
    clouds,
    coverage,
    smooth,
)
from bench.data.synthetic.look import Look
from bench.data.synthetic.regimes import Regime
from bench.data.synthetic.world import INFRARED, KINDS, VISIBLE, Street, Thing, World, box

WALLS: tuple[Colour, ...] = (
    (0.42, 0.36, 0.29), (0.50, 0.47, 0.42), (0.33, 0.18, 0.13), (0.30, 0.33, 0.37),
    (0.52, 0.44, 0.30),
)  # fmt: skip
LEAVES: tuple[Colour, ...] = (
    (0.07, 0.16, 0.04), (0.10, 0.19, 0.05), (0.05, 0.12, 0.05), (0.24, 0.17, 0.03),
)  # fmt: skip
FAR = 90.0


def _set(canvas: Canvas, where: Array, albedo: Colour, temperature: float) -> None:
    """Lay an albedo and a temperature over the whole canvas, weighted by `where` (H×W)."""
    for channel, value in zip(range(3), albedo, strict=True):
        layer = canvas.layers[channel]
        layer += where * (value - layer)
    layer = canvas.layers[TEMPERATURE]
    layer += where * (temperature - layer)


def paint_sky(canvas: Canvas, regime: Regime, rng: np.random.Generator) -> None:
    """A gradient with clouds, cold above and less cold at the horizon."""
    camera = canvas.camera
    rows = np.arange(camera.height_px) + 0.5
    t = np.clip(1.0 - rows / camera.horizon, 0.0, 1.0)[:, None]
    cover = clouds(rng, camera.height_px, camera.width, camera.height_px / 3.0, 4)
    cover = smooth((cover - 0.42) * 4.0) * (0.55 if regime.name == "day" else 0.18)
    white = 0.85 if regime.name == "day" else 1.25 * regime.sky[1][1]
    for k in range(3):
        zenith, horizon = regime.sky[0][k], regime.sky[1][k]
        layer = horizon + (zenith - horizon) * t + np.zeros_like(cover)
        canvas.layers[EMISSION][k] = layer + cover * (white - layer)
    cold, mild = regime.heaven
    canvas.layers[TEMPERATURE] = regime.air + mild + (cold - mild) * t + 5.0 * cover
    canvas.layers[DEPTH] = 400.0


def paint_ground(canvas: Canvas, regime: Regime, street: Street, rng: np.random.Generator) -> None:
    """Verge, pavements with kerbs, asphalt, lane markings and perhaps a zebra crossing."""
    camera = canvas.camera
    rows = np.arange(camera.height_px) + 0.5 - camera.horizon
    below = np.clip(rows + 0.5, 0.0, 1.0)[:, None] * np.ones((1, camera.width))
    z = (camera.focal * camera.height / np.maximum(rows, 0.6))[:, None]
    z = np.minimum(z, 400.0)
    x = (np.arange(camera.width) + 0.5 - camera.centre)[None, :] * z / camera.focal
    across = x - street.centre
    pixel = z / camera.focal
    pixel_z = z * z / (camera.focal * camera.height)
    grain = 0.80 + 0.4 * clouds(rng, camera.height_px, camera.width, camera.width / 6.0, 6)

    def band(low: float, high: float) -> Array:
        left = np.clip((across - low) / pixel + 0.5, 0.0, 1.0)
        inside: Array = left * np.clip((high - across) / pixel + 0.5, 0.0, 1.0)
        return inside

    def stretch(low: float, high: float) -> Array:
        begun = np.clip((z - low) / pixel_z + 0.5, 0.0, 1.0)
        inside: Array = begun * np.clip((high - z) / pixel_z + 0.5, 0.0, 1.0)
        return inside

    air = regime.air
    canvas.layers[EMISSION] *= 1.0 - below
    grass = LEAVES[int(rng.integers(2))] if rng.random() < 0.6 else (0.26, 0.24, 0.21)
    _set(canvas, below, grass, air + regime.plants + 0.5)
    edge = street.half + street.pavement
    stone = 0.24 + 0.10 * float(rng.random())
    _set(
        canvas, below * band(-edge, edge), (stone, 0.97 * stone, 0.92 * stone), air + regime.ground
    )
    joints = np.abs((z / 1.2) % 1.0 - 0.5) < 0.05
    walk = band(-edge, -street.half) + band(street.half, edge)
    fade = np.clip(0.12 / pixel_z, 0.0, 1.0)
    for k in range(3):
        canvas.layers[k] *= 1.0 - 0.25 * below * walk * joints * fade
    kerb = street.half + 0.22
    _set(canvas, below * band(-kerb, kerb), (0.40, 0.39, 0.37), air + regime.ground - 1.0)
    tar = 0.085 + 0.05 * float(rng.random())
    road = below * band(-street.half, street.half)
    _set(canvas, road, (tar, tar, 1.04 * tar), air + 1.25 * regime.ground)
    lane = street.half / street.lanes
    paint: Colour = (0.62, 0.62, 0.58)
    phase = 9.0 * float(rng.random())
    dashes = np.clip((1.5 - np.abs((z + phase) % 6.0 - 3.0)) / pixel_z + 0.5, 0.0, 1.0)
    dashes = dashes + (0.5 - dashes) * np.clip(pixel_z / 3.0 - 0.3, 0.0, 1.0)
    lines = [(0.0, np.ones_like(z), (0.62, 0.48, 0.10) if street.lanes > 1 else paint)]
    lines += [(s * (street.half - 0.3), np.ones_like(z), paint) for s in (-1.0, 1.0)]
    lines += [(s * lane * k, dashes, paint) for s in (-1.0, 1.0) for k in range(1, street.lanes)]
    if street.lanes == 1:
        lines[0] = (0.0, dashes, paint)
    worn = smooth((grain - 0.82) * 6.0)
    for at, run, colour in lines:
        wide = np.minimum(1.0, 0.16 / pixel)
        where = road * band(at - 0.08, at + 0.08) * run * wide * worn
        _set(canvas, where, colour, air + 1.25 * regime.ground - 0.6)
    if street.crossing > 0:
        stripes = np.clip((0.24 - np.abs(across % 1.0 - 0.5)) / pixel + 0.5, 0.0, 1.0)
        where = road * stretch(street.crossing, street.crossing + 3.2) * stripes * worn
        _set(canvas, where, paint, air + 1.25 * regime.ground - 0.6)
    for k in range(3):
        canvas.layers[k] *= 1.0 + below * (grain - 1.0)
    warm = below * (grain - 1.0) * 4.0
    canvas.layers[TEMPERATURE] += warm
    canvas.layers[DEPTH] += below * (z - canvas.layers[DEPTH])


def _facade(
    canvas: Canvas, points: tuple[tuple[float, float, float], ...], wall: Material, regime: Regime,
    lit: Array, fixed: tuple[str, float], roof: float,
) -> None:  # fmt: skip
    """A wall with rows of windows; fixed says which coordinate of the wall's plane is constant."""
    camera = canvas.camera
    found = coverage([camera.project(p) for p in points], camera.height_px, camera.width)
    if found is None:
        return
    region, share = found
    ys = np.arange(region[0].start, region[0].stop)[:, None] + 0.5
    xs = np.arange(region[1].start, region[1].stop)[None, :] + 0.5
    axis, value = fixed
    if axis == "z":
        z = np.full(share.shape, value)
        along = (xs - camera.centre) * z / camera.focal + np.zeros_like(ys)
    else:
        slope = (xs - camera.centre) / camera.focal
        slope = np.where(np.abs(slope) < 1e-3, 1e-3, slope)
        z = np.clip(value / slope, 1.0, 2 * FAR) + np.zeros_like(ys)
        along = z
    up = camera.height - (ys - camera.horizon) * z / camera.focal
    pixel = z / camera.focal * (1.0 if axis == "z" else 4.0)
    column, row = along / 2.6, up / 3.0
    a, b = column % 1.0, row % 1.0
    window = np.clip((0.27 - np.abs(a - 0.5)) * 2.6 / pixel + 0.5, 0.0, 1.0)
    window = window * np.clip((0.27 - np.abs(b - 0.55)) * 3.0 / pixel + 0.5, 0.0, 1.0)
    window = window * (up < roof - 0.8) * (up > 0.4)
    index = (np.floor(column).astype(int) % 16, np.floor(row).astype(int) % 16)
    new = np.broadcast_to(canvas.values(wall, 0.0)[:, None, None], (LAYERS, *share.shape)).copy()
    new[DEPTH] = z
    grime = 0.9 + 0.2 * lit[(index[1] + 5) % 16, (index[0] + 3) % 16]
    new[ALBEDO] *= grime
    glass = canvas.values(Material((0.05, 0.065, 0.08), regime.air + regime.walls - 5.0), 0.0)
    for k in (*range(3), TEMPERATURE):
        new[k] += window * (glass[k] - new[k])
    if regime.lights:
        on = (lit[index] > 0.72) * window
        for k, colour in zip(range(3, 6), (0.34, 0.25, 0.12), strict=True):
            new[k] += on * colour * (0.5 + lit[index[1], index[0]])
        new[TEMPERATURE] += on * 4.0
    new[SCENERY] = new[TEMPERATURE]
    canvas.blend(region, share, new, 0)


def paint_house(
    canvas: Canvas,
    regime: Regime,
    side: float,
    wall_x: float,
    near: float,
    rng: np.random.Generator,
) -> None:
    """One block: the wall along the street and the wall that faces us."""
    long, roof = 9.0 + 12.0 * float(rng.random()), 5.5 + 14.0 * float(rng.random())
    far, back = near + long, wall_x + side * (8.0 + 8.0 * float(rng.random()))
    colour = WALLS[int(rng.integers(len(WALLS)))]
    wall = Material(colour, regime.air + regime.walls)
    lit = rng.random((16, 16))
    along = ((wall_x, 0.0, near), (wall_x, 0.0, far), (wall_x, roof, far), (wall_x, roof, near))
    _facade(canvas, along, shapes.shaded(wall, 0.75), regime, lit, ("x", wall_x), roof)
    front = ((wall_x, 0.0, near), (back, 0.0, near), (back, roof, near), (wall_x, roof, near))
    _facade(canvas, front, wall, regime, lit, ("z", near), roof)


def paint_tree(
    canvas: Canvas, regime: Regime, x: float, z: float, rng: np.random.Generator
) -> None:
    """A trunk and a crown of leaf clumps, or a conifer."""
    leaf = LEAVES[int(rng.integers(len(LEAVES)))]
    bark = Material((0.10, 0.07, 0.05), regime.air + regime.plants + 1.5)
    project = canvas.camera.project
    tall = 5.5 + 3.0 * float(rng.random())
    pole = [(-0.14, 0.0), (0.14, 0.0), (0.08, 0.6 * tall), (-0.08, 0.6 * tall)]
    canvas.fill([project((x + u, v, z)) for u, v in pole], bark, z, 0)
    pointed = float(rng.random()) < 0.25
    for k in range(16):
        t = k / 15.0
        if pointed:
            u, v, r = 0.0, 0.15 * tall + 0.8 * tall * t, (1.3 - 1.2 * t)
            outline = [(-r, v - 0.3), (r, v - 0.3), (0.0, v + 0.9)]
        else:
            r = (0.45 + 0.5 * float(rng.random())) * (1.0 - 0.35 * t)
            u = (2.0 * float(rng.random()) - 1.0) * 1.25 * (1.0 - 0.6 * t)
            v = tall * (0.54 + 0.40 * t)
            wobble = 0.75 + 0.5 * rng.random(12)
            outline = [
                (u + r * a * float(s), v + 0.85 * r * b * float(s))
                for (a, b), s in zip(shapes.CIRCLE, wobble, strict=True)
            ]
        shade = (0.55 + 0.75 * t) * (0.85 + 0.3 * float(rng.random()))
        m = Material(
            (leaf[0] * shade, leaf[1] * shade, leaf[2] * shade),
            regime.air + regime.plants - 1.5 + 2.5 * float(rng.random()),
        )
        canvas.fill([project((x + a, b, z)) for a, b in outline], m, z, 0)


def paint_hills(canvas: Canvas, regime: Regime, rng: np.random.Generator) -> None:
    """A skyline of far blocks and trees along the horizon, so that the street ends somewhere."""
    camera = canvas.camera
    x, unit = -10.0, camera.width / 384.0
    while x < camera.width + 10.0:
        wide, tall = (8 + 26 * float(rng.random())) * unit, (5 + 22 * float(rng.random())) * unit
        if rng.random() < 0.5:
            tall *= 0.45
            m = Material((0.07, 0.11, 0.06), regime.air + regime.plants - 1.0)
            rough = [(x + wide * k / 6.0, camera.horizon - tall * (0.6 + 0.4 * float(rng.random())))
                     for k in range(7)]  # fmt: skip
        else:
            g = 0.20 + 0.2 * float(rng.random())
            m = Material((g, 0.96 * g, 0.92 * g), regime.air + regime.walls - 2.0)
            rough = [(x, camera.horizon - tall), (x + wide, camera.horizon - tall)]
        outline = [(x, camera.horizon + unit), *rough, (x + wide, camera.horizon + unit)]
        canvas.fill(outline, m, 1.6 * FAR, 0)
        x += wide * (0.7 + 0.4 * float(rng.random()))


def look_of(thing: Thing, regime: Regime, behind: Array) -> Look:
    """How an object's signature shows: its warmth, its paint, its lights, the light on it.

    behind: mean albedo of what it stands before (3).
    """
    dull = (float(behind[0]), float(behind[1]), float(behind[2]))
    lamps = regime.lights and thing.signature != INFRARED
    if thing.signature == VISIBLE and thing.kind != "Lamp":
        lamps = False
    light = {"night": 0.45, "challenge": 0.25}.get(regime.name, 0.0)
    return Look(
        regime.air, thing.signature != VISIBLE, dull if thing.cause == "dark" else None,
        thing.signature == VISIBLE, lamps,
        light, regime.sun,
    )  # fmt: skip


def paint_thing(canvas: Canvas, thing: Thing, regime: Regime, owner: int) -> None:
    """A contact shadow, then the object."""
    rng = np.random.Generator(np.random.PCG64(thing.seed))
    camera = canvas.camera
    x0, y0, x1, y1 = box(thing, camera)
    # A lamp's arm reaches farther than the box that keeps objects apart.
    margin = 0.3 * (y1 - y0) + 2 if thing.kind != "Lamp" else 1.2 * (y1 - y0)
    region = (
        slice(max(int(y0 - margin), 0), max(min(int(y1 + margin), camera.height_px), 1)),
        slice(max(int(x0 - margin), 0), max(min(int(x1 + margin), camera.width), 1)),
    )
    look = look_of(thing, regime, canvas.layers[(ALBEDO, *region)].mean(axis=(1, 2)))
    if not look.warm:
        canvas.keep_backdrop(max((y1 - y0) / 12.0, 1.0), region)
    _, half, _, long, _, _ = KINDS[thing.kind]
    fx, fz = thing.forward
    if thing.kind == "Lamp":
        half, long = 0.25, 0.25
    for grow in (1.25, 1.08, 0.92):
        ring = [
            camera.project(
                (thing.x + grow * (half * a * fz + long * b * fx), 0.0,
                 thing.z + grow * (long * b * fz - half * a * fx))
            )
            for a, b in shapes.CIRCLE
        ]  # fmt: skip
        canvas.darken(ring, 0.0 if thing.signature == INFRARED and thing.cause == "dark" else 0.32)
    pose = shapes.Pose(thing.x, thing.z, thing.forward)
    if thing.kind == "People":
        parts = figures.person(rng, look)
    elif thing.kind == "Lamp":
        parts = figures.lamp(rng, look)
    else:
        maker = {
            "Car": vehicles.car, "Bus": vehicles.bus, "Truck": vehicles.truck,
            "Motorcycle": vehicles.motorcycle,
        }[thing.kind]  # fmt: skip
        parts = maker(rng, look, fz < 0.3)
    shapes.draw(canvas, parts, pose, owner)


def paint_world(world: World, rng: np.random.Generator, skip: int = 0) -> Canvas:
    """Paint everything from far to near. Object k (1-based, far to near) owns its pixels.

    skip: leave this object out; the rest is unchanged (to measure what the object contributes).
    """
    canvas = Canvas.blank(world.camera)
    regime, street = world.regime, world.street
    paint_sky(canvas, regime, rng)
    paint_ground(canvas, regime, street, rng)
    paint_hills(canvas, regime, rng)
    canvas.layers[SCENERY] = canvas.layers[TEMPERATURE]
    stage: list[tuple[float, str, float, float, int]] = []
    for side in (-1.0, 1.0):
        wall = street.centre + side * (street.half + street.pavement + street.verge)
        z = 6.0 + 10.0 * float(rng.random())
        while z < FAR:
            if rng.random() < 0.75:
                stage.append((z, "house", side, wall, int(rng.integers(2**31))))
            z += 21.5 + 6.0 * float(rng.random())
        trunk = street.centre + side * (street.half + street.pavement + 1.1)
        z = 9.0 + 8.0 * float(rng.random())
        while z < 70.0 and rng.random() < 0.93:
            stage.append((z, "tree", side, trunk, int(rng.integers(2**31))))
            z += 6.0 + 9.0 * float(rng.random())
    stage += [(t.z, "thing", 0.0, 0.0, k + 1) for k, t in enumerate(world.things)]
    # Houses first: nothing stands behind the walls along the street, all else is in front of them.
    for z, what, side, x, number in sorted(stage, key=lambda s: (s[1] != "house", -s[0])):
        if what == "thing":
            if number != skip:
                paint_thing(canvas, world.things[number - 1], regime, number)
            continue
        own = np.random.Generator(np.random.PCG64(number))
        if what == "house":
            paint_house(canvas, regime, side, x, z, own)
        else:
            paint_tree(canvas, regime, x, z, own)
    return canvas
