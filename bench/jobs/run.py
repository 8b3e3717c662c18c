"""One run from configuration to finished folders: `bench run`, callable from a notebook too."""

from __future__ import annotations

from bench.config import RunConfig, as_record
from bench.data.contents import sealed, sweep, write_json
from bench.jobs.execute import Display, Outcome, execute
from bench.jobs.plan import Plan, make_plan
from bench.jobs.provenance import provenance
from bench.jobs.store import Store


def _manifest(config: RunConfig, plan: Plan) -> dict[str, object]:
    return {
        "config": as_record(config),
        "base": str(config.base),
        "methods": list(plan.methods),
        "datasets": list(plan.datasets),
        "stages": list(config.stages),
        "data": dict(plan.datasets),
        "jobs": {str(job.key): job.identity for job in plan.jobs},
        "provenance": provenance(),
    }


def prepare(config: RunConfig) -> tuple[Plan, Store]:
    """The plan and the store of a run. Raises UserError before any work is done."""
    store = Store(config.run_folder)
    return make_plan(config, store), store


def run(config: RunConfig, display: Display) -> Outcome:
    """Plan, execute, and leave run.json beside the jobs' folders."""
    plan, store = prepare(config)
    sweep(store.run, shared=True)
    write_json(store.run / "run.json", sealed(_manifest(config, plan)))
    return execute(plan, store, display)


def dry_run(config: RunConfig) -> list[str]:
    """The plan as one line a job: what it would do and why."""
    plan, store = prepare(config)
    lines = []
    for job in plan.jobs:
        if job.unready is not None:
            verdict = f"{job.unready[0]}: {job.unready[1]}"
        elif store.is_done(job.key, job.identity):
            verdict = "cached"
        elif store.final(job.key).exists():
            verdict = "run again: its code, weights, options or data changed"
        elif store.partial(job.key).exists():
            verdict = "continue or retry"
        else:
            verdict = "run"
        lines.append(f"{job.key}: {verdict}")
    return lines
