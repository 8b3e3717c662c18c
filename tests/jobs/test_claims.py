"""Claims: one process gets a job, the dead lose theirs at once, the silent after a while."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.jobs import claims

ROOT = Path(__file__).resolve().parents[2]
LONG = 120.0

HOLD = """
import sys, time
from pathlib import Path
from bench.jobs import claims
claim = claims.take(Path(sys.argv[1]), 120.0)
print(claim is not None, flush=True)
time.sleep(60)
"""

# Each round has its own job; a file of one byte is a process that got it.
RACE = """
import sys, time
from pathlib import Path
from bench.jobs import claims
folder, name = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    claim = claims.take(folder / f"job{number}", 120.0)
    if claim is not None:
        with (folder / f"won{number}").open("a") as stream:
            stream.write(name)
        time.sleep(0.002)
        if number % 2:
            # Given back at once: another process may have it next, but never beside this one.
            with (folder / f"inside{number}").open("x"):
                time.sleep(0.001)
            (folder / f"inside{number}").unlink()
            claim.release()
# Nobody ends before all are through: the claims of the dead are free.
print("through", flush=True)
sys.stdin.readline()
"""


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def left_by_the_dead(stem: Path) -> None:
    """A claim whose process was killed."""
    holder = python(HOLD, stem)
    assert first_line(holder) == "True"
    holder.kill()
    holder.communicate()


def edited(stem: Path, **changes: object) -> Path:
    """The only claim on a job, with another holder."""
    (path,) = stem.parent.glob(f"{stem.name}.*.claim")
    first, _, rest = path.read_text().partition("\n")
    path.write_text(json.dumps({**json.loads(first), **changes}) + "\n" + rest)
    return path


def test_the_second_taker_gets_nothing_until_the_claim_is_released(tmp_path: Path) -> None:
    stem = tmp_path / "fuse"
    claim = claims.take(stem, LONG)
    assert claim is not None and claims.take(stem, LONG) is None
    other = claims.take(tmp_path / "fuse-rest", LONG)
    assert other is not None
    seen = claims.look(stem)
    assert seen is not None and seen.holder is not None and seen.holder.pid == os.getpid()
    claim.release()
    assert claims.look(stem) is None
    other.release()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stale", [False, True])
def test_of_many_processes_just_one_gets_each_job(tmp_path: Path, stale: bool) -> None:
    if stale:
        left_by_the_dead(tmp_path / "job0")
        content = (tmp_path / "job0.1.claim").read_bytes()
        for number in range(40):
            (tmp_path / f"job{number}.1.claim").write_bytes(content)
    racers = [python(RACE, tmp_path, name) for name in "abcd"]
    for racer in racers:
        assert first_line(racer) == "ready"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        # One that found another inside its job would have raised.
        assert first_line(racer) == "through"
    for number in range(0, 40, 2):
        assert len((tmp_path / f"won{number}").read_text()) == 1
    for racer in racers:
        racer.communicate("end\n")


def test_the_claim_of_a_killed_process_is_taken_over_at_once(tmp_path: Path) -> None:
    left_by_the_dead(tmp_path / "fuse")
    claim = claims.take(tmp_path / "fuse", LONG)
    assert claim is not None
    claim.check()
    claim.release()
    assert list(tmp_path.iterdir()) == []


def test_a_living_process_of_this_machine_keeps_its_claim_however_silent(tmp_path: Path) -> None:
    stem = tmp_path / "fuse"
    holder = python(HOLD, stem)
    assert first_line(holder) == "True"
    holder.send_signal(signal.SIGSTOP)
    os.utime(tmp_path / "fuse.1.claim", (0, 0))
    assert claims.take(stem, LONG) is None
    holder.kill()
    holder.communicate()


def test_a_later_process_of_the_same_number_is_another_one(tmp_path: Path) -> None:
    stem = tmp_path / "fuse"
    holder = python(HOLD, stem)
    assert first_line(holder) == "True"
    edited(stem, started="1")
    claim = claims.take(stem, LONG)
    assert claim is not None
    claim.release()
    holder.kill()
    holder.communicate()


def test_another_machine_loses_its_claim_only_by_silence(tmp_path: Path) -> None:
    stem = tmp_path / "fuse"
    left_by_the_dead(stem)
    path = edited(stem, place="elsewhere", host="elsewhere")
    assert claims.take(stem, LONG) is None
    old = time.time() - LONG - 60
    os.utime(path, (old, old))
    claim = claims.take(stem, LONG)
    assert claim is not None and not claims.look(stem).is_stale(LONG)  # type: ignore[union-attr]
    claim.release()


def test_a_claim_cut_off_by_a_crash_counts_until_it_is_old(tmp_path: Path) -> None:
    path = tmp_path / "fuse.1.claim"
    path.write_text("")
    assert claims.take(tmp_path / "fuse", LONG) is None
    os.utime(path, (0, 0))
    claim = claims.take(tmp_path / "fuse", LONG)
    assert claim is not None
    claim.release()


def until(claim: claims.Claim, error: type[BaseException]) -> None:
    """Report progress until it raises, for at most a minute."""
    with pytest.raises(error):
        for done in range(600):
            claim.progress(done, 600)
            time.sleep(0.1)


def test_progress_is_seen_by_others_and_stops_when_asked_to(tmp_path: Path) -> None:
    stem = tmp_path / "fuse"
    claim = claims.take(stem, LONG)
    assert claim is not None
    claim.progress(3, 7)
    patience = time.monotonic() + 60
    while (seen := claims.look(stem)) is None or not seen.total:
        assert time.monotonic() < patience
        time.sleep(0.05)
    assert (seen.done, seen.total) == (3, 7)
    claims.ask_to_stop(stem)
    until(claim, KeyboardInterrupt)
    claim.release()
    assert list(tmp_path.iterdir()) == []


def test_who_lost_a_claim_notices_and_leaves_the_new_one_alone(tmp_path: Path) -> None:
    stem = tmp_path / "fuse"
    claim = claims.take(stem, LONG)
    assert claim is not None
    # Its machine was away for long: to others it is silent.
    edited(stem, place="elsewhere")
    os.utime(tmp_path / "fuse.1.claim", (0, 0))
    winner = claims.take(stem, -1.0)
    assert winner is not None
    until(claim, claims.ClaimLostError)
    claim.release()
    winner.check()
    winner.release()
    assert list(tmp_path.iterdir()) == []
