"""Memory that a program has freed stays with it instead of going back to the system.

Networks and filters free and take the same large blocks over and over. glibc maps such blocks anew
each time, and the system then clears every page again, which can cost more than the arithmetic.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

# From malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
GROWTH = 1.25
"""Of the resident memory over that after the first of equal works, before it is given back."""


def keep_freed_memory() -> bool:
    """Switch off single mappings of large blocks and the trimming of the heap.

    Call it before the first large block. False, and nothing is changed, where the C library is
    not glibc or the user has set allocator options.
    """
    if not sys.platform.startswith("linux") or any(key.startswith("MALLOC_") for key in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, -1))


def give_back() -> None:
    """Return every free page of the heap to the system, where the C library is glibc."""
    if sys.platform.startswith("linux"):
        try:
            trim = ctypes.CDLL("libc.so.6").malloc_trim
        except (OSError, AttributeError):
            return
        trim(0)


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

    def after(self, size: int) -> None:
        """To be called after each work; size in any unit, in which memory is proportional."""
        resident = resident_bytes()
        if size > self._largest:
            self._largest, self._limit = size, GROWTH * resident
        elif resident > self._limit:
            give_back()
