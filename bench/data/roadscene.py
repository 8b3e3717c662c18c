"""RoadScene: 221 aligned road pairs with varying sizes.

The aligned partner of `cropinfrared` is `crop_LR_visible`; the larger `crop_HR_visible` has other
sizes in all 221 pairs. Xu et al., FusionDN, AAAI 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.data.adapter import Adapter, files_by_stem, first_folder, matched_stems, missing
from bench.data.pairs import Pair, PairSet
from bench.errors import counted


def load(root: Path, options: Mapping[str, Any]) -> PairSet:
    """All pairs of `root`; every pair is scored."""
    visible = first_folder(root, ("crop_LR_visible", "vi", "visible"))
    infrared = first_folder(root, ("cropinfrared", "ir", "infrared"))
    if visible is None or infrared is None:
        raise missing(ADAPTER, root)
    vi, ir = files_by_stem(visible), files_by_stem(infrared)
    stems = matched_stems(vi, ir)
    return PairSet(
        name="roadscene",
        pairs=tuple(Pair(stem, vi[stem], ir[stem]) for stem in stems),
        scored=tuple(stems),
        no_split="RoadScene has no boxes",
        footnotes=(
            f"RoadScene: {counted(len(stems), 'pair')}, {visible.name} with {infrared.name}.",
        ),
    )


ADAPTER = Adapter(
    name="roadscene",
    title="RoadScene",
    folder="RoadScene",
    layout="crop_LR_visible/FLIR_NNNNN.jpg\ncropinfrared/FLIR_NNNNN.jpg",
    source="github.com/hanna-xu/RoadScene",
    terms="no licence stated; cite FusionDN (AAAI 2020) and U2Fusion (TPAMI)",
    load=load,
)
