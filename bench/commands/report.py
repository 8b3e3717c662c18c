"""The commands that show results: tables, figures, and the comparison with the paper."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from bench.data.pairs import PairSet
from bench.errors import UserError


def tables(run: Path, wanted: Sequence[str] = (), *, intervals: bool = False) -> None:
    """Write all tables of the run, and print the wanted ones (all for no words)."""
    from bench.report.choice import choose
    from bench.report.frame import read_jobs, read_results
    from bench.report.render import terminal, write_files
    from bench.report.tables import all_tables

    made = all_tables(read_results(run), read_jobs(run))
    if wanted or made:
        write_files(made, run / "tables", intervals=intervals)
    console = Console()
    for table in choose(made, wanted):
        console.print(terminal(table, intervals=intervals))
        console.print()


def compare(runs: Sequence[Path], out: str | None) -> int:
    """Print our numbers beside the published ones; with `out`, write them too."""
    from bench.report.compare import read
    from bench.report.compare_text import comparison, terminal, write

    found = comparison(read(runs))
    Console().print(terminal(found))
    if out:
        for path in write(found, Path(out)):
            print(path)
    return 0


def figures(run: Path, load: Callable[[str], PairSet], args: argparse.Namespace) -> int:
    """Draw the wanted figures; what is missing for others is said in one sentence each.

    Raises the first such UserError if nothing could be drawn.
    """
    from bench.report.figure_list import draw
    from bench.report.figures import Box
    from bench.report.source import Source

    crops: dict[str, list[Box]] = {}
    for id_, box in args.crop or ():
        crops.setdefault(id_, []).append(Box(*box))
    source = Source(run, load, args.methods or (), args.pairs or (), crops)
    datasets = (args.dataset,) if args.dataset else source.jobs.datasets
    problems = []
    drawn = 0
    for figure, dataset, files in draw(source, args.numbers, datasets):
        if isinstance(files, UserError):
            problems.append((figure, dataset, files))
            continue
        drawn += 1
        for path in files:
            print(path)
    if problems and not drawn:
        raise problems[0][2]
    for figure, dataset, problem in problems if args.numbers else ():
        print(f"no figure {figure.number} ({figure.what}) of {dataset}: {problem}", file=sys.stderr)
    return 0
