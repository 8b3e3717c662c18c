"""Divide a set for detection: at random, as most papers do, or by scenes, so that no test image is
a moment of a training image.

A scene is found by content (near-duplicates, and frames in the order of their numbers as long as
they resemble each other) or, without the images, from the scene codes and sizes of annotations.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from bench.data.near_duplicates import (
    NEAR_BITS,
    Hashes,
    distances,
    number_of,
    numbers_of,
)
from bench.data.pairs import Split
from bench.errors import UserError

FOLLOWING_BITS = 36
"""Frames that follow each other by number are of one scene up to this many differing bits; it is
more than for near-duplicates, because unrelated frames rarely follow each other."""
DRAWS = 2000
"""Random divisions of the groups, of which the most even one is taken."""

Groups = list[list[str]]


def random_split(ids: Sequence[str], *, seed: int, share: float, name: str = "random") -> Split:
    """`share` of the images for testing, drawn one by one; the order of `ids` does not matter."""
    order = sorted(ids)
    random.Random(seed).shuffle(order)
    count = _test_count(len(order), share)
    return Split(name, tuple(sorted(order[count:])), (), tuple(sorted(order[:count])))


def groups_by_content(ids: Sequence[str], found: Hashes) -> Groups:
    """Scenes as connected groups: near-duplicates anywhere, and following frames that resemble
    each other. found: `near_duplicates.hashes` of the ids."""
    root = list(range(len(ids)))

    def find(one: int) -> int:
        while root[one] != one:
            root[one] = root[root[one]]
            one = root[one]
        return one

    for start in range(0, len(ids), 64):
        near = distances(found[start : start + 64], found) <= NEAR_BITS
        for row, other in zip(*np.nonzero(near), strict=True):
            root[find(start + int(row))] = find(int(other))
    if (numbers := numbers_of(ids)) is not None:
        order = sorted(range(len(ids)), key=numbers.__getitem__)
        for one, other in itertools.pairwise(order):
            if distances(found[one : one + 1], found[other : other + 1])[0, 0] <= FOLLOWING_BITS:
                root[find(one)] = find(other)
    groups: dict[int, list[str]] = {}
    for place, id_ in enumerate(ids):
        groups.setdefault(find(place), []).append(id_)
    return sorted(groups.values())


def groups_by_runs(facts: Mapping[str, Hashable]) -> Groups:
    """Runs of ids, in their order, with the same facts, such as scene code and size."""
    runs = itertools.groupby(sorted(facts), key=lambda id_: facts[id_])
    return [list(run) for _, run in runs]


def scene_split(
    groups: Groups,
    contents: Mapping[str, Mapping[str, int]],
    *,
    seed: int,
    share: float,
    guard: int = 0,
    name: str = "scene",
) -> Split:
    """Whole groups on one side, about `share` of the images for testing.

    contents: counts per image, such as boxes by class, whose shares the test part should have too.
    guard: training frames whose number is at most this far from that of a test frame are left out,
    since a scene does not end exactly where its code changes.
    """
    kinds = sorted({kind for counts in contents.values() for kind in counts})
    weights = np.array(
        [
            [len(group), *(sum(contents.get(i, {}).get(k, 0) for i in group) for k in kinds)]
            for group in groups
        ],
        float,
    )
    whole = weights.sum(axis=0)
    limit = _test_count(int(whole[0]), share)
    draw = random.Random(seed)
    best: tuple[float, list[int]] | None = None
    for _ in range(DRAWS):
        order = draw.sample(range(len(groups)), len(groups))
        chosen, size = [], 0
        for place in order:
            if size + len(groups[place]) <= limit:
                chosen.append(place)
                size += len(groups[place])
        shares = weights[chosen].sum(axis=0)[whole > 0] / whole[whole > 0]
        uneven = float(((shares - share) ** 2).sum())
        if chosen and (best is None or uneven < best[0]):
            best = uneven, sorted(chosen)
    if best is None:
        raise UserError(
            f"The {len(groups)} scenes can't be divided: the smallest has "
            f"{min(map(len, groups))} of {int(whole[0])} images, more than the test share "
            f"{share:g}; give a larger --share, or --make random."
        )
    test = sorted(id_ for place in best[1] for id_ in groups[place])
    train = sorted({id_ for group in groups for id_ in group} - set(test))
    if guard:
        train = _guarded(train, test, guard)
    if not train:
        raise UserError("No training image is left: give a smaller --guard or --share.")
    return Split(name, tuple(train), (), tuple(test))


def _guarded(train: Sequence[str], test: Sequence[str], guard: int) -> list[str]:
    if numbers_of((*train, *test)) is None:
        raise UserError("--guard needs names with numbers, all different: leave it out.")
    tested = np.array(sorted(number_of(id_) or 0 for id_ in test))
    kept = []
    for id_ in train:
        number = number_of(id_) or 0
        if int(np.abs(tested - number).min()) > guard:
            kept.append(id_)
    return kept


def _test_count(images: int, share: float) -> int:
    if not 0 < share < 1:
        raise UserError(f"The share of test images must be between 0 and 1, not {share:g}.")
    count = round(images * share)
    if not 0 < count < images:
        raise UserError(f"{images} images can't be divided with a test share of {share:g}.")
    return count
