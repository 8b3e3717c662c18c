"""Score fused images against their sources: 8-bit images in, one float64 value per column out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.metrics.choices import Convention
from bench.metrics.conventions import find_convention
from bench.metrics.luma import luma
from bench.metrics.registry import find_metrics

Image: TypeAlias = "Tensor | npt.NDArray[np.uint8]"
# (fused, visible, infrared), each 1×1×H×W uint8.
Triple: TypeAlias = tuple[Tensor, Tensor, Tensor]
# What a metric sees, plane by plane and as one wide image; see `_views`.
Views: TypeAlias = tuple[list[Triple], list[Triple]]


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
    H×W or H×W×3 (N = 1); colour becomes luma, but for a convention that reads channels. N, H and
    W must be equal: nothing is resized.
    metrics: names; by default those of EN, MI, AG, SD, VIF and SSIM that the convention defines.
    Undefined values are NaN. The images are scored one by one, on the device where they are, so
    that an image has the same value alone and in any batch.
    Raises UserError for unknown names and metrics that the convention does not define.
    """
    record = find_convention(convention)
    chosen = find_metrics(metrics, record)
    batches = [_batch(image) for image in (fused, visible, infrared)]
    for name, batch in zip(("visible", "infrared"), batches[1:], strict=True):
        if _size(batch) != _size(batches[0]):
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
        fused_i, visible_i, infrared_i = (batch[i : i + 1] for batch in batches)
        views = _views(fused_i, visible_i, infrared_i, record)
        converted = {torch.uint8: views}
        for metric in chosen:
            if metric.dtype not in converted:
                converted[metric.dtype] = _as_dtype(views, metric.dtype)
            planes, joined = converted[metric.dtype]
            seen = joined if metric.name in record.side_by_side else planes
            rows = [metric.function(*triple, record) for triple in seen]
            for column in metric.columns:
                values[column][i] = sum(row[column][0] for row in rows) / len(rows)
    return values


def _views(fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention) -> Views:
    """What a metric sees of three uint8 1×C×H×W images: (planes to average over, one wide image).

    Read as luma, both are the one luma plane. Read as channels, a grey source (also one of three
    equal channels) is paired with every channel of the fused image, and a grey fused image with
    every channel of a colour source; the wide image has the fused image's own channels.
    """
    if convention.reading != "channels":
        planes = [luma(x, convention.reading) for x in (fused, visible, infrared)]
        only: list[Triple] = [(planes[0], planes[1], planes[2])]
        return only, only
    images = (fused, _grey_as_one(visible), _grey_as_one(infrared))
    count = max(image.shape[1] for image in images)
    full = [image.expand(-1, count, -1, -1) for image in images]
    triples: list[Triple] = [
        (full[0][:, k : k + 1], full[1][:, k : k + 1], full[2][:, k : k + 1]) for k in range(count)
    ]
    own = triples[: fused.shape[1]]
    wide: Triple = (
        torch.cat([triple[0] for triple in own], -1),
        torch.cat([triple[1] for triple in own], -1),
        torch.cat([triple[2] for triple in own], -1),
    )
    return triples, [wide]


def _as_dtype(views: Views, dtype: torch.dtype) -> Views:
    planes, joined = (
        [(f.to(dtype), v.to(dtype), i.to(dtype)) for f, v, i in triples] for triples in views
    )
    return planes, (planes if views[1] is views[0] else joined)


def _grey_as_one(image: Tensor) -> Tensor:
    """uint8 1×C×H×W, three equal channels as one."""
    first = image[:, :1]
    return first if bool((image == first).all()) else image


def _batch(image: Image) -> Tensor:
    """One argument of `evaluate` as uint8 N×1×H×W or N×3×H×W."""
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
    return batch


def _size(batch: Tensor) -> str:
    count, _, height, width = batch.shape
    return f"{count}×{height}×{width}"
