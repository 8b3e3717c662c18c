"""The store and the executor: whole or absent, never mixed, one failure stops nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UserError
from bench.jobs.execute import execute
from bench.jobs.identity import code_hash, identity
from bench.jobs.plan import Job, Plan
from bench.jobs.store import Key, Store, read_record


class Quiet:
    """A display that only counts."""

    def __init__(self) -> None:
        self.begun: list[str] = []

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
