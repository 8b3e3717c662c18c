"""One object's box, and the one check that every label format goes through."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.errors import UserError, did_you_mean

TOLERANCE = 1.0
"""Pixels by which rounding may carry a box beyond its image; more is an error."""


@dataclass(frozen=True)
class Box:
    """One object: class name and continuous edges in pixels, 0 at the image's left and top edge."""

    cls: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float


@dataclass(frozen=True)
class RawBox:
    """One object as its file states it, before any check."""

    line: int
    cls: str
    edges: tuple[float, float, float, float]


def checked_box(where: str, raw: RawBox, size: tuple[int, int], classes: Sequence[str]) -> Box:
    """The box clipped to its image, or a `UserError` that names the place `where` it was found."""
    if raw.cls not in classes:
        hint = did_you_mean(raw.cls, classes)
        raise UserError(f"{where}: unknown class '{raw.cls}'{hint}; known: {', '.join(classes)}.")
    if not all(math.isfinite(edge) for edge in raw.edges):
        raise UserError(f"{where}: the box has a coordinate that is not a finite number.")
    width, height = size
    xmin, ymin, xmax, ymax = raw.edges
    if xmin >= xmax or ymin >= ymax:
        raise UserError(
            f"{where}: the box has no area (edges {xmin:g} {ymin:g} {xmax:g} {ymax:g})."
        )
    beyond = max(-xmin, -ymin, xmax - width, ymax - height)
    xmin, ymin, xmax, ymax = max(xmin, 0.0), max(ymin, 0.0), min(xmax, width), min(ymax, height)
    if beyond > TOLERANCE or xmin >= xmax or ymin >= ymax:
        raise UserError(
            f"{where}: the box leaves its {width}x{height} image by {beyond:.1f} pixels; "
            "do the labels belong to this image?"
        )
    return Box(raw.cls, float(xmin), float(ymin), float(xmax), float(ymax))
