"""Scores of anyone's fused folders, matched by stem with their sources, without a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.data.adapter import files_by_stem
from bench.data.pairs import Pair
from bench.errors import UserError, named


@dataclass(frozen=True)
class Match:
    """A pair of sources and the fused image of every folder that has one.

    fused: folder -> file.
    """

    pair: Pair
    fused: Mapping[Path, Path]


@dataclass(frozen=True)
class FolderScores:
    """values: convention -> column -> one value an image, in the order of `images`.

    missing: stems of sources without a fused image. failed: image -> what is wrong with it.
    """

    folder: Path
    images: tuple[str, ...]
    values: Mapping[str, Mapping[str, tuple[float, ...]]]
    missing: tuple[str, ...]
    failed: Mapping[str, str]


def match(folders: Sequence[Path], visible: Path, infrared: Path) -> tuple[Match, ...]:
    """The sources in order, with their fused images (none where all folders lack one).

    Raises UserError for folders that don't exist or hold no images, and for fused images without
    sources, which are named.
    """
    given = (*folders, visible, infrared)
    for folder in given:
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder: give a folder of images.")
    if len({folder.resolve() for folder in given}) < len(given):
        raise UserError(f"The same folder is given twice among {', '.join(map(str, given))}.")
    vis, ir = files_by_stem(visible), files_by_stem(infrared)
    fused = {folder: files_by_stem(folder) for folder in folders}
    for folder, images in fused.items():
        if not images:
            raise UserError(f"{folder} holds no images.")
        for sources, where in ((vis, visible), (ir, infrared)):
            extra = [path.name for stem, path in images.items() if stem not in sources]
            if extra:
                has = "has no source" if len(extra) == 1 else "have no sources"
                raise UserError(
                    f"{folder}: {named(extra)} {has} of the same stem in {where}; "
                    "a fused image needs the stem of its pair."
                )
    return tuple(
        Match(
            Pair(stem, vis[stem], ir[stem]),
            {folder: images[stem] for folder, images in fused.items() if stem in images},
        )
        for stem in sorted(vis.keys() & ir.keys())
    )


def score_folders(
    matches: Sequence[Match],
    *,
    metrics: Sequence[str] | None = None,
    conventions: Sequence[str] = ("standard",),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[FolderScores, ...]:
    """Every folder's scores under every convention; sources are decoded once for all folders.

    metrics: names, or None for those of the six that a convention defines. With several
    conventions, each gives the named metrics that it defines.
    An image that can't be scored is in `failed`; if that is every image, its UserError is raised.
    """
    import torch

    chosen = chosen_metrics(metrics, conventions)
    todo = [match for match in matches if match.fused]
    rows: dict[Path, dict[str, dict[str, dict[str, float]]]] = {}
    failed: dict[Path, dict[str, str]] = {}
    folders = dict.fromkeys(folder for match in matches for folder in match.fused)
    # One image is one thread's work: numbers do not depend on the number of threads.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            futures = [pool.submit(_score, match, chosen) for match in todo]
            try:
                for done, (match, future) in enumerate(zip(todo, futures, strict=True), start=1):
                    for folder, result in future.result().items():
                        if isinstance(result, str):
                            failed.setdefault(folder, {})[match.pair.id] = result
                        else:
                            rows.setdefault(folder, {})[match.pair.id] = result
                    progress(done, len(todo))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    finally:
        torch.set_num_threads(threads)
    for folder, problems in failed.items():
        if folder not in rows:
            raise UserError(next(iter(problems.values())))
    return tuple(
        FolderScores(
            folder=folder,
            images=tuple(rows[folder]),
            values={
                convention: _columns([row[convention] for row in rows[folder].values()])
                for convention in chosen
            },
            missing=tuple(m.pair.id for m in matches if folder not in m.fused),
            failed=failed.get(folder, {}),
        )
        for folder in folders
    )


def chosen_metrics(
    metrics: Sequence[str] | None, conventions: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Convention -> names of the metrics to score; "all" is all that the convention defines."""
    from bench.metrics.conventions import find_convention
    from bench.metrics.registry import find_metrics

    chosen: dict[str, tuple[str, ...]] = {}
    for convention in conventions:
        record = find_convention(convention)
        names = metrics
        if metrics is not None and tuple(metrics) == ("all",):
            names = record.metrics
        elif metrics is not None and len(conventions) > 1:
            names = [m.name for m in find_metrics(metrics) if m.name in record.metrics]
        chosen[convention] = tuple(metric.name for metric in find_metrics(names, record))
    return chosen


def _score(
    match: Match, chosen: Mapping[str, tuple[str, ...]]
) -> dict[Path, dict[str, dict[str, float]] | str]:
    """Folder -> convention -> columns, or what is wrong with the folder's image."""
    from bench.data.header import checked_size
    from bench.data.images import read_pair
    from bench.stages.score import score_image

    try:
        for path in (match.pair.visible, match.pair.infrared):
            checked_size(path)
        sources = read_pair(match.pair)
    except UserError as error:
        return dict.fromkeys(match.fused, str(error))
    scores: dict[Path, dict[str, dict[str, float]] | str] = {}
    for folder, path in match.fused.items():
        try:
            checked_size(path)
            scores[folder] = {
                convention: score_image(path, *sources, names, convention)
                for convention, names in chosen.items()
            }
        except UserError as error:
            scores[folder] = str(error)
    return scores


def _columns(rows: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, ...]]:
    return {name: tuple(row[name] for row in rows) for name in rows[0]}
