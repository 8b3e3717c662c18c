"""What a training was asked for: a preset of the method, single settings over it, and its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from bench.errors import UserError, did_you_mean
from bench.methods.contract import Method, Preset

DEFAULT_SECONDS = 1800.0


@dataclass(frozen=True)
class Wish:
    """One training as people ask for it; what is None is left to the preset, then to the recipe.

    options: for `Method.tuned`. seconds, epochs, iterations: its end, the first reached.
    """

    preset: str = ""
    variant: str | None = None
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    epochs: float | None = None
    iterations: int | None = None
    crop: int | None = None
    batch: int | None = None
    criterion: str = "loss"
    mixed: bool | None = None
    half: bool = False


def preset_of(method: Method, name: str) -> Preset:
    """The named preset; "" is the recipe as it is."""
    if not name:
        return Preset("the recipe as it is")
    if name not in method.presets:
        known = ", ".join(method.presets) or "none"
        raise UserError(
            f"{method.name} has no preset '{name}'{did_you_mean(name, method.presets)}; "
            f"known: {known}."
        )
    return method.presets[name]


def tuned(method: Method, options: Mapping[str, Any]) -> Method:
    """The method with these settings; UserError where it offers none or doesn't know one."""
    if not options:
        return method
    if method.tuned is None:
        raise UserError(f"{method.name} has no options to choose: leave out {', '.join(options)}.")
    return method.tuned(options)


def arranged(method: Method, wish: Wish) -> tuple[Method, dict[str, Any]]:
    """The method to train and the keyword arguments of `train` that the wish decides.

    A training without any end ends after `DEFAULT_SECONDS`.
    """
    preset = preset_of(method, wish.preset)
    chosen = {
        key: getattr(preset, key) if getattr(wish, key) is None else getattr(wish, key)
        for key in ("seconds", "epochs", "crop", "batch", "mixed")
    }
    seconds = chosen.pop("seconds")
    if seconds is None and chosen["epochs"] is None:
        seconds = DEFAULT_SECONDS
    return tuned(method, {**preset.options, **wish.options}), {
        **chosen,
        "budget_seconds": seconds,
        "iterations": wish.iterations,
        "variant": wish.variant,
        "seed": wish.seed,
        "criterion": wish.criterion,
        "half": wish.half,
    }


def wish_from(table: Mapping[str, Any], base: Wish, where: str) -> Wish:
    """`base` with the keys of a table over it; options are added to those of `base`.

    where: the file and the table, for the UserError about a key or a value's type.
    """
    kinds: dict[str, tuple[type, ...]] = {
        "preset": (str,), "variant": (str,), "seed": (int,), "options": (dict,),
        "seconds": (int, float), "epochs": (int, float), "iterations": (int,), "crop": (int,),
        "batch": (int,), "criterion": (str,), "mixed": (bool,), "half": (bool,),
    }  # fmt: skip
    for key, value in table.items():
        if key not in kinds:
            raise UserError(
                f"{where} has an unknown key '{key}'{did_you_mean(key, kinds)}; "
                f"known: {', '.join(kinds)}."
            )
        if not isinstance(value, kinds[key]) or (bool not in kinds[key] and value is True):
            raise UserError(
                f"{where}: {key} must be of type {kinds[key][-1].__name__}, not {value!r}."
            )
    changed = {**table, "options": {**base.options, **table.get("options", {})}}
    return replace(base, **changed)


def as_table(wish: Wish) -> dict[str, Any]:
    """JSON-ready, without what is not said."""
    return {key: value for key, value in asdict(wish).items() if value not in (None, "", {})}
