"""The cost table: parameters, MACs, time and memory of fusing one pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from bench.report import footers
from bench.report.comparability import Conditions, of_cost
from bench.report.frame import COST, Job, Jobs
from bench.report.rows import (
    empty,
    of_stage,
    ordered,
    rules_of,
    set_apart,
    source_anywhere,
    status_cell,
)
from bench.report.table import Cell, Column, Row, Table, number_cell, ranked


def cost_table(frame: pd.DataFrame, jobs: Jobs) -> Table:
    """One row a method. The interval of a time is its quartiles."""
    values = of_stage(frame, COST, "profile")
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
    rows, conditions = [], {}
    for method in (m for m in ordered(jobs, COST) if not source_anywhere(jobs, m)):
        job = jobs.get(COST, method, "profile")
        cells = tuple(_cell(c, known, method, sizes, job) for c in columns)
        learned = bool(cells[0].value)
        label = footers.printed_name(jobs, COST, method)
        rows.append(Row(method, label, cells, competes=learned))
        if job.finished:
            conditions[method] = of_cost(job)
    together, apart, reference = set_apart(rows, conditions, _device)
    facts = [job.facts for job in jobs.of_stage(COST, "profile") if job.finished]
    memory = dict.fromkeys(str(f["memory"]) for f in facts if f.get("memory"))
    reasons = {r.label: jobs.get(COST, r.key, "profile").reason for r in rows if empty(r)}
    return Table(
        name="cost",
        title="Cost of fusing one pair",
        columns=tuple(columns),
        rows=ranked(columns, together),
        footers=(
            *footers.of_apart(apart),
            "MACs (1 MAC = 2 FLOPs) of convolutions, linear layers and both attention products; "
            "norms, activations and element-wise work are left out.",
            f"Time: median of repeated passes, batch of one, on {_device(reference)}.",
            *(f"Memory: {text}." for text in memory),
            "Methods without parameters are not ranked.",
            *footers.of_missing(reasons),
        ),
        rules=rules_of(jobs, COST, together),
        brackets="quartiles of the repeated passes",
    )


def _device(conditions: Conditions) -> str:
    return conditions.parts["device"][0] if conditions.parts else "no device yet"


def _cell(
    column: Column,
    known: Mapping[tuple[str, str, str], float],
    method: str,
    sizes: Sequence[str],
    job: Job,
) -> Cell:
    name, _, size = column.name.partition("@")
    value = known.get((method, name, size or (sizes[0] if sizes else "")))
    if value is None:
        return status_cell(job)
    low, high = (known.get((method, f"ms_{q}", size)) for q in ("q25", "q75"))
    timed = name == "ms_median"
    return number_cell(column, value, low=low if timed else None, high=high if timed else None)
