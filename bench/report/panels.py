"""The qualitative panel of a run: which pairs and methods it shows, and where their images lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bench.data.pairs import PairSet
from bench.errors import UserError
from bench.report.derived import FIGURES, record_figures
from bench.report.figures import Panel, qualitative
from bench.report.footers import printed_name
from bench.report.frame import read_jobs, read_results

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


def draw(run: Path, pairs: PairSet, ids: Sequence[str] = ()) -> tuple[Path, ...]:
    """Draw `run`/figures/panel-<data set>.{pdf,png,csv}; returns the files.

    ids: the pairs to show; none means those where the methods differ most. Raises UserError for an
    id that was not fused.
    """
    jobs, frame = read_jobs(run), read_results(run)
    fused = {
        method: run / pairs.name / method / "fuse"
        for method in jobs.methods
        if jobs.get(pairs.name, method, "fuse").finished and method not in ("visible", "infrared")
    }
    if not fused:
        raise UserError(f"{run} has no fused images of {pairs.name}: run the fuse stage first.")
    shown = list(ids) or most_different_pairs(frame, pairs.name, ROWS) or list(pairs.scored[:ROWS])
    by_id = pairs.by_id()
    panels: list[Panel] = []
    for id_ in shown:
        if id_ not in by_id:
            raise UserError(f"{pairs.name} has no pair '{id_}'.")
        columns = {"Visible": by_id[id_].visible, "Infrared": by_id[id_].infrared}
        for method, folder in fused.items():
            if (folder / f"{id_}.png").is_file():
                columns[printed_name(jobs, pairs.name, method)] = folder / f"{id_}.png"
        panels.append((id_, columns))
    out = run / FIGURES / f"panel-{pairs.name}"
    out.parent.mkdir(parents=True, exist_ok=True)
    files = qualitative(panels, out)
    record_figures(out.parent, files)
    return files
