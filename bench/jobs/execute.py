"""Run a plan, job by job: cached jobs are not run again, a failed job never stops the others."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bench.errors import UserError
from bench.jobs.disk import disk_problem
from bench.jobs.plan import Job, Plan
from bench.jobs.provenance import measured, provenance, start_measuring
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


def _run_one(job: Job, store: Store, display: Display) -> tuple[str, str]:
    record = job.record()
    started = start_measuring()

    def finished(facts: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **record,
            "facts": {**record["facts"], **facts},
            "provenance": {
                **provenance(),
                **measured(started),
            },
        }

    try:
        folder = store.begin(job.key, record)
        facts = job.work(folder, lambda done, total: display.advanced(job, done, total))
        store.finish(job.key, finished(facts))
    except KeyboardInterrupt:
        store.refuse(job.key, record, "interrupted", "stopped by the user; run again to continue")
        raise
    except UserError as error:
        store.refuse(job.key, record, "failed", str(error))
        return "failed", str(error)
    except Exception as error:
        reason = disk_problem(error, store.run) or _bug(error)
        store.refuse(job.key, record, "failed", reason)
        return "failed", reason
    return "done", ""


def _bug(error: Exception) -> str:
    # A bug of ours or of a method must not cost the other rows; its traceback is shown.
    traceback.print_exception(error)
    return f"{type(error).__name__}: {error}"


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
