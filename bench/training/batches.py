"""Batches on the device, decoded and cut by another thread while the network works."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from bench.methods.contract import Protocol, TrainingBatch
from bench.methods.protocol import network_input
from bench.training.dataset import Crops

AHEAD = 3


def to_batch(protocol: Protocol, crops: Crops, device: torch.device) -> TrainingBatch:
    """Crops after the method's protocol, on the device."""
    visible, infrared = network_input(
        protocol,
        torch.from_numpy(crops.visible).to(device),
        torch.from_numpy(crops.infrared).to(device),
    )
    if not crops.labelled.any():
        return TrainingBatch(visible, infrared)
    labels = torch.from_numpy(crops.mask).to(device).long()
    foreground = (labels > 0)[:, None].to(visible.dtype)
    labelled = torch.from_numpy(crops.labelled).to(device)
    return TrainingBatch(visible, infrared, labels, foreground, labelled)


def crops_from(sampler: Callable[[int], Crops], start: int) -> Generator[Crops, None, None]:
    """sampler(start), sampler(start + 1), ... without end, a few of them ahead of their use."""
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Future[Crops]] = deque()
        iteration = start
        try:
            while True:
                while len(waiting) < AHEAD:
                    waiting.append(pool.submit(sampler, iteration))
                    iteration += 1
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
