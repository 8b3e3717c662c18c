"""One trainer for every fusion network: phases of updates, moving average, exact resume.

A method brings its `Recipe` (losses and settings) and protocol; nothing here knows a method.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.errors import UserError, did_you_mean
from bench.methods.contract import Method, Phase, Protocol, Recipe, TrainingBatch
from bench.methods.protocol import network_input
from bench.training import log
from bench.training.checkpoint import MovingAverage, Progress, TrainingState, restore, save
from bench.training.dataset import (
    Crops,
    Entry,
    Pixels,
    Sampler,
    TrainingGroup,
    centre_crops,
    decode_once,
    split_entries,
)
from bench.training.description import described
from bench.training.export import export, hardware
from bench.training.updates import (
    iterate,
    make_optimisers,
    phase_index,
    rates,
    validation_terms,
)

CRITERION = "mean loss over the centre crops of a fixed tenth of the pairs, averaged weights"


@dataclass(frozen=True)
class Plan:
    """How long and how often. At least one of iterations and budget_seconds is given; with both,
    whichever ends first. Phases and learning rates follow the one that is further along."""

    iterations: int | None
    budget_seconds: float | None
    checkpoint_seconds: float = 60.0
    log_every: int = 20
    validate_every: int = 500

    def share_done(self, progress: Progress) -> float:
        """0 at the start, 1 at the end."""
        shares = [0.0]
        if self.iterations is not None:
            shares.append(progress.iteration / max(1, self.iterations))
        if self.budget_seconds is not None:
            shares.append(progress.seconds / self.budget_seconds)
        return min(1.0, max(shares))


@dataclass(frozen=True)
class Run:
    """A training's fixed surroundings: where batches come from and where records go."""

    recipe: Recipe
    plan: Plan
    batch_of: Callable[[int], TrainingBatch]
    validation: list[TrainingBatch]
    settings: Mapping[str, Any]
    out: Path
    report: Callable[[str], None]

    @property
    def checkpoint(self) -> Path:
        """The file that a resumed training starts from."""
        return self.out / "checkpoint.pt"


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


def _builder(method: Method, variant: str | None) -> Callable[[], nn.Module]:
    if variant is None:
        return method.build
    if variant not in method.variants:
        known = ", ".join(method.variants) or "none"
        raise UserError(
            f"{method.name} has no variant '{variant}'{did_you_mean(variant, method.variants)}; "
            f"known: {known}."
        )
    return method.variants[variant]


def _recipe(method: Method) -> Recipe:
    if method.recipe is None:
        raise UserError(f"{method.name} can't be trained here: it has no recipe.")
    return method.recipe


def _initial_state(
    recipe: Recipe, build: Callable[[], nn.Module], device: torch.device
) -> TrainingState:
    network = build()
    if recipe.wrap is not None:
        network = recipe.wrap(network)
    network = network.to(device)
    fusion = network if recipe.wrap is None else network.get_submodule("fusion")
    average = MovingAverage(fusion, recipe.ema)
    return TrainingState(network, fusion, make_optimisers(network, recipe), average)


def _sampler(
    pixels: Pixels,
    groups: Sequence[TrainingGroup],
    entries: Sequence[tuple[Entry, ...]],
    seed: int,
    side: int,
    size: int,
    dim: float,
) -> Sampler:
    kept = [(g, e) for g, e in zip(groups, entries, strict=True) if e]
    if not kept:
        raise UserError("there are no pairs to train on: check the data sets' paths.")
    shares = tuple(float(len(e) if g.share is None else g.share) for g, e in kept)
    return Sampler(pixels, tuple(e for _, e in kept), shares, seed, side, size, dim)


def validate(state: TrainingState, phase: Phase, batches: list[TrainingBatch]) -> dict[str, float]:
    """Mean loss terms of the averaged weights; the state is untouched after, but in eval mode."""
    own = {key: value.clone() for key, value in state.fusion.state_dict().items()}
    state.fusion.load_state_dict(state.average.state)
    try:
        return validation_terms(state.network, phase, batches)
    finally:
        state.fusion.load_state_dict(own)


