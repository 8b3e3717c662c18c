"""Measured beside published: differences, agreement of ranks, and readings of the metrics.

Takes finished runs and the paper's numbers; computes no metric.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from bench.errors import UserError
from bench.report.footers import family, fusion_job
from bench.report.frame import Jobs, read_jobs, read_results
from bench.report.published_tables import measured_readings, published
from bench.report.table import Row, Table
from bench.report.tables import all_tables

LN2 = math.log(2)
# A mean of three methods or more can order them.
FEWEST = 3
CLOSE = 0.02
SHIPPED = "shipped with this suite"


@dataclass(frozen=True)
class Run:
    """A finished run, read once."""

    name: str
    frame: pd.DataFrame
    jobs: Jobs
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Measured:
    """runs: as given. chosen: number of the paper's table -> the first run that has it, its table.

    repeats: the others that have it with the same rows, for example of another training seed. A
    run that was scored by another convention than `standard` gives no table, only readings.
    """

    runs: tuple[Run, ...]
    chosen: Mapping[int, tuple[Run, Table]]
    repeats: Mapping[int, tuple[tuple[Run, Table], ...]] = field(default_factory=dict)

    def views(self) -> tuple[Measured, ...]:
        """This, and for every table with repeats the same with each of them in its place."""
        others = ((number, one) for number, more in self.repeats.items() for one in more)
        return (self, *(Measured(self.runs, {**self.chosen, n: one}) for n, one in others))

    def row(self, number: int, method: str) -> Row | None:
        """The method's row in our table of this number."""
        rows = self.chosen[number][1].rows if number in self.chosen else ()
        return next((row for row in rows if row.key == method), None)

    def track(self, number: int, method: str) -> str:
        """Whose weights the row has: "official", "suite", "none" or ""."""
        if number not in self.chosen:
            return ""
        run, table = self.chosen[number]
        facts = fusion_job(run.jobs, dataset_of(table), method).facts
        return str((facts.get("weights") or {}).get("track", ""))


def dataset_of(table: Table) -> str:
    """The data set behind a table's name such as "fusion-m3fd-fusion"."""
    return table.name.partition("-")[2]


def read(folders: Sequence[Path]) -> Measured:
    """The runs, and which of them stands beside which table. UserError if none has any."""
    runs = []
    for folder in folders:
        frame, jobs = read_results(folder), read_jobs(folder)
        runs.append(Run(folder.name, frame, jobs, all_tables(frame, jobs)))
    having: dict[int, list[tuple[Run, Table]]] = {}
    for run in runs:
        for table in run.tables:
            standard = table.number == 4 or _conventions(run, dataset_of(table)) == {"standard"}
            if table.number is not None and standard:
                having.setdefault(table.number, []).append((run, table))
    if not having:
        names = ", ".join(str(folder) for folder in folders)
        raise UserError(
            f"{names} has nothing that the paper has: run the score or detect stage on msrs, m3fd "
            "or tno under the convention standard first."
        )
    chosen = {number: found[0] for number, found in having.items()}
    repeats = {
        number: tuple(one for one in found[1:] if _rows(found[0][1]) <= _rows(one[1]))
        for number, found in having.items()
    }
    return Measured(tuple(runs), chosen, repeats)


def _rows(table: Table) -> set[str]:
    """The rows with numbers."""
    return {row.key for row in table.rows if any(cell.value is not None for cell in row.cells)}


def _conventions(run: Run, dataset: str) -> set[str]:
    jobs = (job for job in run.jobs.of_stage(dataset, "score") if job.finished)
    return {str(job.facts.get("convention")) for job in jobs}


def side_by_side(measured: Measured) -> pd.DataFrame:
    """Every printed number with ours: measured, low, high, n, status, difference, relative.

    difference: measured − published; relative: the same over published. status: "done", the words
    for a number that is not there, or "not ranked" for rows made under other conditions.
    """
    frame = published()
    frame = frame[frame["table"].isin(measured.chosen)].reset_index(drop=True)
    found = [_beside(measured, *key) for key in frame[["table", "method", "metric"]].to_numpy()]
    columns = ["measured", "low", "high", "n", "status", "weights"]
    frame[columns] = pd.DataFrame(found, columns=columns, index=frame.index)
    frame["difference"] = frame["measured"] - frame["published"]
    frame["relative"] = frame["difference"] / frame["published"]
    frame["run"] = [measured.chosen[number][0].name for number in frame["table"]]
    return frame


def _beside(measured: Measured, number: int, method: str, metric: str) -> tuple[object, ...]:
    row = measured.row(number, method)
    table = measured.chosen[number][1]
    index = [column.name for column in table.columns].index(metric) if _has(table, metric) else -1
    if row is None or index < 0:
        return (math.nan, math.nan, math.nan, 0, "not run", "")
    cell = row.cells[index]
    value, low, high = (math.nan if b is None else b for b in (cell.value, cell.low, cell.high))
    single = method in ("visible", "infrared")
    status = cell.status if cell.value is None or row.competes or single else "not ranked"
    return (value, low, high, cell.n, status, measured.track(number, method))


