"""`bench report`: find the source images of a run's data sets, then write its page."""

from __future__ import annotations

import argparse
import functools
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TaskID

from bench.commands.settings import run_folder, sources
from bench.console import progress_bar
from bench.data.pairs import PairSet
from bench.errors import UserError

PAGE = "report.html"


def page(args: argparse.Namespace) -> int:
    """Write the page of a run to the file --out, by default into the run's folder."""
    from bench.report.frame import read_jobs
    from bench.report.page.build import write_page

    run = run_folder(args)
    load = sources(run, args)
    target = Path(args.out) if args.out else run / PAGE
    if target.is_dir():
        raise UserError(f"--out {target} is a folder: name the file, such as {target / PAGE}.")
    found: dict[str, PairSet] = {}
    unfound: dict[str, str] = {}
    for name in read_jobs(run).datasets:
        try:
            found[name] = load(name)
        except UserError as problem:
            unfound[name] = f"its source images were not found ({problem})"
    with progress_bar(Console(stderr=True)) as bar:
        task = bar.add_task("reading images", total=None)
        page = write_page(run, target, found, unfound, functools.partial(_advance, bar, task))
    megabytes = page.stat().st_size / 1e6
    print(f"{page} ({megabytes:.1f} MB): open it in a browser; full images are read from {run}")
    return 0


def _advance(bar: Progress, task: TaskID, done: int, total: int) -> None:
    bar.update(task, completed=done, total=total)
