"""A data set's fingerprint: one hash over names, sizes and bytes, cached by mtime and size."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.data.header import checked_size
from bench.data.pairs import Pair, PairSet
from bench.errors import UserError

MOST_READERS = 8


def _cache_file(name: str, folder: Path) -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ivif-bench"
    key = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return root / f"files-{name}-{key}.json"


def _state(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}.") from None


class Inventory:
    """Hash and size of each file of a set or folder; files whose mtime and size are unchanged are
    not read. name, folder: what the cache between runs is kept for.

    `files` maps a path to [mtime_ns, bytes, sha256, width, height]; width and height are 0 for
    labels.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self._path = _cache_file(name, folder)
        self._changed = False
        try:
            self.files: dict[str, list[Any]] = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.files = {}

    @classmethod
    def of(cls, pairs: PairSet) -> Inventory:
        """The inventory of a data set."""
        return cls(pairs.name, pairs.pairs[0].visible.parent)

    def read_ahead(self, images: Iterable[Path]) -> None:
        """Read what is new or changed of these images by several threads.

        Raises UserError for the first that is gone or no image.
        """
        new = [path for path in images if not self._known(path, _state(path))]
        with ThreadPoolExecutor(min(MOST_READERS, os.cpu_count() or 1)) as readers:
            for _ in readers.map(lambda path: self.entry(path, image=True), new):
                pass

    def _known(self, path: Path, state: os.stat_result) -> list[Any] | None:
        known = self.files.get(str(path))
        same = known and known[0] == state.st_mtime_ns and known[1] == state.st_size
        return known if same else None

    def entry(self, path: Path, *, image: bool) -> list[Any]:
        """The record of one file. Raises UserError when it is gone or no image."""
        state = _state(path)
        if known := self._known(path, state):
            return known
        width, height = checked_size(path) if image else (0, 0)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        record = [state.st_mtime_ns, state.st_size, digest, width, height]
        self.files[str(path)] = record
        self._changed = True
        return record

    def save(self) -> None:
        """Keep the cache; a folder that can't be written only costs the next run's time."""
        if not self._changed:
            return
        temporary = self._path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(self.files), encoding="utf-8")
            os.replace(temporary, self._path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def fingerprint(pairs: Iterable[Pair], inventory: Inventory) -> str:
    """Hex hash over ids and the bytes of images and labels, in order.

    Raises UserError for a file that is no image and for a pair of two sizes.
    """
    digest = hashlib.sha256()
    pairs = tuple(pairs)
    inventory.read_ahead(path for pair in pairs for path in (pair.visible, pair.infrared))
    for pair in pairs:
        visible = inventory.entry(pair.visible, image=True)
        infrared = inventory.entry(pair.infrared, image=True)
        if visible[3:] != infrared[3:]:
            raise UserError(
                f"{pair.infrared} is {infrared[3]}×{infrared[4]} but {pair.visible} is "
                f"{visible[3]}×{visible[4]}: a pair must have one size, nothing is resized."
            )
        boxes = inventory.entry(pair.boxes, image=False)[2] if pair.boxes else ""
        digest.update(f"{pair.id}\0{visible[2]}\0{infrared[2]}\0{boxes}\n".encode())
    return digest.hexdigest()
