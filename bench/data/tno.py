"""TNO in the 42-pair collection numbered 01..42 (grey, 17 sizes, no labels).

A. Toet, "The TNO Multiband Image Data Collection", Data in Brief 2017; figshare item 1008029.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.data.adapter import Adapter, files_by_stem, first_folder, matched_stems, missing
from bench.data.pairs import Pair, PairSet
from bench.errors import counted


def load(root: Path, options: Mapping[str, Any]) -> PairSet:
    """All pairs of `root`/{vi,ir}; every pair is scored."""
    visible = first_folder(root, ("vi", "visible", "Vis", "VIS"))
    infrared = first_folder(root, ("ir", "infrared", "Ir", "IR"))
    if visible is None or infrared is None:
        raise missing(ADAPTER, root)
    vi, ir = files_by_stem(visible), files_by_stem(infrared)
    stems = matched_stems(vi, ir)
    note = f"TNO: {counted(len(stems), 'pair')}" + (
        ", the collection numbered 01..42 of the common evaluation sets."
        if len(stems) == 42
        else "."
    )
    return PairSet(
        name="tno",
        pairs=tuple(Pair(stem, vi[stem], ir[stem]) for stem in stems),
        scored=tuple(stems),
        no_split="TNO has no boxes",
        footnotes=(note,),
    )


ADAPTER = Adapter(
    name="tno",
    title="TNO",
    folder="TNO",
    layout="vi/NN.png\nir/NN.png",
    source="figshare 10.6084/m9.figshare.1008029, in the 42-pair selection used for evaluation",
    terms="CC BY 4.0 (confirm on the item's page)",
    load=load,
)
