"""People and lamps of the synthetic world: flat outlines in metres that face the camera."""

from __future__ import annotations

import numpy as np

from bench.data.synthetic.canvas import BLACK, Colour, Material
from bench.data.synthetic.look import (
    BRIGHT_CLOTHES,
    CLOTHES,
    DARK,
    SKIN,
    TROUSERS,
    Look,
    pick,
)
from bench.data.synthetic.shapes import (
    Part,
    Patch,
    disc,
    flat,
    rectangle,
    shaded,
)


def person(rng: np.random.Generator, look: Look) -> tuple[Part, ...]:
    """A standing or walking person, seen flat: legs, torso, arms, head."""
    coat = look.of(pick(rng, BRIGHT_CLOTHES if look.bright else CLOTHES), 13.0)
    legs = look.of(pick(rng, TROUSERS), 10.5)
    shoes = look.of(DARK, 4.0)
    skin = look.of(SKIN[int(rng.integers(3))], 22.0)
    hair = look.of((0.03, 0.022, 0.018), 15.0)
    size = 0.92 + 0.16 * float(rng.random())
    stride = (0.04 + 0.22 * float(rng.random())) * (1 if rng.random() < 0.5 else -1)
    swing = 0.35 * stride
    long_coat = float(rng.random()) < 0.35
    bag = float(rng.random()) < 0.3
    hood = not look.warm or float(rng.random()) < 0.1

    def limb(x0: float, y0: float, x1: float, y1: float, a: float, b: float, m: Material) -> Patch:
        return flat(
            [
                (size * x, size * y)
                for x, y in ((x0 - a, y0), (x1 - b, y1), (x1 + b, y1), (x0 + a, y0))
            ],
            m,
        )

    def blob(u: float, v: float, ru: float, rv: float, m: Material) -> Patch:
        return flat(disc(size * u, size * v, size * ru, size * rv), m)

    back, front = shaded(legs, 0.75), legs
    patches = [
        limb(-0.05, 0.92, -stride * 0.55, 0.48, 0.10, 0.08, back),
        limb(-stride * 0.55, 0.48, -stride - 0.02, 0.06, 0.08, 0.06, back),
        limb(-stride - 0.02, 0.08, -stride + 0.02, 0.0, 0.06, 0.11, shoes),
        limb(0.20, 1.40, 0.25 + swing, 0.82, 0.07, 0.055, shaded(coat, 0.7)),
        blob(0.25 + swing, 0.79, 0.055, 0.07, skin),
        limb(0.06, 0.92, stride * 0.5 + 0.02, 0.48, 0.11, 0.085, front),
        limb(stride * 0.5 + 0.02, 0.49, stride + 0.02, 0.06, 0.085, 0.065, front),
        limb(stride + 0.02, 0.08, stride + 0.06, 0.0, 0.065, 0.12, shoes),
    ]
    hem = 0.62 if long_coat else 0.86
    torso = ((-0.17, hem), (0.18, hem), (0.20, 1.1), (0.24, 1.38), (0.15, 1.47), (-0.14, 1.47),
             (-0.24, 1.38), (-0.19, 1.1))  # fmt: skip
    patches.append(flat([(size * x, size * y) for x, y in torso], coat))
    lit = ((-0.14, hem + 0.02), (0.02, hem + 0.02), (0.02, 1.44), (-0.13, 1.44), (-0.21, 1.37))
    patches.append(flat([(size * x, size * y) for x, y in lit], shaded(coat, 1.18)))
    if bag:
        patches.append(blob(0.13, 1.2, 0.11, 0.19, look.of((0.10, 0.08, 0.06), 5.0)))
    patches += [
        limb(-0.20, 1.41, -0.26 - swing, 0.84, 0.075, 0.055, shaded(coat, 0.85)),
        blob(-0.26 - swing, 0.8, 0.055, 0.07, skin),
        limb(0.0, 1.44, 0.0, 1.56, 0.06, 0.055, skin),
        blob(0.0, 1.62, 0.115, 0.145, coat if hood else skin),
    ]
    top = (
        (-0.115, 1.64),
        (0.115, 1.64),
        (0.10, 1.72),
        (0.05, 1.775),
        (-0.05, 1.775),
        (-0.10, 1.72),
    )
    patches.append(flat([(size * x, size * y) for x, y in top], coat if hood else hair))
    if hood:
        patches.append(blob(0.0, 1.6, 0.075, 0.09, skin))
    return (Part((0.0, 1.0, 0.0), tuple(patches)),)


