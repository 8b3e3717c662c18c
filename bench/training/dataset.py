"""Training pixels: every pair is decoded once into one memory-mapped file; crops come from there.

A batch is a function of (seed, iteration), so that a resumed training sees the same crops.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.data.header import checked_size
from bench.data.images import decode, read_pair
from bench.data.pairs import Pair
from bench.errors import UserError

UInt8 = npt.NDArray[np.uint8]

VALIDATION_SHARE = 0.1
DIM_RANGE = (0.1, 0.8)


@dataclass(frozen=True)
class TrainingGroup:
    """Pairs that are drawn from together.

    name: data set with part, as in `Weights.trained_on` ("roadscene/all"). share: probability
    weight of the group against the others; None means its number of pairs.
    """

    name: str
    pairs: tuple[Pair, ...]
    share: float | None = None


@dataclass(frozen=True)
class Entry:
    """Where a decoded pair lies: visible H×W×3, infrared H×W, then the mask H×W if there is one."""

    group: str
    id: str
    offset: int
    height: int
    width: int
    has_mask: bool


@dataclass(frozen=True)
class Pixels:
    """Decoded pairs: `data` is the memory-mapped file, `entries` says what lies where."""

    data: UInt8
    entries: tuple[Entry, ...]

    def visible(self, entry: Entry) -> UInt8:
        """uint8 H×W×3 RGB."""
        end = entry.offset + entry.height * entry.width * 3
        return self.data[entry.offset : end].reshape(entry.height, entry.width, 3)

    def infrared(self, entry: Entry) -> UInt8:
        """uint8 H×W."""
        return self._plane(entry, 3)

    def mask(self, entry: Entry) -> UInt8 | None:
        """The segmentation map, uint8 H×W, or None without annotation."""
        return self._plane(entry, 4) if entry.has_mask else None

    def _plane(self, entry: Entry, skip: int) -> UInt8:
        area = entry.height * entry.width
        start = entry.offset + skip * area
        return self.data[start : start + area].reshape(entry.height, entry.width)


@dataclass(frozen=True)
class Crops:
    """One batch as arrays: visible N×3×S×S, infrared N×1×S×S, mask N×S×S (zeros where unlabelled),
    labelled N bool."""

    visible: UInt8
    infrared: UInt8
    mask: UInt8
    labelled: npt.NDArray[np.bool_]


def _fingerprint(groups: Sequence[TrainingGroup]) -> str:
    facts: list[list[str | int | None]] = []
    for group in groups:
        for pair in group.pairs:
            for path in (pair.visible, pair.infrared, pair.mask):
                if path is None:
                    facts.append([group.name, pair.id, None])
                    continue
                try:
                    stat = path.stat()
                except OSError as error:
                    raise UserError(f"{path} can't be read: {error.strerror}.") from None
                facts.append([group.name, pair.id, str(path), stat.st_size, stat.st_mtime_ns])
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _read_mask(path: Path, height: int, width: int) -> UInt8:
    samples = decode(path).samples
    if samples.shape != (height, width):
        raise UserError(
            f"{path} has the shape {samples.shape}, but its images are {height}×{width}: "
            "a segmentation map must be one channel of the images' size."
        )
    return samples


def decode_once(groups: Sequence[TrainingGroup], cache: Path) -> Pixels:
    """Decode all pairs into `cache` (reused while the files are the same) and map them."""
    folder = cache / _fingerprint(groups)
    index, pixels = folder / "index.json", folder / "pixels.u8"
    if not index.exists():
        folder.mkdir(parents=True, exist_ok=True)
        entries = []
        temporary = folder / f"pixels.{os.getpid()}.tmp"
        with temporary.open("wb") as file:
            for group in groups:
                for pair in group.pairs:
                    for path in filter(None, (pair.visible, pair.infrared, pair.mask)):
                        checked_size(path)
                    visible, infrared = read_pair(pair)
                    height, width = infrared.shape
                    has_mask = pair.mask is not None
                    entries.append(Entry(group.name, pair.id, file.tell(), height, width, has_mask))
                    file.write(visible.tobytes())
                    file.write(infrared.tobytes())
                    if pair.mask is not None:
                        file.write(_read_mask(pair.mask, height, width).tobytes())
        os.replace(temporary, pixels)
        # The index is written last: a folder with an index is complete.
        scratch = folder / f"index.{os.getpid()}.tmp"
        scratch.write_text(json.dumps([asdict(entry) for entry in entries]))
        os.replace(scratch, index)
    listed = tuple(Entry(**entry) for entry in json.loads(index.read_text()))
    data: UInt8 = np.memmap(pixels, np.uint8, "r")
    return Pixels(data, listed)


def held_out_ids(group: TrainingGroup) -> frozenset[str]:
    """Ids of the fixed tenth of a group that is held out: the lowest sha256 of the ids.

    Groups of fewer than ten pairs hold nothing out.
    """
    ranked = sorted(
        (pair.id for pair in group.pairs), key=lambda i: hashlib.sha256(i.encode()).hexdigest()
    )
    return frozenset(ranked[: int(len(ranked) * VALIDATION_SHARE)])


def _padded(array: UInt8, side: int) -> UInt8:
    """Reflect-pad the right and bottom of H×W(×C) to at least side×side."""
    height, width = array.shape[:2]
    if height >= side and width >= side:
        return array
    pads = [(0, max(0, side - height)), (0, max(0, side - width))] + [(0, 0)] * (array.ndim - 2)
    return np.pad(array, pads, mode="reflect")


def _cut(
    pixels: Pixels, entry: Entry, side: int, top: int, left: int
) -> tuple[UInt8, UInt8, UInt8 | None]:
    window = slice(top, top + side), slice(left, left + side)
    mask = pixels.mask(entry)
    return (
        _padded(pixels.visible(entry)[window], side),
        _padded(pixels.infrared(entry)[window], side),
        None if mask is None else _padded(mask[window], side),
    )


def _stack(items: Sequence[tuple[UInt8, UInt8, UInt8 | None]], side: int) -> Crops:
    empty = np.zeros((side, side), np.uint8)
    return Crops(
        # Plane by plane: on channels-last RGB input torch 2.15's backward passes on the CPU write
        # outside their memory.
        np.ascontiguousarray([np.moveaxis(visible, 2, 0) for visible, _, _ in items]),
        np.stack([infrared[None] for _, infrared, _ in items]),
        np.stack([empty if mask is None else mask for _, _, mask in items]),
        np.array([mask is not None for _, _, mask in items]),
    )


def _dimmed(visible: UInt8, random: np.random.Generator) -> UInt8:
    gain = random.uniform(*DIM_RANGE)
    return np.round(visible * gain).astype(np.uint8)


@dataclass(frozen=True)
class Sampler:
    """Random crops with flips. dim: probability that an item's visible image is darkened, which
    shows a network the night to day range of street scenes that a small data set may lack."""

    pixels: Pixels
    groups: tuple[tuple[Entry, ...], ...]
    shares: tuple[float, ...]
    seed: int
    side: int
    batch: int
    dim: float = 0.0

    def __call__(self, iteration: int) -> Crops:
        """The batch of this iteration; equal arguments give equal pixels."""
        random = np.random.default_rng([self.seed, iteration])
        chances = np.array(self.shares) / sum(self.shares)
        items = []
        for _ in range(self.batch):
            group = self.groups[int(random.choice(len(self.groups), p=chances))]
            entry = group[int(random.integers(len(group)))]
            top = int(random.integers(max(1, entry.height - self.side + 1)))
            left = int(random.integers(max(1, entry.width - self.side + 1)))
            visible, infrared, mask = _cut(self.pixels, entry, self.side, top, left)
            if random.random() < 0.5:
                visible, infrared = visible[:, ::-1], infrared[:, ::-1]
                mask = None if mask is None else mask[:, ::-1]
            if random.random() < self.dim:
                visible = _dimmed(visible, random)
            items.append((visible, infrared, mask))
        return _stack(items, self.side)


def split_entries(
    pixels: Pixels, groups: Sequence[TrainingGroup]
) -> tuple[list[tuple[Entry, ...]], list[Entry]]:
    """(entries to train on, per group; entries held out for validation)."""
    train, held_out = [], []
    for group in groups:
        kept = held_out_ids(group)
        entries = [entry for entry in pixels.entries if entry.group == group.name]
        train.append(tuple(entry for entry in entries if entry.id not in kept))
        held_out += [entry for entry in entries if entry.id in kept]
    return train, held_out


def centre_crops(pixels: Pixels, entries: Sequence[Entry], side: int) -> Crops:
    """The centre of each entry, for validation."""
    items = []
    for entry in entries:
        top, left = max(0, entry.height - side) // 2, max(0, entry.width - side) // 2
        items.append(_cut(pixels, entry, side, top, left))
    return _stack(items, side)
