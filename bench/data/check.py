"""`bench data check`: decode every file of a set and report each broken pair by name and reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from bench.data.header import checked_size
from bench.data.images import decode, read_pair
from bench.data.labels import read_boxes
from bench.data.pairs import PairSet
from bench.errors import UserError


@dataclass(frozen=True)
class CheckReport:
    """problems: one sentence each, naming the file. boxes: counts per class. deep: 16-bit files."""

    name: str
    pairs: int
    sizes: dict[str, int]
    boxes: dict[str, int]
    deep: tuple[str, ...]
    problems: tuple[str, ...]


def check(pairs: PairSet, progress: Callable[[int, int], None]) -> CheckReport:
    """Decode and compare all pairs and read all labels; never stops at the first problem."""
    problems: list[str] = []
    deep: list[str] = []
    sizes: Counter[str] = Counter()
    boxes: Counter[str] = Counter(dict.fromkeys(pairs.classes, 0))
    for index, pair in enumerate(pairs.pairs, start=1):
        try:
            for path in (pair.visible, pair.infrared):
                checked_size(path)
            visible, _ = read_pair(pair)
            height, width = visible.shape[:2]
            sizes[f"{width}x{height}"] += 1
            deep += [str(p) for p in (pair.visible, pair.infrared) if decode(p).depth == 16]
            if pair.boxes is not None:
                found = read_boxes(
                    pair.boxes, image=pair.id, size=(width, height), classes=pairs.classes
                )
                boxes.update(box.cls for box in found)
        except UserError as error:
            problems.append(str(error))
        progress(index, len(pairs.pairs))
    return CheckReport(
        pairs.name,
        len(pairs.pairs),
        dict(sizes.most_common()),
        dict(boxes),
        tuple(deep),
        tuple(problems),
    )
