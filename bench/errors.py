"""The one exception that means "you must change something": one sentence, exit code 2; and the
parts of such sentences that every room uses."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence

NAMED = 10
# Control characters, halves of surrogate pairs (bytes that are no UTF-8), line separators.
_NOT_TEXT = ("Cc", "Cs", "Zl", "Zp")


class UserError(Exception):
    """One clear sentence that names the file or the key and says what to do.

    File names and keys in it may be hostile: it is one line of text, whatever they hold.
    """

    def __str__(self) -> str:
        return "".join(
            c.encode("unicode_escape").decode() if is_control(c) else c for c in super().__str__()
        )


def is_control(character: str) -> bool:
    """Whether a character is no text: it would break a line, a terminal or a UTF-8 file."""
    return unicodedata.category(character) in _NOT_TEXT


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the nearest of `known` in any case, or an empty string."""
    by_folded: dict[str, str] = {}
    for name in known:
        by_folded.setdefault(name.casefold(), name)
    near = difflib.get_close_matches(word.casefold(), list(by_folded), n=1, cutoff=0.5)
    return f" (did you mean '{by_folded[near[0]]}'?)" if near else ""


def counted(count: int, word: str) -> str:
    """A number with its noun: 1 job, 2 jobs."""
    return f"{count} {word}{'s' * (count != 1)}"


def named(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
