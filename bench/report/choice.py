"""Which of a run's tables are meant by words such as `1-4`, `2` or `detection-synthetic`."""

from __future__ import annotations

from collections.abc import Sequence

from bench.errors import UserError, did_you_mean
from bench.report.table import Table

_KINDS = {1: "fusion-", 2: "fusion-", 3: "fusion-", 4: "detection-", 5: "ablation-"}


def numbers_of(word: str) -> range | None:
    """The numbers that a word such as "2" or "1-4" names, None for any other word."""
    first, dash, last = word.partition("-")
    if not first.isdigit() or (dash and not last.isdigit()):
        return None
    return range(int(first), int(last or first) + 1)


def _means(word: str, table: Table) -> bool:
    numbers = numbers_of(word)
    if numbers is None:
        return table.name == word
    if table.number is not None:
        return table.number in numbers
    # A set that the paper does not have gives the same kinds of tables without a number.
    return any(table.name.startswith(_KINDS.get(number, "\0")) for number in numbers)


def choose(tables: Sequence[Table], wanted: Sequence[str]) -> tuple[Table, ...]:
    """The wanted tables in their order, all of them for no words at all.

    Raises UserError for a word that means none of them.
    """
    if not wanted:
        return tuple(tables)
    names = [table.name for table in tables]
    for word in wanted:
        if not any(_means(word, table) for table in tables):
            raise UserError(
                f"This run has no table '{word}'{did_you_mean(word, names)}; "
                f"it has {', '.join(names)}."
            )
    return tuple(t for t in tables if any(_means(word, t) for word in wanted))
