"""The commands that show results: tables, figures, and the comparison with the paper."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.commands.settings import run_folder, sources
from bench.errors import UserError


def print_tables(run: Path, wanted: Sequence[str] = (), *, intervals: bool = False) -> None:
    """Write all tables of the run, and print the wanted ones (all for no words)."""
    from bench.report.derived import write_tables
    from bench.report.render import terminal

    console = Console()
    for table in write_tables(run, wanted, intervals=intervals):
        console.print(terminal(table, intervals=intervals))
        console.print()


def tables(args: argparse.Namespace) -> int:
    """`bench tables`."""
    run = run_folder(args)
    print_tables(run, args.numbers, intervals=args.intervals)
    print(f"Written as CSV, LaTeX, Markdown and HTML to {run / 'tables'}")
    return 0


def publish(args: argparse.Namespace) -> int:
    """`bench publish`: a run's tables, figures and manifest as a folder that can be committed."""
    from bench.report import publish as publishing

    for path in publishing.publish(run_folder(args), Path(args.to)):
        print(path)
    return 0


def compare(args: argparse.Namespace) -> int:
    """Print our numbers beside the published ones; with --out, write them too."""
    from bench.report.compare import read
    from bench.report.compare_text import comparison, terminal, write

    runs = [argparse.Namespace(**{**vars(args), "run": run}) for run in args.run or (None,)]
    found = comparison(read([run_folder(one) for one in runs]))
    Console().print(terminal(found))
    if args.out:
        for path in write(found, Path(args.out)):
            print(path)
    return 0


def figures(args: argparse.Namespace) -> int:
    """Draw the wanted figures; what is missing for others is said in one sentence each.

    Raises the first such UserError if nothing could be drawn.
    """
    from bench.report.derived import FIGURES, record_figures
    from bench.report.figure_list import draw
    from bench.report.figures import Box
    from bench.report.source import Source

    run = run_folder(args)
    crops: dict[str, list[Box]] = {}
    for id_, box in args.crop or ():
        crops.setdefault(id_, []).append(Box(*box))
    source = Source(run, sources(run, args), args.methods or (), args.pairs or (), crops)
    datasets = (args.dataset,) if args.dataset else source.jobs.datasets
    source.check_choice(datasets)
    problems = []
    drawn: list[Path] = []
    for figure, dataset, files in draw(source, args.numbers, datasets):
        if isinstance(files, UserError):
            problems.append((figure, dataset, files))
            continue
        drawn += files
        for path in files:
            print(path)
    if drawn:
        record_figures(run / FIGURES, drawn)
    if problems and not drawn:
        raise problems[0][2]
    for figure, dataset, problem in problems if args.numbers else ():
        print(f"no figure {figure.number} ({figure.what}) of {dataset}: {problem}", file=sys.stderr)
    return 0
