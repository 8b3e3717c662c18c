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
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from bench.jobs.job import Job
    from bench.jobs.store import Key

MARK = {"done": "green", "cached": "dim", "failed": "red", "skipped": "yellow", "running": "cyan"}
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


def advance(bar: Progress, task: TaskID, done: int, total: int) -> None:
    """Show that so many of all are done; bound to a bar and a task, a `progress` argument."""
    bar.update(task, completed=done, total=total)


class TerminalDisplay:
    """A line for each finished job, and a live bar below for each that runs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Progress | None = None
        self._running: dict[Key, TaskID] = {}

    def noted(self, sentence: str) -> None:
        self._console.print(Text(sentence))

    def started(self, job: Job, number: int, total: int) -> None:
        if self._bars is None:
            self._bars = progress_bar(self._console)
            self._bars.start()
        name = f"[{number}/{total}] {job.key}"
        self._running[job.key] = self._bars.add_task(name, total=None)

    def advanced(self, job: Job, done: int, total: int) -> None:
        if self._bars is not None and job.key in self._running:
            self._bars.update(self._running[job.key], completed=done, total=total or None)

    def ended(self, job: Job, status: str, reason: str, seconds: float) -> None:
        begun = job.key in self._running
        if self._bars is not None and begun:
            self._bars.remove_task(self._running.pop(job.key))
            if not self._running:
                self._bars.stop()
                self._bars = None
        if status != "cached" or reason:
            self._console.print(_line(job, status, reason, seconds), highlight=False)

    def close(self) -> None:
        """Give the terminal back, with whatever still runs."""
        if self._bars is not None:
            self._bars.stop()


class PlainDisplay:
    """One line a job, and a line every quarter of a minute within a long one."""

    def __init__(self) -> None:
        self._begun: dict[Key, float] = {}
        self._last: dict[Key, float] = {}

    def noted(self, sentence: str) -> None:
        print(sentence, flush=True)

    def started(self, job: Job, number: int, total: int) -> None:
        self._begun[job.key] = self._last[job.key] = time.monotonic()
        print(f"[{number}/{total}] {job.key} ...", flush=True)

    def advanced(self, job: Job, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last.get(job.key, now) >= PLAIN_INTERVAL and done:
            self._last[job.key] = now
            left = (now - self._begun[job.key]) / done * (total - done)
            print(f"  {job.key}: {done}/{total}, about {left:.0f} s left", flush=True)

    def ended(self, job: Job, status: str, reason: str, seconds: float) -> None:
        if status != "cached" or reason:
            print(Text.from_markup(_line(job, status, reason, seconds)).plain, flush=True)

    def close(self) -> None: ...


def _line(job: Job, status: str, reason: str, seconds: float) -> str:
    from rich.markup import escape

    colour = MARK.get(status, "yellow")
    tail = f": {escape(reason)}" if reason else f" in {seconds:.1f} s"
    return f"[{colour}]{status}[/{colour}] {escape(str(job.key))}{tail}"


def display() -> TerminalDisplay | PlainDisplay:
    """The display that fits standard output."""
    return TerminalDisplay(Console()) if sys.stdout.isatty() else PlainDisplay()
