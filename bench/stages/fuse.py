"""The fuse stage: every pair of one method becomes one 8-bit PNG, `<id>.png`.

What is stored here is what is scored and what detectors see (rules of comparability, 1 to 3).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from bench.allocator import Bounded
from bench.data.images import UInt8, read_pair, write_png
from bench.data.pairs import Pair
from bench.errors import UserError
from bench.methods import registry, weights
from bench.methods.contract import Method
from bench.methods.protocol import Output, fuse
from bench.methods.speed import deviation, faster
from bench.methods.tiling import fuse_tiled
from bench.stages.passes import PassSize, grouped

Progress = Callable[[int, int], None]
MOST_WORKERS = 8


@dataclass(frozen=True)
class FuseTask:
    """What one fuse job needs to know. device is a torch device name; seed draws random weights.

    tile, overlap: for images that don't fit into memory, 0 fuses them whole; see `fuse_tiled`.
    bfloat16, compiled: see `faster`; the facts then tell the deviation on the first pair.
    batch: pairs in a pass, see `PassSize`.
    """

    pairs: tuple[Pair, ...]
    method: str
    weights: weights.ResolvedWeights
    output: Output
    device: str
    seed: int
    tile: int = 0
    overlap: int = 64
    bfloat16: bool = False
    compiled: bool = False
    batch: int = 0


@dataclass(frozen=True)
class _Decoded:
    pair: Pair
    visible: UInt8
    infrared: UInt8

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.infrared.shape
        return height, width


def _refusals(failed: dict[str, str], total: int) -> UserError:
    first = next(iter(failed.values()))
    more = f" (and {len(failed) - 1} more of {total} pairs)" if len(failed) > 1 else ""
    return UserError(f"{first}{more}")


def _too_large(one: _Decoded, device: torch.device) -> str:
    height, width = one.size
    return (
        f"{one.pair.id} ({width}×{height}) needs more memory than {device} has: fuse it in tiles "
        "with fuse.tile = 512, or on the CPU with --device cpu."
    )


def workers() -> int:
    """Threads that decode, and as many that encode: two on two cores, more beside a GPU."""
    return max(2, min(MOST_WORKERS, torch.get_num_threads() // 2))


def _decoded(
    pairs: list[Pair], reader: ThreadPoolExecutor, ahead: int, failed: dict[str, str]
) -> Iterator[_Decoded]:
    """The pairs in their order, decoded while others are fused; the unreadable go to `failed`."""
    reading: deque[tuple[Pair, Future[tuple[UInt8, UInt8]]]] = deque()
    waiting = iter(pairs)
    for _ in pairs:
        while len(reading) < ahead and (pair := next(waiting, None)) is not None:
            reading.append((pair, reader.submit(read_pair, pair)))
        pair, future = reading.popleft()
        try:
            yield _Decoded(pair, *future.result())
        except UserError as error:
            failed[pair.id] = str(error)


def _on_device(images: list[Tensor], device: torch.device) -> Tensor:
    # Bytes cross the bus, not floats; pinned memory lets the copy run beside the last pass.
    stacked = images[0] if len(images) == 1 else torch.cat(images)
    if device.type != "cuda":
        return stacked.to(device)
    return stacked.pin_memory().to(device, non_blocking=True)


def _tensors(group: list[_Decoded], device: torch.device) -> tuple[Tensor, Tensor]:
    """uint8 N×3×H×W and N×1×H×W."""
    # Planes instead of RGB triples: luma and recolouring take a third of the time.
    visible = [torch.from_numpy(np.stack(cv2.split(one.visible)))[None] for one in group]
    infrared = [torch.from_numpy(one.infrared)[None, None] for one in group]
    return _on_device(visible, device), _on_device(infrared, device)


class _Networks:
    """The network as wished, and the exact one beside it for the deviation where they differ."""

    def __init__(self, task: FuseTask, method: Method, device: torch.device) -> None:
        network = weights.build(method, task.weights, seed=task.seed)
        # Measured on CPUs: a third less time for the convolutions of every method here.
        self.exact: nn.Module = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.wished = self.exact
        if task.bfloat16 or task.compiled:
            self.wished = faster(self.exact, bfloat16=task.bfloat16, compiled=task.compiled)
        self.deviation = ""
        self._task, self._protocol = task, method.protocol

    def fuse(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """uint8 N×3×H×W or N×1×H×W, on the device of the images."""
        task = self._task
        if self.wished is not self.exact and not self.deviation:
            crops = visible[:1, :, :512, :512], infrared[:1, :, :512, :512]
            moved = deviation(self.exact, self.wished, self._protocol, [crops])
            self.deviation = moved.sentence()
        if not task.tile:
            return fuse(self.wished, self._protocol, visible, infrared, output=task.output)
        return fuse_tiled(
            self.wished, self._protocol, visible, infrared,
            tile=task.tile, overlap=task.overlap, output=task.output,
        )  # fmt: skip


def run(task: FuseTask, folder: Path, progress: Progress) -> dict[str, Any]:
    """Fuse what `folder` does not hold yet; returns the facts of the row.

    A pair that can't be read does not stop the others; in the end its UserError names it.
    """
    method = registry.method(task.method)
    there = {path.stem for path in folder.glob("*.png")}
    todo = [pair for pair in task.pairs if pair.id not in there]
    done = len(task.pairs) - len(todo)
    progress(done, len(task.pairs))
    device = torch.device(task.device)
    passes = PassSize(1 if task.tile else task.batch, device)
    ahead = 2 + 2 * passes.limit
    networks = _Networks(task, method, device) if todo else None
    memory = Bounded()
    failed: dict[str, str] = {}
    count = workers()
    with ThreadPoolExecutor(count) as reader, ThreadPoolExecutor(count) as writer:
        writing: deque[Future[None]] = deque()
        for group in grouped(_decoded(todo, reader, ahead, failed), passes):
            assert networks is not None
            try:
                fused = passes.run(networks.fuse, *_tensors(group, device)).cpu()
            except torch.OutOfMemoryError:
                failed |= {one.pair.id: _too_large(one, device) for one in group}
                continue
            for one, image in zip(group, fused.permute(0, 2, 3, 1).numpy(), strict=True):
                samples = image[:, :, 0] if image.shape[2] == 1 else image
                writing.append(writer.submit(write_png, folder / f"{one.pair.id}.png", samples))
            while len(writing) > ahead:
                writing.popleft().result()
            memory.after(len(group) * math.prod(group[0].size))
            done += len(group)
            progress(done, len(task.pairs))
        for pending in writing:
            pending.result()
    if failed:
        raise _refusals(failed, len(task.pairs))
    card = method.card
    changed = {"tile": task.tile, "overlap": task.overlap} if task.tile else {}
    changed |= {"batch": task.batch} if task.batch else {}
    moved = networks.deviation if networks else ""
    return {
        "title": card.title,
        "printed_name": card.title,
        "kind": card.kind,
        "colour": method.protocol.colour,
        "output": task.output,
        "images": len(task.pairs),
        "random_weights": task.weights.name == "random",
        "weights": task.weights.facts(),
        "device": task.device,
        **changed,
        **({"deviation": moved} if moved else {}),
    }
