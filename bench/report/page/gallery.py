"""The image viewer's data: per data set its pairs, the images of sources and methods, the scores.

Fused images are linked, never embedded: they lie in the run's folder and move with it. Sources are
linked too, to the run's own rows `visible` and `infrared` where it has them, else to the data set;
in both cases a reduced copy is embedded, larger where the original lies outside the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.data.pairs import PairSet
from bench.metrics.registry import METRICS
from bench.report import footers
from bench.report.frame import Jobs
from bench.report.page.embed import link, reduced, shortened
from bench.report.rows import title_of

Progress = Callable[[int, int], None]

STAGES = ("fuse", "fuse-rest")
SOURCES = ("visible", "infrared")
# What browsers show; others (TIFF, JPEG XL) are seen as their embedded copies.
SHOWN = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
# The longer side and the WebP quality of embedded sources: beside a full image in the run's
# folder, and where this copy may be all that travels with the page.
SMALL, ALONE = (160, 60), (400, 62)
# Characters of all copies together: a larger page would take seconds to open.
MOST_EMBEDDED = 20_000_000


@dataclass(frozen=True)
class Gallery:
    """One data set of the viewer. data: for the script, without the reduced copies.

    copies: {"visible": [...], "infrared": [...]}, base64 WebP or None per pair. complete: whether
    no copy was left out to keep the page small.
    """

    data: Mapping[str, Any]
    copies: Mapping[str, Sequence[str | None]]
    complete: bool


def galleries(
    run: Path,
    page: Path,
    frame: pd.DataFrame,
    jobs: Jobs,
    pair_sets: Mapping[str, PairSet],
    progress: Progress,
) -> tuple[Gallery, ...]:
    """One gallery per data set with fused images. page: the folder that the page is written to."""
    found = {name: _images(run, jobs, name) for name in jobs.datasets}
    ids = {
        name: _ordered_ids(images, pair_sets.get(name)) for name, images in found.items() if images
    }
    total, done, embedded = sum(map(len, ids.values())), 0, 0
    galleries = []
    for name, members in ids.items():
        pairs = pair_sets.get(name)
        copies: dict[str, list[str | None]] = {source: [] for source in SOURCES}
        originals = {source: _originals(source, members, pairs) for source in SOURCES}
        for index, id_ in enumerate(members):
            for source in SOURCES:
                stored = found[name].get(source, {}).get(id_)
                fits = embedded < MOST_EMBEDDED
                copy = _copy(stored, originals[source][index]) if fits else None
                copies[source].append(copy)
                embedded += len(copy or "")
            progress(done + index + 1, total)
        done += len(members)
        data = {
            "name": name,
            "title": title_of(name),
            "ids": members,
            "notes": [pairs.attributes.get(id_, "") if pairs else "" for id_ in members],
            "metrics": _metrics(frame, name),
            "layers": _layers(run, page, frame, jobs, name, found[name], members, originals),
        }
        galleries.append(Gallery(data, copies, embedded < MOST_EMBEDDED))
    return tuple(galleries)


def _images(run: Path, jobs: Jobs, dataset: str) -> dict[str, dict[str, Path]]:
    """{method: {id: PNG}} of finished fusions."""
    found: dict[str, dict[str, Path]] = {}
    for method in jobs.methods:
        files = {
            path.stem: path
            for stage in STAGES
            if jobs.get(dataset, method, stage).finished
            for path in sorted((run / dataset / method / stage).glob("*.png"))
        }
        if files:
            found[method] = files
    return found


def _ordered_ids(images: Mapping[str, Mapping[str, Path]], pairs: PairSet | None) -> list[str]:
    """Ids that any method has fused, in the data set's order where that is known; those that are
    scored before those of a detection split alone, which have no numbers to show.
    """
    stages: dict[str, set[str]] = {stage: set() for stage in STAGES}
    for files in images.values():
        for id_, path in files.items():
            stages[path.parent.name].add(id_)
    fused = set().union(*stages.values())
    known = [pair.id for pair in pairs.pairs if pair.id in fused] if pairs else []
    ids = [*known, *sorted(fused.difference(known))]
    return sorted(ids, key=lambda id_: id_ not in stages[STAGES[0]])


def _originals(source: str, ids: Sequence[str], pairs: PairSet | None) -> list[Path | None]:
    """The data set's files of one source; None where it has no such pair."""
    by_id = pairs.by_id() if pairs else {}
    found = [by_id.get(id_) for id_ in ids]
    return [None if p is None else p.visible if source == "visible" else p.infrared for p in found]


def _copy(stored: Path | None, original: Path | None) -> str | None:
    path = stored or original
    return reduced(path, *(SMALL if stored else ALONE)) if path else None


def _metrics(frame: pd.DataFrame, dataset: str) -> list[dict[str, Any]]:
    """The metrics that the data set was scored with, in the order of the tables."""
    scored = frame[(frame["dataset"] == dataset) & (frame["stage"] == "score")]
    names = set(scored["name"])
    known = [metric for metric in METRICS.values() if metric.name in names]
    return [{"name": m.name, "title": m.title, "higher": m.direction == "higher"} for m in known]


def _layers(
    run: Path,
    page: Path,
    frame: pd.DataFrame,
    jobs: Jobs,
    dataset: str,
    images: Mapping[str, Mapping[str, Path]],
    ids: Sequence[str],
    sources: Mapping[str, Sequence[Path | None]],
) -> list[dict[str, Any]]:
    """What can be compared: the two sources, then the methods as asked.

    where: per pair the index of its folder, "-" where there is no image, and "o" where it is the
    entry of `originals`.
    """
    scored = frame[(frame["dataset"] == dataset) & (frame["stage"] == "score")]
    names = [metric["name"] for metric in _metrics(frame, dataset)]
    layers = []
    for method in (*SOURCES, *(m for m in jobs.methods if m not in SOURCES)):
        files = images.get(method, {})
        outside = sources.get(method, ()) if not files else ()
        if not files and not any(outside):
            continue
        originals = [_shown(path, page) for path in outside]
        where = "".join(
            str(STAGES.index(files[id_].parent.name)) if id_ in files else "o" if originals else "-"
            for id_ in ids
        )
        label = footers.printed_name(jobs, dataset, method)
        layers.append(
            {
                "key": method,
                "label": label.capitalize() if label in SOURCES else label,
                "source": method in SOURCES,
                "where": where,
                "folders": [link(run / dataset / method / stage, page) for stage in STAGES],
                "originals": originals,
                "scores": _scores(scored[scored["method"] == method], names, ids),
            }
        )
    return layers


def _shown(path: Path | None, page: Path) -> str | None:
    return link(path, page) if path and path.suffix.lower() in SHOWN else None


def _scores(
    scored: pd.DataFrame, names: Sequence[str], ids: Sequence[str]
) -> dict[str, list[float | None]]:
    """{metric: one value or None per id}."""
    values = {
        (item, name): shortened(value)
        for item, name, value in zip(scored["item"], scored["name"], scored["value"], strict=True)
    }
    found = {name for _, name in values}
    return {name: [values.get((id_, name)) for id_ in ids] for name in names if name in found}
