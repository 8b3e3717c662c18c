"""One rendered pair of the synthetic world: pictures of both cameras, map of classes, boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.data.synthetic import infrared, visible
from bench.data.synthetic.regimes import REGIMES
from bench.data.synthetic.scenery import paint_world
from bench.data.synthetic.world import CLASSES, World, build

VERSION = 2
PARTS = ("train", "val", "test")
LEAST_SEEN = 0.35
LEAST_PIXELS = 24

Box = tuple[str, float, float, float, float]


@dataclass(frozen=True)
class Scene:
    """A pair with its labels.

    visible: H×W×3 RGB; infrared: H×W; mask: H×W, 0 = background, k = class k of CLASSES (from 1);
    boxes: (class, xmin, ymin, xmax, ymax) in continuous 0-based pixel edges; regime: its light.
    """

    visible: NDArray[np.uint8]
    infrared: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    boxes: tuple[Box, ...]
    regime: str


def world_of(seed: int, split: str, index: int, width: int, height: int) -> World:
    """The world of one pair; regimes take turns along the index."""
    regime = REGIMES[index % len(REGIMES)]
    return build(_stream(seed, split, index, 0), regime, width, height)


def _stream(seed: int, split: str, index: int, use: int) -> np.random.Generator:
    """The random numbers of one pair for one use; nothing else enters."""
    key = [seed, PARTS.index(split), index, use]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def render(seed: int, split: str, index: int, width: int, height: int, *, skip: int = 0) -> Scene:
    """Pair number `index` of a split, the same on every machine.

    skip: leaves out object number skip (1-based, far to near), all else being equal.
    """
    world = world_of(seed, split, index, width, height)
    canvas = paint_world(world, _stream(seed, split, index, 1), skip)
    picture = visible.expose(canvas, world, _stream(seed, split, index, 2))
    heat = infrared.expose(canvas, world, _stream(seed, split, index, 3))
    mask = np.zeros(canvas.owner.shape, np.uint8)
    boxes: list[Box] = []
    for number, thing in enumerate(world.things, start=1):
        mine = canvas.owner == number
        count = int(mine.sum())
        if count < LEAST_PIXELS * (height / 288.0) ** 2:
            continue
        if count < LEAST_SEEN * int(canvas.drawn[number].sum()):
            continue
        mask[mine] = CLASSES.index(thing.kind) + 1
        rows, columns = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
        boxes.append(
            (
                thing.kind,
                float(columns[0]),
                float(rows[0]),
                float(columns[-1] + 1),
                float(rows[-1] + 1),
            )
        )
    return Scene(picture, heat, mask, tuple(boxes), world.regime.name)