def train(
    method: Method,
    groups: Sequence[TrainingGroup],
    *,
    out: Path,
    seed: int = 0,
    iterations: int | None = None,
    budget_seconds: float | None = None,
    device: str | torch.device = "cpu",
    crop: int | None = None,
    batch: int | None = None,
    variant: str | None = None,
    cache: Path | None = None,
    checkpoint_seconds: float = 60.0,
    validate_every: int = 500,
    log_every: int = 20,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train a method and export its averaged weights; continues from `out` if it was interrupted.

    groups: where the pairs come from; pairs with and without mask may mix. cache: folder for the
    decoded pixels (default: inside `out`). crop, batch: override the recipe's. report: gets a
    line of text at every validation. Returns the path of the .safetensors file; its card lies
    beside it as .json, the loss terms as log.csv and validation.csv.
    """
    recipe, build = _recipe(method), _builder(method, variant)
    side, size, device = crop or recipe.crop, batch or recipe.batch, torch.device(device)
    if iterations is None and budget_seconds is None:
        raise UserError("give the training an end: iterations or a budget in seconds.")
    if side % method.protocol.multiple:
        raise UserError(f"crop = {side} must be a multiple of {method.protocol.multiple}.")
    out.mkdir(parents=True, exist_ok=True)
    pixels = decode_once(groups, cache or out / "cache")
    entries, held_out = split_entries(pixels, groups)
    dim = float(recipe.options.get("dim", 0.0))
    sampler = _sampler(pixels, groups, entries, seed, side, size, dim)
    settings = {
        "method": method.name,
        "variant": variant,
        "seed": seed,
        "crop": side,
        "batch": size,
        "recipe": described(recipe),
        "options": {key: str(value) for key, value in sorted(recipe.options.items())},
        "data": [{"name": g.name, "pairs": len(g.pairs), "share": g.share} for g in groups],
    }
    run = Run(
        recipe,
        Plan(iterations, budget_seconds, checkpoint_seconds, log_every, validate_every),
        lambda iteration: to_batch(method.protocol, sampler(iteration), device),
        [
            to_batch(method.protocol, centre_crops(pixels, held_out[i : i + 8], side), device)
            for i in range(0, len(held_out), 8)
        ],
        settings,
        out,
        report,
    )
    torch.manual_seed(seed)
    state = _initial_state(recipe, build, device)
    progress = Progress(0, 0.0)
    if run.checkpoint.exists():
        progress = restore(run.checkpoint, state, settings, device)
    for name in ("log.csv", "validation.csv"):
        log.keep_rows_until(out / name, progress.iteration)
    progress, scores = _loop(run, state, progress)
    card = {
        **settings,
        "iterations": progress.iteration,
        "seconds": round(progress.seconds, 1),
        "hardware": hardware(device),
        "torch": torch.__version__,
        "validation": {"criterion": CRITERION, "pairs": len(held_out), **scores},
    }
    stem = method.name if variant is None else f"{method.name}-{variant}"
    return export(state.average.state, card, out / stem)


def _loop(run: Run, state: TrainingState, progress: Progress) -> tuple[Progress, dict[str, float]]:
    """Iterate until the plan ends; a checkpoint is written on the way and at the end.

    Not on Ctrl-C: between two statements of an update there is no state to continue exactly from.
    Returns the progress and the validation terms at the end.
    """
    recipe, plan = run.recipe, run.plan
    before, started = progress.seconds, time.monotonic()
    written = started
    while (done := plan.share_done(progress)) < 1.0:
        index = phase_index(recipe, done)
        phase = recipe.phases[index]
        terms = iterate(
            state.network, phase, state.optimisers, done, run.batch_of(progress.iteration)
        )
        state.average.update(state.fusion, progress.iteration + 1)
        now = time.monotonic()
        progress = Progress(progress.iteration + 1, before + now - started)
        if progress.iteration % plan.log_every == 0:
            row: dict[str, object] = {
                "iteration": progress.iteration,
                "seconds": round(progress.seconds, 1),
                "phase": index + 1,
                **rates(phase, done),
                **{name: float(value) for name, value in terms.items()},
            }
            log.append(run.out / "log.csv", row)
        if run.validation and progress.iteration % plan.validate_every == 0:
            scores = validate(state, phase, run.validation)
            log.append(run.out / "validation.csv", {"iteration": progress.iteration, **scores})
            run.report(_line(progress, scores))
        if now - written > plan.checkpoint_seconds:
            save(run.checkpoint, state, progress, run.settings)
            written = now
    save(run.checkpoint, state, progress, run.settings)
    if not run.validation:
        return progress, {}
    scores = validate(state, recipe.phases[-1], run.validation)
    run.report(_line(progress, scores))
    return progress, scores


def _line(progress: Progress, scores: Mapping[str, float]) -> str:
    terms = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
    return f"iteration {progress.iteration}  {progress.seconds:.0f} s  {terms}"
