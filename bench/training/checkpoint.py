"""The state of a training on disk: written atomically, so that a kill leaves the old or the new."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from bench.errors import UserError
from bench.methods.torch_file import read_torch_file


class MovingAverage:
    """Exponential moving average of a network's floating-point state; the rest is copied.

    The decay grows from 0.1 to its final value, so that early weights don't linger.
    """

    def __init__(self, network: nn.Module, decay: float | None) -> None:
        self.decay = decay or 0.0
        self.state = {k: v.detach().clone() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, iteration: int) -> None:
        """Take in the network's state after this iteration (counted from 1)."""
        decay = min(self.decay, iteration / (9 + iteration))
        for key, value in network.state_dict().items():
            if value.is_floating_point():
                self.state[key].lerp_(value, 1 - decay)
            else:
                self.state[key].copy_(value)


@dataclass(frozen=True)
class TrainingState:
    """What a training changes. network: the wrapped one; fusion: its part that is exported, the
    same as `network` without a wrap; optimisers: by prefix; average: of `fusion`."""

    network: nn.Module
    fusion: nn.Module
    optimisers: Mapping[str, Adam]
    average: MovingAverage


@dataclass(frozen=True)
class Progress:
    """iteration: iterations done. seconds: time in the loop, over all parts of the training."""

    iteration: int
    seconds: float


@dataclass(frozen=True)
class Best:
    """The best weights so far by the training's criterion; a higher value is better."""

    iteration: int
    weights: Mapping[str, Tensor]
    value: float = -math.inf


def save(
    path: Path,
    state: TrainingState,
    progress: Progress,
    settings: Mapping[str, Any],
    best: Best | None,
) -> None:
    """Write everything that the next iteration and the choice of the best depend on."""
    content = {
        "settings": dict(settings),
        "network": state.network.state_dict(),
        "optimisers": {prefix: o.state_dict() for prefix, o in state.optimisers.items()},
        "average": state.average.state,
        "best": None if best is None else {**vars(best), "weights": dict(best.weights)},
        "iteration": progress.iteration,
        "seconds": progress.seconds,
        "random": torch.get_rng_state(),
        "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def restore(
    path: Path, state: TrainingState, settings: Mapping[str, Any], device: torch.device
) -> tuple[Progress, Best | None]:
    """Load a checkpoint in place; UserError if it belongs to a training with other settings."""
    content = read_torch_file(path)
    if not isinstance(content, dict) or not isinstance(content.get("settings"), dict):
        raise UserError(f"{path} is no checkpoint of a training: delete it to start anew.")
    changed = [k for k in settings if content["settings"].get(k) != settings[k]]
    if changed:
        raise UserError(
            f"{path} belongs to a training with another {', '.join(changed)}: "
            "give another output folder, or delete it to start anew."
        )
    state.network.load_state_dict(content["network"])
    for prefix, optimiser in state.optimisers.items():
        optimiser.load_state_dict(content["optimisers"][prefix])
    loaded: dict[str, Tensor] = content["average"]
    state.average.state = {key: value.to(device) for key, value in loaded.items()}
    torch.set_rng_state(content["random"])
    if torch.cuda.is_available() and content["random_cuda"]:
        torch.cuda.set_rng_state_all(content["random_cuda"])
    best = content["best"] and Best(**content["best"])
    return Progress(content["iteration"], content["seconds"]), best
