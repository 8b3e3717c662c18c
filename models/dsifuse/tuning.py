"""DSIFuse with other settings of network, loss and recipe, and the presets of its training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from functools import partial
from typing import Any, TypeVar, get_args, get_type_hints

from bench.errors import UserError, did_you_mean
from bench.methods.contract import Method, Part, Phase, Preset, Recipe, Update, poly
from models.dsifuse.config import BLOCKS, DSIFuseConfig
from models.dsifuse.loss import LossOptions, dsifuse_loss
from models.dsifuse.network import DSIFuse

T = TypeVar("T", DSIFuseConfig, LossOptions)

TRAINING: Mapping[str, float] = {
    "rate": 1e-3, "power": 0.9, "clip_norm": 100.0, "ema": 0.998, "dim": 0.25,
}  # fmt: skip
"""dim: share of the training crops whose visible image is darkened."""

PRESETS = {
    "paper": Preset(
        "the paper's recipe, literally: for MSRS train, days on a GPU",
        epochs=1900,
        batch=16,
        mixed=True,
        options={
            **{"mu": 155.0, "zeta": 10.0, "eta": 7.0, "rate": 1e-3, "power": 0.9, "dim": 0.0},
            **{"decide": "delta", "tau": 0.0, "gradient": "magnitude", "ssim": 0.0, "classes": 9},
        },
    ),
    "fast": Preset(
        "the shipped loss on larger batches and crops, for half an hour of one GPU",
        seconds=1500,
        crop=192,
        batch=16,
        mixed=True,
        options={"rate": 2e-3, "ema": 0.999},
    ),
}


def recipe(loss: LossOptions, training: Mapping[str, float]) -> Recipe:
    """One phase of one update with Adam; the options name what differs from one to another."""
    rate = poly(training["rate"], training["power"])
    part = Part(rate=rate, clip_norm=training["clip_norm"])
    return Recipe(
        phases=(Phase((Update(dsifuse_loss(loss), (part,)),)),),
        crop=128,
        batch=6,
        ema=training["ema"],
        options={"dim": training["dim"], **asdict(loss)},
    )


def variants(config: DSIFuseConfig) -> dict[str, DSIFuseConfig]:
    """The configurations without one block each, as Table 5 has them."""
    return {f"no-{block}": config.without(block) for block in BLOCKS}


def tuned(
    base: Method, config: DSIFuseConfig, loss: LossOptions, options: Mapping[str, Any]
) -> Method:
    """`base` with settings by name: fields of `DSIFuseConfig`, `LossOptions` and `TRAINING`.

    Its known weights fit no other network. Raises UserError for an unknown name or value.
    """
    networks = {field.name for field in fields(DSIFuseConfig)} - {"ablate"}
    losses = {field.name for field in fields(LossOptions)}
    known = sorted(networks | losses | set(TRAINING))
    for name in options:
        if name not in known:
            raise UserError(
                f"dsifuse has no option '{name}'{did_you_mean(name, known)}; "
                f"known: {', '.join(known)}."
            )
    config = _changed(config, {k: v for k, v in options.items() if k in networks})
    loss = _changed(loss, {k: v for k, v in options.items() if k in losses})
    training = {**TRAINING, **{k: _number(k, options[k]) for k in TRAINING if k in options}}
    made = recipe(loss, training)
    # Network settings are named too, so that a checkpoint of another network is refused.
    own = {key: value for key, value in options.items() if key in networks}
    return replace(
        base,
        protocol=replace(base.protocol, colour=config.colour),
        build=partial(DSIFuse, config),
        weights=() if own else base.weights,
        recipe=replace(made, options={**made.options, **own}),
        variants={
            **({} if own else base.variants),
            **{name: partial(DSIFuse, one) for name, one in variants(config).items()},
        },
    )


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UserError(f"dsifuse's option {name} must be a number, not {value!r}.")
    return float(value)


def _changed(record: T, options: Mapping[str, Any]) -> T:
    """The record with these fields, each of the type and length that it has there."""
    hints = get_type_hints(type(record))
    values: dict[str, Any] = {}
    for name, value in options.items():
        default = getattr(record, name)
        if isinstance(default, tuple):
            fits = isinstance(value, (list, tuple)) and len(value) == len(default)
            fits = fits and all(type(item) is int for item in value)
            value = tuple(value) if fits else value
        elif isinstance(default, str):
            fits = value in get_args(hints[name])
        elif isinstance(default, float):
            fits = isinstance(value, (int, float)) and not isinstance(value, bool)
            value = float(value) if fits else value
        else:
            fits = type(value) is type(default)
        if not fits:
            like = " or ".join(get_args(hints[name])) if isinstance(default, str) else repr(default)
            raise UserError(f"dsifuse's option {name} must be like {like}, not {value!r}.")
        values[name] = value
    return replace(record, **values)
