"""The interactive charts' data: quality against cost, taken from the tables as they are printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.report.page.embed import shortened
from bench.report.table import ARROWS, Column, Row, Table

OVERALL = ("mAP50", "mAP50:95")


def quality_and_cost(tables: Sequence[Table]) -> dict[str, Any]:
    """{"names", "quality", "cost", "size"}: per quantity its label and one value per method.

    Empty lists where the run has no such table; size: millions of parameters.
    """
    detection = [t for t in tables if t.name.startswith("detection-")]
    fusion = [t for t in tables if t.name.startswith("fusion-")]
    costs = [t for t in tables if t.name == "cost"]
    quality = [
        _axis(t, i, t.title.partition(",")[0].partition(" (")[0])
        for t in detection
        for i in t.printed()
        if t.columns[i].name in OVERALL
    ]
    quality += [_axis(t, i, t.title.partition(" (")[0]) for t in fusion for i in t.printed()]
    cost = [_axis(t, i, t.columns[i].group) for t in costs for i in t.printed()]
    return {
        "names": {row.key: row.label for table in tables for row in table.rows},
        "quality": [axis for axis in quality if axis["values"]],
        "cost": [axis for axis in cost if axis["values"]],
        "size": next((a["values"] for a in cost if a["name"] == "params"), {}),
    }


def _axis(table: Table, index: int, where: str) -> dict[str, Any]:
    column = table.columns[index]
    return {
        "name": column.name,
        "label": f"{column.label} {ARROWS[column.direction]}".strip(),
        "where": where,
        "higher": column.direction == "higher",
        "values": {
            row.key: _scaled(column, row, index)
            for row in table.rows
            if row.cells[index].value is not None
        },
    }


def _scaled(column: Column, row: Row, index: int) -> float | None:
    value = row.cells[index].value
    return None if value is None else shortened(value / column.scale)
