"""Launchers as real processes on a tiny synthetic world, and what they leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
SCORED = 6
# Long enough to be caught in the middle of a job, which is still short.
SLOW = ("--methods", "average,densefuse", "--set", "data.synthetic.pairs=[1,1,12]",
        "--set", "data.synthetic.size=[384,288]")  # fmt: skip


def words(folder: Path, name: str, *more: str) -> list[str]:
    """The arguments of a run of three methods; `more` has the last word."""
    return [
        "run", "--name", name, "--results", str(folder / "results"), "--no-tables",
        "--data-root", str(folder / "data"), "--methods", "average,laplacian,densefuse",
        "--stages", "fuse,score", "--set", f"data.synthetic.pairs=[1,1,{SCORED}]",
        "--set", "data.synthetic.size=[96,64]", *more,
    ]  # fmt: skip


def launch(folder: Path, name: str, *more: str) -> subprocess.Popen[str]:
    """`bench run` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "bench.cli", *words(folder, name, *more)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ENVIRONMENT,
        cwd=folder,
        preexec_fn=_hears_interrupts,
    )


def _hears_interrupts() -> None:
    # A shell starts its background jobs with SIGINT ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finished(process: subprocess.Popen[str]) -> str:
    """All that a launcher prints, after its end."""
    return process.communicate(timeout=300)[0]


def csv_bytes(folder: Path, name: str) -> dict[str, bytes]:
    """Every values.csv of a run by its path."""
    run = folder / "results" / name
    return {str(p.relative_to(run)): p.read_bytes() for p in sorted(run.rglob("values.csv"))}


def image_bytes(folder: Path, name: str) -> dict[str, bytes]:
    """Every fused image of a run by its path."""
    run = folder / "results" / name
    return {str(p.relative_to(run)): p.read_bytes() for p in sorted(run.rglob("*.png"))}


def left_over(folder: Path, name: str) -> list[Path]:
    """Claims, torn files and working folders that a finished run must not have."""
    run = folder / "results" / name
    return [p for p in run.rglob("*") if p.suffix in (".claim", ".tmp", ".partial")]


def eventually(true: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Wait until something is true, for at most two minutes or while the process lives."""
    patience = time.monotonic() + 120
    while not true():
        assert time.monotonic() < patience
        assert process is None or process.poll() is None, finished(process)
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process of this number runs; one that waits for its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def children(pid: int) -> list[int]:
    """The processes that a process has started and that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = path.read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if int(parent) == pid and is_alive(int(path.parent.name)):
            found.append(int(path.parent.name))
    return found
