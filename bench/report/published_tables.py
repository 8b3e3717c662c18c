"""The numbers of Tables 1-5 as the paper printed them, and readings of its metrics, as frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).parent / "published"
PAPER = "Sensors 2026, 26(9), 2577"
OWN = "dsifuse"
"""The method that the paper proposes."""
NOT_METRICS = ("method", "printed_name")


@dataclass(frozen=True)
class PublishedTable:
    """One table of the paper: its data set and how many pairs it says to rest on."""

    number: int
    dataset: str
    title: str
    pairs: int


TABLES = (
    PublishedTable(1, "msrs", "MSRS, fusion metrics", 361),
    PublishedTable(2, "m3fd", "M3FD, fusion metrics", 300),
    PublishedTable(3, "tno", "TNO, fusion metrics", 37),
    PublishedTable(4, "m3fd", "M3FD, detection", 4200),
    PublishedTable(5, "msrs", "MSRS, ablations", 361),
)
TITLES = {table.number: table.title for table in TABLES}
PAIRS = {table.number: table.pairs for table in TABLES}


def published() -> pd.DataFrame:
    """One row a printed number: table, dataset, method, printed_name, metric, published."""
    parts = []
    for table in TABLES:
        wide = pd.read_csv(FOLDER / f"table{table.number}.csv")
        long = wide.melt(id_vars=list(NOT_METRICS), var_name="metric", value_name="published")
        parts.append(long.assign(table=table.number, dataset=table.dataset))
    order = ["table", "dataset", *NOT_METRICS, "metric", "published"]
    return pd.concat(parts, ignore_index=True)[order]


def printed(frame: pd.DataFrame, table: int) -> pd.DataFrame:
    """One table again as printed: rows by method, columns by metric, in the printed order."""
    part = frame[frame["table"] == table]
    wide = part.pivot(index="method", columns="metric", values="published")
    return wide.loc[part["method"].unique(), part["metric"].unique()]


def printed_names(frame: pd.DataFrame) -> dict[str, str]:
    """The paper's name of every row; "Ours" is its method's own name."""
    names = dict(zip(frame["method"], frame["printed_name"], strict=True))
    return {**names, OWN: "DSIFuse"}


def measured_readings() -> pd.DataFrame:
    """dataset, method, metric, reading, value, n, images: the same images read differently."""
    return pd.read_csv(FOLDER / "readings.csv")
