"""Cars, buses, lorries and motorcycles of the synthetic world: prisms in metres with decals."""

from __future__ import annotations

import numpy as np

from bench.data.synthetic.canvas import BLACK, Colour, Material
from bench.data.synthetic.look import (
    BRIGHT_CLOTHES,
    BRIGHT_PAINTS,
    CLOTHES,
    DARK,
    PAINTS,
    TROUSERS,
    Look,
    pick,
)
from bench.data.synthetic.shapes import (
    Part,
    Patch,
    disc,
    flat,
    on_end,
    on_sides,
    prism,
    rectangle,
    shaded,
    wheels,
)


def _lights(look: Look, ahead: bool) -> tuple[Material, Material]:
    """Head and tail lamps; oncoming headlights are far brighter than tail lights."""
    head = (34.0, 33.0, 29.0) if look.lamps and ahead else BLACK
    tail = (2.6, 0.12, 0.06) if look.lamps else BLACK
    return look.of((0.75, 0.75, 0.72), 9.0, head), look.of((0.45, 0.03, 0.03), 4.0, tail)


def car(rng: np.random.Generator, look: Look, ahead: bool) -> tuple[Part, ...]:
    """A saloon, an estate or a small van: body, cabin, windows, wheels, lights, plate."""
    paint = pick(rng, BRIGHT_PAINTS if look.bright else PAINTS)
    body = look.of(paint, 6.0 + look.sun)
    bonnet = look.of(paint, 15.0)
    glass = look.of((0.035, 0.045, 0.055), -3.0)
    tyre, hub = look.of((0.02, 0.02, 0.02), 11.0), look.of((0.35, 0.35, 0.36), 8.0)
    under = look.of((0.02, 0.02, 0.02), 17.0)
    plate = look.of((0.75, 0.75, 0.70), 3.0)
    head, tail = _lights(look, ahead)
    style = int(rng.integers(3))
    roof = (1.46, 1.60, 1.86)[style]
    back = (-1.25, -1.85, -2.0)[style]
    nose = (0.92, 0.96, 1.05)[style]
    screen = (0.40, 0.45, 0.95)[style]
    waist = nose + 0.04
    half, top = (0.90, 0.70 if style < 2 else 0.76)
    rear = -2.12
    patches = list(
        prism([(rear, 0.30), (2.1, 0.30), (2.15, 0.66), (1.95, nose - 0.12), (1.1, nose),
               (-1.9, waist), (rear - 0.03, 0.8)], (half, half - 0.02), body)
    )  # fmt: skip
    foot = -1.9 if style == 0 else rear + 0.1
    patches.append(
        Patch(((-0.8, nose - 0.09, 1.93), (0.8, nose - 0.09, 1.93), (0.8, nose + 0.015, 1.12),
               (-0.8, nose + 0.015, 1.12)), bonnet, (0.0, 1.0, 0.4))
    )  # fmt: skip
    patches += wheels((-1.3, 1.32), half, 0.33, tyre, hub)
    patches += on_sides([(-2.0, 0.30), (2.0, 0.30), (2.0, 0.40), (-2.0, 0.40)], (half, half), under)
    cabin = [(foot + 0.03, waist - 0.03), (1.12, waist - 0.03), (screen, roof - 0.03),
             (screen - 0.3, roof), (back + 0.2, roof), (back, roof - 0.04)]  # fmt: skip
    patches += prism(cabin, (half - 0.05, top), body)
    a = half - 0.05 - (top - half + 0.05) * (waist - 0.03) / (roof - waist + 0.03)
    b = a + (top - half + 0.05) / (roof - waist + 0.03)
    sill, lintel = waist + 0.03, roof - 0.11
    split = 0.5 * (back + screen) - 0.1
    lean = (lintel - sill) / (roof - waist)
    patches += on_sides([(split + 0.05, sill), (1.0, sill), (1.0 + (screen - 1.0) * lean, lintel),
                         (split + 0.05, lintel)], (a, b), glass)  # fmt: skip
    rear_foot = foot + 0.22
    patches += on_sides([(rear_foot, sill), (split - 0.05, sill), (split - 0.05, lintel),
                         (rear_foot + (back - foot) * lean, lintel)], (a, b), glass)  # fmt: skip
    for at, forward in (
        (((foot + 0.03, waist - 0.03), (back, roof - 0.04)), False),
        (((1.12, waist - 0.03), (screen, roof - 0.03)), True),
    ):
        rim, upper = top - 0.09, lintel + 0.03
        outline = [(-0.74, sill), (0.74, sill), (rim, upper), (-rim, upper)]
        patches.append(on_end(outline, at, glass, forward))
    ends = ((rear - 0.03, 0.3), (rear - 0.03, 1.0)), ((2.16, 0.3), (2.16, 1.0))
    for s in (-1.0, 1.0):
        lo, hi = sorted((s * 0.56, s * 0.86))
        patches.append(on_end(rectangle(lo, hi, 0.66, 0.84), ends[0], tail, False))
        patches.append(on_end(rectangle(lo, hi, 0.58, 0.75), ends[1], head, True))
    patches.append(on_end(rectangle(-0.26, 0.26, 0.50, 0.62), ends[0], plate, False))
    patches.append(on_end(rectangle(-0.45, 0.45, 0.52, 0.70), ends[1], look.of(DARK, 20.0), True))
    patches.append(on_end(rectangle(-0.26, 0.26, 0.42, 0.52), ends[1], plate, True))
    for end, forward in zip(ends, (False, True), strict=True):
        patches.append(on_end(rectangle(-0.84, 0.84, 0.28, 0.39), end, under, forward))
    return (Part((0.0, 0.8, 0.0), tuple(patches)),)


