"""Memory that a program has freed stays with it instead of going back to the system.

Networks and filters free and take the same large blocks over and over. glibc maps such blocks anew
each time, and the system then clears every page again, which can cost more than the arithmetic.
"""

from __future__ import annotations

import ctypes
import os
import sys

# From malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


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
