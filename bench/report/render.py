"""A table as CSV (every digit), Markdown and terminal text, and all formats as files.

Intervals stand behind the means only where they are asked for; the CSV always has them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from bench.data.contents import write_text
from bench.report.html_table import html_page
from bench.report.latex import latex, standalone
from bench.report.table import ARROWS, Cell, Column, Table, interval_text

FORMATS = ("csv", "tex", "md", "html")
NOT_AVAILABLE = "NA"


def write_files(
    tables: Sequence[Table],
    out: Path,
    formats: Sequence[str] = FORMATS,
    *,
    intervals: bool = False,
) -> tuple[Path, ...]:
    """Every table as `<out>/<table>.<format>`; with "tex" also `tables.tex`, a document that
    inputs them all. Returns the files written.
    """
    out.mkdir(parents=True, exist_ok=True)
    files = {
        out / f"{table.name}.{suffix}": WRITERS[suffix](table, intervals)
        for table in tables
        for suffix in formats
    }
    if "tex" in formats:
        files[out / "tables.tex"] = standalone([table.name for table in tables])
    for path, text in files.items():
        write_text(path, text)
    return tuple(files)


def to_csv(table: Table) -> str:
    """One line per row; per column its mean, low, high and n at full precision.

    A missing mean is the words that say why; a missing bound is "NA".
    """
    parts = ("mean", "low", "high", "n")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"{column.name}_{part}" for column in table.columns for part in parts]
    writer.writerow(("method", "printed_name", "marks", "note", "ranked", *names))
    for row in table.rows:
        numbers = [entry for cell in row.cells for entry in _csv_cell(cell)]
        ranked = "yes" if row.competes else "no"
        writer.writerow((row.key, row.label, row.marks, row.note, ranked, *numbers))
    return text.getvalue()


def _csv_cell(cell: Cell) -> tuple[str, str, str, str]:
    low, high = (NOT_AVAILABLE if b is None else repr(b) for b in (cell.low, cell.high))
    mean = cell.text if cell.value is None else repr(cell.value)
    return mean, low, high, str(cell.n)


def markdown(table: Table, *, intervals: bool = False) -> str:
    """A GitHub table: best bold, second italic, footers as a list."""
    printed = table.printed()
    heads = []
    for index in printed:
        column = table.columns[index]
        group = f"{column.group} " if column.group and column.direction == "lower" else ""
        heads.append(f"{group}{column.label} {ARROWS[column.direction]}".strip())
    lines = [
        f"### {escape_markdown(table.heading(intervals))}",
        "",
        "| | " + " | ".join(map(escape_markdown, heads)) + " |",
    ]
    lines.append("|---|" + "---:|" * len(printed))
    for row in table.rows:
        cells = " | ".join(_md_cell(table.columns[i], row.cells[i], intervals) for i in printed)
        lines.append(f"| {escape_markdown(row.label)}{row.tail} | {cells} |")
    lines += ["", *(f"- {escape_markdown(note)}" for note in table.footers)]
    return "\n".join(lines) + "\n"


def escape_markdown(text: str) -> str:
    """The text as GitHub prints it literally."""
    text = " ".join(text.split("\n"))
    for sign in "\\`*_|<>[]#~$&":
        text = text.replace(sign, f"\\{sign}")
    return text


def _md_cell(column: Column, cell: Cell, intervals: bool) -> str:
    if cell.value is None:
        return escape_markdown(cell.text)
    text = {0: cell.text, 1: f"**{cell.text}**", 2: f"*{cell.text}*"}[cell.rank]
    interval = interval_text(column, cell) if intervals else ""
    return (
        text
        + ("<sup>=</sup>" if cell.tie else "")
        + (f" {escape_markdown(interval)}" if interval else "")
    )


def terminal(table: Table, *, intervals: bool = False) -> Group:
    """A rich table (best bold red, second blue, missing dim) and its footers."""
    printed = table.printed()
    rich = RichTable(
        title=Text(table.heading(intervals)),
        box=SIMPLE_HEAD,
        padding=(0, 0),
        pad_edge=False,
        show_edge=False,
        title_justify="left",
    )
    # Where the terminal is narrow, names break into lines and numbers stay whole: rich narrows the
    # columns that may wrap first.
    rich.add_column("", overflow="fold", min_width=12)
    for index in printed:
        column = table.columns[index]
        head = f"{column.label}{ARROWS[column.direction]}"
        # Class names stand for themselves; resolutions do not.
        head = f"{column.group}\n{head}" if column.group and column.direction == "lower" else head
        rich.add_column(Text(head), justify="right", no_wrap=True)
    for place, row in enumerate(table.rows):
        cells = [_rich_cell(table.columns[i], row.cells[i], intervals) for i in printed]
        rich.add_row(Text(row.label + row.tail), *cells, end_section=place + 1 in table.rules)
    return Group(rich, Text("\n".join(table.footers), style="dim"))


def _rich_cell(column: Column, cell: Cell, intervals: bool) -> Text:
    if cell.value is None:
        return Text(cell.text, style="dim italic")
    style = {0: "", 1: "bold red", 2: "underline blue"}[cell.rank]
    text = Text(cell.text, style=style) + Text("=" if cell.tie else " ")
    below = interval_text(column, cell).replace(", ", " ") if intervals else ""
    return text + Text(f"\n{below}", style="dim") if below else text


WRITERS: dict[str, Callable[[Table, bool], str]] = {
    "csv": lambda table, _: to_csv(table),
    "tex": lambda table, intervals: latex(table, intervals=intervals),
    "md": lambda table, intervals: markdown(table, intervals=intervals),
    "html": lambda table, intervals: html_page(table, intervals=intervals),
}
