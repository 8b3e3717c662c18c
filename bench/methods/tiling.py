"""Fusing an image that doesn't fit into memory: overlapping tiles, blended where they overlap.

Each tile is fused by `bench.methods.protocol.fuse`. A convolution sees all it needs inside the
overlap; attention and statistics over the whole image see one tile, and differ by that.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.methods.contract import Protocol
from bench.methods.protocol import Output, fuse


def starts(length: int, tile: int, overlap: int, multiple: int) -> list[int]:
    """Where the tiles of one side begin: at multiples, so that strided convolutions keep their
    grid, with at least `overlap` in common; the last may be shorter than a tile."""
    step = (tile - overlap) // multiple * multiple
    count = max(1, -(-(length - overlap) // step))
    begins = [i * step for i in range(count)]
    return [begin for begin in begins if begin == 0 or begin + overlap < length]


def _ramp(begins: list[int], index: int, tile: int, length: int) -> Tensor:
    """Weights of one tile along one side: up over the overlap with the tile before it, and down
    over that with the next."""
    size = min(tile, length - begins[index])
    weights = torch.ones(size)
    position = torch.arange(size) + 0.5
    if index > 0:
        shared = begins[index - 1] + tile - begins[index]
        weights = torch.minimum(weights, position / shared)
    if index + 1 < len(begins):
        shared = begins[index] + tile - begins[index + 1]
        weights = torch.minimum(weights, (size - position) / shared)
    return weights.clamp(0, 1)


def _windows(
    height: int, width: int, tile: int, overlap: int, multiple: int
) -> Iterator[tuple[int, int, Tensor]]:
    """(top, left, weights h×w) of every tile."""
    rows = starts(height, tile, overlap, multiple)
    columns = starts(width, tile, overlap, multiple)
    for i, top in enumerate(rows):
        for j, left in enumerate(columns):
            down, across = _ramp(rows, i, tile, height), _ramp(columns, j, tile, width)
            yield top, left, down[:, None] * across


def fuse_tiled(
    network: nn.Module,
    protocol: Protocol,
    visible: Tensor,
    infrared: Tensor,
    *,
    tile: int,
    overlap: int = 64,
    output: Output = "clip",
) -> Tensor:
    """As `fuse`, in tiles of at most tile × tile pixels; an image that fits is fused whole.

    Raises UserError for tiles that are no multiple of the protocol's, or hardly more than twice
    the overlap, and for an authors' output that depends on the whole image.
    """
    height, width = visible.shape[-2:]
    multiple = protocol.multiple
    if tile % multiple or overlap < 0 or tile < 2 * overlap + multiple:
        raise UserError(
            f"tile = {tile} with an overlap of {overlap}: use a multiple of {multiple} that "
            f"is at least {multiple} more than twice the overlap."
        )
    if height <= tile and width <= tile:
        return fuse(network, protocol, visible, infrared, output=output)
    if output == "authors" and protocol.authors is not None and protocol.authors.stretch:
        raise UserError("The authors' stretch needs the whole image: leave out the tiles.")
    blended: Tensor | None = None
    total = torch.zeros(height, width)
    for top, left, weights in _windows(height, width, tile, overlap, multiple):
        rows, columns = slice(top, top + tile), slice(left, left + tile)
        part = fuse(
            network,
            protocol,
            visible[..., rows, columns],
            infrared[..., rows, columns],
            output=output,
        )
        if blended is None:
            # On the host: the result of a huge image is larger than what the device must hold.
            blended = torch.zeros(*part.shape[:2], height, width)
        blended[..., rows, columns] += part.cpu().float() * weights
        total[rows, columns] += weights
    assert blended is not None
    return (blended / total).round().clamp(0, 255).to(torch.uint8).to(visible.device)
