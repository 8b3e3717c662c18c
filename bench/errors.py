"""The one exception that means "you must change something": one sentence, exit code 2; and the
parts of such sentences that every room uses."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

NAMED = 10


class UserError(Exception):
    """One clear sentence that names the file or the key and says what to do."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the nearest of `known`, or an empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean '{near[0]}'?)" if near else ""


def named(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
