"""The figures that were drawn for a run, each as a copy small enough to embed, with its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.report.page.embed import link, reduced
from bench.report.rows import title_of

# What `bench figures` draws, by the file's name before the data set's, in the paper's order.
KINDS = {
    "panel": "Fused images, two parts enlarged",
    "detections": "Detections",
    "gain": "Gain per class over one camera alone",
    "cost": "Detection against cost",
    "curves": "Scores image by image",
    "violins": "Distribution of the scores",
    "critical-difference": "Mean ranks and critical difference",
    "ablation-panel": "Ablations, two parts enlarged",
}
SIDE, QUALITY = 1600, 78
SUFFIXES = (".png", ".pdf", ".svg", ".csv")


@dataclass(frozen=True)
class Embedded:
    """image: a data: address. files: (format, address relative to the page)."""

    name: str
    title: str
    image: str
    files: tuple[tuple[str, str], ...]


def embedded(folder: Path, page: Path, datasets: Sequence[str]) -> tuple[Embedded, ...]:
    """The PNG files of `folder`, by kind and data set; those of no known kind last, by name."""
    names = {
        f"{kind}-{dataset}": f"{title}: {title_of(dataset)}"
        + (f" ({dataset})" if title_of(dataset).lower() != dataset.lower() else "")
        for kind, title in KINDS.items()
        for dataset in datasets
    }
    order = {name: place for place, name in enumerate(names)}
    found = []
    drawn = folder.glob("*.png")
    for path in sorted(drawn, key=lambda path: (order.get(path.stem, len(order)), path.stem)):
        copy = reduced(path, SIDE, QUALITY)
        if copy is None:
            continue
        beside = [path.with_suffix(suffix) for suffix in SUFFIXES]
        addresses = [(p.suffix[1:].upper(), link(p, page)) for p in beside if p.is_file()]
        found.append(
            Embedded(
                path.stem,
                names.get(path.stem, path.stem),
                f"data:image/webp;base64,{copy}",
                tuple((kind, address) for kind, address in addresses if address),
            )
        )
    return tuple(found)
