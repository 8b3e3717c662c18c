"""One trainer for every fusion network: Adam, poly schedule, moving average, exact resume.

A method brings its `Recipe` (loss and settings) and protocol; nothing here knows a method.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import UserError, did_you_mean
from bench.methods.contract import Method, Protocol, Recipe, TrainingBatch
from bench.methods.protocol import network_input
from bench.training.checkpoint import MovingAverage, Progress, restore, save
from bench.training.dataset import (
    Crops,
    Pixels,
    Sampler,
    TrainingGroup,
    centre_crops,
    decode_once,
    split_entries,
)
from bench.training.export import export, hardware

CRITERION = "mean loss over the centre crops of a fixed tenth of the pairs, averaged weights"


@dataclass(frozen=True)
class Plan:
    """How long and how often. At least one of iterations and budget_seconds is given; with both,
    whichever ends first. The learning rate follows the one that is further along."""

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


@torch.no_grad()
def validate(
    network: nn.Module, average: MovingAverage, recipe: Recipe, batches: Sequence[TrainingBatch]
) -> dict[str, float]:
    """Mean loss terms of the averaged weights; the network's own state is untouched after."""
    own = {key: value.clone() for key, value in network.state_dict().items()}
    network.load_state_dict(average.state)
    network.eval()
    sums: dict[str, float] = {}
    items = sum(len(batch.visible) for batch in batches)
    for batch in batches:
        for name, value in recipe.loss(network, batch).items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(batch.visible) / items
    network.load_state_dict(own)
    network.train()
    return sums


def _keep_rows_until(path: Path, iteration: int) -> None:
    """Drop rows that a killed run wrote after its last checkpoint; they will be written again."""
    if not path.exists():
        return
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    kept = rows[:1] + [row for row in rows[1:] if row and int(row[0]) <= iteration]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(kept)


def _log(path: Path, row: Mapping[str, object]) -> None:
    fresh = not path.exists() or path.stat().st_size == 0
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(row)
        writer.writerow(f"{v:.6g}" if isinstance(v, float) else v for v in row.values())


def _step(
    network: nn.Module, optimiser: torch.optim.Optimizer, recipe: Recipe, batch: TrainingBatch
) -> dict[str, Tensor]:
    terms = recipe.loss(network, batch)
    optimiser.zero_grad(set_to_none=True)
    terms["total"].backward()  # type: ignore[no-untyped-call]  # torch ships this untyped
    if recipe.clip_norm is not None:
        nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
    optimiser.step()
    return terms


def _validation_batches(
    protocol: Protocol, pixels: Pixels, held_out: Sequence[Any], side: int, device: torch.device
) -> list[TrainingBatch]:
    return [
        to_batch(protocol, centre_crops(pixels, held_out[i : i + 8], side), device)
        for i in range(0, len(held_out), 8)
    ]


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
    plan = Plan(iterations, budget_seconds, checkpoint_seconds, log_every, validate_every)
    out.mkdir(parents=True, exist_ok=True)
    pixels = decode_once(groups, cache or out / "cache")
    entries, held_out = split_entries(pixels, groups)
    if not any(entries):
        raise UserError("there are no pairs to train on: check the data sets' paths.")
    kept = [(g, e) for g, e in zip(groups, entries, strict=True) if e]
    sampler = Sampler(
        pixels,
        tuple(e for _, e in kept),
        tuple(float(len(e) if g.share is None else g.share) for g, e in kept),
        seed,
        side,
        size,
        float(recipe.options.get("dim", 0.0)),
    )
    torch.manual_seed(seed)
    network = build().to(device).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
    average = MovingAverage(network, recipe.ema)
    data = [{"name": g.name, "pairs": len(g.pairs), "share": g.share} for g in groups]
    settings = {
        "method": method.name,
        "variant": variant,
        "seed": seed,
        "crop": side,
        "batch": size,
        "learning_rate": recipe.learning_rate,
        "options": {key: str(value) for key, value in sorted(recipe.options.items())},
        "data": data,
    }
    checkpoint = out / "checkpoint.pt"
    progress = Progress(0, 0.0)
    if checkpoint.exists():
        progress = restore(checkpoint, network, optimiser, average, settings, device)
    for name in ("log.csv", "validation.csv"):
        _keep_rows_until(out / name, progress.iteration)
    batches = _validation_batches(method.protocol, pixels, held_out, side, device)
    progress, validation = _loop(
        network, optimiser, average, recipe, plan, sampler, method.protocol, batches, progress,
        lambda state: save(checkpoint, network, optimiser, average, state, settings),
        out, report,
    )  # fmt: skip
    card = {
        **settings,
        "iterations": progress.iteration,
        "seconds": round(progress.seconds, 1),
        "hardware": hardware(device),
        "torch": torch.__version__,
        "validation": {"criterion": CRITERION, "pairs": len(held_out), **validation},
    }
    stem = method.name if variant is None else f"{method.name}-{variant}"
    return export(average.state, card, out / stem)


def _loop(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: MovingAverage,
    recipe: Recipe,
    plan: Plan,
    sampler: Sampler,
    protocol: Protocol,
    validation: Sequence[TrainingBatch],
    progress: Progress,
    write: Callable[[Progress], None],
    out: Path,
    report: Callable[[str], None],
) -> tuple[Progress, dict[str, float]]:
    """Iterate until the plan ends; a checkpoint is written on the way and at the end.

    Not on Ctrl-C: between two statements of a step there is no state to continue exactly from.
    """
    device = next(network.parameters()).device
    before, started = progress.seconds, time.monotonic()
    written = started
    scores: dict[str, float] = {}
    while (done := plan.share_done(progress)) < 1.0:
        rate = recipe.learning_rate * (1 - done) ** recipe.poly_power
        for group in optimiser.param_groups:
            group["lr"] = rate
        batch = to_batch(protocol, sampler(progress.iteration), device)
        terms = _step(network, optimiser, recipe, batch)
        average.update(network, progress.iteration + 1)
        now = time.monotonic()
        progress = Progress(progress.iteration + 1, before + now - started)
        if progress.iteration % plan.log_every == 0:
            values = {name: float(value.detach()) for name, value in terms.items()}
            row = {"iteration": progress.iteration, "seconds": round(progress.seconds, 1)}
            _log(out / "log.csv", {**row, "rate": rate, **values})
        if validation and progress.iteration % plan.validate_every == 0:
            scores = validate(network, average, recipe, validation)
            _log(out / "validation.csv", {"iteration": progress.iteration, **scores})
            report(_line(progress, scores))
        if now - written > plan.checkpoint_seconds:
            write(progress)
            written = now
    write(progress)
    if validation:
        scores = validate(network, average, recipe, validation)
        report(_line(progress, scores))
    return progress, scores


def _line(progress: Progress, scores: Mapping[str, float]) -> str:
    terms = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
    return f"iteration {progress.iteration}  {progress.seconds:.0f} s  {terms}"
