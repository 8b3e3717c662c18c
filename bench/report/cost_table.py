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

_MACS = (
    "MACs (1 MAC = 2 FLOPs) of convolutions, linear layers and both attention products; norms, "
    "activations and element-wise work are left out."
)


def batches(jobs: Jobs) -> tuple[int, ...]:
    """The numbers of pairs in a pass that were measured, 1 first."""
    found = {b for job in _finished(jobs) for b in job.facts.get("batches", ())}
    return (1, *sorted(found - {1}))


def _finished(jobs: Jobs) -> list[Job]:
    return [job for job in jobs.of_stage(COST, "profile") if job.finished]


def cost_table(frame: pd.DataFrame, jobs: Jobs, batch: int = 1) -> Table:
    """One row a method, for passes of `batch` pairs. The interval of a time is its quartiles."""
    values = of_stage(frame, COST, "profile")
    facts = [job.facts for job in _finished(jobs)]
    suffix = "" if batch == 1 else f"@{batch}"
    sizes = [
        f"{size}{suffix}"
        for size in dict.fromkeys(size for f in facts for size in f.get("resolutions", ()))
    ]
    columns = [Column("params", "Params (M)", "lower", 3, scale=1e6)] if batch == 1 else []
    for size in sizes:
        group = size.removesuffix(suffix).replace("x", "×")
        here = set(values.loc[values["item"] == size, "name"])
        of_size = {
            "macs": Column(f"macs@{size}", "GMACs", "lower", 2, group, scale=1e9),
            "ms_median": Column(f"ms_median@{size}", "ms", "lower", 1, group),
            "peak_bytes": Column(f"peak_bytes@{size}", "MiB", "lower", 0, group, scale=2**20),
            "joules": Column(f"joules@{size}", "J", "lower", 2, group),
        }
        optional = {"joules"} if batch == 1 else {"joules", "macs"}
        columns += [c for name, c in of_size.items() if name in here or name not in optional]
    keys = zip(values["method"], values["name"], values["item"], strict=True)
    known = {key: float(v) for key, v in zip(keys, values["value"], strict=True) if key[1]}
    rows, conditions = [], {}
    for method in (m for m in ordered(jobs, COST) if not source_anywhere(jobs, m)):
        job = jobs.get(COST, method, "profile")
        cells = tuple(_cell(c, known, method, sizes, job) for c in columns)
        learned = bool(known.get((method, "params", sizes[0].partition("@")[0] if sizes else "")))
        label = footers.printed_name(jobs, COST, method)
        rows.append(Row(method, label, cells, competes=learned))
        if job.finished:
            conditions[method] = of_cost(job)
    together, apart, reference = set_apart(rows, conditions, _device)
    memory = dict.fromkeys(str(f["memory"]) for f in facts if f.get("memory"))
    reasons = {r.label: jobs.get(COST, r.key, "profile").reason for r in rows if empty(r)}
    return Table(
        name=f"cost{suffix.replace('@', '-batch-')}",
        title="Cost of fusing one pair" + (f", {batch} pairs in a pass" if batch > 1 else ""),
        columns=tuple(columns),
        rows=ranked(columns, together),
        footers=(
            *footers.of_apart(apart),
            *((_MACS,) if batch == 1 else ()),
            f"Time: median of repeated passes, {_batch(batch)}, on {_device(reference)}.",
            *(f"Memory{' of the whole pass' * (batch > 1)}: {text}." for text in memory),
            "Methods without parameters are not ranked.",
            *footers.of_missing(reasons),
        ),
        rules=rules_of(jobs, COST, together),
        brackets="quartiles of the repeated passes",
    )


def _batch(batch: int) -> str:
    return "batch of one" if batch == 1 else f"batch of {batch}, divided by {batch}"


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
