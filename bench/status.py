"""`bench status`: the jobs of a run as rows, once or as a table that follows them."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from bench.console import MARK
from bench.errors import counted
from bench.jobs.status import State, states

INTERVAL = 1.0


def rows(run: Path) -> list[dict[str, Any]]:
    """One row a job, for a table or as JSON."""
    return [
        {
            "data set": state.key.dataset,
            "method": state.key.method,
            "job": state.key.folder,
            "status": state.status,
            "seconds": "" if state.seconds is None else f"{state.seconds:.1f}",
            "reason": _reason(state),
        }
        for state in states(run)
    ]


def _reason(state: State) -> str:
    done, total = state.progress
    return f"{done}/{total}, {state.reason}" if total else state.reason


def watch(run: Path, console: Console | None = None) -> None:
    """Show the jobs until each has ended; Ctrl-C ends the view, not the jobs."""
    with (
        contextlib.suppress(KeyboardInterrupt),
        Live(_view(run), console=console, auto_refresh=False) as live,
    ):
        while any(state.status in ("running", "not run") for state in states(run)):
            time.sleep(INTERVAL)
            live.update(_view(run), refresh=True)


def _view(run: Path) -> Group:
    """The counts of all jobs, and those that are not done as a table."""
    found = states(run)
    counts = Counter(state.status for state in found)
    table = Table(title=str(run), title_justify="left")
    for column in ("job", "status", "progress", "reason"):
        table.add_column(column)
    for state in found:
        if state.status not in ("done", "cached"):
            done, total = state.progress
            colour = MARK.get(state.status, "yellow")
            table.add_row(
                escape(str(state.key)),
                f"[{colour}]{state.status}[/{colour}]",
                f"{done}/{total}" if total else "",
                escape(state.reason),
            )
    summary = ", ".join(f"{count} {status}" for status, count in counts.items())
    return (
        Group(table, f"{counted(len(found), 'job')}: {summary}")
        if table.row_count
        else Group(summary)
    )
