"""Memory that a program has freed stays with it instead of going back to the system.

Networks and filters free and take the same large blocks over and over. glibc maps such blocks anew
each time, and the system then clears every page again, which can cost more than the arithmetic.
What is kept is given back where it only grows: an aligned block whose hole has a small neighbour
by now does not fit there again, and takes another place.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

# From malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
_MOST_MAPPINGS, _LARGE = 65536, 128 * 1024
GROWTH = 1.25
"""Of the resident memory over that after the first of equal works, before it is given back."""
PAUSE = 0.1
"""Seconds between two looks: small works need no look each."""

_kept = False


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL("libc.so.6")
    except OSError:
        return None
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None


def keep_freed_memory() -> bool:
    """Switch off single mappings of large blocks and the trimming of the heap.

    Call it before the first large block. False, and nothing is changed, where the C library is
    not glibc or the user has set allocator options.
    """
    global _kept
    library = _glibc()
    if library is None or any(key.startswith("MALLOC_") for key in os.environ):
        return False
    _kept = bool(library.mallopt(_M_MMAP_MAX, 0)) and bool(library.mallopt(_M_TRIM_THRESHOLD, -1))
    return _kept


def give_back() -> None:
    """Return every free page of the heap to the system, where the C library is glibc."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


@contextmanager
def nothing_kept() -> Iterator[None]:
    """In a thread that starts meanwhile, large blocks come and go: resident memory is then what is
    in use. Elsewhere the holes of the heap are filled first.
    """
    give_back()
    library = _glibc() if _kept else None
    if library is not None:
        library.mallopt(_M_MMAP_MAX, _MOST_MAPPINGS)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
    try:
        yield
    finally:
        if library is not None:
            library.mallopt(_M_MMAP_MAX, 0)


def resident_bytes() -> int:
    """Of this process; 0 where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


class Bounded:
    """Keeps the memory of a series of works of the same kind near that of its first.

    The largest work so far sets the measure; larger ones may need more.
    """

    def __init__(self) -> None:
        self._largest = 0
        self._limit = 0.0
        self._looked = 0.0

    def after(self, size: int) -> None:
        """To be called after each work; size in any unit, in which memory is proportional."""
        now = monotonic()
        if size <= self._largest and now - self._looked < PAUSE:
            return
        self._looked = now
        resident = resident_bytes()
        if size > self._largest:
            self._largest, self._limit = size, GROWTH * resident
        elif resident > self._limit:
            give_back()
