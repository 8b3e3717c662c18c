"""The fuse stage: every pair of one method becomes one 8-bit PNG, `<id>.png`.

What is stored here is what is scored and what detectors see (rules of comparability, 1 to 3).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.data.images import UInt8, read_pair, write_png
from bench.data.pairs import Pair
from bench.errors import UserError
from bench.methods import registry, weights
from bench.methods.contract import Protocol
from bench.methods.protocol import Output, fuse
from bench.methods.speed import deviation, faster
from bench.methods.tiling import fuse_tiled

Progress = Callable[[int, int], None]
AHEAD = 4


@dataclass(frozen=True)
class FuseTask:
    """What one fuse job needs to know. device is a torch device name; seed draws random weights.

    tile, overlap: for images that don't fit into memory, 0 fuses them whole; see `fuse_tiled`.
    bfloat16, compiled: see `faster`; the facts then tell the deviation on the first pair.
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


def _refusals(failed: dict[str, str], total: int) -> UserError:
    first = next(iter(failed.values()))
    more = f" (and {len(failed) - 1} more of {total} pairs)" if len(failed) > 1 else ""
    return UserError(f"{first}{more}")


def _fused(
    task: FuseTask, network: nn.Module, protocol: Protocol, visible: Tensor, infrared: Tensor
) -> Tensor:
    if not task.tile:
        return fuse(network, protocol, visible, infrared, output=task.output)
    return fuse_tiled(
        network, protocol, visible, infrared,
        tile=task.tile, overlap=task.overlap, output=task.output,
    )  # fmt: skip


def run(task: FuseTask, folder: Path, progress: Progress) -> dict[str, Any]:
    """Fuse what `folder` does not hold yet; returns the facts of the row.

    A pair that can't be read does not stop the others; in the end its UserError names it.
    """
    method = registry.method(task.method)
    done = {path.stem for path in folder.glob("*.png")}
    todo = [pair for pair in task.pairs if pair.id not in done]
    progress(len(task.pairs) - len(todo), len(task.pairs))
    device = torch.device(task.device)
    network = None
    moved = ""
    if todo:
        network = weights.build(method, task.weights, seed=task.seed)
        # Measured on CPUs: a third less time for the convolutions of every method here.
        network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    exact = network
    if network is not None and (task.bfloat16 or task.compiled):
        network = faster(network, bfloat16=task.bfloat16, compiled=task.compiled)
    failed: dict[str, str] = {}
    with ThreadPoolExecutor(2) as reader, ThreadPoolExecutor(2) as writer:
        reading: deque[tuple[Pair, Future[tuple[UInt8, UInt8]]]] = deque()
        writing: deque[Future[None]] = deque()
        waiting = iter(todo)
        for index in range(len(todo)):
            while len(reading) < AHEAD and (pair := next(waiting, None)) is not None:
                reading.append((pair, reader.submit(read_pair, pair)))
            pair, future = reading.popleft()
            try:
                visible, infrared = future.result()
            except UserError as error:
                failed[pair.id] = str(error)
                continue
            assert network is not None and exact is not None
            images = (
                torch.from_numpy(visible).permute(2, 0, 1)[None].to(device),
                torch.from_numpy(infrared)[None, None].to(device),
            )
            if network is not exact and not moved:
                crops = images[0][..., :512, :512], images[1][..., :512, :512]
                moved = deviation(exact, network, method.protocol, [crops]).sentence()
            fused = _fused(task, network, method.protocol, *images)
            image = fused[0].permute(1, 2, 0).cpu().numpy()
            samples = image[:, :, 0] if image.shape[2] == 1 else image
            writing.append(writer.submit(write_png, folder / f"{pair.id}.png", samples))
            while len(writing) > AHEAD:
                writing.popleft().result()
            progress(len(task.pairs) - len(todo) + index + 1, len(task.pairs))
        for pending in writing:
            pending.result()
    if failed:
        raise _refusals(failed, len(task.pairs))
    card = method.card
    changed = {"tile": task.tile, "overlap": task.overlap} if task.tile else {}
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
