"""Run a plan, job by job: cached jobs are not run again, a failed job never stops the others."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bench.errors import UserError
from bench.jobs.plan import Job, Plan
from bench.jobs.provenance import provenance
from bench.jobs.store import Key, Store


class Display(Protocol):
    """What the executor tells a person; the terminal and the plain log implement it."""

    def started(self, job: Job, number: int, total: int) -> None: ...
    def advanced(self, job: Job, done: int, total: int) -> None: ...
    def ended(self, job: Job, status: str, reason: str, seconds: float) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """Status and reason of every job, by key."""

    statuses: Mapping[Key, tuple[str, str]]

    def count(self, status: str) -> int:
        """How many jobs ended with this status."""
        return sum(1 for found, _ in self.statuses.values() if found == status)

    @property
    def some_failed(self) -> bool:
        """Whether a row is missing that should be there."""
        return any(s in ("failed", "skipped", "no weights") for s, _ in self.statuses.values())


def _peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _run_one(job: Job, store: Store, display: Display) -> tuple[str, str]:
    record = job.record()
    folder = store.begin(job.key, record)
    started = time.time()

    def finished(facts: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **record,
            "facts": {**record["facts"], **facts},
            "provenance": {
                **provenance(),
                "started": started,
                "seconds": time.time() - started,
                "peak_rss_bytes": _peak_memory(),
            },
        }

    try:
        facts = job.work(folder, lambda done, total: display.advanced(job, done, total))
    except KeyboardInterrupt:
        store.refuse(job.key, record, "interrupted", "stopped by the user; run again to continue")
        raise
    except UserError as error:
        store.refuse(job.key, record, "failed", str(error))
        return "failed", str(error)
    except Exception as error:
        # A bug of ours or of a method must not cost the other rows; its traceback is shown.
        import traceback

        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}"
        store.refuse(job.key, record, "failed", reason)
        return "failed", reason
    store.finish(job.key, finished(facts))
    return "done", ""


def execute(plan: Plan, store: Store, display: Display) -> Outcome:
    """Run every job that is not there yet. KeyboardInterrupt passes on; what is finished stays."""
    statuses: dict[Key, tuple[str, str]] = {}
    for number, job in enumerate(plan.jobs, start=1):
        begun = time.monotonic()
        if job.unready is not None:
            status, reason = job.unready
            store.refuse(job.key, job.record(), status, reason)
        elif store.is_done(job.key, job.identity):
            status, reason = "cached", ""
        elif lacking := [k for k in job.needs if statuses[k][0] not in ("done", "cached")]:
            status, reason = "skipped", f"needs {lacking[0]}: {statuses[lacking[0]][1]}"
            store.refuse(job.key, job.record(), status, reason)
        else:
            display.started(job, number, len(plan.jobs))
            status, reason = _run_one(job, store, display)
        statuses[job.key] = (status, reason)
        display.ended(job, status, reason, time.monotonic() - begun)
    return Outcome(statuses)
