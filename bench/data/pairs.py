"""What a pair is: paths of two registered images, and the named, ordered sets they come in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import UserError


@dataclass(frozen=True)
class Pair:
    """One registered visible/infrared pair. Paths only; `bench.data.images` decodes.

    id: the file stem, unique within its set; no path separators.
    boxes: label file (VOC .xml, YOLO .txt, or COCO .json of many images) or None; read by
        `bench.data.labels`.
    mask: 8-bit single-channel segmentation map (0 = background, k = class k) or None.
    """

    id: str
    visible: Path
    infrared: Path
    boxes: Path | None = None
    mask: Path | None = None


@dataclass(frozen=True)
class Split:
    """A named division of a set for detection: ids only. `val` may be empty.

    leakage: what is known of near-duplicates across its parts, a clause; "" where not measured.
    """

    name: str
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    leakage: str = ""

    @property
    def sha256(self) -> str:
        """Hex hash over the name and the parts; printed with every number made on the split."""
        parts = {"name": self.name, "train": self.train, "val": self.val, "test": self.test}
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class PairSet:
    """A named, ordered sequence of pairs; UserError for none.

    scored: ids whose fused images are scored (Tables 1-3); a subset of the pairs, in their order.
    split: the detection split, or None where the set has no boxes (`no_split` says why).
    classes: names of the boxes' classes in the order of the tables; () without boxes.
    mask_classes: names of the segmentation map's values, background first; () without maps.
    footnotes: sentences printed under every table of this set ("near-lossless copy ...").
    box_footnotes: those on its boxes, printed where detection is measured.
    attributes: per id free facts, e.g. {"00061": "night"}; used for grouping in reports.
    """

    name: str
    pairs: tuple[Pair, ...]
    scored: tuple[str, ...]
    split: Split | None = None
    no_split: str = ""
    classes: tuple[str, ...] = ()
    mask_classes: tuple[str, ...] = ()
    footnotes: tuple[str, ...] = ()
    box_footnotes: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.pairs:
            raise UserError(
                f"The data set '{self.name}' has no pairs: its folders hold no images; "
                "'bench datasets' says where it is looked for."
            )

    def by_id(self) -> dict[str, Pair]:
        """The pairs by their id."""
        return {pair.id: pair for pair in self.pairs}
