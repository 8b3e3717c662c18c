"""A table before it has a format: columns, rows, cells with their status, and footers.

Renderers in `bench.report.latex` and `bench.report.render` print it; nothing here knows a format.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

Direction = Literal["higher", "lower", ""]
ARROWS: dict[str, str] = {"higher": "↑", "lower": "↓", "": ""}


@dataclass(frozen=True)
class Column:
    """One quantity. name: in values.csv and the CSV; label: as printed, without the arrow.

    direction: which way is better; "" where nothing is best. group: a heading above neighbours.
    printed: False for columns of the CSV alone. scale: divides the value for print (10⁶ for "M").
    """

    name: str
    label: str
    direction: Direction = "higher"
    decimals: int = 3
    group: str = ""
    printed: bool = True
    scale: float = 1.0


@dataclass(frozen=True)
class Cell:
    """One number with its interval, or the words that say why there is none.

    text: as printed. low, high: the 95 % interval (quartiles in cost tables); None where there is
    none. n: values behind the number. left_out: undefined values among them. rank: 1 best, 2
    second, 0 otherwise. tie: not significantly different from the best.
    """

    text: str
    status: str = "done"
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    left_out: int = 0
    rank: int = 0
    tie: bool = False


@dataclass(frozen=True)
class Row:
    """One method. marks: the footnote signs behind its name. competes: whether it is ranked.

    note: printed behind the marks in brackets, such as the images that the row rests on.
    """

    key: str
    label: str
    cells: tuple[Cell, ...]
    marks: str = ""
    competes: bool = True
    note: str = ""

    @property
    def tail(self) -> str:
        """What follows the name: marks and note."""
        return self.marks + (f" ({self.note})" if self.note else "")


@dataclass(frozen=True)
class Table:
    """name: the file's stem and the LaTeX label. number: the paper's table, where it is one.

    rules: indices of the rows above which a rule is drawn. brackets: what low and high of its cells
    are, where they are printed.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    footers: tuple[str, ...] = ()
    number: int | None = None
    rules: frozenset[int] = field(default_factory=frozenset)
    brackets: str = "95 % bootstrap intervals"

    def heading(self, intervals: bool) -> str:
        """The title, with what stands in brackets where intervals are printed."""
        cells = (row.cells[index] for row in self.rows for index in self.printed())
        shown = intervals and any(cell.low is not None for cell in cells)
        return f"{self.title}; in brackets: {self.brackets}" if shown else self.title

    def printed(self) -> tuple[int, ...]:
        """Indices of the columns that are printed."""
        return tuple(i for i, column in enumerate(self.columns) if column.printed)

    def groups(self) -> tuple[tuple[str, int], ...]:
        """(heading, number of printed columns) from left to right; () without headings."""
        spans: list[tuple[str, int]] = []
        for index in self.printed():
            group = self.columns[index].group
            if spans and spans[-1][0] == group:
                spans[-1] = (group, spans[-1][1] + 1)
            else:
                spans.append((group, 1))
        return tuple(spans) if any(heading for heading, _ in spans) else ()

    def same_status(self, row: Row) -> str:
        """The words that all printed cells of the row share because no number is there, or ""."""
        texts = {row.cells[i].text for i in self.printed() if row.cells[i].value is None}
        missing = all(row.cells[i].value is None for i in self.printed())
        return texts.pop() if missing and len(texts) == 1 else ""


def interval_text(column: Column, cell: Cell) -> str:
    """The interval as printed, such as "[6.553, 6.747]", or "" where there is none."""
    if cell.low is None or cell.high is None:
        return ""
    low, high = (f"{b / column.scale:.{column.decimals}f}" for b in (cell.low, cell.high))
    return f"[{low}, {high}]"


def number_cell(
    column: Column,
    value: float,
    *,
    low: float | None = None,
    high: float | None = None,
    n: int = 1,
    left_out: int = 0,
) -> Cell:
    """A cell with a number; a mean over nothing but undefined values says "undefined"."""
    if math.isnan(value):
        return Cell("undefined", "undefined", n=n, left_out=left_out)
    text = f"{value / column.scale:.{column.decimals}f}"
    return Cell(text, "done", value, _known(low), _known(high), n, left_out)


def _known(bound: float | None) -> float | None:
    return None if bound is None or math.isnan(bound) else bound


def ranked(columns: Sequence[Column], rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows with best and second marked per column, among the rows that compete.

    Values that are printed alike share a rank; with fewer than two competitors nothing is marked.
    """
    cells = [list(row.cells) for row in rows]
    for index, column in enumerate(columns):
        printed = {
            place: float(row.cells[index].text)
            for place, row in enumerate(rows)
            if row.competes and row.cells[index].value is not None
        }
        if not column.direction or len(printed) < 2:
            continue
        order = sorted(set(printed.values()), reverse=column.direction == "higher")
        for place, value in printed.items():
            rank = order.index(value) + 1
            if rank <= 2:
                cells[place][index] = replace(cells[place][index], rank=rank)
    return tuple(replace(row, cells=tuple(new)) for row, new in zip(rows, cells, strict=True))
