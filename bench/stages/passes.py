"""How many pairs of equal size go through the network in one pass, from the memory of the device.

A pass that does not fit is made in smaller ones, and the passes after it are no larger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

import torch
from torch import Tensor

MOST = 32
SHARE = 0.8
"""Of the free memory, for the estimate: what the allocator splits is lost to it."""


class Sized(Protocol):
    """What can be put into one pass with others of the same `size`."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""


Item = TypeVar("Item", bound=Sized)


class PassSize:
    """wanted: pairs in a pass. 0 means one on a CPU, where more only take memory; on a GPU one
    first, and then as many as the memory of that one lets expect, at most `MOST`.

    limit: the most pairs that the next pass may take.
    """

    def __init__(self, wanted: int, device: torch.device) -> None:
        self.limit = wanted or (MOST if device.type == "cuda" else 1)
        self._measures = not wanted and device.type == "cuda"
        self._device = device
        self._bytes_per_pixel = 0.0

    def pairs(self, size: tuple[int, int]) -> int:
        """How many pairs of this size to put into the next pass."""
        if not self._measures:
            return self.limit
        if not self._bytes_per_pixel:
            return 1
        free, _ = torch.cuda.mem_get_info(self._device)
        idle = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        fitting = SHARE * (free + idle) / (self._bytes_per_pixel * size[0] * size[1])
        return max(1, min(self.limit, int(fitting)))

    def run(self, fuse: Callable[[Tensor, Tensor], Tensor], *images: Tensor) -> Tensor:
        """`fuse` of (visible N×3×H×W, infrared N×1×H×W), in smaller passes where memory ends.

        Raises torch.OutOfMemoryError where not even one pair fits.
        """
        parts: list[Tensor] = []
        start, total = 0, len(images[0])
        while start < total:
            count = min(self.limit, total - start)
            try:
                parts.append(self._measured(fuse, *(x[start : start + count] for x in images)))
                start += count
                continue
            except torch.OutOfMemoryError:
                if count == 1:
                    raise
            # Not in the handler: the exception holds the tensors of the pass that failed.
            torch.cuda.empty_cache()
            self.limit = count // 2
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _measured(self, fuse: Callable[[Tensor, Tensor], Tensor], *images: Tensor) -> Tensor:
        if not self._measures or self._bytes_per_pixel:
            return fuse(*images)
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        fused = fuse(*images)
        used = torch.cuda.max_memory_allocated(self._device) - before
        self._bytes_per_pixel = max(1.0, used / images[0].shape[0] / images[0][0, 0].numel())
        return fused


def grouped(items: Iterable[Item], passes: PassSize) -> Iterator[list[Item]]:
    """Neighbours of equal size, as many at a time as `passes` says; the order stays."""
    group: list[Item] = []
    for item in items:
        if group and item.size != group[0].size:
            yield group
            group = []
        group.append(item)
        if len(group) >= passes.pairs(item.size):
            yield group
            group = []
    if group:
        yield group
