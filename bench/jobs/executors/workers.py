"""The door of the room: the configured executor as the workers of a run.

A worker process is sent (configuration, key) only, and makes the plan again (see `worker.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bench.config import RunConfig
from bench.errors import UserError
from bench.jobs.job import Job
from bench.jobs.plan import settle
from bench.jobs.worker import Report, Ticket, run_ticket


@dataclass(frozen=True)
class Pool:
    """Workers behind an executor. slots: as of `Workers`; threads: CPU threads of one worker."""

    executor: Executor
    config: RunConfig
    slots: int | None
    threads: int

    def submit(self, job: Job) -> Future[Report]:
        ticket = Ticket(self.config, job.key, job.identity, self.threads)
        return self.executor.submit(run_ticket, ticket)

    def stop(self) -> None:
        """End what runs, and begin nothing more."""
        self.executor.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class Place:
    """Where a run's jobs run. config: with the device and the threads of that place.

    slots: local worker processes at the same time; 1: the launcher itself.
    """

    config: RunConfig
    slots: int = 1
    gpus: tuple[str, ...] = ()


def choose(config: RunConfig) -> Place:
    """The place that is configured, before anything is started there.

    Raises UserError for a missing extra, an address without workers, a device that is not here.
    """
    config = replace(config, base=config.base.absolute())
    if config.run.executor == "slurm":
        from bench.jobs.executors import slurm

        slurm.check()
        return Place(_at(config, "cuda" if config.slurm.gpus else "cpu", config.slurm.cpus))
    if config.run.executor == "dask":
        from bench.jobs.executors import dask

        return Place(_at(config, dask.device(config.dask.address), 1))
    settled = settle(config)
    gpus = _gpus() if settled.device == "cuda" else ()
    return Place(settled, min(config.run.jobs, len(gpus) or config.run.jobs), gpus)


def _at(config: RunConfig, device: str, threads: int) -> RunConfig:
    if config.device not in ("auto", "cpu", "cuda"):
        raise UserError(
            f"device is '{config.device}', but the executor '{config.run.executor}' gives each "
            "job a GPU of its own: use auto, cpu or cuda."
        )
    chosen = device if config.device == "auto" else config.device
    return replace(config, device=chosen, threads=config.threads or threads)


def _gpus() -> tuple[str, ...]:
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    return tuple(visible.split(",")[:count]) if visible else tuple(map(str, range(count)))


@contextmanager
def opened(place: Place) -> Iterator[Pool | None]:
    """The workers of this place until the end of the context; None: the launcher itself."""
    config = place.config
    executor: Executor
    slots: int | None
    if config.run.executor == "slurm":
        from bench.jobs.executors import slurm

        executor, slots, threads = slurm.connect(config), None, config.slurm.cpus
    elif config.run.executor == "dask":
        from bench.jobs.executors import dask

        executor, slots, threads = dask.connect(config.dask.address), None, 0
    elif place.slots > 1:
        from bench.jobs.executors.local import LocalExecutor, Slot

        gpus = place.gpus or ("",) * place.slots
        slots, threads = place.slots, max(1, config.threads // place.slots)
        executor = LocalExecutor([Slot(gpu) for gpu in gpus[:slots]])
    else:
        yield None
        return
    try:
        yield Pool(executor, config, slots, threads)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
