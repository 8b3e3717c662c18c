"""Kills `bench run` with signal 9 over and over and compares what is left in the end with a run
that nobody disturbed: every CSV, image, table and hash must be the same, times aside.

    python -m tests.jobs.chaos --kills 100 --seed 1 --folder DIR
    python -m tests.jobs.chaos --steps all --folder DIR

--kills: the command is killed at random times, uniform over the time that an undisturbed run takes;
each kill is followed by a re-run, which may be killed too. A run that was not killed is compared,
and the next kill meets an empty results folder. --steps: instead of a time, the run is killed just
before its k-th change of the results folder, for some or all k.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RUN = Path("results") / "demo"
CONFIG = """
methods = ["average", "dsifuse"]
stages = {stages}
threads = 1
device = "cpu"
[data.synthetic]
pairs = [4, 1, {images}]
size = [{size}]
[score]
metrics = ["EN", "MI", "AG", "SD", "VIF", "SSIM", "Qabf"]
[detect]
epochs = 1
imgsz = 64
batch = 4
"""
# What differs between two undisturbed runs.
TIMES = ("provenance", "seal", "made_from")
CHANGES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir")


@dataclass
class Tally:
    """What happened: kills by the place they hit, runs compared, and what came out different."""

    kills: Counter[str] = field(default_factory=Counter)
    compared: int = 0
    different: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The result for people."""
        hits = ", ".join(f"{place} {count}" for place, count in sorted(self.kills.items()))
        return [
            f"{sum(self.kills.values())} kills ({hits})",
            f"{self.compared} completed runs compared with the undisturbed one: "
            + ("all identical" if not self.different else f"{len(self.different)} differences"),
            *self.different[:20],
        ]


def prepare(base: Path, *, stages: Sequence[str], images: int, size: str = "128x96") -> None:
    """A project in `base`: its configuration, and its data, which is no part of the test."""
    base.mkdir(parents=True, exist_ok=True)
    (base / "bench.toml").write_text(
        CONFIG.format(stages=json.dumps(list(stages)), images=images, size=size.replace("x", ","))
    )
    subprocess.run(
        [*_command(), "run", "--dry-run"], cwd=base, env=_environment(base), check=True, stdout=-3
    )
    shutil.rmtree(base / "results", ignore_errors=True)


def _command() -> list[str]:
    return [sys.executable, "-m", "bench.cli"]


def _environment(base: Path) -> dict[str, str]:
    own = {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "XDG_CACHE_HOME": str(base / "cache"),
        "COLUMNS": "200",
    }
    return {**os.environ, **own}


def _content(value: Any) -> Any:
    """A record without times, memory and what follows from them."""
    if isinstance(value, dict):
        return {
            key: _content(entry)
            for key, entry in value.items()
            if key not in TIMES
            and not key.startswith(("seconds", "peak_rss"))
            and not re.fullmatch(r"seed\d+\.json", key)
        }
    return [_content(entry) for entry in value] if isinstance(value, list) else value


def snapshot(run: Path) -> dict[str, str]:
    """Every file of a results folder with the hash of its content, times aside.

    The claim of a run that was killed just after a job's last rename may stay: nobody needs it.
    """
    found = {}
    files = (path for path in run.rglob("*") if path.is_file() and path.suffix != ".claim")
    for path in sorted(files):
        data = path.read_bytes()
        if path.suffix == ".json":
            data = json.dumps(_content(json.loads(data)), sort_keys=True).encode()
        found[path.relative_to(run).as_posix()] = hashlib.sha256(data).hexdigest()
    return found


def compare(calm: dict[str, str], run: Path) -> list[str]:
    """The names of files that differ from the undisturbed run, one sentence each."""
    now = snapshot(run)
    return [
        f"{name}: " + ("changed" if name in calm and name in now else "only in one of the runs")
        for name in sorted(calm.keys() | now.keys())
        if calm.get(name) != now.get(name)
    ]


def place_of_kill(base: Path, log: str) -> str:
    """Which stage a kill hit, by what the run had printed and what lies in its folder."""
    for record in base.glob(f"{RUN}/*/*/*.partial/job.json"):
        if json.loads(record.read_text())["status"] == "done":
            return "finishing rename"
    lines = [line for line in log.splitlines() if line]
    begun = [line for line in lines if line.startswith("[")]
    if begun and lines[-1].endswith("..."):
        return begun[-1].split()[1].rpartition("/")[2].replace("fuse-rest", "fuse")
    manifest = base / RUN / "run.json"
    jobs = json.loads(manifest.read_text())["jobs"] if manifest.is_file() else {}
    if jobs and all((base / RUN / key).is_dir() for key in jobs):
        # Of these kills some hit the start of a run that finds all jobs done.
        return "all jobs done, tables"
    return "start, plan"


