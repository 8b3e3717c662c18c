"""A recipe in words and numbers, for the weights' card and for refusing a foreign checkpoint."""

from __future__ import annotations

from functools import partial
from typing import Any

from bench.methods.contract import Part, Recipe, Update
from bench.training.updates import phase_ends


def _words(value: Any) -> str:
    """A callable by its name, never by its address in memory; anything else as it prints."""
    if isinstance(value, partial):
        named = [f"{key}={_words(item)}" for key, item in value.keywords.items()]
        inside = ", ".join([*(_words(item) for item in value.args), *named])
        return f"{_words(value.func).removeprefix('_')}({inside})"
    if callable(value):
        return str(getattr(value, "__qualname__", type(value).__qualname__)).split(".<locals>")[0]
    return repr(value)


def _part(part: Part, start: float, end: float) -> dict[str, Any]:
    return {
        "prefix": part.prefix,
        "rate": f"{_words(part.rate)}: {part.rate(start):.4g} to {part.rate(end):.4g}",
        "betas": list(part.betas),
        "weight_decay": part.weight_decay,
        "clip_norm": part.clip_norm,
    }


def _update(update: Update, start: float, end: float) -> dict[str, Any]:
    return {
        "loss": _words(update.loss),
        "repeat": update.repeat,
        "parts": [_part(part, start, end) for part in update.parts],
    }


def described(recipe: Recipe) -> dict[str, Any]:
    """JSON-ready: what optimises what, when and how fast. Crop and batch are not included, since
    a training may override them."""
    ends = phase_ends(recipe)
    phases = [
        {
            "from": round(start, 6),
            "to": round(end, 6),
            "evaluated": list(phase.evaluated),
            "updates": [_update(update, start, end) for update in phase.updates],
        }
        for phase, start, end in zip(recipe.phases, [0.0, *ends], ends, strict=False)
    ]
    return {
        "ema": recipe.ema,
        "wrap": None if recipe.wrap is None else _words(recipe.wrap),
        "phases": phases,
    }
