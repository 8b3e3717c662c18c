"""Run a plan: each job after what it needs, by this process or by many workers.

Cached jobs are not run again, a failed job never stops the others, and a job that another launcher
has is waited for in the end. Jobs that measure time run alone, after all others.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Protocol

from bench.jobs import claims
from bench.jobs.executors.local import WorkerDiedError
from bench.jobs.job import Job
from bench.jobs.plan import Plan
from bench.jobs.store import Key, Store, read_record
from bench.jobs.worker import ELSEWHERE, Report, keep, run_job

POLL = 0.2
LOOK_AGAIN = 1.0
CANCELLED = "its workers gave it back unfinished, as they do when their scheduler ends"
GRACE = 15.0
"""Seconds that workers of another machine get to end their jobs after they were asked to."""


class Display(Protocol):
    """What the executor tells a person; the terminal and the plain log implement it."""

    def noted(self, sentence: str) -> None: ...
    def started(self, job: Job, number: int, total: int) -> None: ...
    def advanced(self, job: Job, done: int, total: int) -> None: ...
    def ended(self, job: Job, status: str, reason: str, seconds: float) -> None: ...


class Workers(Protocol):
    """Where jobs run. slots: how many at the same time; None: they queue them themselves."""

    @property
    def slots(self) -> int | None: ...
    def submit(self, job: Job) -> Future[Report]: ...
    def stop(self) -> None:
        """End what runs, by force where it must be."""


@dataclass(frozen=True)
class Outcome:
    """Status and reason of every job, by key."""

    statuses: Mapping[Key, tuple[str, str]]

    def count(self, status: str) -> int:
        """How many jobs ended with this status."""
        return sum(1 for found, _ in self.statuses.values() if found == status)

    @property
    def elsewhere(self) -> int:
        """How many of the cached jobs another launcher did while this one ran."""
        return sum(1 for _, reason in self.statuses.values() if reason == ELSEWHERE)

    @property
    def some_failed(self) -> bool:
        """Whether a row is missing that should be there."""
        missing = ("failed", "skipped", "no weights", "interrupted")
        return any(status in missing for status, _ in self.statuses.values())


class InProcess:
    """This process as the only worker: a job is done when `submit` returns."""

    slots = 1

    def __init__(self, run: Callable[[Job], Report]) -> None:
        self._run = run

    def submit(self, job: Job) -> Future[Report]:
        future: Future[Report] = Future()
        future.set_result(self._run(job))
        return future

    def stop(self) -> None: ...


@dataclass
class _Elsewhere:
    """A job that another launcher has. record: when its job.json had changed as we first looked."""

    record: int
    next_look: float


@dataclass
class _Schedule:
    plan: Plan
    store: Store
    display: Display
    workers: Workers
    # flying: submitted and not collected; elsewhere: with another launcher; begun: shown, and when;
    # absent: what was not there at the start.
    statuses: dict[Key, Report] = field(default_factory=dict)
    flying: dict[Future[Report], Job] = field(default_factory=dict)
    elsewhere: dict[Key, _Elsewhere] = field(default_factory=dict)
    begun: dict[Key, float] = field(default_factory=dict)
    absent: set[Key] = field(default_factory=set)

    def run(self) -> None:
        """Until every job has a status."""
        for job in self.plan.jobs:
            there = self.store.final(job.key).exists()
            if not there and not self.store.is_aside(job.key, job.identity):
                self.absent.add(job.key)
        while len(self.statuses) < len(self.plan.jobs):
            for job in self.plan.jobs:
                self._consider(job)
            look_again = time.monotonic() + LOOK_AGAIN
            while (self.flying or self.elsewhere) and time.monotonic() < look_again:
                if not self.flying:
                    time.sleep(POLL)
                elif wait(self.flying, timeout=POLL, return_when=FIRST_COMPLETED).done:
                    self._collect()
                    break
                self._show()

    def _consider(self, job: Job) -> None:
        """Settle the job without work, or submit it, or leave it for later."""
        running = job.key in {other.key for other in self.flying.values()}
        if running or job.key in self.statuses or any(k not in self.statuses for k in job.needs):
            return
        if job.unready is not None:
            self._refuse(job, *job.unready)
        elif self._is_cached(job):
            theirs = job.key in self.absent or job.key in self.elsewhere
            self._end(job, "cached", ELSEWHERE if theirs else "")
        elif lacking := [k for k in job.needs if self.statuses[k][0] not in ("done", "cached")]:
            reason = self.statuses[lacking[0]][1]
            self._refuse(job, "skipped", f"needs {lacking[0]}: {reason}")
        elif self._may_start(job) and not self._is_elsewhere(job):
            if damage := self.store.damage(job.key, job.identity):
                self.display.noted(f"{damage}: run again")
            if self.workers.slots is not None:
                self._begin(job)
            self.flying[self.workers.submit(job)] = job
            self._collect()

    def _is_cached(self, job: Job) -> bool:
        if self.store.is_aside(job.key, job.identity):
            # What can't be written is the job's own error, if it has to run.
            with contextlib.suppress(OSError):
                claim = self.store.claim(job.key)
                if claim is not None:
                    with claim:
                        return self.store.bring_back(job.key, job.identity)
        return self.store.is_done(job.key, job.identity)

    def _may_start(self, job: Job) -> bool:
        if not job.measures_time:
            return self.workers.slots is None or len(self.flying) < self.workers.slots
        others = (other for other in self.plan.jobs if not other.measures_time)
        return not self.flying and all(other.key in self.statuses for other in others)

    def _is_elsewhere(self, job: Job) -> bool:
        """Whether another launcher has it; settles the job when that one saw it fail."""
        known = self.elsewhere.get(job.key)
        if known is not None and time.monotonic() < known.next_look:
            return True
        if self.store.claimed(job.key) is not None:
            self._wait_for(job)
            return True
        record = read_record(self.store.partial(job.key))
        failed = record.get("status") == "failed" and record.get("identity") == job.identity
        if known is not None and failed and known.record != self._changed(job):
            self._end(job, "failed", str(record.get("reason", "")))
            return True
        # It may have been finished between the two looks.
        return self._is_cached(job)

    def _wait_for(self, job: Job) -> None:
        known = self.elsewhere.setdefault(job.key, _Elsewhere(self._changed(job), 0.0))
        known.next_look = time.monotonic() + LOOK_AGAIN

    def _changed(self, job: Job) -> int:
        try:
            return (self.store.partial(job.key) / "job.json").stat().st_mtime_ns
        except OSError:
            return 0

    def _collect(self) -> None:
        for future in [future for future in self.flying if future.done()]:
            job = self.flying.pop(future)
            error = WorkerDiedError(CANCELLED) if future.cancelled() else future.exception()
            if isinstance(error, WorkerDiedError):
                self._refuse(job, "interrupted", f"{error}; run again to continue")
            elif error is not None:
                self._refuse(job, "failed", f"{type(error).__name__}: {error}")
            elif future.result()[0] == "running":
                self._wait_for(job)
            else:
                self._end(job, *future.result())

    def _show(self) -> None:
        """Progress of what runs outside this process, from its claims."""
        if isinstance(self.workers, InProcess) and not self.elsewhere:
            return
        for job in self.plan.jobs:
            waited_for = job.key in self.elsewhere and not self.flying
            if job.key in self.statuses or not (waited_for or job in self.flying.values()):
                continue
            if (seen := self.store.claimed(job.key)) is not None:
                self._begin(job)
                self.display.advanced(job, seen.done, seen.total)

    def _begin(self, job: Job) -> None:
        if job.key not in self.begun:
            self.begun[job.key] = time.monotonic()
            self.display.started(job, self.plan.jobs.index(job) + 1, len(self.plan.jobs))

    def _refuse(self, job: Job, status: str, reason: str) -> None:
        keep(job, self.store, status, reason)
        self._end(job, status, reason)

    def _end(self, job: Job, status: str, reason: str) -> None:
        self.statuses[job.key] = (status, reason)
        self.elsewhere.pop(job.key, None)
        now = time.monotonic()
        seconds = now - self.begun.get(job.key, now)
        if status == "done":
            # A worker may have been done with it before we saw it begin.
            record = read_record(self.store.final(job.key))
            seconds = record.get("provenance", {}).get("seconds", seconds)
        self.display.ended(job, status, reason, seconds)

    def stop(self) -> None:
        """End what runs; its jobs are interrupted, what is finished stays."""
        running = list(self.flying.values())
        for job in running:
            claims.ask_to_stop(self.store.final(job.key))
        self.workers.stop()
        patience = time.monotonic() + GRACE
        for job in running:
            while self.store.claimed(job.key) and time.monotonic() < patience:
                time.sleep(POLL)
            keep(job, self.store, "interrupted", "stopped by its launcher; run again to continue")


def execute(plan: Plan, store: Store, display: Display, workers: Workers | None = None) -> Outcome:
    """Run every job that is not there yet, in this process where no workers are given.

    KeyboardInterrupt passes on; what is finished stays.
    """

    def here(job: Job) -> Report:
        return run_job(job, plan, store, lambda done, total: display.advanced(job, done, total))

    schedule = _Schedule(plan, store, display, workers or InProcess(here))
    try:
        schedule.run()
    except BaseException:
        schedule.stop()
        raise
    return Outcome(schedule.statuses)
