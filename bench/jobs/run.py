"""One run from configuration to finished folders: `bench run`, callable from a notebook too."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

from bench.config import RunConfig, as_record
from bench.data.contents import sealed, sweep, write_json
from bench.jobs.execute import Display, Outcome, execute
from bench.jobs.executors.workers import choose, opened
from bench.jobs.plan import Plan, make_plan
from bench.jobs.provenance import provenance
from bench.jobs.reasons import verdicts_of
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
    store = Store(config.run_folder, config.run.stale_after)
    store.check_writable()
    return make_plan(config, store), store


def run(config: RunConfig, display: Display) -> Outcome:
    """Plan, execute, and leave run.json beside the jobs' folders.

    SIGTERM ends it as Ctrl-C does: by a KeyboardInterrupt, after which everything finished is kept.
    """
    with _terminated_like_interrupted():
        place = choose(config)
        plan, store = prepare(place.config)
        store.create()
        sweep(store.run, shared=True)
        write_json(store.run / "run.json", sealed(_manifest(config, plan)))
        with opened(place) as workers:
            return execute(plan, store, display, workers)


@contextlib.contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt("by SIGTERM")

    if threading.current_thread() is not threading.main_thread():
        # Only the main thread gets signals, for example not that of a notebook.
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def dry_run(config: RunConfig) -> list[str]:
    """The plan as one line a job: what it would do and why."""
    verdicts = verdicts_of(*prepare(choose(config).config))
    return [f"{key}: {verdict}" for key, verdict in verdicts.items()]
