"""The fuse stage of a row of ready-made images: each becomes the stored 8-bit PNG, `<id>.png`.

Pixels stay as they are; only the file changes, so that later stages see what they see of every row:
JPEG is decoded, 16 bits are scaled to 8 as in the sources, alpha is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.data.fused import is_lossy
from bench.data.images import decode, write_png
from bench.errors import UserError
from bench.methods.weights import NO_WEIGHTS

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ReadyMadeTask:
    """name: of the row. images: the ready-made file of each pair's id. sha256: over all of them."""

    name: str
    images: Mapping[str, Path]
    sha256: str


def run(task: ReadyMadeTask, folder: Path, progress: Progress) -> dict[str, Any]:
    """Store what `folder` does not hold yet; returns the facts of the row.

    An image that can't be decoded does not stop the others; in the end its UserError names it.
    """
    done = {path.stem for path in folder.glob("*.png")}
    todo = [id_ for id_ in task.images if id_ not in done]
    failed: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(_store, task.images[id_], folder / f"{id_}.png") for id_ in todo]
        try:
            for count, future in enumerate(futures, start=len(task.images) - len(todo) + 1):
                failed += [problem] if (problem := future.result()) else []
                progress(count, len(task.images))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if failed:
        more = f" (and {len(failed) - 1} more of {len(task.images)})" if len(failed) > 1 else ""
        raise UserError(f"{failed[0]}{more}")
    return {
        "title": task.name,
        "printed_name": task.name,
        "kind": "folder",
        "images": len(task.images),
        "images_sha256": task.sha256,
        "lossy_images": sum(is_lossy(path) for path in task.images.values()),
        "weights": NO_WEIGHTS.facts(),
    }


def _store(source: Path, target: Path) -> str:
    """Write the PNG; returns what is wrong with the source, or ""."""
    try:
        write_png(target, decode(source).samples)
    except UserError as error:
        return str(error)
    return ""