def bus(rng: np.random.Generator, look: Look, ahead: bool) -> tuple[Part, ...]:
    """A city bus: a long box with a band of windows, destination sign, door, lights."""
    paint = pick(rng, BRIGHT_PAINTS if look.bright else PAINTS)
    body = look.of(paint, 7.5 + look.sun)
    band = look.of(pick(rng, BRIGHT_PAINTS), 7.5 + look.sun)
    inside = (0.30, 0.28, 0.20) if look.lamps else BLACK
    glass = look.of((0.04, 0.05, 0.06), -1.0, inside)
    tyre, hub = look.of((0.02, 0.02, 0.02), 13.0), look.of((0.3, 0.3, 0.3), 9.0)
    engine = look.of((0.05, 0.05, 0.05), 19.0)
    sign = look.of((0.10, 0.07, 0.02), 6.0, (1.6, 0.8, 0.1) if look.lamps else BLACK)
    head, tail = _lights(look, ahead)
    half, long, roof = 1.25, 5.0, 3.1
    hull = [(-long, 0.35), (long, 0.35), (long, 2.95), (long - 0.2, roof), (0.2 - long, roof),
            (-long, 2.95)]  # fmt: skip
    patches = list(prism(hull, (half, half - 0.05), body))
    patches += on_sides([(-long, 0.5), (long, 0.5), (long, 0.9), (-long, 0.9)], (half, half), band)
    for k in range(6):
        w = -4.7 + 1.55 * k
        patches += on_sides(rectangle(w, w + 1.35, 1.35, 2.45), (half, half), glass)
    patches += on_sides(rectangle(3.3, 4.5, 0.5, 2.45), (half, half), glass)
    patches += wheels((-3.0, 3.0), half, 0.48, tyre, hub)
    ends = ((-long, 0.0), (-long, 1.0)), ((long, 0.0), (long, 1.0))
    patches += [
        on_end(rectangle(-1.12, 1.12, 1.25, 2.55), ends[1], glass, True),
        on_end(rectangle(-0.8, 0.8, 2.65, 2.92), ends[1], sign, True),
        on_end(rectangle(-1.24, 1.24, 0.55, 0.85), ends[1], band, True),
        on_end(rectangle(-0.95, 0.95, 1.65, 2.5), ends[0], glass, False),
        on_end(rectangle(-0.5, 0.5, 2.62, 2.86), ends[0], sign, False),
        on_end(rectangle(-0.8, 0.8, 0.6, 1.3), ends[0], engine, False),
    ]
    for s in (-1.0, 1.0):
        lo, hi = sorted((s * 0.85, s * 1.15))
        patches.append(on_end(rectangle(lo, hi, 0.75, 1.0), ends[1], head, True))
        patches.append(on_end(rectangle(lo, hi, 0.95, 1.5), ends[0], tail, False))
    return (Part((0.0, 1.5, 0.0), tuple(patches)),)


