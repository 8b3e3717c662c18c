"""The one format in which a stage leaves numbers: `values.csv` with item, seed, name, value."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FILE = "values.csv"


@dataclass(frozen=True)
class Value:
    """One number. item: image id, class or resolution; seed: None where nothing was drawn."""

    item: str
    name: str
    value: float
    seed: int | None = None


def write(folder: Path, values: Iterable[Value]) -> None:
    """Write `folder`/values.csv whole or not at all; numbers keep every digit."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("item", "seed", "name", "value"))
    for v in values:
        writer.writerow((v.item, "" if v.seed is None else v.seed, v.name, repr(float(v.value))))
    temporary = folder / (FILE + ".tmp")
    temporary.write_text(text.getvalue(), encoding="utf-8")
    os.replace(temporary, folder / FILE)


def read(folder: Path) -> list[Value]:
    """The values of a finished stage folder, in file order."""
    with (folder / FILE).open(encoding="utf-8", newline="") as stream:
        return [
            Value(
                row["item"],
                row["name"],
                float(row["value"]),
                int(row["seed"]) if row["seed"] else None,
            )
            for row in csv.DictReader(stream)
        ]
