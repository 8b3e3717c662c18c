"""From the frame to a table's rows: order, cells, which rows compete, ranks and tie marks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from bench.report import footers
from bench.report.comparability import Conditions, outside
from bench.report.frame import BY_ANOTHER, COST, Job, Jobs
from bench.report.statistics import bootstrap_mean_interval, fewest_for_a_test, tie_group
from bench.report.table import Cell, Column, Row, Table, number_cell, ranked

# The order of the published tables; the paper's own method comes last.
PAPER_ORDER = (
    "densefuse", "fusiongan", "drf", "seafusion", "umf-cmgr", "cddfuse", "lrrnet", "mfifusion",
    "crossfuse", "dsifuse",
)  # fmt: skip
TITLES = {"msrs": "MSRS", "m3fd": "M3FD", "tno": "TNO", "roadscene": "RoadScene"}


def title_of(dataset: str) -> str:
    """The data set's name as printed."""
    return TITLES.get(footers.family(dataset), dataset)


def of_stage(frame: pd.DataFrame, dataset: str, stage: str) -> pd.DataFrame:
    """The rows of one stage on one data set."""
    return frame[(frame["dataset"] == dataset) & (frame["stage"] == stage)]


def ablation_of(method: str) -> str:
    """The method that a row such as "dsifuse-no-cfc" leaves a block out of, or ""."""
    base, dash, _ = method.partition("-no-")
    return base if dash else ""


def ordered(jobs: Jobs, dataset: str, asked: Sequence[str] | None = None) -> tuple[str, ...]:
    """Single sources, rows that the paper has not, the paper's in its order; or as asked.

    A variant ("densefuse-tf") stands with its method.
    """
    names = tuple(asked) if asked is not None else jobs.methods

    def place(name: str) -> tuple[bool, int]:
        source = footers.is_source(jobs, dataset, name)
        if asked is not None or source:
            return not source, 0
        rank = [k for k, own in enumerate(PAPER_ORDER, 1) if f"{name}-".startswith(f"{own}-")]
        return True, max(rank, default=0)

    return tuple(sorted(names, key=place))


def deciding(jobs: Jobs, dataset: str, method: str, stage: str) -> Job:
    """The stage's job, or the fusion or training before it where that is why there is no number."""
    job = jobs.get(dataset, method, stage)
    fused = footers.fusion_job(jobs, dataset, method)
    if job.finished:
        return job
    if fused.status not in ("not run", "done", "cached"):
        return fused
    trained_on = stage.removeprefix(BY_ANOTHER) if BY_ANOTHER in stage else method
    for training in jobs.trainings(dataset, trained_on):
        if job.reason.startswith(f"needs {dataset}/{trained_on}/{training.stage}:"):
            return training
    return job


def status_cell(job: Job) -> Cell:
    """The words for a number that is not there."""
    # A finished job without this value: the metric was not asked for.
    words = "not asked for" if job.finished else job.status
    return Cell(words, words)


def mean_cell(column: Column, long: pd.DataFrame | None, method: str, job: Job) -> Cell:
    """The mean over images (or seeds) with its interval, or the status."""
    values = () if long is None else long.loc[long["method"] == method, "value"].to_numpy(float)
    if not job.finished or not len(values):
        return status_cell(job)
    mean, low, high, n, left_out = bootstrap_mean_interval(values)
    bounds = (low, high) if n > 1 else (None, None)
    return number_cell(column, mean, low=bounds[0], high=bounds[1], n=n, left_out=left_out)


def row_of(jobs: Jobs, dataset: str, method: str, cells: tuple[Cell, ...]) -> Row:
    """The row; single sources and random weights do not compete."""
    facts = footers.fusion_job(jobs, dataset, method).facts
    competes = not footers.is_source(jobs, dataset, method) and not facts.get("random_weights")
    label = footers.printed_name(jobs, dataset, method)
    return Row(method, label, cells, footers.marks(jobs, dataset, method), competes)


def set_apart(
    rows: Sequence[Row], conditions: Mapping[str, Conditions], count: Callable[[Conditions], str]
) -> tuple[tuple[Row, ...], dict[str, str], Conditions]:
    """Rows made under other conditions last, marked, with their count and out of the ranking.

    Returns the rows, {label of such a row: how it differs}, and the ranked rows' conditions.
    """
    competing = [row.key for row in rows if row.competes]
    reference, apart = outside(conditions, competing)
    others = tuple(
        replace(
            row,
            competes=False,
            marks=row.marks + footers.APART,
            note=count(conditions[row.key]),
        )
        for row in rows
        if row.key in apart
    )
    kept = tuple(row for row in rows if row.key not in apart)
    differences = {row.label: apart[row.key] for row in others}
    return (*kept, *others), differences, conditions.get(reference or "", Conditions(0))


def compared(
    columns: Sequence[Column],
    rows: Sequence[Row],
    by_name: Mapping[str, pd.DataFrame],
    unit: str,
) -> tuple[tuple[Row, ...], int]:
    """Best and second marked, and what is not significantly different from the best; and how many
    images (seeds) a column had needed that has too few of them for any test, 0 without such a one.

    unit: "item" or "seed", over which the paired test runs.
    """
    needed = 0
    rows = ranked(columns, rows)
    cells = {row.key: list(row.cells) for row in rows}
    for index, column in enumerate(columns):
        racing = [r.key for r in rows if r.competes and r.cells[index].value is not None]
        if not column.direction or len(racing) < 2:
            continue
        long = by_name[column.name]
        paired = long.pivot(index=unit, columns="method", values="value")
        fewest = fewest_for_a_test(len(racing) - 1)
        if len(paired[racing].dropna()) < fewest:
            needed = max(needed, fewest)
            continue
        values = {method: paired[method].to_numpy(dtype=float) for method in racing}
        best, group = tie_group(values, column.direction == "higher")
        for method in group - {best}:
            cells[method][index] = replace(cells[method][index], tie=True)
    return tuple(replace(row, cells=tuple(cells[row.key])) for row in rows), needed


def tied(table: Table) -> bool:
    """Whether any cell carries the mark of a tie."""
    return any(cell.tie for row in table.rows for cell in row.cells)


def rules_of(jobs: Jobs, dataset: str, rows: Sequence[Row]) -> frozenset[int]:
    """A rule between single sources and methods, and one above the rows that stand apart."""
    apart = sum(footers.APART in row.marks for row in rows)
    sources = sum(footers.is_source(jobs, dataset, row.key) for row in rows[: len(rows) - apart])
    return frozenset(place for place in (sources, len(rows) - apart) if 0 < place < len(rows))


def widths(table: Table) -> dict[str, str]:
    """The largest half-width of an interval per printed column."""
    found = {}
    for index in table.printed():
        column = table.columns[index]
        halves = [
            (cell.high - cell.low) / 2
            for row in table.rows
            if (cell := row.cells[index]).low is not None and cell.high is not None
        ]
        if halves:
            found[column.label] = f"{max(halves):.{column.decimals}f}"
    return found


def empty(row: Row) -> bool:
    """Whether the row has no number at all."""
    return all(cell.value is None for cell in row.cells)


def reasons(jobs: Jobs, dataset: str, rows: Sequence[Row], stage: str) -> dict[str, str]:
    """Why rows have no numbers."""
    return {row.label: deciding(jobs, dataset, row.key, stage).reason for row in rows if empty(row)}


def source_anywhere(jobs: Jobs, method: str) -> bool:
    """Whether the row is a single source on any data set, or by its name."""
    return any(footers.is_source(jobs, dataset, method) for dataset in (COST, *jobs.datasets))
