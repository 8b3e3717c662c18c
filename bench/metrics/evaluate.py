"""Score fused images against their sources: 8-bit images in, one float64 value per column out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.metrics.conventions import LumaRule, find_convention
from bench.metrics.luma import luma
from bench.metrics.registry import find_metrics

Image: TypeAlias = "Tensor | npt.NDArray[np.uint8]"


class ImageShapeError(ValueError):
    """Images that can't be scored together, or an array that is not an image."""


def evaluate(
    fused: Image,
    visible: Image,
    infrared: Image,
    *,
    metrics: Sequence[str] | None = None,
    convention: str = "standard",
) -> dict[str, Tensor]:
    """The metrics' columns, each a float64 Tensor[N] on the CPU, in the order of the tables.

    fused, visible, infrared: uint8, each of them a tensor N×1×H×W or N×3×H×W (RGB), or an array
    H×W or H×W×3 (N = 1); colour becomes luma. N, H and W must be equal: nothing is resized.
    Undefined values are NaN. The images are scored one by one, on the device where they are, so
    that an image has the same value alone and in any batch.
    """
    chosen = find_metrics(metrics)
    record = find_convention(convention)
    batches = [_luma_batch(image, record.luma) for image in (fused, visible, infrared)]
    for name, batch in zip(("visible", "infrared"), batches[1:], strict=True):
        if batch.shape != batches[0].shape:
            raise ImageShapeError(
                f"fused image {_size(batches[0])} and {name} image {_size(batch)} differ in size."
            )
    count = batches[0].shape[0]
    values = {
        column: torch.full((count,), math.nan, dtype=torch.float64)
        for metric in chosen
        for column in metric.columns
    }
    for i in range(count):
        images = [batch[i : i + 1].to(torch.float64) for batch in batches]
        for metric in chosen:
            row = metric.function(images[0], images[1], images[2], record)
            for column in metric.columns:
                values[column][i] = row[column][0]
    return values


def _luma_batch(image: Image, rule: LumaRule) -> Tensor:
    """One argument of `evaluate` as uint8 N×1×H×W."""
    if isinstance(image, Tensor):
        batch = image
    else:
        # A copy, because torch refuses negative strides and warns about read-only memory.
        pixels = torch.from_numpy(np.array(image, order="C"))
        batch = pixels[None, None] if pixels.ndim == 2 else pixels[None].movedim(-1, 1)
    if batch.ndim != 4 or batch.shape[1] not in (1, 3) or 0 in batch.shape[2:]:
        raise ImageShapeError(
            f"expected a tensor N×1×H×W or N×3×H×W or an array H×W or H×W×3, "
            f"not a {type(image).__name__} of shape {tuple(image.shape)}."
        )
    if batch.dtype != torch.uint8:
        raise TypeError(f"metrics are defined on 8-bit images (uint8), not {batch.dtype}.")
    return luma(batch, rule)


def _size(batch: Tensor) -> str:
    count, _, height, width = batch.shape
    return f"{count}×{height}×{width}"