def truck(rng: np.random.Generator, look: Look, ahead: bool) -> tuple[Part, ...]:
    """A lorry: a cab and, apart from it, a tall cargo box or a flat bed with a canvas."""
    cab_paint = look.of(pick(rng, BRIGHT_PAINTS if look.bright else PAINTS), 9.0)
    box_colours: tuple[Colour, ...] = ((0.62, 0.62, 0.60), (0.16, 0.24, 0.38), (0.45, 0.40, 0.28))
    bright_box: tuple[Colour, ...] = ((0.8, 0.8, 0.78), (0.62, 0.34, 0.08))
    cargo = look.of(pick(rng, bright_box if look.bright else box_colours), 6.0 + look.sun)
    glass = look.of((0.04, 0.05, 0.06), -2.0)
    seam = shaded(cargo, 0.45)
    frame, grille = look.of((0.03, 0.03, 0.03), 12.0), look.of((0.04, 0.04, 0.04), 21.0)
    tyre, hub = look.of((0.02, 0.02, 0.02), 12.0), look.of((0.3, 0.3, 0.3), 9.0)
    head, tail = _lights(look, ahead)
    tall = 2.9 + 0.5 * float(rng.random())
    cab = [
        *prism([(1.55, 0.5), (3.3, 0.5), (3.35, 1.3), (3.1, 2.35), (2.8, 2.5), (1.55, 2.5)],
               (1.08, 1.0), cab_paint),
        *on_sides([(2.2, 1.4), (3.2, 1.4), (3.0, 2.15), (2.2, 2.15)], (1.1, 1.05), glass),
        *wheels((2.5, 2.5), 1.08, 0.46, tyre, hub),
        on_end([(-0.92, 1.4), (0.92, 1.4), (0.86, 2.2), (-0.86, 2.2)], ((3.36, 1.3), (3.1, 2.35)),
               glass, True),
        on_end(rectangle(-0.65, 0.65, 0.7, 1.2), ((3.36, 0.5), (3.36, 1.3)), grille, True),
    ]  # fmt: skip
    bed = [
        *prism([(-3.6, 0.55), (1.5, 0.55), (1.5, 0.95), (-3.6, 0.95)], (0.9, 0.9), frame),
        *wheels((-2.6, -1.6), 1.1, 0.46, tyre, hub),
        *prism([(-3.7, 0.95), (1.4, 0.95), (1.4, tall), (-3.7, tall)], (1.2, 1.2), cargo),
    ]
    for k in range(6):
        w = -3.3 + 0.85 * k
        bed += on_sides(rectangle(w, w + 0.09, 1.0, tall - 0.05), (1.2, 1.2), seam)
    back = ((-3.71, 0.0), (-3.71, 1.0))
    bed += [
        on_end(rectangle(-0.05, 0.05, 1.0, tall - 0.05), back, seam, False),
        on_end(rectangle(-1.2, 1.2, 0.95, 1.07), back, seam, False),
        on_end(rectangle(-1.1, 1.1, 0.45, 0.6), back, frame, False),
    ]
    for s in (-1.0, 1.0):
        bed.append(
            on_end(rectangle(s * 0.6 - 0.04, s * 0.6 + 0.04, 1.1, tall - 0.1), back, seam, False)
        )
        lo, hi = sorted((s * 0.8, s * 1.12))
        bed.append(on_end(rectangle(lo, hi, 0.68, 0.88), back, tail, False))
        cab.append(on_end(rectangle(lo, hi, 0.62, 0.85), ((3.37, 0.5), (3.37, 1.3)), head, True))
    return Part((0.0, 1.5, 2.4), tuple(cab)), Part((0.0, 1.7, -1.1), tuple(bed))


