"""Real launchers: the same bytes with any number of workers, launchers, signals and kills."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from bench.cli import main
from bench.jobs import claims
from bench.jobs.status import states
from bench.jobs.store import Key, read_record
from tests.jobs.launching import (
    SLOW,
    children,
    csv_bytes,
    eventually,
    finished,
    image_bytes,
    is_alive,
    launch,
    left_over,
    words,
)

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="looks at processes in /proc"
)
DENSEFUSE = Key("synthetic", "densefuse", "fuse")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the calm run "calm", which others must equal."""
    folder = tmp_path_factory.mktemp("launchers")
    assert main(words(folder, "calm")) == 0
    return folder


@pytest.fixture(scope="module")
def slow(folder: Path) -> Path:
    """The folder with the calm run "slow" of the longer jobs, too."""
    assert main(words(folder, "slow", *SLOW)) == 0
    return folder


def in_the_middle(folder: Path, name: str) -> Path:
    """The working folder of the long job, when it holds images already."""
    return folder / "results" / name / "synthetic" / "densefuse" / "fuse.partial"


def test_the_same_run_twice_and_with_two_workers_has_the_same_bytes(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(words(folder, "again")) == 0
    assert main(words(folder, "two", "--jobs", "2")) == 0
    assert len(csv_bytes(folder, "calm")) == 3
    for name in ("again", "two"):
        assert csv_bytes(folder, name) == csv_bytes(folder, "calm")
        assert image_bytes(folder, name) == image_bytes(folder, "calm")
        assert left_over(folder, name) == []
    workers = {
        read_record(path.parent)["provenance"]["pid"]
        for path in (folder / "results" / "two").rglob("job.json")
    }
    assert len(workers) == 2 and os.getpid() not in workers
    assert not any(is_alive(pid) for pid in workers)
    capfd.readouterr()


def test_two_launchers_share_a_folder_and_do_no_job_twice(folder: Path) -> None:
    launchers = [launch(folder, "shared"), launch(folder, "shared", "--jobs", "2")]
    printed = [finished(launcher) for launcher in launchers]
    assert [launcher.returncode for launcher in launchers] == [0, 0], printed
    done = [line.split(" in ")[0] for text in printed for line in text.splitlines()
            if line.startswith("done ")]  # fmt: skip
    assert sorted(done) == sorted(set(done)) and len(done) == 6
    for text in printed:
        here = sum(line.startswith("done ") for line in text.splitlines())
        theirs = text.count(": by another launcher, meanwhile\n")
        before = re.search(r"(\d) of 6 jobs done already", text)
        assert here + theirs + (int(before[1]) if before else 0) == 6
        assert (f"{theirs} of 6 jobs done by another launcher meanwhile." in text) is (theirs > 0)
    assert csv_bytes(folder, "shared") == csv_bytes(folder, "calm")
    assert left_over(folder, "shared") == []


@pytest.mark.parametrize(
    ("number", "more"), [(signal.SIGINT, ()), (signal.SIGTERM, ("--jobs", "2"))]
)
def test_a_signal_ends_a_run_with_everything_kept(
    slow: Path, number: signal.Signals, more: tuple[str, ...]
) -> None:
    name = f"signal{number}"
    launcher = launch(slow, name, *SLOW, *more)
    partial = in_the_middle(slow, name)
    eventually(lambda: any(partial.glob("*.png")), launcher)
    workers = children(launcher.pid)
    launcher.send_signal(number)
    printed = finished(launcher)
    assert launcher.returncode == 130 and "run again to continue" in printed
    assert "Traceback" not in printed
    eventually(lambda: not any(is_alive(pid) for pid in workers))
    found = {state.key: state for state in states(slow / "results" / name)}
    assert found[DENSEFUSE].status == "interrupted" and "stopped by" in found[DENSEFUSE].reason
    made = sorted(partial.glob("*.png"))
    assert made and not list((slow / "results" / name).rglob("*.claim"))
    before = [path.stat().st_mtime_ns for path in made]
    assert main(words(slow, name, *SLOW)) == 0
    final = partial.with_name("fuse")
    assert [(final / path.name).stat().st_mtime_ns for path in made] == before
    assert csv_bytes(slow, name) == csv_bytes(slow, "slow")
    assert image_bytes(slow, name) == image_bytes(slow, "slow")


def test_a_killed_worker_costs_its_own_job_only(slow: Path) -> None:
    launcher = launch(slow, "killed", *SLOW, "--jobs", "2")
    partial = in_the_middle(slow, "killed")
    eventually(lambda: any(partial.glob("*.png")), launcher)
    seen = claims.look(partial.with_name("fuse"))
    assert seen is not None and seen.holder is not None
    assert seen.holder.pid in children(launcher.pid)
    os.kill(seen.holder.pid, signal.SIGKILL)
    printed = finished(launcher)
    assert launcher.returncode == 1
    assert "interrupted synthetic/densefuse/fuse: its worker process" in printed
    assert "skipped synthetic/densefuse/score: needs synthetic/densefuse/fuse" in printed
    found = {str(s.key): s.status for s in states(slow / "results" / "killed")}
    assert found == {
        "synthetic/average/fuse": "done",
        "synthetic/average/score": "done",
        "synthetic/densefuse/fuse": "interrupted",
        "synthetic/densefuse/score": "skipped",
    }
    assert main(words(slow, "killed", *SLOW)) == 0
    assert csv_bytes(slow, "killed") == csv_bytes(slow, "slow")


def test_a_killed_launcher_leaves_no_worker_and_its_jobs_are_taken_over(slow: Path) -> None:
    launcher = launch(slow, "orphans", *SLOW, "--jobs", "2")
    partial = in_the_middle(slow, "orphans")
    eventually(lambda: any(partial.glob("*.png")), launcher)
    workers = children(launcher.pid)
    assert len(workers) >= 2
    running = {str(s.key): s for s in states(slow / "results" / "orphans")}
    assert running["synthetic/densefuse/fuse"].status == "running"
    launcher.kill()
    launcher.communicate()
    eventually(lambda: not any(is_alive(pid) for pid in workers))
    state = {s.key: s for s in states(slow / "results" / "orphans")}[DENSEFUSE]
    assert state.status == "interrupted" and "run again to continue" in state.reason
    assert main(words(slow, "orphans", *SLOW)) == 0
    assert csv_bytes(slow, "orphans") == csv_bytes(slow, "slow")
    assert left_over(slow, "orphans") == []
