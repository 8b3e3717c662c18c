"""One job, claimed, run and released: in this process, or in another one that is sent a ticket.

A ticket holds no work: the process that gets it makes the same plan again and finds the job in it.
"""

from __future__ import annotations

import contextlib
import os
import platform
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.allocator import give_back, keep_freed_memory
from bench.config import RunConfig
from bench.errors import UserError
from bench.jobs import claims
from bench.jobs.disk import disk_problem
from bench.jobs.job import Job
from bench.jobs.plan import COST, Plan, make_plan
from bench.jobs.provenance import measured, provenance, start_measuring
from bench.jobs.rows import Progress
from bench.jobs.store import Key, Store

ELSEWHERE = "by another launcher, meanwhile"
Report = tuple[str, str]
"""Status and reason; "running" means that another process has the job."""


@dataclass(frozen=True)
class Ticket:
    """What another process needs to know of a job. config: settled, with absolute paths.

    identity: of the launcher's plan. threads: CPU threads of that process; 0: as torch finds them.
    """

    config: RunConfig
    key: Key
    identity: str
    threads: int = 0


_planned: list[tuple[RunConfig, int, Plan, Store]] = []


def _plan_of(config: RunConfig, threads: int) -> tuple[Plan, Store]:
    """The plan of this configuration, made once a process: its jobs come one after another."""
    if not _planned or _planned[0][:2] != (config, threads):
        store = Store(config.run_folder, config.run.stale_after)
        store.check_writable()
        _planned[:] = [(config, threads, make_plan(config, store, threads), store)]
    return _planned[0][2:]


def run_ticket(ticket: Ticket) -> Report:
    """Run one job in the process that calls this, which is not the launcher's."""
    keep_freed_memory()
    import torch

    if ticket.threads:
        torch.set_num_threads(ticket.threads)
    try:
        plan, store = _plan_of(ticket.config, torch.get_num_threads())
        job = next((job for job in plan.jobs if job.key == ticket.key), None)
        if job is None or job.identity != ticket.identity:
            return "failed", (
                f"{platform.node()} has other code, weights or data for this job than the "
                "machine of the launcher: install the same there"
            )
        return run_job(job, plan, store, _silently)
    except UserError as error:
        return "failed", f"{platform.node()}: {error}"
    except KeyboardInterrupt as stop:
        return "interrupted", stopped(stop)


def _silently(done: int, total: int) -> None: ...


def stopped(stop: BaseException) -> str:
    """The reason of an interrupted job."""
    by = str(stop) if isinstance(stop, KeyboardInterrupt) and str(stop) else "by the user"
    return f"stopped {by}; run again to continue"


def claimed_by(seen: claims.Seen | None) -> Report:
    """The report on a job that another process has."""
    return "running", f"by {seen.holder}" if seen and seen.holder else "elsewhere"


def keep(job: Job, store: Store, status: str, reason: str) -> None:
    """Leave the status of a job that does not run here; what another process has, or what is done,
    is left alone.
    """
    # A disk that is full now must not cost the rows that are finished.
    with contextlib.suppress(OSError):
        claim = store.claim(job.key)
        if claim is not None:
            with claim:
                if not store.is_done(job.key, job.identity):
                    store.refuse(job.key, job.record(), status, reason)


def run_job(job: Job, plan: Plan, store: Store, progress: Progress) -> Report:
    """Run one job unless another process has it. KeyboardInterrupt passes on, the job's status is
    kept before; every other error is a report.
    """
    try:
        return _run_claimed(job, plan, store, progress)
    except OSError as error:
        reason = f"{error.filename or store.run} can't be written ({error.strerror})"
        return "failed", disk_problem(error, store.run) or reason


def _run_claimed(job: Job, plan: Plan, store: Store, progress: Progress) -> Report:
    with contextlib.ExitStack() as held:
        claim = store.claim(job.key)
        if claim is None:
            return claimed_by(store.claimed(job.key))
        held.enter_context(claim)
        if job.measures_time:
            # Two launchers on one machine must not disturb each other's clocks.
            clock = claims.take(
                store.run / COST / f".clock-of-{platform.node()}", store.stale_after
            )
            if clock is None:
                return "running", "another job is being timed on this machine"
            held.enter_context(clock)
        if store.bring_back(job.key, job.identity):
            return "cached", ELSEWHERE
        if lacking := _lacking(job, plan, store):
            return "skipped", f"needs {lacking}, which is not there any more"
        return _work(job, plan, store, claim, progress)


def _lacking(job: Job, plan: Plan, store: Store) -> Key | None:
    """The first input that is not there with the content that the plan means."""
    needed = (plan.job(key) for key in job.needs)
    return next((j.key for j in needed if not store.is_done(j.key, j.identity)), None)


def _work(job: Job, plan: Plan, store: Store, claim: claims.Claim, progress: Progress) -> Report:
    record = job.record()
    started = start_measuring()

    def advance(done: int, total: int) -> None:
        claim.progress(done, total)
        progress(done, total)

    try:
        facts = job.work(store.begin(job.key, record), advance)
        claim.check()
        if lacking := _lacking(job, plan, store):
            raise UserError(f"{lacking} was replaced by another launcher meanwhile: run again.")
        store.finish(job.key, _finished(record, facts, started))
    except (KeyboardInterrupt, SystemExit) as stop:
        _refuse(store, job, "interrupted", stopped(stop))
        raise
    except claims.ClaimLostError as lost:
        # Its folder is the other launcher's now.
        return "interrupted", str(lost)
    except UserError as error:
        return _refuse(store, job, "failed", str(error))
    except Exception as error:
        return _refuse(store, job, "failed", disk_problem(error, store.run) or _bug(error))
    finally:
        # What one network needed is of no use to the next.
        give_back()
    return "done", ""


def _bug(error: Exception) -> str:
    # A bug of ours or of a method must not cost the other rows; its traceback is shown.
    traceback.print_exception(error)
    return f"{type(error).__name__}: {error}"


def _refuse(store: Store, job: Job, status: str, reason: str) -> Report:
    with contextlib.suppress(OSError):
        store.refuse(job.key, job.record(), status, reason)
    return status, reason


def _finished(
    record: Mapping[str, Any], facts: Mapping[str, Any], started: float
) -> dict[str, Any]:
    return {
        **record,
        "facts": {**record["facts"], **facts},
        "provenance": {
            **provenance(),
            "host": platform.node(),
            "pid": os.getpid(),
            **measured(started),
        },
    }
