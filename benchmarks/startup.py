"""How long the program takes before it does anything, and when everything is done already.

    python benchmarks/startup.py [--repeat 5] [--folder DIR]

Runs 12 methods on three tiny sets (two pairs each, in the layouts of MSRS, TNO and M3FD) once,
with random weights, and then times whole processes, in turn: `python -c pass`, `import torch`,
`bench --help`, `bench methods`, the plan of the finished run, and the finished run itself, which
finds every job in the cache and prints the tables. Prints the median, the quickest, and the ratio
to the import of torch. --folder keeps the run for the next time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.data.synthetic import generate

METHODS = (
    "visible,average,max,laplacian,gff,densefuse,fusiongan,seafusion,umf-cmgr,lrrnet,mfifusion,"
    "dsifuse"
)
SETS = {"msrs": "MSRS/test/{}", "tno": "TNO/{}", "m3fd-fusion": "M3FD/M3FD_Fusion/{}"}


def make_data(folder: Path) -> None:
    """Two pairs of 64x48 in each of the three layouts."""
    if folder.exists():
        return
    generate(folder / "source", seed=0, pairs=(2, 0, 0), size=(64, 48))
    for layout in SETS.values():
        for kind, name in (("visible", "vi"), ("infrared", "ir")):
            place = folder / layout.format(name)
            place.mkdir(parents=True)
            for file in (folder / "source" / "train" / kind).iterdir():
                (place / file.name).write_bytes(file.read_bytes())


def seconds(command: list[str], folder: Path) -> float:
    """Wall seconds of one process; its output is shown only where it fails."""
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    spent = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return spent


def measure(folder: Path, repeat: int) -> None:
    make_data(folder / "data")
    bench = [sys.executable, "-m", "bench"]
    run = [
        *bench, "run", "--methods", METHODS, "--datasets", ",".join(SETS), "--data-root", "data",
        "--stages", "fuse,score", "--name", "startup", "--random-weights",
    ]  # fmt: skip
    print(f"first run, {len(METHODS.split(','))} methods: {seconds(run, folder):.1f} s")
    lines = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import torch": [sys.executable, "-c", "import torch"],
        "bench --help": [*bench, "--help"],
        "bench methods": [*bench, "methods"],
        "bench run --dry-run": [*run, "--dry-run"],
        "bench run (cached)": run,
    }
    times: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(repeat):
        for name, line in lines.items():
            times[name].append(seconds(line, folder))
    torch = statistics.median(times["import torch"])
    print(f"{'':<22}{'median s':>10}{'least s':>10}{'of torch':>10}")
    for name, spent in times.items():
        median = statistics.median(spent)
        print(f"{name:<22}{median:>10.2f}{min(spent):>10.2f}{median / torch:>10.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    wish = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    )
    if wish.folder:
        wish.folder.mkdir(parents=True, exist_ok=True)
        measure(wish.folder, wish.repeat)
        return
    with tempfile.TemporaryDirectory() as temporary:
        measure(Path(temporary), wish.repeat)


if __name__ == "__main__":
    main()
