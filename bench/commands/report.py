"""The commands that show results: tables, figures, and the comparison with the paper."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from bench.data.pairs import PairSet


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
    """Draw the run's qualitative panels."""
    from bench.report.frame import read_jobs
    from bench.report.panels import draw

    for name in (args.dataset,) if args.dataset else read_jobs(run).datasets:
        pairs = load(name)
        if pairs.scored or args.pairs:
            for path in draw(run, pairs, args.pairs or ()):
                print(path)
    return 0
