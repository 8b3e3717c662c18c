"""Worker processes: pinned to their slot before anything is imported, replaced when they die."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from bench.jobs.executors.local import LocalExecutor, Slot, WorkerDiedError


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    executor = LocalExecutor([Slot("3"), Slot("5")])
    yield executor
    executor.shutdown(cancel_futures=True)


def test_each_worker_sees_its_gpu_alone_before_torch_is_there(executor: LocalExecutor) -> None:
    state = "(__import__('os').environ['CUDA_VISIBLE_DEVICES'], 'torch' in __import__('sys').modules, __import__('time').sleep(0.5))"  # noqa: E501
    found = [executor.submit(eval, state) for _ in range(2)]
    assert sorted(future.result()[:2] for future in found) == [("3", False), ("5", False)]
    assert os.environ.get("CUDA_VISIBLE_DEVICES") not in ("3", "5")


def test_a_dead_worker_fails_its_task_and_is_replaced(executor: LocalExecutor) -> None:
    with pytest.raises(WorkerDiedError, match="ended with code 3"):
        executor.submit(os._exit, 3).result()
    with pytest.raises(WorkerDiedError, match="was killed, as the system does where memory"):
        executor.submit(eval, "__import__('os').kill(__import__('os').getpid(), 9)").result()
    pids = {executor.submit(os.getpid).result() for _ in range(4)}
    assert os.getpid() not in pids and 1 <= len(pids) <= 2


def test_an_error_of_a_task_is_its_future_s(executor: LocalExecutor) -> None:
    with pytest.raises(ZeroDivisionError):
        executor.submit(divmod, 1, 0).result()
    assert executor.submit(divmod, 7, 2).result() == (3, 1)


def test_after_shutdown_no_process_is_left() -> None:
    executor = LocalExecutor([Slot()])
    pid = executor.submit(os.getpid).result()
    executor.shutdown()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
