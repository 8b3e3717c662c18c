"""Tables 1-4 of the paper and the cost table, built from the results frame.

Numbers as in Sensors 2026, 26(9), 2577: 1-3 fusion metrics on MSRS, M3FD, TNO; 4 detection. The
same tables are made for every other data set of the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from bench.report import footers
from bench.report.frame import COST, Job, Jobs
from bench.report.statistics import bootstrap_mean_interval, tie_group
from bench.report.table import Cell, Column, Row, Table, number_cell, ranked

NOT_APPLICABLE = "not applicable"
FUSION_METRICS = ("EN", "MI", "AG", "SD", "VIF", "SSIM")
FUSION_NUMBERS = {"msrs": 1, "m3fd": 2, "m3fd-fusion": 2, "tno": 3}
DETECTION_NUMBERS = {"m3fd": 4, "m3fd-detection": 4}
TITLES = {"msrs": "MSRS", "m3fd": "M3FD", "tno": "TNO", "roadscene": "RoadScene"}
# Fewer paired seeds can't reach 5 % in a signed-rank test, whatever the difference.
SEEDS_FOR_A_TEST = 6


def all_tables(frame: pd.DataFrame, jobs: Jobs) -> tuple[Table, ...]:
    """Every table for which the run has at least one job."""
    scored = [d for d in jobs.datasets if _any_begun(jobs, d, "score")]
    detected = [d for d in jobs.datasets if _any_begun(jobs, d, "detect")]
    tables = [fusion_table(frame, jobs, dataset) for dataset in scored]
    tables += [detection_table(frame, jobs, dataset) for dataset in detected]
    if _any_begun(jobs, COST, "profile"):
        tables.append(cost_table(frame, jobs))
    return tuple(tables)


def _any_begun(jobs: Jobs, dataset: str, stage: str) -> bool:
    """Whether the stage is for this data set: TNO has no boxes, for example."""
    return any(job.status != NOT_APPLICABLE for job in jobs.of_stage(dataset, stage))


def fusion_table(
    frame: pd.DataFrame, jobs: Jobs, dataset: str, *, methods: Sequence[str] | None = None
) -> Table:
    """Means of the fusion metrics over the images. methods: these rows only, in this order."""
    values = _of_stage(frame, dataset, "score")
    found = tuple(dict.fromkeys(values["name"]))
    extra = tuple(name for name in found if name and name not in FUSION_METRICS)
    columns = (
        *(Column(name, name) for name in FUSION_METRICS),
        *(Column(name, name, direction="", printed=False) for name in extra),
    )
    order = _ordered(jobs, dataset, methods)
    by_name = {name: values[values["name"] == name] for name in found}
    cells: dict[str, tuple[Cell, ...]] = {}
    for method in order:
        job = _deciding(jobs, dataset, method, "score")
        cells[method] = tuple(_mean_cell(c, by_name.get(c.name), method, job) for c in columns)
    rows = ranked(columns, [_row(jobs, dataset, m, cells[m]) for m in order])
    rows = _with_ties(columns, rows, by_name, "item")
    images = max((cell.n + cell.left_out for row in rows for cell in row.cells), default=0)
    table = Table(
        name=f"fusion-{dataset}",
        title=f"Fusion quality on {_title(dataset)} ({images} images)",
        columns=columns,
        rows=rows,
        number=FUSION_NUMBERS.get(dataset),
        rules=_rules(jobs, dataset, rows),
    )
    tested = any(cell.tie for row in rows for cell in row.cells)
    notes = [
        *footers.of_rows(jobs, dataset, rows),
        *footers.of_convention(jobs, dataset),
        *footers.of_intervals(table.name, "images", _widths(table), tested),
        *footers.of_counts(table),
        *footers.of_images(jobs, dataset, rows),
        *footers.of_missing(_reasons(jobs, dataset, rows, "score")),
    ]
    return replace(table, footers=tuple(notes))


def detection_table(frame: pd.DataFrame, jobs: Jobs, dataset: str) -> Table:
    """AP50 per class and its mean, and AP50:95, in per cent; means over seeds."""
    values = _of_stage(frame, dataset, "detect")
    classes = [item for item in dict.fromkeys(values["item"]) if item not in ("", "all")]
    columns = (
        *(Column(f"AP50_{c}", c, decimals=1, group="AP50 per class") for c in classes),
        Column("mAP50", "mAP50", decimals=1),
        Column("mAP50:95", "mAP50:95", decimals=1),
    )
    keys = [*((c, "AP50") for c in classes), ("all", "AP50"), ("all", "AP50:95")]
    by_name = {
        column.name: values[(values["item"] == item) & (values["name"] == name)]
        for column, (item, name) in zip(columns, keys, strict=True)
    }
    order = _ordered(jobs, dataset, None)
    cells: dict[str, tuple[Cell, ...]] = {}
    for method in order:
        job = _deciding(jobs, dataset, method, "detect")
        cells[method] = tuple(_mean_cell(c, by_name[c.name], method, job) for c in columns)
    rows = ranked(columns, [_row(jobs, dataset, m, cells[m]) for m in order])
    seeds = sorted({int(seed) for seed in values["seed"].dropna()})
    if len(seeds) >= SEEDS_FOR_A_TEST:
        rows = _with_ties(columns, rows, by_name, "seed")
    table = Table(
        name=f"detection-{dataset}",
        title=f"Detection on {_title(dataset)}, average precision in %",
        columns=columns,
        rows=rows,
        number=DETECTION_NUMBERS.get(dataset),
        rules=_rules(jobs, dataset, rows),
    )
    finished = [job for job in jobs.of_stage(dataset, "detect") if job.finished]
    few = f"Differences between rows are tested with {SEEDS_FOR_A_TEST} seeds or more."
    notes = [
        *footers.of_rows(jobs, dataset, rows),
        *footers.of_detection(finished, seeds),
        *footers.of_intervals(table.name, "seeds", _widths(table), False),
        *([few] if 0 < len(seeds) < SEEDS_FOR_A_TEST else []),
        *footers.of_counts(table),
        *footers.of_images(jobs, dataset, rows),
        *footers.of_missing(_reasons(jobs, dataset, rows, "detect")),
    ]
    return replace(table, footers=tuple(notes))


def cost_table(frame: pd.DataFrame, jobs: Jobs) -> Table:
    """Parameters, MACs, time and memory of one pair. The interval of a time is its quartiles."""
    values = _of_stage(frame, COST, "profile")
    sizes = [item for item in dict.fromkeys(values["item"]) if item]
    columns = [Column("params", "Params (M)", "lower", 3, scale=1e6)]
    for size in sizes:
        group = size.replace("x", "×")
        columns += [
            Column(f"macs@{size}", "GMACs", "lower", 2, group, scale=1e9),
            Column(f"ms_median@{size}", "ms", "lower", 1, group),
            Column(f"peak_bytes@{size}", "MiB", "lower", 0, group, scale=2**20),
        ]
    keys = zip(values["method"], values["name"], values["item"], strict=True)
    known = {key: float(v) for key, v in zip(keys, values["value"], strict=True) if key[1]}
    rows = []
    for method in (m for m in jobs.methods if not _source_anywhere(jobs, m)):
        job = jobs.get(COST, method, "profile")
        cells = tuple(_cost_cell(c, known, method, sizes, job) for c in columns)
        learned = bool(cells[0].value)
        label = footers.printed_name(jobs, COST, method)
        rows.append(Row(method, label, cells, competes=learned))
    facts = [job.facts for job in jobs.of_stage(COST, "profile") if job.finished]
    machines = dict.fromkeys(f"{f.get('device')} (threads: {f.get('threads')})" for f in facts)
    memory = dict.fromkeys(str(f["memory"]) for f in facts if f.get("memory"))
    reasons = {r.label: jobs.get(COST, r.key, "profile").reason for r in rows if _empty(r)}
    return Table(
        name="cost",
        title="Cost of fusing one pair",
        columns=tuple(columns),
        rows=ranked(columns, rows),
        footers=(
            "MACs (1 MAC = 2 FLOPs) of convolutions, linear layers and both attention products; "
            "norms, activations and element-wise work are left out.",
            f"Time: median of repeated passes, batch of one, on {'; '.join(machines)}.",
            *(f"Memory: {text}." for text in memory),
            "Methods without parameters are not ranked.",
            *footers.of_missing(reasons),
        ),
    )


def _cost_cell(
    column: Column,
    known: Mapping[tuple[str, str, str], float],
    method: str,
    sizes: Sequence[str],
    job: Job,
) -> Cell:
    name, _, size = column.name.partition("@")
    value = known.get((method, name, size or (sizes[0] if sizes else "")))
    if value is None:
        return _status_cell(job)
    low, high = (known.get((method, f"ms_{q}", size)) for q in ("q25", "q75"))
    timed = name == "ms_median"
    return number_cell(column, value, low=low if timed else None, high=high if timed else None)


def _source_anywhere(jobs: Jobs, method: str) -> bool:
    return any(footers.is_source(jobs, dataset, method) for dataset in (COST, *jobs.datasets))


def _title(dataset: str) -> str:
    return TITLES.get(footers.family(dataset), dataset)


def _of_stage(frame: pd.DataFrame, dataset: str, stage: str) -> pd.DataFrame:
    return frame[(frame["dataset"] == dataset) & (frame["stage"] == stage)]


def _ordered(jobs: Jobs, dataset: str, methods: Sequence[str] | None) -> tuple[str, ...]:
    """The methods with the single sources first, otherwise as asked."""
    asked = tuple(methods) if methods is not None else jobs.methods
    return tuple(sorted(asked, key=lambda name: not footers.is_source(jobs, dataset, name)))


def _deciding(jobs: Jobs, dataset: str, method: str, stage: str) -> Job:
    """The stage's job, or the fusion before it where that is why there is no number."""
    job = jobs.get(dataset, method, stage)
    fused = footers.fusion_job(jobs, dataset, method)
    blocked = not job.finished and fused.status not in ("not run", "done", "cached")
    return fused if blocked else job


