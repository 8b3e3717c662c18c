"""`kill -9` at any moment, then a re-run: the same bytes as a run that nobody disturbed.

Detection is left to the program (`python -m tests.jobs.chaos`): its runs take too long for tests.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.jobs.store import RECORD, Key, Store
from tests.jobs.chaos import ROOT, RUN, compare, snapshot

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals and fork")
KEY = Key("set", "method", "fuse")


def chaos(folder: Path, *words: str) -> str:
    """What the program prints; it must end with 0, which means that nothing was different."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.jobs.chaos", "--folder", str(folder), *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_ten_kills_at_random_times(tmp_path: Path) -> None:
    out = chaos(tmp_path / "w", "--stages", "fuse,score", "--images", "6", "--kills", "10")
    assert "\nseed 0\n10 kills (" in out
    assert "all identical" in out


def test_kills_just_before_changes_of_the_results_folder(tmp_path: Path) -> None:
    out = chaos(tmp_path / "w", "--stages", "fuse,score", "--images", "2", "--steps", "8")
    assert "\n8 kills (" in out and "8 completed runs compared" in out
    assert "all identical" in out


def killed_at_removal(number: int, store: Store, record: dict[str, str]) -> bool:
    """Begin a job in a fork that is killed before its removal of this number; whether it was."""
    child = os.fork()
    if child == 0:
        removals = 0

        def watch(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal removals
            if event in ("os.remove", "os.rmdir"):
                removals += 1
                if removals == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        try:
            store.begin(KEY, record)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_a_removal_that_was_cut_off_is_never_continued(tmp_path: Path) -> None:
    number, killed = 1, True
    while killed:
        store = Store(tmp_path / str(number))
        partial = store.begin(KEY, {"identity": "old"})
        for name in ("a", "b", "c"):
            (partial / name).write_text(name)
        before = set(partial.iterdir())
        killed = killed_at_removal(number, store, {"identity": "new"})
        # Back to the first options: all that was made is there, or nothing is.
        left = set(store.begin(KEY, {"identity": "old"}).iterdir())
        assert left in (before, {partial / RECORD})
        number += 1
    assert number > 5


def test_the_comparison_sees_what_it_must_and_no_times(tmp_path: Path) -> None:
    run = tmp_path / RUN / "set" / "method" / "score"
    run.mkdir(parents=True)
    record = {"facts": {"n": 1, "seconds_train": 3.0}, "provenance": {"seconds": 1}, "seal": "a"}
    (run / "job.json").write_text(json.dumps(record))
    (run / "values.csv").write_text("item\n")
    calm = snapshot(tmp_path / RUN)
    record |= {"facts": {"n": 1, "seconds_train": 4.0}, "provenance": {"seconds": 2}, "seal": "b"}
    (run / "job.json").write_text(json.dumps(record))
    assert compare(calm, tmp_path / RUN) == []
    record["facts"]["n"] = 2
    (run / "job.json").write_text(json.dumps(record))
    (run / "values.csv").write_text("item\nx")
    (run / "values.csv.tmp").write_text("")
    assert compare(calm, tmp_path / RUN) == [
        "set/method/score/job.json: changed",
        "set/method/score/values.csv: changed",
        "set/method/score/values.csv.tmp: only in one of the runs",
    ]
