"""What one iteration of a recipe does to the network: modes, gradients, one Adam per prefix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from bench.methods.contract import Part, Phase, Recipe, TrainingBatch, Update


def phase_ends(recipe: Recipe) -> list[float]:
    """Where each phase ends, as a share of the whole training; the last is 1."""
    sums = list(accumulate(phase.share for phase in recipe.phases))
    return [value / sums[-1] for value in sums]


def phase_index(recipe: Recipe, done: float) -> int:
    """The phase that the next iteration belongs to when this share of the training is done."""
    ends = phase_ends(recipe)
    return next((i for i, end in enumerate(ends) if done < end), len(ends) - 1)


def _parameters(network: nn.Module, prefix: str) -> list[nn.Parameter]:
    named = network.named_parameters()
    return [p for name, p in named if name.startswith(prefix) and p.requires_grad]


def make_optimisers(network: nn.Module, recipe: Recipe) -> dict[str, Adam]:
    """One Adam per prefix that the recipe names anywhere; frozen parameters stay out.

    Raises ValueError where a prefix names no parameter, or a parameter is in two parts of an
    update.
    """
    updates = [update for phase in recipe.phases for update in phase.updates]
    optimisers: dict[str, Adam] = {}
    for prefix in dict.fromkeys(part.prefix for update in updates for part in update.parts):
        parameters = _parameters(network, prefix)
        if not parameters:
            raise ValueError(f"no parameter of the training network begins with '{prefix}'")
        optimisers[prefix] = Adam(parameters)
    for update in updates:
        chosen = [id(p) for part in update.parts for p in _parameters(network, part.prefix)]
        if len(chosen) != len(set(chosen)):
            names = ", ".join(f"'{part.prefix}'" for part in update.parts)
            raise ValueError(f"the parts {names} of one update share parameters")
    return optimisers


def set_modes(network: nn.Module, phase: Phase) -> None:
    """Train mode, but eval mode for the modules that the phase names."""
    network.train()
    for name, module in network.named_modules():
        if any(f"{name}.".startswith(prefix) for prefix in phase.evaluated):
            module.eval()


@contextmanager
def _gradients_only_for(network: nn.Module, chosen: set[nn.Parameter]) -> Iterator[None]:
    others = [p for p in network.parameters() if p.requires_grad and p not in chosen]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)


def _configure(optimiser: Adam, part: Part, done: float) -> list[nn.Parameter]:
    """Set what the current part says of this optimiser; returns its parameters."""
    (group,) = optimiser.param_groups
    group.update(lr=part.rate(done), betas=part.betas, weight_decay=part.weight_decay)
    parameters: list[nn.Parameter] = group["params"]
    return parameters


def precision(device: torch.device, mixed: bool) -> AbstractContextManager[Any]:
    """What a loss is computed in: bfloat16 where that is safe and `mixed` is wished and the device
    is a GPU that has it, else single precision. bfloat16 has the range of single precision, so no
    gradient needs scaling."""
    if mixed and device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", torch.bfloat16)
    return nullcontext()


def _run_update(
    network: nn.Module,
    update: Update,
    optimisers: Mapping[str, Adam],
    done: float,
    batch: TrainingBatch,
    mixed: bool,
) -> dict[str, Tensor]:
    owned = [(part, _configure(optimisers[part.prefix], part, done)) for part in update.parts]
    terms: dict[str, Tensor] = {}
    with _gradients_only_for(network, {p for _, parameters in owned for p in parameters}):
        for _ in range(update.repeat):
            network.zero_grad(set_to_none=True)
            with precision(batch.visible.device, mixed):
                terms = update.loss(network, batch)
            terms["total"].backward()  # type: ignore[no-untyped-call]  # torch ships this untyped
            for part, parameters in owned:
                if part.clip_norm is not None:
                    nn.utils.clip_grad_norm_(parameters, part.clip_norm)
                optimisers[part.prefix].step()
    return terms


def iterate(
    network: nn.Module,
    phase: Phase,
    optimisers: Mapping[str, Adam],
    done: float,
    batch: TrainingBatch,
    *,
    mixed: bool = False,
) -> dict[str, Tensor]:
    """Run the phase's updates in order on one batch; `mixed` is explained at `precision`.

    Returns the last update's terms under their own names, those of the earlier ones before them
    as "update1.total" and so on.
    """
    set_modes(network, phase)
    named: dict[str, Tensor] = {}
    for number, update in enumerate(phase.updates, start=1):
        terms = _run_update(network, update, optimisers, done, batch, mixed)
        mark = "" if number == len(phase.updates) else f"update{number}."
        named.update({mark + name: value.detach() for name, value in terms.items()})
    return named


def rates(phase: Phase, done: float) -> dict[str, float]:
    """The learning rates of a phase for the log: "rate", or "rate.discriminator" for a prefix."""
    parts = [part for update in phase.updates for part in update.parts]
    return {f"rate.{part.prefix}".strip("."): part.rate(done) for part in parts}


def validation_terms(
    network: nn.Module, phase: Phase, batches: list[TrainingBatch]
) -> dict[str, float]:
    """Mean terms of the phase's last update, without gradients, in eval mode.

    Random numbers that a loss draws are the same at every call, and the training's own random
    state is left alone.
    """
    device = next(network.parameters()).device
    network.eval()
    sums: dict[str, float] = {}
    items = sum(len(batch.visible) for batch in batches)
    devices = [device] if device.type == "cuda" else []
    with torch.no_grad(), torch.random.fork_rng(devices=devices):
        torch.manual_seed(0)
        for batch in batches:
            for name, value in phase.updates[-1].loss(network, batch).items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(batch.visible) / items
    return sums
