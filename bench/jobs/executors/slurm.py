"""Slurm through submitit: the jobs that are ready together become one array, one GPU a task.

A task that meets its time limit, or is preempted, is queued again and goes on where it was: a job's
working folder is its checkpoint. What submitit keeps of its tasks lies in the run's `.slurm`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import subprocess
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

from bench.config import RunConfig
from bench.errors import UserError
from bench.jobs.executors.local import WorkerDiedError

P = ParamSpec("P")
T = TypeVar("T")
FOLDER = ".slurm"
GATHER = 2.0
"""Seconds between two looks at the queue, in which tasks gather for the next array."""
MISSED = 5
"""Looks at which a task was neither in the queue nor had a result, before it counts as dead: a
shared file system may show the result late."""


class Resumable:
    """A task that submitit may queue again as it was first submitted."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def checkpoint(self, *args: Any, **kwargs: Any) -> Any:
        """What submitit is to run when the task starts again."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, *args, **kwargs)


class SlurmExecutor(Executor):
    """A submitit executor as one of `concurrent.futures`.

    alive: which of these ids of tasks are still to run or running.
    """

    def __init__(self, executor: Any, alive: Callable[[Collection[str]], Collection[str]]) -> None:
        self._executor, self._alive = executor, alive
        self._new: list[tuple[Future[Any], Callable[..., Any], Any, Any]] = []
        self._tasks: dict[Future[Any], Any] = {}
        self._missed: dict[Future[Any], int] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `Executor.submit`."""
        future: Future[T] = Future()
        with self._lock:
            self._new.append((future, fn, args, kwargs))
        return future

    def _serve(self) -> None:
        while not self._closing.wait(GATHER):
            self._send()
            self._look()

    def _send(self) -> None:
        with self._lock:
            new, self._new = self._new, []
        if not new:
            return
        tasks = []
        try:
            with self._executor.batch():
                for _, function, args, kwargs in new:
                    tasks.append(self._executor.submit(Resumable(function), *args, **kwargs))
        except Exception as error:
            for future, *_ in new:
                future.set_exception(error)
            return
        for (future, *_), task in zip(new, tasks, strict=True):
            self._tasks[future] = task

    def _look(self) -> None:
        if not self._tasks:
            return
        alive = self._alive([task.job_id for task in self._tasks.values()])
        for future, task in list(self._tasks.items()):
            if task.paths.result_pickle.exists():
                del self._tasks[future]
                _pass_on(task, future)
            elif task.job_id not in alive:
                self._missed[future] = self._missed.get(future, 0) + 1
                if self._missed[future] > MISSED:
                    del self._tasks[future]
                    future.set_exception(
                        WorkerDiedError(
                            f"its Slurm task {task.job_id} ended without a result; "
                            f"see {task.paths.stderr}"
                        )
                    )
            else:
                self._missed.pop(future, None)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the look-out; tasks in the queue are taken out of it with `cancel_futures`."""
        if wait and not cancel_futures:
            for future in [*self._tasks, *(future for future, *_ in self._new)]:
                future.exception()
        self._closing.set()
        self._thread.join()
        for task in self._tasks.values():
            # One that has just ended can't be cancelled.
            with contextlib.suppress(Exception):
                task.cancel(check=False)
        self._tasks.clear()


def _pass_on(task: Any, future: Future[Any]) -> None:
    try:
        future.set_result(task.result())
    except Exception as error:
        future.set_exception(error)


def in_queue(ids: Collection[str]) -> Collection[str]:
    """The ids among `ids` that Slurm's controller still has to run or is running."""
    command = ["squeue", "--me", "--noheader", "--array", "--format=%i"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    # A controller that does not answer now says nothing about the tasks.
    return listed.stdout.split() if listed.returncode == 0 else ids


def check() -> None:
    """Raise UserError where submitit or Slurm's commands are missing."""
    if importlib.util.find_spec("submitit") is None:
        raise UserError("The executor 'slurm' needs submitit: pip install 'ivif-bench[slurm]'.")
    if shutil.which("sbatch") is None:
        raise UserError(
            "The executor 'slurm' needs Slurm's commands (sbatch) on this machine: run it on a "
            "login node, or use --executor local."
        )


def connect(config: RunConfig, cluster: str = "slurm") -> SlurmExecutor:
    """The executor of this configuration. cluster: submitit's name of the system, for which
    "local" runs the same tasks on this machine.
    """
    import submitit

    asked = config.slurm
    executor = submitit.AutoExecutor(
        config.run_folder / FOLDER,
        cluster=cluster,
        slurm_max_num_timeout=asked.requeues,
    )
    parameters: dict[str, Any] = {
        "name": f"bench-{config.name}",
        "timeout_min": asked.minutes,
        "cpus_per_task": asked.cpus,
        "tasks_per_node": 1,
        "slurm_array_parallelism": asked.at_once,
        "slurm_setup": list(asked.setup) or None,
        "slurm_partition": asked.partition or None,
        "slurm_account": asked.account or None,
        "slurm_mem": asked.memory or None,
        "slurm_additional_parameters": dict(asked.options) or None,
        "gpus_per_node": asked.gpus or None,
    }
    executor.update_parameters(**{k: v for k, v in parameters.items() if v is not None})
    if cluster == "slurm":
        return SlurmExecutor(executor, in_queue)
    # Such tasks are children of this process, which only their own handles know.
    return SlurmExecutor(executor, lambda ids: ids)
