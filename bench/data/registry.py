"""The data sets by name, loaded on demand; a family name stands for several sets."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from bench.data.adapter import Adapter
from bench.errors import UserError, did_you_mean

_ADAPTERS = {
    "synthetic": "bench.data.synthetic.adapter:ADAPTER",
    "msrs": "bench.data.msrs:ADAPTER",
    "m3fd-fusion": "bench.data.m3fd:FUSION",
    "m3fd-detection": "bench.data.m3fd:DETECTION",
    "tno": "bench.data.tno:ADAPTER",
    "roadscene": "bench.data.roadscene:ADAPTER",
    "folder": "bench.data.folder:ADAPTER",
}
FAMILIES = {"m3fd": ("m3fd-fusion", "m3fd-detection")}


def names() -> list[str]:
    """All data sets, in the order of the documentation."""
    return list(_ADAPTERS)


def adapter(name: str) -> Adapter:
    """The adapter of one data set; UserError for an unknown name."""
    if name not in _ADAPTERS:
        known = [*_ADAPTERS, *FAMILIES]
        raise UserError(
            f"Unknown data set '{name}'{did_you_mean(name, known)}; known: {', '.join(known)}."
        )
    module, _, attribute = _ADAPTERS[name].partition(":")
    found: Adapter = getattr(importlib.import_module(module), attribute)
    return found


def expand(wanted: Sequence[str]) -> tuple[str, ...]:
    """Names with families replaced by their members, each once."""
    members = [member for name in wanted for member in FAMILIES.get(name, (name,))]
    return tuple(dict.fromkeys(members))


def options_of(name: str) -> dict[str, Any]:
    """The keys of `[data.NAME]` with their defaults: those of every set, then its own."""
    chosen = adapter(name)
    shared = {"root": "", "scored": ""} if "score" in chosen.stages else {"root": ""}
    return {**shared, **chosen.options}