def lamp(rng: np.random.Generator, look: Look) -> tuple[Part, ...]:
    """A traffic light or a street lantern. The head is the labelled object, its pole is not."""
    pole = Material((0.10, 0.11, 0.11), look.air + 0.8, BLACK, 0.3 * look.light)
    style = int(rng.integers(3))
    if style == 0:
        tall = 3.2 + 0.8 * float(rng.random())
        case, hood = look.of((0.025, 0.03, 0.028), 7.0), look.of((0.10, 0.11, 0.10), 6.0)
        on = int(rng.integers(2)) * 2
        colours: tuple[Colour, ...] = ((0.75, 0.04, 0.03), (0.6, 0.38, 0.03), (0.04, 0.6, 0.3))
        head = [flat(rectangle(-0.30, 0.30, tall - 0.05, tall + 1.40), hood),
                flat(rectangle(-0.25, 0.25, tall, tall + 1.35), case)]  # fmt: skip
        for k, colour in enumerate(colours):
            lit = k == on
            dull = (0.12 * colour[0], 0.12 * colour[1], 0.12 * colour[2])
            glow = (2.2 * colour[0], 2.2 * colour[1], 2.2 * colour[2])
            m = look.of(colour if lit else dull, 12.0 if lit else 7.0, glow if lit else BLACK)
            head.append(flat(disc(0.0, tall + 1.1 - 0.42 * k, 0.17, 0.17), m))
        stem = [flat(rectangle(-0.06, 0.06, 0.0, tall), pole)]
    elif style == 1:
        tall = 3.0 + 0.8 * float(rng.random())
        glow = (7.0, 5.4, 3.0) if look.lamps else BLACK
        globe = look.of((0.82, 0.80, 0.72), 16.0, glow)
        cap = look.of((0.04, 0.05, 0.05), 9.0)
        outline = ((-0.20, tall), (0.20, tall), (0.36, tall + 0.75), (-0.36, tall + 0.75))
        hat = ((-0.46, tall + 0.72), (0.46, tall + 0.72), (0.12, tall + 1.02), (-0.12, tall + 1.02))
        head = [
            flat(outline, globe),
            flat(hat, cap),
            flat(rectangle(-0.2, 0.2, tall - 0.1, tall), cap),
        ]
        head.append(flat(rectangle(-0.03, 0.03, tall, tall + 0.75), cap))
        stem = [flat(rectangle(-0.07, 0.07, 0.0, tall), pole)]
    else:
        tall = 4.4 + 1.0 * float(rng.random())
        s = 1.0 if rng.random() < 0.5 else -1.0
        glow = (9.0, 7.5, 4.6) if look.lamps else BLACK
        shell, lens = look.of((0.40, 0.42, 0.42), 11.0), look.of((0.85, 0.83, 0.75), 18.0, glow)
        points = ((0.7, 0.22), (0.8, 0.48), (1.3, 0.62), (1.85, 0.5), (2.0, 0.22))
        under = ((0.8, 0.0), (0.7, 0.24), (2.0, 0.24), (1.9, 0.0))
        arm = ((-0.06, 0.1), (0.0, 0.3), (0.8, 0.42), (0.8, 0.3))
        head = [flat([(s * u, tall + v) for u, v in points], shell),
                flat([(s * u, tall + v) for u, v in under],
                     lens)]  # fmt: skip
        stem = [flat(rectangle(-0.08, 0.08, 0.0, tall + 0.2), pole),
                flat([(s * u, tall + v) for u, v in arm],
                     pole)]  # fmt: skip
    return Part((0.0, tall, 0.1), tuple(stem), labelled=False), Part((0.0, tall, 0.0), tuple(head))
