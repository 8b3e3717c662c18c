"""The score stage: the stored PNG of each pair against its two sources, one row per image."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench.data.images import UInt8, decode, read_pair
from bench.data.pairs import Pair
from bench.errors import UserError
from bench.metrics import evaluate
from bench.stages import values

Progress = Callable[[int, int], None]
JOURNAL = "rows.jsonl"


@dataclass(frozen=True)
class ScoreTask:
    """fused: the stored image of each pair's id. threads: images scored at the same time."""

    pairs: tuple[Pair, ...]
    fused: Mapping[str, Path]
    metrics: tuple[str, ...]
    convention: str
    threads: int


def score_pair(
    pair: Pair, fused: Path, metrics: tuple[str, ...], convention: str
) -> dict[str, float]:
    """All columns of one image. Raises UserError when the three sizes differ."""
    return score_image(fused, *read_pair(pair), metrics, convention)


def score_image(
    fused: Path, visible: UInt8, infrared: UInt8, metrics: tuple[str, ...], convention: str
) -> dict[str, float]:
    """All columns of one image and its decoded sources; see `score_pair`."""
    image = decode(fused).samples
    if image.shape[:2] != infrared.shape:
        raise UserError(
            f"{fused} is {image.shape[1]}×{image.shape[0]} but its sources are "
            f"{infrared.shape[1]}×{infrared.shape[0]}: a fused image has the size of its pair."
        )
    columns = evaluate(image, visible, infrared, metrics=metrics, convention=convention)
    return {name: float(column[0]) for name, column in columns.items()}


def _journalled(path: Path) -> dict[str, dict[str, float]]:
    rows: dict[str, dict[str, float]] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                # A kill tore the last line; that image is scored again.
                continue
            rows[record["id"]] = record["row"]
    return rows


def run(task: ScoreTask, folder: Path, progress: Progress) -> dict[str, Any]:
    """Score what the journal in `folder` does not hold yet, then write values.csv in pair order."""
    journal = folder / JOURNAL
    rows = _journalled(journal)
    todo = [pair for pair in task.pairs if pair.id not in rows]
    progress(len(rows), len(task.pairs))
    # One image is one thread's work: numbers do not depend on the number of threads.
    torch_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(max(1, task.threads)) as pool, journal.open("a") as stream:
            # A torn last line must not swallow the first new row.
            stream.write("\n")
            futures = [
                (p, pool.submit(score_pair, p, task.fused[p.id], task.metrics, task.convention))
                for p in todo
            ]
            try:
                for pair, future in futures:
                    rows[pair.id] = future.result()
                    stream.write(json.dumps({"id": pair.id, "row": rows[pair.id]}) + "\n")
                    stream.flush()
                    progress(len(rows), len(task.pairs))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    finally:
        torch.set_num_threads(torch_threads)
    values.write(
        folder,
        (
            values.Value(pair.id, name, number)
            for pair in task.pairs
            for name, number in rows[pair.id].items()
        ),
    )
    journal.unlink()
    return {"convention": task.convention, "metrics": list(task.metrics), "images": len(task.pairs)}
