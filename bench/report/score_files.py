"""Per-image scores as a file: CSV, JSON or Parquet, by the suffix of its name."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.report.folder_scores import FolderScores

SUFFIXES = (".csv", ".json", ".parquet")


def check_target(path: Path) -> None:
    """UserError where `write_scores` could not write: asked before hours of scoring."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: the suffix of --out must be one of {', '.join(SUFFIXES)}.")
    if not path.parent.is_dir():
        raise UserError(f"{path.parent} is no folder: create it, or choose another --out.")
    if path.suffix.lower() == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise UserError(
            f"{path} needs pyarrow, which is not installed: pip install 'ivif-bench[parquet]', "
            "or choose .csv or .json."
        )


def write_scores(path: Path, scores: Sequence[FolderScores]) -> None:
    """One row an image, whole or not at all.

    Columns: `fused` (the folder) where there are several, `image`, then the metrics, named
    CONVENTION.COLUMN where there are several conventions. Undefined values are `nan`, in JSON null.
    """
    rows = _rows(scores)
    temporary = path.with_name(path.name + ".tmp")
    suffix = path.suffix.lower()
    if suffix == ".csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        temporary.write_text(text.getvalue(), encoding="utf-8")
    elif suffix == ".json":
        plain = [{name: _json_value(value) for name, value in row.items()} for row in rows]
        text_of_all = json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text_of_all + "\n", encoding="utf-8")
    else:
        import pyarrow
        import pyarrow.parquet

        table = pyarrow.table({name: [row[name] for row in rows] for name in rows[0]})
        pyarrow.parquet.write_table(table, temporary)
    os.replace(temporary, path)


def _rows(scores: Sequence[FolderScores]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for folder in scores:
        for k, image in enumerate(folder.images):
            row: dict[str, Any] = {"fused": str(folder.folder)} if len(scores) > 1 else {}
            row["image"] = image
            for convention, columns in folder.values.items():
                prefix = f"{convention}." if len(folder.values) > 1 else ""
                row |= {prefix + name: values[k] for name, values in columns.items()}
            rows.append(row)
    return rows


def _json_value(value: Any) -> Any:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return None if math.isnan(value) else str(value)