def motorcycle(rng: np.random.Generator, look: Look, ahead: bool) -> tuple[Part, ...]:
    """Two wheels, frame, tank, seat, handlebar; mostly with a rider."""
    paint = look.of(pick(rng, BRIGHT_PAINTS if look.bright else PAINTS), 9.0)
    tyre, hub = look.of((0.02, 0.02, 0.02), 9.0), look.of((0.45, 0.45, 0.45), 5.0)
    engine, metal = look.of((0.14, 0.14, 0.15), 26.0), look.of((0.35, 0.35, 0.36), 6.0)
    seat = look.of((0.03, 0.03, 0.03), 7.0)
    head, tail = _lights(look, ahead)
    parts = []
    for w in (-0.68, 0.70):
        wheel = [*prism(disc(w, 0.33, 0.33, 0.33), (0.08, 0.08), tyre)]
        wheel += on_sides(disc(w, 0.33, 0.2, 0.2), (0.085, 0.085), hub)
        wheel += on_sides(disc(w, 0.33, 0.13, 0.13), (0.09, 0.09), tyre)
        parts.append(Part((0.0, 0.3, w), tuple(wheel)))
    frame = [
        *prism([(-0.35, 0.25), (0.3, 0.25), (0.4, 0.6), (-0.4, 0.6)], (0.17, 0.15), engine),
        *prism([(0.62, 0.35), (0.74, 0.35), (0.46, 1.0), (0.34, 1.0)], (0.1, 0.1), metal),
        *prism([(-0.98, 0.62), (-0.1, 0.55), (-0.1, 0.72), (-1.0, 0.82)], (0.14, 0.12), seat),
        *prism([(-0.15, 0.58), (0.42, 0.6), (0.4, 0.86), (-0.05, 0.86)], (0.2, 0.15), paint),
        *prism([(0.36, 0.78), (0.62, 0.72), (0.58, 1.0), (0.42, 1.08)], (0.2, 0.16), paint),
        flat([(-0.38, 0.98), (0.38, 0.98), (0.38, 1.04), (-0.38, 1.04)], metal, 0.4),
        Patch(tuple((u, v, 0.64) for u, v in disc(0.0, 0.86, 0.11, 0.11)), head, (0.0, 0.0, 1.0)),
        Patch(tuple((u, v, -1.0) for u, v in rectangle(-0.1, 0.1, 0.66, 0.78)), tail,
              (0.0, 0.0, -1.0)),
    ]  # fmt: skip
    parts.append(Part((0.0, 0.6, 0.01), tuple(frame)))
    if float(rng.random()) < 0.75:
        coat = look.of(pick(rng, BRIGHT_CLOTHES if look.bright else CLOTHES), 13.0)
        legs = look.of(pick(rng, TROUSERS), 11.0)
        helmet = look.of(pick(rng, BRIGHT_PAINTS), 8.0)
        visor = look.of((0.05, 0.05, 0.06), 14.0)
        body: list[Patch] = []
        for s in (-1.0, 1.0):
            for outline in (
                [(-0.35, 0.74), (-0.3, 0.9), (0.22, 0.82), (0.2, 0.66)],
                [(0.05, 0.72), (0.22, 0.74), (0.06, 0.28), (-0.1, 0.28)],
            ):
                leg = prism(outline, (0.07, 0.07), legs)
                body += [
                    Patch(
                        tuple((u + s * 0.22, v, w) for u, v, w in p.points), p.material, p.outward
                    )
                    for p in leg
                ]
        body += prism([(-0.42, 0.76), (-0.1, 0.76), (0.12, 1.36), (-0.22, 1.40)], (0.2, 0.24), coat)
        for s in (-1.0, 1.0):
            arm = prism(
                [(-0.08, 1.3), (0.40, 0.98), (0.43, 1.07), (0.02, 1.38)], (0.06, 0.06), coat
            )
            body += [
                Patch(tuple((u + s * 0.3, v, w) for u, v, w in p.points), p.material, p.outward)
                for p in arm
            ]
        body += prism(disc(0.02, 1.55, 0.16, 0.17), (0.13, 0.13), helmet)
        body += on_sides(
            [(0.02, 1.52), (0.17, 1.52), (0.16, 1.62), (0.02, 1.62)], (0.135, 0.135), visor
        )
        body.append(
            Patch(tuple((u, v, 0.185) for u, v in rectangle(-0.1, 0.1, 1.5, 1.61)), visor,
                  (0.0, 0.0, 1.0))
        )  # fmt: skip
        parts.append(Part((0.0, 1.6, 0.0), tuple(body)))
    return tuple(parts)
