"""The commands that list what is known: methods, data sets, metrics, weights, jobs, the machine."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from typing import Any

from bench.commands.settings import configuration, run_folder
from bench.errors import counted

# Characters of a sentence that a table keeps, however narrow the terminal is.
LEAST_PROSE = 24


def _print(
    args: argparse.Namespace,
    title: str,
    rows: list[dict[str, Any]],
    shown: Mapping[str, Callable[[Any], str]] | None = None,
    prose: str = "",
) -> int:
    """Print the rows as they are with --json, else as a table; `shown` shortens columns there.

    prose: the column of sentences, cut off where a line is too short for them.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if args.json:
        print(json.dumps(rows, indent=1))
        return 0
    for column, short in (shown or {}).items():
        rows = [{**row, column: short(row[column])} if column in row else row for row in rows]
    console = Console()
    widths = {key: max(len(key), *(len(str(row[key])) for row in rows)) for key in rows[0]}
    needed = sum(widths.values()) + 3 * len(widths) + 1
    cut = prose and needed > console.width
    if cut:
        room = max(LEAST_PROSE, widths[prose] + console.width - needed)
        rows = [{**row, prose: _cut(str(row[prose]), room)} for row in rows]
        console.width = max(console.width, needed - widths[prose] + room)
    elif needed > console.width:
        # A squeezed table cuts the names and paths that people want to copy.
        for row in rows:
            print("\n".join(f"{key}: {value}" for key, value in row.items() if value != ""), "\n")
        return 0
    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row.values()))
    console.print(table)
    if cut:
        print(f"Some are cut off ({prose}): --json has them whole.")
    return 0


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def methods(args: argparse.Namespace) -> int:
    """The methods, each with its kind, track, size and the state of its weights."""
    from bench import listing

    rows = listing.methods(configuration(args), macs=args.macs)
    macs = {key: _giga for key in rows[0] if key.startswith("MACs")} if rows else {}
    return _print(args, "Methods", rows, {"parameters": "{:,}".format, **macs})


def _giga(number: int) -> str:
    return f"{number / 1e9:.2f} G"


def datasets(args: argparse.Namespace) -> int:
    """The data sets, and where each is looked for."""
    from bench import listing

    return _print(args, "Data sets", listing.datasets(configuration(args)))


def metrics(args: argparse.Namespace) -> int:
    """The metrics with direction, unit and range."""
    from bench import listing

    return _print(args, "Metrics (unit and range: standard)", listing.metrics())


def weights_list(args: argparse.Namespace) -> int:
    """Every known weight file: shipped, imported or missing."""
    from bench import listing

    rows = listing.weights(configuration(args))
    return _print(args, "Weights", rows, {"bytes": _count_or_unknown, "sha256": _first_twelve})


def _count_or_unknown(number: int) -> str:
    return f"{number:,}" if number else "unknown"


def _first_twelve(digest: str) -> str:
    return digest[:12] or "unknown"


def weights_check(args: argparse.Namespace) -> int:
    """The weight files that are here, loaded; exit code 1 for one with a problem."""
    from bench import listing

    rows = listing.weights_check(configuration(args))
    problems = sum(bool(row["problem"]) for row in rows)
    _print(args, "Weights", rows)
    if not args.json:
        here = sum(row["status"] != "missing" for row in rows)
        print(f"{here} of {counted(len(rows), 'file')} here, {problems} with a problem.")
    return 1 if problems else 0


def status(args: argparse.Namespace) -> int:
    """The jobs of a run; with --watch, until they have ended."""
    from bench import status

    run = run_folder(args)
    if args.watch:
        status.watch(run)
        return 0
    return _print(args, "Jobs", status.rows(run), prose="reason")


def doctor(args: argparse.Namespace) -> int:
    """Versions, device, data and weights found, and what is missing."""
    from bench import listing

    return _print(args, "This machine", listing.doctor(configuration(args)))
