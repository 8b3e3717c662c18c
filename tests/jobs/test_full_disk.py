"""A real disk that takes no more: rows with the reason, no half file, nothing finished lost."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.data.contents import files_in, write_json
from bench.jobs.disk import disk_problem
from bench.jobs.store import RECORD, Key, Store, read_record
from bench.verify import verify
from tests.jobs.test_store import job, run, writes

MakePairs = Callable[..., list[str]]


def mount(*words: str) -> bool:
    return subprocess.run(["mount", *words], capture_output=True).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 128 KiB in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    if not (sys.platform == "linux" and os.geteuid() == 0):
        pytest.skip("only root can mount a small disk, on Linux")
    if not mount("-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)):
        pytest.skip("this system does not let us mount a small disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def project(tmp_path: Path, make_pairs: MakePairs, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A TNO of six pairs of noise, whose fused images take more than the small disk has."""
    make_pairs(tmp_path / "TNO" / "vi", tmp_path / "TNO" / "ir", 6, (128, 96))
    (tmp_path / "bench.toml").write_text(
        'name = "t"\nmethods = ["average", "max"]\ndatasets = ["tno"]\nstages = ["fuse", "score"]\n'
        f'data.root = "."\nresults = "{tmp_path / "disk"}"\n'
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_full_disk_fails_rows_with_the_reason_and_the_rest_is_made_later(
    project: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--methods", "average", "--limit", "1"]) == 0
    finished = small_disk / "t" / "tno" / "average"
    first = {name: (finished / name).read_bytes() for name in files_in(finished)}
    capsys.readouterr()

    assert main(["run", "--methods", "max"]) == 1
    out, err = capsys.readouterr()
    assert "failed tno/max/fuse: no space left in" in out and str(small_disk / "t") in out
    assert "Traceback" not in out + err
    partial = small_disk / "t" / "tno" / "max" / "fuse.partial"
    record = read_record(partial)
    assert record["status"] == "failed" and record["reason"].startswith("no space left in")
    # What is under its own name is whole, and no write in progress is left.
    assert all(name == RECORD or name.endswith(".png") for name in files_in(partial))
    assert {name: (finished / name).read_bytes() for name in files_in(finished)} == first

    assert mount("-o", "remount,size=2m", str(small_disk))
    kept = {name: (partial / name).stat().st_mtime_ns for name in files_in(partial)}
    kept.pop(RECORD)
    assert kept
    assert main(["run", "--methods", "max"]) == 0
    done = partial.with_name("fuse")
    assert {name: (done / name).stat().st_mtime_ns for name in kept} == kept
    assert verify(small_disk / "t").differences == ()


def test_a_disk_that_is_full_from_the_start_is_one_sentence(
    project: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filler = small_disk / "filler"
    with filler.open("wb") as stream:
        try:
            while True:
                os.write(stream.fileno(), b"x" * 512)
        except OSError as error:
            assert error.errno == errno.ENOSPC
    assert main(["run"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("bench: no space left in") and err.count("\n") == 1
    assert files_in(small_disk) == ["filler"]


def test_a_read_only_results_folder_is_one_sentence(
    project: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--methods", "average", "--limit", "1"]) == 0
    before = files_in(small_disk)
    assert mount("-o", "remount,ro", str(small_disk))
    capsys.readouterr()
    assert main(["run"]) == 2
    err = capsys.readouterr().err
    assert "can't be written (Read-only file system)" in err and err.count("\n") == 1
    assert main(["tables"]) == 2
    err = capsys.readouterr().err
    assert "t/tables is on a read-only file system" in err and err.count("\n") == 1
    assert files_in(small_disk) == before and verify(small_disk / "t").differences == ()


def test_a_disk_that_turns_read_only_fails_the_rows_that_follow(small_disk: Path) -> None:
    store = Store(small_disk / "run")

    def protects(folder: Path, progress: Any) -> Mapping[str, Any]:
        # Over itself: a disk with files that are open for writing can't be switched.
        assert mount("--bind", str(store.run), str(store.run))
        assert mount("-o", "remount,bind,ro", str(store.run))
        return {}

    run(store, job("profile", writes("fine")))
    statuses, _ = run(
        store, job("profile", writes("fine")), job("fuse", protects), job("detect", writes("x"))
    )
    assert statuses["profile"] == ("cached", "")
    for name in ("fuse", "detect"):
        assert statuses[name][0] == "failed"
        assert f"{small_disk / 'run'} is on a read-only file system" in statuses[name][1]
    subprocess.run(["umount", str(store.run)], check=True)
    statuses, _ = run(store, job("fuse", writes("a")), job("detect", writes("x")))
    assert set(statuses.values()) == {("done", "")}


def test_without_permission_the_row_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    locked = store.run / "set" / "method"

    def as_somebody_else(folder: Path, progress: Any) -> Mapping[str, Any]:
        locked.chmod(0o555)
        if os.geteuid() == 0:
            os.seteuid(65534)
        (locked / "new").mkdir()
        return {}

    try:
        statuses, _ = run(store, job("fuse", as_somebody_else))
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        locked.chmod(0o755)
    assert statuses["fuse"][0] == "failed"
    assert f"no permission for {store.run}" in statuses["fuse"][1]
    assert run(store, job("fuse", writes("a")))[0]["fuse"] == ("done", "")


def test_a_write_that_fails_leaves_the_old_text_alone(small_disk: Path) -> None:
    target = small_disk / "record.json"
    write_json(target, {"a": 1})
    before = target.read_bytes()
    with pytest.raises(OSError) as caught:
        write_json(target, {"a": "x" * 200_000})
    assert caught.value.errno == errno.ENOSPC
    assert files_in(small_disk) == ["record.json"] and target.read_bytes() == before


def test_a_refusal_is_kept_where_only_the_old_record_had_room(small_disk: Path) -> None:
    store, key = Store(small_disk / "run"), Key("set", "method", "fuse")

    def fills(folder: Path, progress: Any) -> Mapping[str, Any]:
        with (folder / "big.bin").open("wb", buffering=0) as stream:
            while True:
                stream.write(b"x" * 4096)

    statuses, _ = run(store, job("fuse", fills))
    assert statuses["fuse"] == (
        "failed",
        f"no space left in {store.run}: free some and run again",
    )
    assert read_record(store.partial(key))["status"] == "failed"
    assert not store.final(key).exists()


def test_other_errors_are_not_the_disk() -> None:
    folder = Path("results")
    assert disk_problem(FileNotFoundError(errno.ENOENT, "no such file"), folder) is None
    assert disk_problem(ValueError("no space left on device"), folder) is None
    told = RuntimeError(
        "the detector's process ended:\nOSError: [Errno 28] No space left on device"
    )
    assert disk_problem(told, folder) == "no space left in results: free some and run again"
    elsewhere = OSError(errno.ENOSPC, "No space left on device", "cache/x")
    assert disk_problem(elsewhere, folder) == "no space left in cache/x: free some and run again"