def _has(table: Table, metric: str) -> bool:
    return metric in {column.name for column in table.columns}


def rank_agreement(beside: pd.DataFrame) -> pd.DataFrame:
    """Kendall's τ-b between our order of the methods and the printed one, per table and metric.

    methods: with both numbers, single sources left out; tau and p are nan below `FEWEST`.
    """
    from scipy.stats import kendalltau

    rows = []
    usable = beside[(beside["status"] == "done") & ~beside["method"].isin(("visible", "infrared"))]
    for (number, metric), _ in beside.groupby(["table", "metric"], sort=False):
        part = usable[(usable["table"] == number) & (usable["metric"] == metric)]
        tau = p = math.nan
        if len(part) >= FEWEST:
            result = kendalltau(part["measured"], part["published"])
            tau, p = float(result.statistic), float(result.pvalue)
        rows.append((number, metric, len(part), tau, p))
    return pd.DataFrame(rows, columns=["table", "metric", "methods", "tau", "p"])


def readings(measured: Measured) -> pd.DataFrame:
    """What the printed numbers would be under different readings of a metric.

    Shipped measurements and those of the runs' rows with the authors' weights. relative: how far
    the printed number is from the reading; fits: within `CLOSE`.
    """
    shipped = measured_readings().assign(run=SHIPPED)
    found = [reading for run in measured.runs for reading in _live(run)]
    live = pd.DataFrame(found, columns=shipped.columns)
    # The same row of several runs is the same measurement.
    live = live.drop_duplicates(["dataset", "method", "metric", "reading"])
    frame = pd.concat([shipped, live], ignore_index=True) if len(live) else shipped
    paper = published()
    paper = paper[paper["table"] <= 3].drop(columns=["printed_name"])
    frame = frame.merge(paper, on=["dataset", "method", "metric"])
    frame["relative"] = frame["published"] / frame["value"] - 1
    frame["fits"] = frame["relative"].abs() <= CLOSE
    return frame


def _live(run: Run) -> Iterable[tuple[object, ...]]:
    """(dataset, method, metric, reading, value, n, images, run) of rows with authors' weights."""
    scored = run.frame[(run.frame["stage"] == "score") & (run.frame["name"] != "")]
    for (dataset, method), rows in scored.groupby(["dataset", "method"], sort=False):
        facts = fusion_job(run.jobs, str(dataset), str(method)).facts
        job = run.jobs.get(str(dataset), str(method), "score")
        official = (facts.get("weights") or {}).get("track") == "official"
        if not official or facts.get("output") != "clip" or job.facts.get("limit"):
            continue
        means = rows.groupby("name", sort=False)["value"].mean()
        images = f"authors' weights, convention {job.facts.get('convention')}"
        for metric, reading, value in _read_as(means, str(job.facts.get("convention"))):
            n = int((rows["name"] == metric).sum())
            yield family(str(dataset)), method, metric, reading, value, n, images, run.name


def _read_as(means: pd.Series[float], convention: str) -> Iterable[tuple[str, str, float]]:
    """Readings that follow from one convention's means without scoring again."""
    if convention != "standard":
        # Sum, mean, unit and constants are that evaluator's own.
        yield from ((m, convention, float(means[m])) for m in ("MI", "VIF", "SSIM") if m in means)
        return
    for metric, kind in (("EN", "bits"), ("AG", "central differences"), ("SD", "plain")):
        if metric in means:
            yield metric, kind, float(means[metric])
    for metric, kind in (("MI", "bits"), ("VIF", "VIFp"), ("SSIM", "Wang (L = 255)")):
        if metric not in means:
            continue
        total = float(means[metric])
        yield metric, f"{kind}, sum", total
        yield metric, f"{kind}, mean", total / 2
        for source, word in (("vi", "visible"), ("ir", "infrared")):
            if f"{metric}_{source}" in means:
                yield metric, f"{kind}, {word} only", float(means[f"{metric}_{source}"])
    if "MI" in means:
        yield "MI", "nats, sum", float(means["MI"]) * LN2


def paired(
    measured: Measured, number: int, methods: Sequence[str], metric: str
) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Values of one metric by method over the images (seeds) that all of them have, in one order.

    Only rows that are ranked together; a method without values is left out.
    """
    if number not in measured.chosen:
        return {}
    run, table = measured.chosen[number]
    ranked = {row.key for row in table.rows if row.competes}
    stage, unit, item = ("detect", "seed", "all") if number == 4 else ("score", "item", "")
    rows = run.frame[(run.frame["dataset"] == dataset_of(table)) & (run.frame["stage"] == stage)]
    name = metric.removeprefix("m") if number == 4 else metric
    rows = rows[rows["name"] == name]
    rows = rows[rows["item"] == item] if item else rows
    rows = rows[rows["method"].isin([m for m in methods if m in ranked])]
    wide = rows.pivot(index=unit, columns="method", values="value").dropna()
    return {str(method): wide[method].to_numpy(dtype=np.float64) for method in wide.columns}