def _status_cell(job: Job) -> Cell:
    # A finished job without this value: the metric was not asked for.
    words = "not asked for" if job.finished else job.status
    return Cell(words, words)


def _mean_cell(column: Column, long: pd.DataFrame | None, method: str, job: Job) -> Cell:
    values = () if long is None else long.loc[long["method"] == method, "value"].to_numpy(float)
    if not job.finished or not len(values):
        return _status_cell(job)
    mean, low, high, n, left_out = bootstrap_mean_interval(values)
    bounds = (low, high) if n > 1 else (None, None)
    return number_cell(column, mean, low=bounds[0], high=bounds[1], n=n, left_out=left_out)


def _row(jobs: Jobs, dataset: str, method: str, cells: tuple[Cell, ...]) -> Row:
    facts = footers.fusion_job(jobs, dataset, method).facts
    competes = not footers.is_source(jobs, dataset, method) and not facts.get("random_weights")
    label = footers.printed_name(jobs, dataset, method)
    return Row(method, label, cells, footers.marks(jobs, dataset, method), competes)


def _with_ties(
    columns: Sequence[Column],
    rows: Sequence[Row],
    by_name: Mapping[str, pd.DataFrame],
    unit: str,
) -> tuple[Row, ...]:
    """Mark what is not significantly different from the best, over the images (seeds) all have."""
    cells = {row.key: list(row.cells) for row in rows}
    for index, column in enumerate(columns):
        racing = [r.key for r in rows if r.competes and r.cells[index].value is not None]
        if not column.direction or len(racing) < 2:
            continue
        long = by_name[column.name]
        paired = long.pivot(index=unit, columns="method", values="value")
        values = {method: paired[method].to_numpy(dtype=float) for method in racing}
        best, group = tie_group(values, column.direction == "higher")
        for method in group - {best}:
            cells[method][index] = replace(cells[method][index], tie=True)
    return tuple(replace(row, cells=tuple(cells[row.key])) for row in rows)


def _rules(jobs: Jobs, dataset: str, rows: Sequence[Row]) -> frozenset[int]:
    """A rule between the single sources and the methods."""
    sources = sum(footers.is_source(jobs, dataset, row.key) for row in rows)
    return frozenset({sources} if 0 < sources < len(rows) else ())


def _widths(table: Table) -> dict[str, str]:
    """The largest half-width of an interval per printed column."""
    widths = {}
    for index in table.printed():
        column = table.columns[index]
        halves = [
            (cell.high - cell.low) / 2
            for row in table.rows
            if (cell := row.cells[index]).low is not None and cell.high is not None
        ]
        if halves:
            widths[column.label] = f"{max(halves):.{column.decimals}f}"
    return widths


def _empty(row: Row) -> bool:
    return all(cell.value is None for cell in row.cells)


def _reasons(jobs: Jobs, dataset: str, rows: Sequence[Row], stage: str) -> dict[str, str]:
    return {
        row.label: _deciding(jobs, dataset, row.key, stage).reason for row in rows if _empty(row)
    }
