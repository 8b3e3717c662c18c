"""Figures 5-11 of the paper as records: which there are, which are meant, and drawing them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import UserError
from bench.report.choice import numbers_of
from bench.report.critical_difference import diagrams
from bench.report.curves import curves, violins
from bench.report.detections import detections
from bench.report.footers import family
from bench.report.frame import COST
from bench.report.gain import gain_chart
from bench.report.panels import ablation_panel, methods_panel
from bench.report.pareto import bubbles
from bench.report.scaling import scaling
from bench.report.source import Source


@dataclass(frozen=True)
class Figure:
    """One kind of figure. number: the paper's. dataset: the one that the paper shows, "" for any.

    A set that the paper has no figure of gives the same kinds, whatever their number.
    """

    number: int
    what: str
    draw: Callable[[Source, str], tuple[Path, ...]]
    dataset: str = ""
    stage: str = "score"


FIGURES = (
    Figure(5, "panels of MSRS", methods_panel, "msrs", "fuse"),
    Figure(6, "panels of M3FD", methods_panel, "m3fd", "fuse"),
    Figure(7, "panels of TNO", methods_panel, "tno", "fuse"),
    Figure(8, "detections", detections, stage="detect"),
    Figure(8, "gain per class", gain_chart, stage="detect"),
    Figure(9, "detection against cost", bubbles, stage="detect"),
    Figure(9, "cost against size", scaling, COST, "profile"),
    Figure(10, "per-image curves", curves),
    Figure(10, "distributions", violins),
    Figure(10, "critical differences", diagrams),
    Figure(11, "ablation panels", ablation_panel, stage="fuse"),
)
OF_THE_PAPER = {figure.dataset for figure in FIGURES if figure.dataset}
"""COST among them: what costs are no data set's has one figure for the run."""


def chosen(words: Sequence[str]) -> tuple[Figure, ...]:
    """The figures that words such as "5-8" or "9" mean, all for none. UserError for others."""
    known = sorted({figure.number for figure in FIGURES})
    wanted: set[int] = set()
    for word in words:
        numbers = numbers_of(word)
        if numbers is None or not set(numbers) & set(known):
            raise UserError(
                f"There is no figure '{word}': give numbers from {known[0]} to {known[-1]}, such "
                f"as 5-7 or 9."
            )
        wanted |= set(numbers)
    return tuple(f for f in FIGURES if not words or f.number in wanted)


def draw(
    source: Source, words: Sequence[str], datasets: Sequence[str]
) -> Iterator[tuple[Figure, str, tuple[Path, ...] | UserError]]:
    """Each wanted figure of each data set, with its files or the sentence for what is missing.

    A panel is drawn once, whichever of its numbers was meant.
    """
    done: set[tuple[object, str]] = set()
    for figure in chosen(words):
        for dataset in (COST,) if figure.dataset == COST else datasets:
            own = family(dataset)
            elsewhere = figure.dataset and own != figure.dataset and own in OF_THE_PAPER
            if elsewhere or (figure.draw, dataset) in done:
                continue
            done.add((figure.draw, dataset))
            try:
                yield figure, dataset, figure.draw(source, dataset)
            except UserError as missing:
                yield figure, dataset, missing
