"""Tables of the detect stage, one per protocol: each row's own detectors (Table 4), one row's
detectors on all rows, and the matrix of who was trained on what and tested on what.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from bench.report import footers
from bench.report.comparability import Conditions, of_detection
from bench.report.frame import BY_ANOTHER, Jobs
from bench.report.rows import (
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
from bench.report.table import Cell, Column, Table

CLASSES = ("People", "Car", "Bus", "Motorcycle", "Lamp", "Truck")
NUMBERS = {"m3fd": 4, "m3fd-detection": 4}
MEASURES = {"AP50": "mAP50", "AP50:95": "mAP50:95"}
FILES = {"AP50": "ap50", "AP50:95": "ap50-95"}
OWN = "Protocol own: the detectors of a row are trained and tested on that row's images."


def detection_tables(frame: pd.DataFrame, jobs: Jobs, dataset: str) -> list[Table]:
    """The tables of every protocol that the data set was run under."""
    trained = jobs.trained(dataset)
    # A set without boxes has jobs that are not applicable.
    own = any(job.status != "not applicable" for job in jobs.of_stage(dataset, "detect"))
    tables = [own_table(frame, jobs, dataset)] if own else []
    tables += [transfer_table(frame, jobs, dataset, name) for name in trained]
    if len(trained) > 1:
        tables += [matrix(frame, jobs, dataset, measure) for measure in MEASURES]
    return tables


def own_table(frame: pd.DataFrame, jobs: Jobs, dataset: str) -> Table:
    """AP50 per class and its mean, and AP50:95, in per cent; means over seeds."""
    found = _by_class(frame, jobs, dataset, "detect", f"detection-{dataset}", OWN)
    title = f"Detection on {title_of(dataset)}, average precision in %"
    return replace(found, title=title, number=NUMBERS.get(dataset))


def transfer_table(frame: pd.DataFrame, jobs: Jobs, dataset: str, trained: str) -> Table:
    """The same of the detectors of one row, tested on the images of all rows."""
    label = footers.printed_name(jobs, dataset, trained)
    protocol = (
        f"Protocol transfer: the detectors were trained on the images of {label} alone and tested "
        "as they are on every row's; not comparable with detectors of another training."
    )
    name = f"transfer-{dataset}-{_file_name(trained)}"
    found = _by_class(frame, jobs, dataset, BY_ANOTHER + trained, name, protocol)
    title = f"Detection on {title_of(dataset)} by detectors trained on {label}"
    return replace(found, title=f"{title}, average precision in %")


def _by_class(
    frame: pd.DataFrame, jobs: Jobs, dataset: str, stage: str, name: str, protocol: str
) -> Table:
    values = of_stage(frame, dataset, stage)
    present = {item for item in values["item"] if item not in ("", "all")}
    known = [cls for cls in CLASSES if cls in present]
    classes = [*known, *dict.fromkeys(v for v in values["item"] if v in present - set(known))]
    columns = (
        *(Column(f"AP50_{c}", c, decimals=1, group="AP50 per class") for c in classes),
        *(Column(label, label, decimals=1) for label in MEASURES.values()),
    )
    keys = [*((c, "AP50") for c in classes), *(("all", measure) for measure in MEASURES)]
    by_name = {
        column.name: values[(values["item"] == item) & (values["name"] == measure)]
        for column, (item, measure) in zip(columns, keys, strict=True)
    }
    rows, conditions = [], {}
    for method in ordered(jobs, dataset):
        job = deciding(jobs, dataset, method, stage)
        cells = tuple(
            _over_images(mean_cell(c, by_name[c.name], method, job), values, method, *key)
            for c, key in zip(columns, keys, strict=True)
        )
        rows.append(row_of(jobs, dataset, method, cells))
        if job.finished:
            conditions[method] = of_detection(footers.fusion_job(jobs, dataset, method), job)
    together, apart, _ = set_apart(rows, conditions, _images)
    seeds = _seeds(values)
    together, needed = compared(columns, together, by_name, "seed")
    table = Table(
        name=name,
        title="",
        columns=columns,
        rows=together,
        rules=rules_of(jobs, dataset, together),
    )
    finished = [job for job in jobs.of_stage(dataset, stage) if job.finished]
    notes = [
        *footers.of_apart(apart),
        *footers.of_rows(jobs, dataset, together),
        protocol,
        *footers.of_detection(finished, seeds),
        *footers.of_intervals(name, _unit(values), widths(table)),
        *_spread(columns, by_name, seeds),
        *footers.of_test("seed", tied(table), needed),
        *footers.of_counts(table),
        *footers.of_images(jobs, dataset, together),
        *footers.of_missing(reasons(jobs, dataset, together, stage)),
    ]
    return replace(table, footers=tuple(notes))


def matrix(frame: pd.DataFrame, jobs: Jobs, dataset: str, measure: str) -> Table:
    """Rows: whose images trained; columns: whose images were asked about. Nothing is ranked, since
    no two of its numbers share both.
    """
    trained = [name for name in ordered(jobs, dataset) if name in jobs.trained(dataset)]
    stages = {name: BY_ANOTHER + name for name in trained}
    tested = [
        name
        for name in ordered(jobs, dataset)
        if any((dataset, name, stage) in jobs.found for stage in stages.values())
    ]
    columns = tuple(
        Column(f"{measure}@{name}", footers.printed_name(jobs, dataset, name), "", 1, "tested on")
        for name in tested
    )
    rows = []
    missing: dict[str, str] = {}
    for name in trained:
        values = of_stage(frame, dataset, stages[name])
        overall = values[(values["item"] == "all") & (values["name"] == measure)]
        found = [deciding(jobs, dataset, test, stages[name]) for test in tested]
        cells = tuple(
            _over_images(mean_cell(column, overall, test, job), values, test, "all", measure)
            for column, test, job in zip(columns, tested, found, strict=True)
        )
        row = replace(row_of(jobs, dataset, name, cells), competes=False)
        rows.append(row)
        missing |= {
            f"{row.label} on {column.label}": job.reason
            for column, job in zip(columns, found, strict=True)
            if not job.finished
        }
    finished = [job for s in stages.values() for job in jobs.of_stage(dataset, s) if job.finished]
    table = Table(
        name=f"cross-{dataset}-{FILES[measure]}",
        title=f"{MEASURES[measure]} on {title_of(dataset)} in %: detectors trained on the row's "
        "images, tested on the column's",
        columns=columns,
        rows=tuple(rows),
        rules=rules_of(jobs, dataset, rows),
    )
    every = frame[(frame["dataset"] == dataset) & frame["stage"].isin(list(stages.values()))]
    notes = [
        "Protocol cross: every row's detectors on every row's images; numbers of one column share "
        "the images, numbers of one row the detectors, and none are ranked.",
        *footers.of_rows(jobs, dataset, rows),
        *footers.of_detection(finished, _seeds(every)),
        *footers.of_intervals(table.name, _unit(every), widths(table)),
        *footers.of_images(jobs, dataset, rows),
        *footers.of_missing(missing),
    ]
    return replace(table, footers=tuple(notes))


def _over_images(cell: Cell, values: pd.DataFrame, method: str, item: str, measure: str) -> Cell:
    """The cell with the interval over test images, where its job has left one."""
    bounds = [f"{measure} low", f"{measure} high"]
    own = values[(values["method"] == method) & (values["item"] == item)]
    own = own[own["name"].isin(bounds)]
    ends = own.set_index("name")["value"].reindex(bounds)
    if cell.value is None or ends.isna().any():
        return cell
    return replace(cell, low=float(ends.iloc[0]), high=float(ends.iloc[1]))


def _unit(values: pd.DataFrame) -> str:
    return "test image" if values["name"].str.endswith(" low").any() else "seed"


def _spread(
    columns: Sequence[Column], by_name: Mapping[str, pd.DataFrame], seeds: Sequence[int]
) -> list[str]:
    """The standard deviation over seeds, of the row where it is largest."""
    if len(seeds) < 2:
        return []
    spreads = {
        column.label: by_name[column.name].groupby("method")["value"].std().max()
        for column in columns
        if column.label in MEASURES.values()
    }
    shown = ", ".join(f"{label} {value:.1f}" for label, value in spreads.items())
    return [f"Largest standard deviation over {len(seeds)} seeds: {shown}."]


def _seeds(values: pd.DataFrame) -> list[int]:
    return sorted({int(seed) for seed in values["seed"].dropna()})


def _images(conditions: Conditions) -> str:
    return f"n = {conditions.n}"


def _file_name(word: str) -> str:
    """The word as part of a file's name and of a LaTeX label; words that differ stay different."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", word)
    return plain if plain == word else f"{plain}-{hashlib.sha256(word.encode()).hexdigest()[:6]}"
