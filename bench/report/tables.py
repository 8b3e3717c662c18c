"""Tables 1-5 of the paper and the cost table, built from the results frame.

Numbers as in Sensors 2026, 26(9), 2577: 1-3 fusion metrics on MSRS, M3FD, TNO; 4 detection; 5
ablations on MSRS. The same tables are made for every other data set of the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from bench.errors import counted
from bench.report import footers
from bench.report.comparability import Conditions, of_score
from bench.report.cost_table import batches, cost_table
from bench.report.detection_tables import detection_tables
from bench.report.frame import COST, Jobs
from bench.report.rows import (
    ablation_of,
    compared,
    deciding,
    mean_cell,
    of_stage,
    ordered,
    reasons,
    row_of,
    rules_of,
    set_apart,
    tied,
    title_of,
    widths,
)
from bench.report.table import Column, Table

NOT_APPLICABLE = "not applicable"
FUSION_METRICS = ("EN", "MI", "AG", "SD", "VIF", "SSIM")
FUSION_NUMBERS = {"msrs": 1, "m3fd": 2, "m3fd-fusion": 2, "tno": 3}
ABLATION_NUMBERS = {"msrs": 5}


def all_tables(frame: pd.DataFrame, jobs: Jobs) -> tuple[Table, ...]:
    """Every table for which the run has at least one job."""
    scored = [d for d in jobs.datasets if _any_begun(jobs, d, "score")]
    tables = [fusion_table(frame, jobs, dataset) for dataset in scored]
    tables += [table for d in jobs.datasets for table in detection_tables(frame, jobs, d)]
    if any(ablation_of(method) for method in jobs.methods):
        tables += [ablation_table(frame, jobs, dataset) for dataset in scored]
    if _any_begun(jobs, COST, "profile"):
        tables += [cost_table(frame, jobs, batch) for batch in batches(jobs)]
    return tuple(tables)


def _any_begun(jobs: Jobs, dataset: str, stage: str) -> bool:
    """Whether the stage is for this data set: TNO has no boxes, for example."""
    return any(job.status != NOT_APPLICABLE for job in jobs.of_stage(dataset, stage))


def fusion_table(
    frame: pd.DataFrame, jobs: Jobs, dataset: str, *, methods: Sequence[str] | None = None
) -> Table:
    """Means of the fusion metrics over the images. methods: these rows only, in this order."""
    order = ordered(jobs, dataset, methods)
    if methods is None:
        order = tuple(name for name in order if not ablation_of(name))
    found = _scores_table(frame, jobs, dataset, order, f"fusion-{dataset}", "Fusion quality")
    return replace(found, number=FUSION_NUMBERS.get(dataset))


def ablation_table(frame: pd.DataFrame, jobs: Jobs, dataset: str) -> Table:
    """The same means for the methods that rows leave a block out of, the whole method last."""
    without = [name for name in jobs.methods if ablation_of(name)]
    whole = dict.fromkeys(ablation_of(name) for name in without)
    order = [name for base in whole for name in without if ablation_of(name) == base]
    order += [base for base in whole if base in jobs.methods]
    found = _scores_table(frame, jobs, dataset, order, f"ablation-{dataset}", "Ablations")
    return replace(found, number=ABLATION_NUMBERS.get(dataset))


def _scores_table(
    frame: pd.DataFrame, jobs: Jobs, dataset: str, order: Sequence[str], name: str, what: str
) -> Table:
    values = of_stage(frame, dataset, "score")
    values = values[values["method"].isin(order)]
    found = tuple(dict.fromkeys(values["name"]))
    extra = tuple(name for name in found if name and name not in FUSION_METRICS)
    columns = (
        *(Column(name, name) for name in FUSION_METRICS),
        *(Column(name, name, direction="", printed=False) for name in extra),
    )
    by_name = {name: values[values["name"] == name] for name in found}
    rows, conditions = [], {}
    for method in order:
        job = deciding(jobs, dataset, method, "score")
        cells = tuple(mean_cell(c, by_name.get(c.name), method, job) for c in columns)
        rows.append(row_of(jobs, dataset, method, cells))
        if job.finished:
            items = values.loc[(values["method"] == method) & (values["name"] != ""), "item"]
            fused = footers.fusion_job(jobs, dataset, method)
            conditions[method] = of_score(fused, job, map(str, items))
    together, apart, reference = set_apart(rows, conditions, _images)
    together, needed = compared(columns, together, by_name, "item")
    table = Table(
        name=name,
        title=f"{what} on {title_of(dataset)} ({counted(reference.n, 'image')})",
        columns=columns,
        rows=together,
        rules=rules_of(jobs, dataset, together),
    )
    notes = [
        *footers.of_apart(apart),
        *footers.of_rows(jobs, dataset, together),
        *footers.of_convention(jobs, dataset, order),
        *footers.of_intervals(name, "image", widths(table)),
        *footers.of_test("image", tied(table), needed),
        *footers.of_counts(table),
        *footers.of_images(jobs, dataset, together),
        *footers.of_missing(reasons(jobs, dataset, together, "score")),
    ]
    return replace(table, footers=tuple(notes))


def _images(conditions: Conditions) -> str:
    return f"n = {conditions.n}"
