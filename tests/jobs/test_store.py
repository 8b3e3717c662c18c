"""The store and the executor: whole or absent, never mixed, one failure stops nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UserError
from bench.jobs.execute import execute
from bench.jobs.identity import code_hash, identity
from bench.jobs.job import Job
from bench.jobs.plan import Plan
from bench.jobs.store import Key, Store, read_record
from bench.jobs.worker import ELSEWHERE


class Quiet:
    """A display that only counts."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.notes: list[str] = []

    def noted(self, sentence: str) -> None:
        self.notes.append(sentence)

    def started(self, job: Job, number: int, total: int) -> None:
        self.begun.append(str(job.key))

    def advanced(self, job: Job, done: int, total: int) -> None: ...

    def ended(self, job: Job, status: str, reason: str, seconds: float) -> None: ...


Work = Callable[[Path, Any], Mapping[str, Any]]


def writes(text: str) -> Work:
    def work(folder: Path, progress: Any) -> Mapping[str, Any]:
        (folder / "out.txt").write_text(text)
        return {"wrote": text}

    return work


def fails(error: BaseException) -> Work:
    def work(folder: Path, progress: Any) -> Mapping[str, Any]:
        (folder / "half.txt").write_text("half")
        raise error

    return work


def job(name: str, work: Work, version: str = "1", needs: tuple[Key, ...] = ()) -> Job:
    key = Key("set", "method", name)
    return Job(key, name, identity({"name": name, "version": version}), work, needs=needs)


def run(store: Store, *jobs: Job) -> tuple[dict[str, tuple[str, str]], list[str]]:
    display = Quiet()
    outcome = execute(Plan(jobs, {}, ()), store, display)
    return {key.folder: value for key, value in outcome.statuses.items()}, display.begun


def test_same_identity_is_not_run_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    assert run(store, job("fuse", writes("a")))[0]["fuse"] == ("done", "")
    statuses, begun = run(store, job("fuse", fails(AssertionError("was run again"))))
    assert statuses["fuse"] == ("cached", "") and begun == []
    record = read_record(store.final(Key("set", "method", "fuse")))
    assert record["status"] == "done" and record["facts"] == {"wrote": "a"}
    assert record["provenance"]["seconds"] >= 0


def test_another_identity_is_never_mixed_in_and_comes_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    out = store.final(Key("set", "method", "fuse")) / "out.txt"
    run(store, job("fuse", writes("first"), "1"))
    run(store, job("fuse", writes("second"), "2"))
    assert out.read_text() == "second"
    statuses, begun = run(store, job("fuse", fails(AssertionError("was run again")), "1"))
    assert statuses["fuse"] == ("cached", "") and begun == []
    assert out.read_text() == "first"


def test_a_failure_keeps_its_reason_and_skips_only_what_needs_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    broken = job("fuse", fails(UserError("cut.png can't be decoded")))
    dependent = job("score", writes("never"), needs=(broken.key,))
    other = job("profile", writes("fine"))
    statuses, _ = run(store, broken, dependent, other)
    assert statuses["fuse"] == ("failed", "cut.png can't be decoded")
    assert statuses["score"][0] == "skipped" and "cut.png" in statuses["score"][1]
    assert statuses["profile"] == ("done", "")
    partial = store.partial(broken.key)
    assert read_record(partial)["status"] == "failed"
    assert (partial / "half.txt").exists() and not store.final(broken.key).exists()


