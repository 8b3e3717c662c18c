"""A data set as the plan needs it: loaded from its place, cut to the limit, fingerprinted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.config import RunConfig
from bench.data import registry as data_registry
from bench.data.adapter import Adapter
from bench.data.fingerprint import Inventory, fingerprint
from bench.data.pairs import Pair, PairSet
from bench.data.split_files import read_choice


@dataclass(frozen=True)
class DataPart:
    """The pairs of one data set that one fuse job takes, with their fingerprint."""

    folder: str
    pairs: tuple[Pair, ...]
    fingerprint: str


@dataclass(frozen=True)
class OpenedData:
    """A data set, cut to the limit: its set, its parts (scored; rest of the split), image sizes."""

    pairs: PairSet
    parts: tuple[DataPart, ...]
    sizes: Mapping[str, tuple[int, int]]
    facts: Mapping[str, Any]


def data_root(config: RunConfig, adapter: Adapter) -> Path:
    """Where a data set lies by configuration."""
    options = config.data.options.get(adapter.name, {})
    if "root" in options:
        return config.path(str(options["root"]))
    return config.path(config.data.root) / adapter.folder


def load_data(config: RunConfig, name: str) -> PairSet:
    """The pairs of one data set at its configured place, its scored ones those that the option
    `scored` names."""
    adapter = data_registry.adapter(name)
    root = data_root(config, adapter)
    options = {**data_registry.options_of(name), **config.data.options.get(name, {})}
    options.pop("root")
    wanted = str(options.pop("scored", ""))
    pairs = adapter.load(root, options)
    if not wanted:
        return pairs
    chosen = read_choice(wanted, pairs.scored, root)
    note = f"Of them the {len(chosen)} that {Path(wanted).name} names are scored (option 'scored')."
    return replace(pairs, scored=chosen, footnotes=(*pairs.footnotes, note))


def _limited(pairs: PairSet, limit: int) -> PairSet:
    if not limit:
        return pairs
    split = pairs.split and replace(
        pairs.split,
        train=pairs.split.train[:limit],
        val=pairs.split.val[:limit],
        test=pairs.split.test[:limit],
        # Measured on the whole split.
        leakage="",
    )
    return replace(pairs, scored=pairs.scored[:limit], split=split)


def open_data(config: RunConfig, name: str) -> OpenedData:
    """Load a set, cut it to the limit, fingerprint its parts."""
    pairs = _limited(load_data(config, name), config.limit)
    by_id = pairs.by_id()
    in_split = (
        dict.fromkeys((*pairs.split.train, *pairs.split.val, *pairs.split.test))
        if pairs.split
        else {}
    )
    scored = tuple(by_id[id_] for id_ in pairs.scored)
    rest = tuple(by_id[id_] for id_ in in_split if id_ not in set(pairs.scored))
    inventory = Inventory.of(pairs)
    parts = tuple(
        DataPart(folder, members, fingerprint(members, inventory))
        for folder, members in (("fuse", scored), ("fuse-rest", rest))
        if members
    )
    sizes = {}
    for part in parts:
        for pair in part.pairs:
            record = inventory.entry(pair.visible, image=True)
            sizes[pair.id] = (int(record[3]), int(record[4]))
    inventory.save()
    facts = {
        "pairs": len(scored),
        "limit": config.limit or None,
        "dataset_footnotes": list(pairs.footnotes),
        "box_footnotes": list(pairs.box_footnotes),
        "fingerprints": {part.folder: part.fingerprint for part in parts},
    }
    return OpenedData(pairs, parts, sizes, facts)