def launch(base: Path, kill_after: float | None) -> tuple[bool, str, float]:
    """Run the command, killed after so many seconds: (whether it was, where, seconds it took)."""
    begun = time.monotonic()
    with (base / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [*_command(), "run"],
            cwd=base,
            env=_environment(base),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            code = process.wait(timeout=kill_after)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
    text = (base / "log.txt").read_text()
    if code == -signal.SIGKILL:
        return True, place_of_kill(base, text), time.monotonic() - begun
    if code != 0:
        raise RuntimeError(f"bench run ended with {code}:\n{text}")
    return False, "", time.monotonic() - begun


def random_kills(
    base: Path, kills: int, seed: int, report: Callable[[str], None] = print
) -> tuple[Tally, float]:
    """See the module; returns what happened, and the seconds of the undisturbed run."""
    draw = random.Random(seed)
    _, _, duration = launch(base, None)
    calm = snapshot(base / RUN)
    shutil.rmtree(base / "results")
    tally = Tally()
    while True:
        left = kills - sum(tally.kills.values())
        killed, place, seconds = launch(base, draw.uniform(0, duration) if left else None)
        if killed:
            tally.kills[place] += 1
            report(f"kill {kills - left + 1}/{kills} after {seconds:.1f} s: {place}")
            continue
        tally.compared += 1
        tally.different += (differences := compare(calm, base / RUN))
        report(f"completed in {seconds:.1f} s: {differences or 'identical'}")
        if not left:
            return tally, duration
        shutil.rmtree(base / "results")


def killing_steps(base: Path, steps: Iterable[int] | None, report: Callable[[str], None]) -> Tally:
    """Kill at the k-th change of the results folder for each of `steps` (None: at every one).

    Everything is imported once and each run is a fork of this process, which must not have computed
    anything with torch yet.
    """
    import bench.jobs.run
    import bench.report.derived
    import bench.stages.fuse
    import bench.stages.score  # noqa: F401

    total = _forked(base, 0)
    calm = snapshot(base / RUN)
    shutil.rmtree(base / "results")
    tally = Tally()
    for step in range(1, total + 1) if steps is None else (1 + s % total for s in steps):
        assert _forked(base, step) == -1, f"step {step} of {total} was never reached"
        tally.kills[place_of_kill(base, (base / "log.txt").read_text())] += 1
        _forked(base, 0)
        tally.compared += 1
        found = compare(calm, base / RUN)
        tally.different += [f"step {step}: {difference}" for difference in found]
        report(f"step {step}/{total}: {found or 'identical'}")
        shutil.rmtree(base / "results")
    return tally


def _forked(base: Path, kill_at: int) -> int:
    """`bench run` in a fork, killed before change `kill_at` (0: never): how many changes it made,
    or -1 if it was killed.
    """
    child = os.fork()
    if child == 0:
        _run_and_count(base, kill_at)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return -1
    if os.WEXITSTATUS(status) != 0:
        raise RuntimeError((base / "log.txt").read_text())
    return int((base / "changes.txt").read_text())


def _run_and_count(base: Path, kill_at: int) -> None:
    from bench.cli import main

    os.chdir(base)
    os.environ.update(_environment(base))
    log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    results, changes = str((base / "results").resolve()), 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal changes
        if event not in CHANGES or not str(arguments[0]).startswith((results, "results")):
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        changes += 1
        if changes == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    code = 1
    try:
        code = main(["run"])
        Path("changes.txt").write_text(str(changes))
    finally:
        sys.stdout.flush()
        os._exit(code)


def main() -> int:
    """The program."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    arguments.add_argument(
        "--folder", type=Path, required=True, help="where to work; it is emptied"
    )
    arguments.add_argument("--kills", type=int, default=100)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--steps", help="all, or the number of random steps to try")
    arguments.add_argument("--stages", default="fuse,score,detect")
    arguments.add_argument("--images", type=int, default=40, help="scored images")
    arguments.add_argument("--size", default="128x96", help="of the images, width x height")
    asked = arguments.parse_args()
    base = asked.folder.resolve()
    shutil.rmtree(base, ignore_errors=True)

    def say(line: str) -> None:
        print(line, flush=True)

    prepare(base, stages=asked.stages.split(","), images=asked.images, size=asked.size)
    if asked.steps:
        draw = random.Random(asked.seed)
        steps = (
            None
            if asked.steps == "all"
            else [draw.randrange(10**6) for _ in range(int(asked.steps))]
        )
        tally = killing_steps(base, steps, say)
    else:
        tally, duration = random_kills(base, asked.kills, asked.seed, say)
        say(f"undisturbed: {duration:.1f} s")
    say(f"seed {asked.seed}")
    for line in tally.lines():
        say(line)
    return 1 if tally.different else 0


if __name__ == "__main__":
    sys.exit(main())
