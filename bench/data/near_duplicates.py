"""Which pairs of a set show nearly the same: by perceptual hash, and by the numbers in their names.

The hash is the sign of the low cosine frequencies of a 32×32 thumbnail (as in pHash, Zauner 2010),
of both modalities, and of nine crops, so that a scene which moved a little still meets itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.data.images import read_pair
from bench.data.pairs import Pair, Split

SIDE, FREQUENCIES = 32, 8
CROP = 0.8
"""Side of a crop relative to the image: scenes may have moved by a tenth of it."""
CENTRE = 4
"""Index of the middle one among the nine crops."""
BITS = 2 * FREQUENCIES * FREQUENCIES
NEAR_BITS = 24
"""Pairs whose hashes differ in at most this many of `BITS` are near-duplicates."""
NEAR_NUMBERS = 1
"""Frames whose numbers differ by at most this are neighbours of one recording."""

Hashes = NDArray[np.float32]
Flags = NDArray[np.bool_]


def hashes(pairs: Sequence[Pair], progress: Callable[[int, int], None]) -> Hashes:
    """N×9×`BITS` of -1 and +1: the nine crops of every pair, row by row."""
    found = np.empty((len(pairs), 9, BITS), np.float32)
    for place, pair in enumerate(pairs):
        visible, infrared = read_pair(pair)
        grey = np.asarray(cv2.cvtColor(visible, cv2.COLOR_RGB2GRAY), np.uint8)
        found[place] = np.concatenate([_crop_hashes(grey), _crop_hashes(infrared)], axis=1)
        progress(place + 1, len(pairs))
    return found


def _crop_hashes(grey: NDArray[np.uint8]) -> Hashes:
    """9×64: the hashes of the nine crops of one modality."""
    full = round(SIDE / CROP)
    small = cv2.resize(grey, (full, full), interpolation=cv2.INTER_AREA).astype(np.float32)
    offsets = (0, (full - SIDE) // 2, full - SIDE)
    crops = [small[y : y + SIDE, x : x + SIDE] for y in offsets for x in offsets]
    return np.stack([_hash(crop) for crop in crops])


def _hash(thumbnail: Hashes) -> Hashes:
    low = cv2.dct(np.ascontiguousarray(thumbnail))[:FREQUENCIES, :FREQUENCIES].ravel()
    # The first one is the mean brightness, which says nothing of the scene.
    signs: Hashes = np.where(low > np.median(low[1:]), 1.0, -1.0).astype(np.float32)
    return signs


def distances(one: Hashes, other: Hashes) -> NDArray[np.float32]:
    """N×M bits by which the middle crop of one pair differs from the nearest crop of the other."""
    forth = np.einsum("nb,mcb->nmc", one[:, CENTRE], other, optimize=True).max(axis=2)
    back = np.einsum("ncb,mb->nmc", one, other[:, CENTRE], optimize=True).max(axis=2)
    nearest: NDArray[np.float32] = (BITS - np.maximum(forth, back)) / 2
    return nearest


def number_of(id_: str) -> int | None:
    """The frame number in a name such as 00061, 00055D or FLIR_00006; None without one."""
    found = re.fullmatch(r"[A-Za-z_-]*(\d+)[A-Za-z]*", id_)
    return int(found[1]) if found else None


def numbers_of(ids: Sequence[str]) -> list[int] | None:
    """The frame numbers of all ids; None where one has no number or two have the same."""
    found = [number_of(id_) for id_ in ids]
    if any(number is None for number in found) or len(set(found)) < len(found):
        return None
    return [number for number in found if number is not None]


@dataclass(frozen=True)
class Leakage:
    """How many test images have a near-duplicate in train; None: not measured.

    by_image: by the hash, at most `NEAR_BITS` of `BITS` bits away. by_number: by a frame number at
    most `NEAR_NUMBERS` away.
    """

    test: int
    by_image: int | None
    by_number: int | None

    def sentence(self) -> str:
        """For the table's footer; shares of the test images in per cent."""
        parts = []
        if self.by_image is not None:
            parts.append(
                f"{_percent(self.by_image, self.test)} have a near-duplicate in train (perceptual "
                f"hash, at most {NEAR_BITS} of {BITS} bits)"
            )
        if self.by_number is not None:
            parts.append(
                f"{_percent(self.by_number, self.test)} have a training frame with a number at "
                f"most {NEAR_NUMBERS} away"
            )
        measured = " and ".join(parts) or "near-duplicates in train not measured"
        return f"of its {self.test} test images {measured}"

    def record(self) -> dict[str, Any]:
        """For a split file."""
        return {
            "test": self.test,
            "by_image": self.by_image,
            "bits": [NEAR_BITS, BITS],
            "by_number": self.by_number,
            "number_distance": NEAR_NUMBERS,
            "text": self.sentence(),
        }


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def leakage(split: Split, found: tuple[Sequence[str], Hashes] | None) -> Leakage:
    """Near-duplicates across a split. found: ids and their `hashes`; None: only the names count."""
    by_image = None
    if found is not None:
        place = {id_: k for k, id_ in enumerate(found[0])}
        test, train = ([place[id_] for id_ in part] for part in (split.test, split.train))
        by_image = int(_any_near(found[1][test], found[1][train]).sum())
    by_number = None
    if numbers_of((*split.train, *split.val, *split.test)) is not None:
        train_numbers = np.sort([number_of(id_) or 0 for id_ in split.train])
        near = [_gap(number_of(id_) or 0, train_numbers) <= NEAR_NUMBERS for id_ in split.test]
        by_number = sum(near)
    return Leakage(len(split.test), by_image, by_number)


def _any_near(test: Hashes, train: Hashes) -> Flags:
    """Per test image whether any training image is near; in blocks, since N×M×9 grows fast."""
    blocks = [
        (distances(test[k : k + 64], train) <= NEAR_BITS).any(axis=1)
        for k in range(0, len(test), 64)
    ]
    return np.concatenate(blocks)


def _gap(number: int, numbers: NDArray[np.int64]) -> int:
    """Distance to the nearest of the sorted `numbers`."""
    place = int(np.searchsorted(numbers, number))
    around = numbers[max(place - 1, 0) : place + 1]
    return int(np.abs(around - number).min())
