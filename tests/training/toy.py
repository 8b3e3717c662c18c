"""A network, a loss and pairs that are small enough to train in a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.data.images import write_png
from bench.data.pairs import Pair
from bench.methods.contract import (
    Card,
    Method,
    Part,
    Phase,
    Protocol,
    Recipe,
    TrainingBatch,
    Update,
    poly,
)

SIDE = 32


class Blend(nn.Module):
    """A small network with batch norm and dropout: state and random numbers both matter."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Conv2d(4, 1, 1),
        )

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return self.net(torch.cat([visible, infrared], dim=1))


def brighter(network: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
    target = torch.maximum(batch.visible, batch.infrared)
    return {"total": (network(batch.visible, batch.infrared) - target).square().mean()}


def method(*phases: Phase, **recipe: Any) -> Method:
    """Blend with the given phases, by default one that learns `brighter`."""
    phases = phases or (Phase((Update(brighter, (Part(rate=poly(1e-2)),)),)),)
    settings = {"crop": SIDE, "batch": 2, "ema": 0.9, **recipe}
    return Method(
        Card("blend", "Blend", None, "", "cnn", "", ""),
        Protocol("luma"),
        Blend,
        recipe=Recipe(phases, **settings),
        variants={"same": Blend},
    )


def write_pairs(
    folder: Path, count: int, size: tuple[int, int], masks: bool = False
) -> tuple[Pair, ...]:
    """count pairs of height × width with values that tell them apart."""
    random = np.random.default_rng(count)
    pairs = []
    for i in range(count):
        height, width = size
        visible = random.integers(1, 250, (height, width, 3), dtype=np.uint8)
        infrared = np.full((height, width), 40 + i, np.uint8)
        infrared[: height // 2] = 200
        paths = [folder / f"{kind}{i}.png" for kind in ("v", "r", "m")]
        folder.mkdir(parents=True, exist_ok=True)
        write_png(paths[0], visible)
        write_png(paths[1], infrared)
        mask = None
        if masks:
            write_png(paths[2], (infrared > 100).astype(np.uint8) * (1 + i % 6))
            mask = paths[2]
        pairs.append(Pair(f"p{i}", paths[0], paths[1], mask=mask))
    return tuple(pairs)
