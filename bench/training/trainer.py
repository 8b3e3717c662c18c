"""One trainer for every fusion network: phases of updates, moving average, exact resume.

A method brings its `Recipe` (losses and settings) and protocol; nothing here knows a method.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.errors import UserError, did_you_mean
from bench.methods.contract import Method, Protocol, Recipe
from bench.training import log
from bench.training.batches import crops_from, to_batch
from bench.training.checkpoint import Best, MovingAverage, Progress, TrainingState, restore, save
from bench.training.dataset import (
    Entry,
    Pixels,
    Sampler,
    TrainingGroup,
    centre_crops,
    decode_once,
    split_entries,
)
from bench.training.description import described
from bench.training.export import export, halved, hardware
from bench.training.interrupt import deferred
from bench.training.updates import iterate, make_optimisers, phase_index, rates
from bench.training.validation import (
    CRITERIA,
    PLACE,
    HeldOut,
    goodness,
    held_out,
    scored_pairs,
    validate,
)

Watch = Callable[[str, Mapping[str, float], int], None]


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
    sampler: Sampler
    protocol: Protocol
    device: torch.device
    held: HeldOut
    criterion: str
    mixed: bool
    settings: Mapping[str, Any]
    out: Path
    report: Callable[[str], None]
    watch: Watch

    @property
    def checkpoint(self) -> Path:
        """The file that a resumed training starts from."""
        return self.out / "checkpoint.pt"


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


def _end(
    epochs: float | None, iterations: int | None, budget: float | None, pairs: int, batch: int
) -> int | None:
    """The number of iterations, where epochs or iterations were given; the smaller of both."""
    if epochs is None and iterations is None and budget is None:
        raise UserError("give the training an end: iterations, epochs or a budget in seconds.")
    of_epochs = None if epochs is None else max(1, math.ceil(epochs * pairs / batch))
    given = [count for count in (of_epochs, iterations) if count is not None]
    return min(given, default=None)


def train(
    method: Method,
    groups: Sequence[TrainingGroup],
    *,
    out: Path,
    seed: int = 0,
    iterations: int | None = None,
    epochs: float | None = None,
    budget_seconds: float | None = None,
    device: str | torch.device = "cpu",
    crop: int | None = None,
    batch: int | None = None,
    variant: str | None = None,
    criterion: str = "loss",
    mixed: bool = False,
    half: bool = False,
    cache: Path | None = None,
    checkpoint_seconds: float = 60.0,
    validate_every: int = 500,
    log_every: int = 20,
    report: Callable[[str], None] = lambda line: None,
    watch: Watch = lambda group, values, iteration: None,
) -> Path:
    """Train a method and export its best averaged weights; continues from `out` if interrupted.

    groups: where the pairs come from; pairs with and without mask may mix. epochs: passes over the
    training pairs. cache: folder for the decoded pixels (default: inside `out`). crop, batch:
    override the recipe's. criterion: of `CRITERIA`, among the validations of the last phase.
    mixed: bfloat16 on a GPU that has it. half: export 16-bit weights. report: gets a line of text
    at every validation; watch: every logged row as (group, values, iteration).
    Returns the path of the .safetensors file; its card lies beside it as .json, the loss terms as
    log.csv, loss terms and metrics on the held-out pairs as validation.csv.
    """
    recipe, build = _recipe(method), _builder(method, variant)
    side, size, device = crop or recipe.crop, batch or recipe.batch, torch.device(device)
    if criterion not in CRITERIA:
        raise UserError(
            f"criterion is '{criterion}'{did_you_mean(criterion, CRITERIA)}; "
            f"known: {', '.join(CRITERIA)}."
        )
    if side % method.protocol.multiple:
        raise UserError(f"crop = {side} must be a multiple of {method.protocol.multiple}.")
    _end(epochs, iterations, budget_seconds, 1, 1)
    out.mkdir(parents=True, exist_ok=True)
    pixels = decode_once(groups, cache or out / "cache")
    entries, kept = split_entries(pixels, groups)
    iterations = _end(epochs, iterations, budget_seconds, sum(map(len, entries)), size)
    dim = float(recipe.options.get("dim", 0.0))
    settings = {
        "method": method.name,
        "variant": variant,
        "seed": seed,
        "crop": side,
        "batch": size,
        "mixed": mixed,
        "criterion": criterion,
        "recipe": described(recipe),
        "options": {key: str(value) for key, value in sorted(recipe.options.items())},
        "data": [{"name": g.name, "pairs": len(g.pairs), "share": g.share} for g in groups],
    }
    validation = [
        to_batch(method.protocol, centre_crops(pixels, kept[i : i + 8], side), device)
        for i in range(0, len(kept), 8)
    ]
    run = Run(
        recipe=recipe,
        plan=Plan(iterations, budget_seconds, checkpoint_seconds, log_every, validate_every),
        sampler=_sampler(pixels, groups, entries, seed, side, size, dim),
        protocol=method.protocol,
        device=device,
        held=held_out(method.protocol, validation, scored_pairs(pixels, kept, device)),
        criterion=criterion,
        mixed=mixed,
        settings=settings,
        out=out,
        report=report,
        watch=watch,
    )
    torch.manual_seed(seed)
    state = _initial_state(recipe, build, device)
    progress, best = Progress(0, 0.0), None
    if run.checkpoint.exists():
        progress, best = restore(run.checkpoint, state, settings, device)
    for name in ("log.csv", "validation.csv"):
        log.keep_rows_until(out / name, progress.iteration)
    progress, best = _loop(run, state, progress, best)
    last, found = recipe.phases[-1], best or Best(progress.iteration, state.average.state)
    weights = halved(found.weights) if half else found.weights
    scores = validate(state, last, run.held, weights) if validation else {}
    card = {
        **settings,
        "precision": "fp16" if half else "fp32",
        "iterations": progress.iteration,
        "seconds": round(progress.seconds, 1),
        "hardware": hardware(device),
        "torch": torch.__version__,
        "validation": {
            "criterion": CRITERIA[criterion] if validation else CRITERIA["last"],
            "where": PLACE,
            "pairs": len(kept),
            "iteration": found.iteration,
            **_finite(scores),
            "average": _finite(run.held.average),
        },
    }
    stem = method.name if variant is None else f"{method.name}-{variant}"
    return export(weights, card, out / stem)


def _finite(scores: Mapping[str, float]) -> dict[str, float | None]:
    """JSON knows no NaN: what is undefined is null."""
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}


def _loop(
    run: Run, state: TrainingState, progress: Progress, best: Best | None
) -> tuple[Progress, Best | None]:
    """Iterate until the plan ends; a checkpoint is written on the way, at the end and on Ctrl-C.

    Returns the progress and the best weights, None without held-out pairs.
    """
    recipe, plan = run.recipe, run.plan
    before, started = progress.seconds, time.monotonic()
    written, window = started, (progress.iteration, started)
    with closing(crops_from(run.sampler, progress.iteration)) as source, deferred() as stopped:
        while (done := plan.share_done(progress)) < 1.0:
            index = phase_index(recipe, done)
            phase = recipe.phases[index]
            batch = to_batch(run.protocol, next(source), run.device)
            terms = iterate(state.network, phase, state.optimisers, done, batch, mixed=run.mixed)
            state.average.update(state.fusion, progress.iteration + 1)
            now = time.monotonic()
            progress = Progress(progress.iteration + 1, before + now - started)
            if progress.iteration % plan.log_every == 0:
                values = {name: float(value) for name, value in terms.items()}
                count, since = progress.iteration - window[0], time.monotonic() - window[1]
                row: dict[str, object] = {
                    "iteration": progress.iteration,
                    "seconds": round(progress.seconds, 1),
                    "pairs_per_second": round(count * run.sampler.batch / max(since, 1e-6), 2),
                    "phase": index + 1,
                    **rates(phase, done),
                    **values,
                }
                log.append(run.out / "log.csv", row)
                run.watch("train", values, progress.iteration)
                window = progress.iteration, time.monotonic()
            if run.held.pairs and progress.iteration % plan.validate_every == 0:
                best = _validated(run, state, progress, index, best)
                window = progress.iteration, time.monotonic()
            if now - written > plan.checkpoint_seconds or stopped():
                save(run.checkpoint, state, progress, run.settings, best)
                written = now
            if stopped():
                raise KeyboardInterrupt
    save(run.checkpoint, state, progress, run.settings, best)
    if run.held.pairs:
        log.keep_rows_until(run.out / "validation.csv", progress.iteration - 1)
        best = _validated(run, state, progress, len(recipe.phases) - 1, best)
    return progress, best


def _validated(
    run: Run, state: TrainingState, progress: Progress, index: int, best: Best | None
) -> Best | None:
    """Validate the average in this phase and log it; returns the better of `best` and it.

    Losses of different phases can't be compared: only the last phase competes.
    """
    scores = validate(state, run.recipe.phases[index], run.held, state.average.state)
    log.append(run.out / "validation.csv", {"iteration": progress.iteration, **scores})
    run.watch("validation", scores, progress.iteration)
    run.report(_line(progress, scores))
    if index + 1 < len(run.recipe.phases):
        return best
    value = goodness(run.criterion, scores)
    if best is not None and best.iteration != progress.iteration and value < best.value:
        return best
    weights = {key: tensor.clone() for key, tensor in state.average.state.items()}
    return Best(progress.iteration, weights, value)


def _line(progress: Progress, scores: Mapping[str, float]) -> str:
    terms = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
    return f"iteration {progress.iteration}  {progress.seconds:.0f} s  {terms}"
