"""Figures 5-7 and 11: which pairs and methods a run's panels show, and where their images lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bench.errors import UserError
from bench.report.figures import Panel, qualitative
from bench.report.rows import ablation_of
from bench.report.source import Source

ROWS = 3


def most_different_pairs(frame: pd.DataFrame, dataset: str, count: int) -> list[str]:
    """Ids where the methods' scores lie furthest apart, in order of the data set.

    The measure is the coefficient of variation over methods, averaged over the metrics.
    """
    scores = frame[(frame["dataset"] == dataset) & (frame["stage"] == "score")]
    scores = scores[scores["name"].isin(("EN", "AG", "SD", "VIF"))]
    groups = scores.groupby(["item", "name"], sort=False)["value"]
    spread = (groups.std() / groups.mean().abs()).groupby(level="item", sort=False).mean()
    chosen = set(spread.nlargest(count).index)
    return [str(item) for item in spread.index if item in chosen]


def methods_panel(source: Source, dataset: str) -> tuple[Path, ...]:
    """`panel-<data set>`: sources and every method, ablations left out unless chosen."""
    methods = source.fused(dataset)
    if not source.methods:
        methods = tuple(name for name in methods if not ablation_of(name))
    return _draw(source, dataset, methods, f"panel-{dataset}")


def ablation_panel(source: Source, dataset: str) -> tuple[Path, ...]:
    """`ablation-panel-<data set>`: rows with a block left out and the whole method, or the chosen
    rows. UserError where there are none.
    """
    methods = source.fused(dataset)
    if not source.methods:
        without = tuple(name for name in methods if ablation_of(name))
        if not without:
            raise UserError(
                f"{source.run} has no ablation of {dataset}: train variants (bench train dsifuse "
                "--variant no-cfc), run them as rows, or name the rows to show with --methods."
            )
        whole = dict.fromkeys(ablation_of(name) for name in without)
        methods = (*without, *(name for name in whole if name in methods))
    return _draw(source, dataset, methods, f"ablation-panel-{dataset}")


def _draw(source: Source, dataset: str, methods: Sequence[str], name: str) -> tuple[Path, ...]:
    pairs = source.load(dataset)
    frame = source.frame[source.frame["method"].isin(methods)]
    shown = list(source.pairs) or most_different_pairs(frame, dataset, ROWS)
    shown = shown or _first_common(source, dataset, methods, pairs.scored)
    by_id = pairs.by_id()
    panels: list[Panel] = []
    for id_ in shown:
        if id_ not in by_id:
            raise UserError(f"{pairs.name} has no pair '{id_}'.")
        columns = {"Visible": by_id[id_].visible, "Infrared": by_id[id_].infrared}
        for method in methods:
            for folder in source.images(dataset, method):
                if (folder / f"{id_}.png").is_file():
                    columns[source.name(dataset, method)] = folder / f"{id_}.png"
        panels.append((id_, columns))
    return qualitative(panels, source.out(name), source.crops)


def _first_common(
    source: Source, dataset: str, methods: Sequence[str], ids: Sequence[str]
) -> list[str]:
    """Pairs that every method has fused; scores, which would choose, are not there."""
    folders = [source.images(dataset, method) for method in methods]
    complete = (
        id_ for id_ in ids if all(any((f / f"{id_}.png").is_file() for f in own) for own in folders)
    )
    return [id_ for _, id_ in zip(range(ROWS), complete, strict=False)]
