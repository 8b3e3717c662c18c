"""Scores of anyone's fused folder, matched by stem with its sources; no run, no configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import torch
from rich.table import Table

from bench.data.adapter import files_by_stem
from bench.data.pairs import Pair
from bench.errors import UserError
from bench.report.statistics import bootstrap_mean_interval
from bench.stages.score import score_pair

SIX = ("EN", "MI", "AG", "SD", "VIF", "SSIM")


def _matched(fused: Path, visible: Path, infrared: Path) -> list[tuple[Pair, Path]]:
    folders = (fused, visible, infrared)
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder: give a folder of images.")
    if len({folder.resolve() for folder in folders}) < 3:
        raise UserError(f"The same folder is given twice among {', '.join(map(str, folders))}.")
    images, vis, ir = (files_by_stem(folder) for folder in folders)
    if not images:
        raise UserError(f"{fused} holds no images.")
    for stem, path in images.items():
        for sources, folder in ((vis, visible), (ir, infrared)):
            if stem not in sources:
                raise UserError(f"{path} has no source of the same stem in {folder}.")
    return [(Pair(stem, vis[stem], ir[stem]), path) for stem, path in images.items()]


def score_folders(
    fused: Path,
    visible: Path,
    infrared: Path,
    *,
    metrics: Sequence[str] | None = None,
    convention: str = "standard",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> pd.DataFrame:
    """One row an image (column `image`) and one column a metric term.

    Every fused image must have both sources; sources without a fused image are left out. Raises
    UserError for folders, files and names that don't fit.
    """
    matched = _matched(fused, visible, infrared)
    chosen = tuple(metrics or SIX)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows: list[dict[str, object]] = []
    try:
        with ThreadPoolExecutor(threads) as pool:
            futures = [pool.submit(score_pair, p, path, chosen, convention) for p, path in matched]
            try:
                for (pair, _), future in zip(matched, futures, strict=True):
                    rows.append({"image": pair.id, **future.result()})
                    progress(len(rows), len(matched))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    finally:
        torch.set_num_threads(threads)
    return pd.DataFrame(rows)


def summary(frame: pd.DataFrame, convention: str) -> Table:
    """Means with their 95 % bootstrap intervals as a terminal table."""
    table = Table(
        title=f"{len(frame)} images, convention {convention}, mean and 95 % bootstrap interval",
        title_justify="left",
    )
    for heading in ("metric", "mean", "low", "high", "undefined"):
        table.add_column(heading, justify="left" if heading == "metric" else "right")
    for column in frame.columns.drop("image"):
        interval = bootstrap_mean_interval(frame[column].to_numpy(dtype=float))
        numbers = (f"{v:.4f}" for v in (interval.mean, interval.low, interval.high))
        table.add_row(column, *numbers, str(interval.n_nan))
    return table
