"""What a run shows while it works: a bar with rate and remaining time on a terminal, plain lines
elsewhere.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from bench.jobs.plan import Job

_MARK = {"done": "green", "cached": "dim", "failed": "red", "skipped": "yellow"}
PLAIN_INTERVAL = 15.0


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.speed or 0.0
        text = f"{speed:.1f}/s" if speed >= 1 or not speed else f"{1 / speed:.1f} s each"
        return Text(text, style="cyan")


def progress_bar(console: Console) -> Progress:
    """The one look of every bar: name, bar, count, rate, elapsed and remaining time."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


class TerminalDisplay:
    """A line for each finished job and one live bar below."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None

    def started(self, job: Job, number: int, total: int) -> None:
        self._bar = progress_bar(self._console)
        self._bar.add_task(f"[{number}/{total}] {job.key}", total=None)
        self._bar.start()

    def advanced(self, job: Job, done: int, total: int) -> None:
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, total=total)

    def ended(self, job: Job, status: str, reason: str, seconds: float) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if status != "cached":
            self._console.print(_line(job, status, reason, seconds), highlight=False)


class PlainDisplay:
    """One line a job, and a line every quarter of a minute within a long one."""

    def __init__(self) -> None:
        self._last = 0.0
        self._begun = 0.0

    def started(self, job: Job, number: int, total: int) -> None:
        self._begun = self._last = time.monotonic()
        print(f"[{number}/{total}] {job.key} ...", flush=True)

    def advanced(self, job: Job, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= PLAIN_INTERVAL and done:
            self._last = now
            left = (now - self._begun) / done * (total - done)
            print(f"  {job.key}: {done}/{total}, about {left:.0f} s left", flush=True)

    def ended(self, job: Job, status: str, reason: str, seconds: float) -> None:
        if status != "cached":
            print(Text.from_markup(_line(job, status, reason, seconds)).plain, flush=True)


def _line(job: Job, status: str, reason: str, seconds: float) -> str:
    from rich.markup import escape

    colour = _MARK.get(status, "yellow")
    tail = f": {escape(reason)}" if reason else f" in {seconds:.1f} s"
    return f"[{colour}]{status}[/{colour}] {escape(str(job.key))}{tail}"


def display() -> TerminalDisplay | PlainDisplay:
    """The display that fits standard output."""
    return TerminalDisplay(Console()) if sys.stdout.isatty() else PlainDisplay()
