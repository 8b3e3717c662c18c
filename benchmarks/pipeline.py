"""A rehearsal at full scale: a set of 4200 pairs of 1024x768 through plan, fuse, score and tables.

    python benchmarks/pipeline.py [--pairs 4200] [--size 1024x768] [--sample 4] [--folder DIR]
                                  [--methods average,densefuse,...] [--whole average]

The pairs are written in M3FD's layout; `KINDS` of them are rendered, the others are links to
those. Times, each as a process of its own: the first plan (which reads every file once), the plan
again, all methods on the first `--sample` pairs, the method `--whole` on all pairs, and then
`bench status` and `bench tables` of the finished run. In the end the wall time of all methods on
all pairs is extrapolated from the sample, with its assumptions. --folder keeps everything, and a
second call continues there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.data.synthetic import generate

KINDS = 40
METHODS = (
    "average,max,laplacian,gff,densefuse,fusiongan,seafusion,umf-cmgr,lrrnet,mfifusion,cddfuse,"
    "dsifuse"
)
SET = "m3fd-fusion"


def make_data(folder: Path, pairs: int, size: tuple[int, int]) -> None:
    """`pairs` pairs under M3FD/M3FD_Fusion/{Vis,Ir}, hard links to `KINDS` rendered ones."""
    target = folder / "data" / "M3FD" / "M3FD_Fusion"
    if target.exists():
        return
    generate(folder / "source", seed=0, pairs=(min(KINDS, pairs), 0, 0), size=size)
    for kind, name in (("visible", "Vis"), ("infrared", "Ir")):
        files = sorted((folder / "source" / "train" / kind).iterdir())
        (target / name).mkdir(parents=True)
        for number in range(pairs):
            source = files[number % len(files)]
            os.link(source, target / name / f"{number:05d}{source.suffix}")


def bench(folder: Path, what: str, *words: str) -> None:
    """Run one command in `folder` and print its wall seconds under the name `what`."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "bench", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    spent = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"bench {' '.join(words)}\n{done.stdout}{done.stderr}")
    print(f"{what:<46}{spent:>9.1f} s", flush=True)


def job_seconds(run: Path, stage: str) -> dict[str, float]:
    """Wall seconds of the finished jobs of one stage, by method."""
    found = {}
    for path in sorted((run / SET).glob(f"*/{stage}/job.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        found[path.parent.parent.name] = float(record["provenance"]["seconds"])
    return found


def extrapolate(folder: Path, sample: int, pairs: int) -> None:
    """Print the time of all methods on all pairs, from their jobs on the sample."""
    fuse = job_seconds(folder / "results" / "sample", "fuse")
    score = job_seconds(folder / "results" / "sample", "score")
    total = 0.0
    print(f"\n{'method':<14}{'fuse s/pair':>12}{'score s/pair':>13}{'all pairs':>12}")
    for method, seconds in fuse.items():
        each = seconds / sample, score[method] / sample
        total += sum(each) * pairs
        print(f"{method:<14}{each[0]:>12.3f}{each[1]:>13.3f}{sum(each) * pairs / 60:>8.0f} min")
    print(
        f"\nExtrapolated: {total / 3600:.1f} hours for {len(fuse)} methods on {pairs} pairs, "
        "fuse and score.\n"
        f"Assumptions: jobs one after the other on this machine, {sample} pairs stand for all (so\n"
        "that the loading of a network weighs too much), random weights, no detection."
    )


def rehearse(folder: Path, wish: argparse.Namespace) -> None:
    width, height = map(int, wish.size.split("x"))
    begun = time.perf_counter()
    make_data(folder, wish.pairs, (width, height))
    print(f"{'writing the set (or finding it)':<46}{time.perf_counter() - begun:>9.1f} s")
    base = ["run", "--datasets", SET, "--data-root", "data", "--stages", "fuse,score", "--threads"]
    base += [str(wish.threads), "--random-weights"]
    everything = [*base, "--methods", wish.methods, "--name", "all"]
    bench(folder, "plan, first time: every file is read", *everything, "--dry-run")
    bench(folder, "plan, again", *everything, "--dry-run")
    sample = [*base, "--methods", wish.methods, "--limit", str(wish.sample), "--name", "sample"]
    bench(folder, f"all methods on {wish.sample} pairs", *sample)
    whole = [*base, "--methods", wish.whole, "--name", "whole"]
    bench(folder, f"{wish.whole} on all {wish.pairs} pairs", *whole)
    bench(folder, "the same, cached", *whole)
    bench(folder, "bench status", "status", "--run", "results/whole")
    bench(folder, "bench tables", "tables", "--run", "results/whole")
    bench(folder, "bench tables --intervals", "tables", "--run", "results/whole", "--intervals")
    for stage in ("fuse", "score"):
        for method, seconds in job_seconds(folder / "results" / "whole", stage).items():
            print(f"{f'  {method}: {stage}, seconds a pair':<46}{seconds / wish.pairs:>9.4f} s")
    extrapolate(folder, wish.sample, wish.pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=4200)
    parser.add_argument("--size", default="1024x768")
    parser.add_argument("--sample", type=int, default=4)
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--whole", default="average")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    wish = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    )
    if wish.folder:
        wish.folder.mkdir(parents=True, exist_ok=True)
        rehearse(wish.folder, wish)
        return
    with tempfile.TemporaryDirectory() as temporary:
        rehearse(Path(temporary), wish)


if __name__ == "__main__":
    main()