def test_work_of_the_same_identity_continues_and_of_another_starts_empty(tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    key = Key("set", "method", "fuse")
    run(store, job("fuse", fails(UserError("stop")), "1"))
    seen: list[bool] = []

    def looks(folder: Path, progress: Any) -> Mapping[str, Any]:
        seen.append((folder / "half.txt").exists())
        raise UserError("again")

    run(store, job("fuse", looks, "1"))
    run(store, job("fuse", looks, "2"))
    assert seen == [True, False]
    assert not store.final(key).exists()


def test_interruption_passes_on_and_is_recorded(tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    stopped = job("fuse", fails(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        run(store, stopped)
    assert read_record(store.partial(stopped.key))["status"] == "interrupted"


def test_a_bug_is_a_failed_row_with_its_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    statuses, _ = run(Store(tmp_path), job("fuse", fails(ZeroDivisionError("by zero"))))
    assert statuses["fuse"] == ("failed", "ZeroDivisionError: by zero")
    assert "Traceback" in capsys.readouterr().err


def test_identity_ignores_order_and_follows_every_value() -> None:
    record = {"a": 1, "b": {"c": [1, 2], "d": None}}
    same = {"b": {"d": None, "c": [1, 2]}, "a": 1}
    assert identity(record) == identity(same)
    for other in ({"a": 2, "b": record["b"]}, {"a": 1, "b": {"c": [2, 1], "d": None}}):
        assert identity(other) != identity(record)


def test_code_hash_of_a_package_differs_from_a_module_and_is_stable() -> None:
    assert code_hash("bench.metrics") == code_hash("bench.metrics")
    assert code_hash("bench.metrics") != code_hash("bench.metrics.entropy")


def stage(name: str, work: Work, *needs: Job) -> Job:
    return job(name, work, needs=tuple(one.key for one in needs))


def beside(store: Store, other: Job, end: Callable[[], None]) -> threading.Thread:
    """Another worker that has the job for a while, then does `end`."""
    claim = store.claim(other.key)
    assert claim is not None
    store.begin(other.key, other.record())

    def work() -> None:
        time.sleep(0.3)
        end()
        claim.release()

    return threading.Thread(target=work)


def test_a_job_of_another_launcher_is_waited_for_while_others_run(tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    first, second = job("fuse", fails(AssertionError("was run twice"))), job("other", writes("b"))
    order: list[str] = []

    def end() -> None:
        order.extend(path.parent.name for path in store.run.rglob("out.txt"))
        store.finish(first.key, first.record())

    thread = beside(store, first, end)
    thread.start()
    statuses, _ = run(store, first, second)
    thread.join()
    assert statuses == {"fuse": ("cached", ELSEWHERE), "other": ("done", "")}
    assert order == ["other"]


def test_the_failure_that_another_launcher_saw_is_not_tried_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    broken = job("fuse", fails(AssertionError("was run twice")))
    thread = beside(
        store, broken, lambda: store.refuse(broken.key, broken.record(), "failed", "cut.png")
    )
    thread.start()
    statuses, _ = run(store, broken)
    thread.join()
    assert statuses["fuse"] == ("failed", "cut.png")


def test_a_job_that_another_launcher_gave_up_is_run_here(tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    given_up = job("fuse", writes("here"))
    thread = beside(
        store, given_up, lambda: store.refuse(given_up.key, given_up.record(), "interrupted", "x")
    )
    thread.start()
    statuses, _ = run(store, given_up)
    thread.join()
    assert statuses["fuse"] == ("done", "")


def test_a_job_whose_input_is_replaced_meanwhile_does_not_count(tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    source = job("fuse", writes("a"))

    def replaces(folder: Path, progress: Any) -> Mapping[str, Any]:
        run(store, job("fuse", writes("b"), version="2"))
        return {}

    statuses, _ = run(store, source, stage("score", replaces, source))
    assert statuses["score"][0] == "failed"
    assert "set/method/fuse was replaced by another launcher" in statuses["score"][1]
    assert not store.final(Key("set", "method", "score")).exists()


def test_jobs_that_measure_time_come_last(tmp_path: Path) -> None:
    _, begun = run(Store(tmp_path), job("profile", writes("t")), job("fuse", writes("a")))
    assert begun == ["set/method/fuse", "set/method/profile"]


def test_a_torn_record_leaves_nothing_in_the_finished_folder(tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    only = job("fuse", writes("a"))
    folder = store.begin(only.key, only.record())
    (folder / ".job.json.host-1.tmp").write_text('{"half')
    run(store, only)
    assert sorted(path.name for path in store.final(only.key).iterdir()) == ["job.json", "out.txt"]


def test_a_folder_that_cannot_be_written_is_a_failed_row(tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "set").write_text("in the way")
    statuses, _ = run(store, job("fuse", writes("a")))
    assert statuses["fuse"][0] == "failed" and "can't be written" in statuses["fuse"][1]
