"""Does memory stay flat over a long run? Fuses and scores a set of many pairs, and compares the
resident memory of this process after the first pairs with that at the end.

    python benchmarks/memory.py [--pairs 10000] [--after 500] [--size 64x48] [--method average]
                                [--folder DIR]

The pairs are links to a few synthetic ones, in a temporary folder. Prints MiB for both stages, and
by how much the peak lies above what importing torch takes, and exits with 1 where the end is more
than 5 % above the first.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

# As `bench` does before it imports torch: threads that spin would take the cores from the files.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch  # noqa: F401  (its memory is no matter of the stages)

from bench.allocator import keep_freed_memory
from bench.config_file import read
from bench.data.synthetic import generate
from bench.jobs.plan import Job
from bench.jobs.run import run

KINDS = 50
LIMIT = 1.05


def resident() -> int:
    """Bytes of memory that this process occupies now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def high_water() -> int:
    """Bytes of memory that this process occupied at most since `forget_high_water`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    return 0


def forget_high_water() -> None:
    """Set the high-water mark back to what is occupied now."""
    Path("/proc/self/clear_refs").write_text("5")


def make_data(folder: Path, pairs: int, size: tuple[int, int]) -> None:
    """`pairs` pairs under visible/ and infrared/, hard links to `KINDS` rendered ones."""
    generate(folder / "kinds", seed=0, pairs=(min(KINDS, pairs), 0, 0), size=size)
    for kind in ("visible", "infrared"):
        files = sorted((folder / "kinds" / "train" / kind).iterdir())
        (folder / "many" / kind).mkdir(parents=True)
        for number in range(pairs):
            source = files[number % len(files)]
            os.link(source, folder / "many" / kind / f"{number:06d}{source.suffix}")


class Watch:
    """A display that notes the resident memory after so many pairs and at the end of each job."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.early: dict[str, int] = {}
        self.late: dict[str, int] = {}
        self.peak: dict[str, int] = {}
        self.reasons: list[str] = []

    def noted(self, sentence: str) -> None:
        print(sentence, flush=True)

    def started(self, job: Job, number: int, total: int) -> None:
        forget_high_water()

    def advanced(self, job: Job, done: int, total: int) -> None:
        if done == self.after:
            self.early[job.stage] = resident()
        if done == total:
            self.late[job.stage] = resident()
            self.peak[job.stage] = high_water()

    def ended(self, job: Job, status: str, reason: str, seconds: float) -> None:
        print(f"{status} {job.key} in {seconds:.0f} s {reason}", flush=True)
        self.reasons += [reason] if reason else []


def main() -> int:
    """The program."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--pairs", type=int, default=10_000)
    arguments.add_argument("--after", type=int, default=500)
    arguments.add_argument("--size", default="64x48", help="WIDTHxHEIGHT")
    arguments.add_argument("--method", default="average")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--folder", help="where the temporary folder is made")
    asked = arguments.parse_args()
    keep_freed_memory()
    width, height = map(int, asked.size.split("x"))
    at_start = resident()
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        base = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(base / "cache")
        make_data(base, asked.pairs, (width, height))
        config = read(
            None,
            {
                "methods": [asked.method],
                "datasets": ["folder"],
                "stages": ["fuse", "score"],
                "data.folder.root": str(base / "many"),
                "results": str(base / "results"),
                "device": "cpu",
                "threads": asked.threads,
            },
        )
        watch, begun = Watch(asked.after), time.monotonic()
        run(config, watch)
    if watch.reasons:
        return 1
    flat = True
    for stage, early in watch.early.items():
        late = watch.late[stage]
        flat &= late <= LIMIT * early
        print(
            f"{stage}: {early / 2**20:.1f} MiB after {asked.after} pairs, {late / 2**20:.1f} MiB "
            f"after {asked.pairs}: {100 * (late / early - 1):+.1f} %; peak "
            f"{(watch.peak[stage] - at_start) / 2**20:.0f} MiB above the start with torch imported"
        )
    print(f"{asked.pairs} pairs in {time.monotonic() - begun:.0f} s")
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
