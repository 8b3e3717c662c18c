"""`bench report`: find the source images of a run's data sets, then write its page."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TaskID

from bench import config as configurations
from bench.commands.settings import configuration, run_folder
from bench.config import RunConfig
from bench.console import progress_bar
from bench.data.pairs import PairSet
from bench.errors import UserError
from bench.jobs.data import load_data

PAGE = "report.html"


def page(args: argparse.Namespace) -> int:
    """Write the page of a run to the file --out, by default into the run's folder."""
    from bench.report.frame import read_jobs
    from bench.report.page.build import write_page

    run, config = run_folder(args), configuration(args)
    target = Path(args.out) if args.out else run / PAGE
    if target.is_dir():
        raise UserError(f"--out {target} is a folder: name the file, such as {target / PAGE}.")
    found: dict[str, PairSet] = {}
    unfound: dict[str, str] = {}
    for name in read_jobs(run).datasets:
        pairs = _pairs(name, config, _recorded(run))
        if isinstance(pairs, PairSet):
            found[name] = pairs
        else:
            unfound[name] = pairs
    with progress_bar(Console(stderr=True)) as bar:
        task = bar.add_task("reading images", total=None)
        page = write_page(run, target, found, unfound, functools.partial(_advance, bar, task))
    megabytes = page.stat().st_size / 1e6
    print(f"{page} ({megabytes:.1f} MB): open it in a browser; full images are read from {run}")
    return 0


def _advance(bar: Progress, task: TaskID, done: int, total: int) -> None:
    bar.update(task, completed=done, total=total)


def _pairs(name: str, config: RunConfig, recorded: RunConfig | None) -> PairSet | str:
    """The set at its configured place, else where the run found it, else why there is none."""
    reason = ""
    for place in (config, recorded):
        if place is None:
            continue
        try:
            return load_data(place, name)
        except UserError as error:
            reason = reason or str(error)
    return f"its source images were not found ({reason})"


def _recorded(run: Path) -> RunConfig | None:
    """The data's places as run.json has them; None where it says nothing that can be used."""
    try:
        data: Mapping[str, Any] = json.loads((run / "run.json").read_text("utf-8"))["config"][
            "data"
        ]
        flags = {"data.root": data["root"]}
        for name, options in data.get("options", {}).items():
            flags |= {f"data.{name}.{key}": value for key, value in options.items()}
        return configurations.read(None, flags)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError):
        return None
