"""A list of trainings in one go: each with its share of a total time, resumed where they were
interrupted, and one table of their scores on the held-out pairs."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.data.names import name_problem
from bench.errors import UserError
from bench.methods.contract import Method
from bench.training.board import board
from bench.training.curves import draw
from bench.training.dataset import TrainingGroup
from bench.training.trainer import train
from bench.training.tuning import Wish, arranged, as_table, wish_from
from bench.training.validation import SIX

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Report = Callable[[str], None]

NOTE = "experiment.json"
USABLE = 0.95
"""Part of the budget that the trainings get; the rest is for reading, last scores and pictures."""


@dataclass(frozen=True)
class Experiment:
    """One training of the list. share: of the total time, against the others' shares."""

    name: str
    wish: Wish
    share: float = 1.0


def read_experiments(path: Path, base: Wish) -> tuple[Experiment, ...]:
    """The `[[training]]` tables of a TOML file over its `[all]` table over `base`.

    Keys are those of `Wish`, `name` and `share`; `seeds = [0, 1]` makes one training of each seed.
    Raises UserError for anything else.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid TOML: {error}.") from None
    tables = content.get("training")
    if set(content) - {"all", "training"} or not isinstance(tables, list) or not tables:
        raise UserError(f"{path} must hold [[training]] tables and, if you like, one table [all].")
    shared = wish_from(_a_table(content.get("all", {}), f"{path}: all"), base, f"{path}: all")
    found: list[Experiment] = []
    for number, table in enumerate(tables, start=1):
        found += _experiments(table, shared, f"{path}: training {number}")
    names = [experiment.name for experiment in found]
    if len(set(names)) < len(names):
        raise UserError(f"{path} has a name twice: every training needs its own.")
    return tuple(found)


def _a_table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where} must be a table, not {value!r}.")
    return dict(value)


def _experiments(value: Any, shared: Wish, where: str) -> list[Experiment]:
    table = _a_table(value, where)
    name, share = table.pop("name", None), table.pop("share", 1.0)
    seeds = table.pop("seeds", None)
    if not isinstance(name, str) or name_problem(name):
        raise UserError(f"{where} needs a name that can be a folder's.")
    if not isinstance(share, (int, float)) or isinstance(share, bool) or share <= 0:
        raise UserError(f"{where}: share must be a number above 0, not {share!r}.")
    wish = wish_from(table, shared, where)
    if seeds is None:
        return [Experiment(name, wish, float(share))]
    if not isinstance(seeds, list) or not seeds or any(type(seed) is not int for seed in seeds):
        raise UserError(f"{where}: seeds must be a list of integers, not {seeds!r}.")
    return [
        Experiment(f"{name}-seed{seed}", replace(wish, seed=seed), float(share)) for seed in seeds
    ]


def run_experiments(
    method: Method,
    groups: Sequence[TrainingGroup],
    experiments: Sequence[Experiment],
    *,
    out: Path,
    budget_seconds: float,
    device: str,
    report: Report,
    **options: Any,
) -> Path:
    """Train all, and write `out`/experiments.csv and .md after each; returns the path of the .md.

    A training's time is its share of the budget, unless it names its own `seconds`. The times are
    noted when the list is first started, so that equal shares stay equal however often it is
    interrupted. Finished trainings are kept; none is started when the budget of this call is used
    up. options: for `train`.
    """
    out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    # Before the first training, so that a typing error in the last one costs nothing.
    arrangements = {one.name: arranged(method, one.wish) for one in experiments}
    total = sum(one.share for one in experiments)
    for one in experiments:
        fair = USABLE * budget_seconds * one.share / total
        own = arrangements[one.name][1]["budget_seconds"]
        _noted(out / one.name, one, fair if one.wish.seconds is None else own)
    todo = [one for one in experiments if _card(out, one) is None]
    table = _write_tables(out, experiments)
    for position, one in enumerate(todo):
        if time.monotonic() - started >= budget_seconds:
            names = ", ".join(other.name for other in todo[position:])
            report(f"The budget is used up; not done: {names}. Run the same command again.")
            break
        chosen, settings = arrangements[one.name]
        folder = out / one.name
        seconds = _noted(folder, one, 0.0)
        report(f"{one.name} ({position + 1} of {len(todo)}, at most {seconds:.0f} s)")
        with board(folder, report) as watch:
            given = {**options, **settings, "budget_seconds": seconds}
            train(
                chosen, groups, out=folder, device=device, cache=out / "cache", report=report,
                watch=watch, checkpoint_seconds=20.0, **given,
            )  # fmt: skip
        draw(folder)
        table = _write_tables(out, experiments)
    return table


def _noted(folder: Path, one: Experiment, seconds: float) -> float:
    """The time of a training, as it was decided when it was first started."""
    note = folder / NOTE
    record = {"wish": as_table(one.wish), "seconds": seconds}
    if note.is_file():
        before: dict[str, Any] = json.loads(note.read_text())
        if before["wish"] != record["wish"]:
            raise UserError(
                f"{folder} holds a training with other settings: rename the experiment, give "
                "another --out, or delete the folder."
            )
        return float(before["seconds"])
    folder.mkdir(parents=True, exist_ok=True)
    _replace(note, json.dumps(record, indent=1) + "\n")
    return seconds


def _card(out: Path, one: Experiment) -> dict[str, Any] | None:
    """The card of a finished training; it is the last file that a training writes."""
    cards = [path for path in (out / one.name).glob("*.json") if path.name != NOTE]
    if not cards:
        return None
    card: dict[str, Any] = json.loads(cards[0].read_text())
    return card


def _row(out: Path, one: Experiment) -> dict[str, Any]:
    changed = [f"{key}={value}" for key, value in one.wish.options.items()]
    parts = [one.wish.preset, one.wish.variant or "", *changed]
    row = {
        "training": one.name,
        "settings": " ".join(part for part in parts if part) or "as they are",
        "seed": one.wish.seed,
    }
    card = _card(out, one)
    if card is None:
        return row
    scores = card["validation"]
    return {
        **row,
        "iterations": card["iterations"],
        "best at": scores["iteration"],
        "minutes": card["seconds"] / 60,
        "pairs/s": card["iterations"] * card["batch"] / max(card["seconds"], 1e-9),
        **{name: scores.get(name) or math.nan for name in (*SIX, "six")},
    }


def _cell(value: Any) -> str:
    if value is None:
        return "not done"
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "/")


def _write_tables(out: Path, experiments: Sequence[Experiment]) -> Path:
    rows = [_row(out, one) for one in experiments]
    done = [card["validation"] for one in experiments if (card := _card(out, one)) is not None]
    columns = [
        *("training", "settings", "seed", "iterations", "best at", "minutes", "pairs/s"),
        *SIX,
        "six",
    ]
    if done and done[-1]["average"]:
        plain: dict[str, Any] = {
            "training": "average of both images",
            "settings": "no training",
            "six": 1.0,
        }
        rows.append({**dict.fromkeys(columns, ""), **plain, **done[-1]["average"]})
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    _replace(out / "experiments.csv", stream.getvalue())
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_cell(row.get(name)) for name in columns) + " |" for row in rows]
    if done:
        lines += [
            "",
            f"{done[-1]['pairs']} pairs: {done[-1]['where']}.",
            "six: geometric mean relative to the average's.",
        ]
    _replace(out / "experiments.md", "\n".join(lines) + "\n")
    return out / "experiments.md"


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
