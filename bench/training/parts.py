"""Which pairs of a data set may be trained on: never those that the tables score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.data import folder
from bench.data.pairs import PairSet
from bench.errors import UserError
from bench.training.dataset import TrainingGroup


def training_group(pairs: PairSet) -> TrainingGroup:
    """The training part of a set as one group, named as in `Weights.trained_on`.

    A set with a split gives its train part without scored pairs; one without gives all its pairs,
    and rows on that set then carry the mark. Raises UserError where nothing is left.
    """
    if pairs.split is None:
        return TrainingGroup(f"{pairs.name}/all", pairs.pairs)
    allowed = set(pairs.split.train) - set(pairs.scored)
    chosen = tuple(pair for pair in pairs.pairs if pair.id in allowed)
    if not chosen:
        raise UserError(
            f"{pairs.name} has no training part here: all of its pairs are scored, and training on "
            "them would make its rows worthless."
        )
    return TrainingGroup(f"{pairs.name}/train", chosen)


def is_folder(word: str) -> bool:
    """Whether a word of `--train-data` means a folder of pairs: it has a slash, as no data set."""
    return "/" in word or "\\" in word


def folder_groups(roots: Sequence[str]) -> list[TrainingGroup]:
    """Plain folders of pairs, each with `visible/` and `infrared/`, all of their pairs."""
    groups = []
    for number, root in enumerate(roots, start=1):
        pairs = folder.load(Path(root).expanduser(), {})
        # Rows on anyone's folder are marked then: it may be this one.
        name = pairs.name if number == 1 else f"{pairs.name}-{number}"
        groups.append(training_group(replace(pairs, name=name)))
    return groups
