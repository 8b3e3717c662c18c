"""Which pairs of a data set may be trained on: never those that the tables score."""

from __future__ import annotations

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
