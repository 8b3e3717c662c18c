"""Worker processes of this machine, one a slot: a slot's GPU is the only one its process sees.

Each process is started anew (never forked), serves one task after another over a pipe, and ends
when the pipe or its parent does. The end of a process is the failure of its task alone.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
GRACE = 15.0
"""Seconds that a process gets to keep its job's state after it was told to end."""


class WorkerDiedError(Exception):
    """The process that ran a task ended in the middle of it; the message says how."""


@dataclass(frozen=True)
class Slot:
    """Room for one process. gpu: its number or name for CUDA, or "" for a CPU worker."""

    gpu: str = ""


class _Worker:
    """The process of one slot, started when it is first needed and after it has died."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._ended = False
        self._starting = threading.Lock()

    def call(self, task: tuple[Callable[..., Any], Any, Any]) -> Any:
        """The result of a task. Raises WorkerDiedError, or what the task raised."""
        with self._starting:
            if self._ended:
                raise WorkerDiedError("its launcher ended")
            process, connection = self._started()
        try:
            connection.send(task)
            good, result = connection.recv()
        except (EOFError, OSError):
            process.join()
            self._process = None
            raise WorkerDiedError(_end_of(process)) from None
        if not good:
            raise result
        return result

    def _started(self) -> tuple[BaseProcess, Connection]:
        if self._process is None or self._connection is None:
            context = multiprocessing.get_context("spawn")
            self._connection, theirs = context.Pipe()
            self._process = context.Process(target=serve, args=(theirs, self._slot))
            self._process.start()
            # So that the end of the process is the end of the pipe.
            theirs.close()
        return self._process, self._connection

    def tell_to_end(self) -> None:
        """Ask the process to keep its job's state and end."""
        with self._starting:
            self._ended = True
            if self._process is not None:
                self._process.terminate()

    def end(self, patience: float) -> None:
        """Wait for the process's end, then kill it."""
        if (process := self._process) is not None:
            process.join(max(0.0, patience))
            if process.is_alive():
                process.kill()
                process.join()


def _end_of(process: BaseProcess) -> str:
    code = process.exitcode or 0
    if code == -signal.SIGKILL:
        how = "was killed, as the system does where memory runs out"
    elif code < 0:
        how = f"was ended by {signal.Signals(-code).name}"
    else:
        how = f"ended with code {code}"
    return f"its worker process {process.pid} {how}"


class LocalExecutor(Executor):
    """One process a slot; tasks wait for a free one."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._workers = [_Worker(slot) for slot in slots]
        self._free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._threads = ThreadPoolExecutor(len(slots))

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `Executor.submit`."""
        return self._threads.submit(self._run, fn, args, kwargs)

    def _run(self, *task: Any) -> Any:
        worker = self._free.get()
        try:
            return worker.call(task)
        finally:
            self._free.put(worker)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End all processes: those with work keep its state first. No process outlives this call,
        whether it waits or not.
        """
        if not cancel_futures:
            self._threads.shutdown(wait=True)
        for worker in self._workers:
            worker.tell_to_end()
        patience = time.monotonic() + GRACE
        for worker in self._workers:
            worker.end(patience - time.monotonic())
        self._threads.shutdown(wait=True, cancel_futures=True)


def serve(connection: Connection, slot: Slot) -> None:
    """The worker process: tasks from the pipe until it is closed or the process is told to end."""
    # Before torch is imported, which happens with the first task.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if slot.gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = slot.gpu
    # Ctrl-C reaches every process of the terminal, but it is the launcher's to say what follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        while True:
            function, args, kwargs = connection.recv()
            try:
                outcome = (True, function(*args, **kwargs))
            except Exception as error:
                outcome = (False, error)
            connection.send(outcome)
    except (EOFError, OSError, KeyboardInterrupt):
        return


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt("by its launcher")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE)
        os._exit(1)
