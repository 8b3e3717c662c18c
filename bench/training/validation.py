"""Validation: the loss terms and the six metrics of the averaged weights on held-out pairs, and the
criterion that says which weights of a training are the best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.methods.contract import Phase, Protocol, TrainingBatch
from bench.methods.protocol import fuse
from bench.metrics import evaluate
from bench.training.checkpoint import TrainingState
from bench.training.dataset import Entry, Pixels
from bench.training.updates import validation_terms

SIX = ("EN", "MI", "AG", "SD", "VIF", "SSIM")
SCORED_SIDE = 256
"""Side of the centre that is scored, in pixels: a third of what whole street scenes would cost."""

CRITERIA = {
    "last": "the last weights",
    "loss": "the lowest mean loss",
    "six": "the highest geometric mean of the six metrics, each relative to the average's",
    **{name: f"the highest {name}" for name in SIX},
}
PLACE = (
    "held out is a fixed tenth of the pairs; loss on centre crops of the training's size, metrics "
    f"of the convention 'standard' on 8-bit images of the centre {SCORED_SIDE}×{SCORED_SIDE} "
    "pixels; averaged weights"
)


@dataclass(frozen=True)
class HeldOut:
    """What a training is validated on. batches: for the loss. pairs: uint8 1×3×H×W and 1×1×H×W on
    the training's device, for the metrics. average: the six of the plain average of each pair."""

    protocol: Protocol
    batches: tuple[TrainingBatch, ...]
    pairs: tuple[tuple[Tensor, Tensor], ...]
    average: Mapping[str, float]


class _Average(nn.Module):
    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return (visible + infrared.expand_as(visible)) / 2


def scored_pairs(
    pixels: Pixels, entries: Sequence[Entry], device: torch.device
) -> tuple[tuple[Tensor, Tensor], ...]:
    """The centres of the pairs, at most `SCORED_SIDE` a side, as `fuse` takes them."""
    pairs = []
    for entry in entries:
        rows, columns = (
            slice(max(0, side - SCORED_SIDE) // 2, max(0, side - SCORED_SIDE) // 2 + SCORED_SIDE)
            for side in (entry.height, entry.width)
        )
        visible = torch.from_numpy(pixels.visible(entry)[rows, columns].copy())
        infrared = torch.from_numpy(pixels.infrared(entry)[rows, columns].copy())
        pairs.append((visible.permute(2, 0, 1)[None].to(device), infrared[None, None].to(device)))
    return tuple(pairs)


def six_metrics(
    network: nn.Module, protocol: Protocol, pairs: Sequence[tuple[Tensor, Tensor]]
) -> dict[str, float]:
    """The mean of each metric over the pairs; undefined values are left out."""
    rows = []
    for visible, infrared in pairs:
        columns = evaluate(fuse(network, protocol, visible, infrared), visible, infrared)
        rows.append([float(columns[name][0]) for name in SIX])
    means = torch.tensor(rows, dtype=torch.float64).nanmean(dim=0)
    return dict(zip(SIX, means.tolist(), strict=True))


def held_out(
    protocol: Protocol, batches: Sequence[TrainingBatch], pairs: tuple[tuple[Tensor, Tensor], ...]
) -> HeldOut:
    """With the average's metrics, which those of a network are compared with."""
    average = six_metrics(_Average(), protocol, pairs) if pairs else {}
    return HeldOut(protocol, tuple(batches), pairs, average)


def _relative(scores: Mapping[str, float], average: Mapping[str, float]) -> float:
    """Geometric mean of the ratios: a per cent of one metric counts as much as of another."""
    ratios = [scores[name] / average[name] for name in SIX if average[name] > 0]
    ratios = [ratio for ratio in ratios if math.isfinite(ratio)]
    if not ratios or min(ratios) <= 0:
        return 0.0
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def validate(
    state: TrainingState, phase: Phase, held: HeldOut, weights: Mapping[str, Tensor]
) -> dict[str, float]:
    """Mean loss terms and metrics of these weights; the training network is in eval mode after,
    else untouched."""
    own = {key: value.clone() for key, value in state.fusion.state_dict().items()}
    state.fusion.load_state_dict(dict(weights))
    try:
        terms = validation_terms(state.network, phase, list(held.batches))
        scores = six_metrics(state.fusion, held.protocol, held.pairs)
    except FloatingPointError:
        raise UserError(
            "The training diverged: the network's output is NaN or infinite. Lower the learning "
            "rate or the clipping norm, and start in another folder."
        ) from None
    finally:
        state.fusion.load_state_dict(own)
    return {**terms, **scores, "six": _relative(scores, held.average)}


def goodness(criterion: str, scores: Mapping[str, float]) -> float:
    """Higher is better; an undefined value is the worst."""
    if criterion == "last":
        return 0.0
    value = -scores["total"] if criterion == "loss" else scores[criterion]
    return value if math.isfinite(value) else -math.inf
