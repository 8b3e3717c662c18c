"""Training logs as CSV that survive a kill: rows after the last checkpoint are written again."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path


def _read(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.reader(file))


def _write(path: Path, rows: Sequence[Sequence[str]]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    os.replace(temporary, path)


def keep_rows_until(path: Path, iteration: int) -> None:
    """Drop rows that a killed run wrote after its last checkpoint."""
    rows = _read(path)
    if rows:
        _write(path, rows[:1] + [r for r in rows[1:] if r and int(r[0]) <= iteration])


def append(path: Path, row: Mapping[str, object]) -> None:
    """Add a row whose first key is "iteration"; columns that a new phase brings are added."""
    header: list[str] = []
    if path.exists():
        with path.open(newline="") as file:
            header = next(csv.reader(file), [])
    fresh = [name for name in row if name not in header]
    if fresh:
        rows = [line + [""] * len(fresh) for line in _read(path)[1:]]
        header = header + fresh
        _write(path, [header, *rows])
    values = (row.get(name, "") for name in header)
    with path.open("a", newline="") as file:
        csv.writer(file).writerow(f"{v:.6g}" if isinstance(v, float) else v for v in values)
