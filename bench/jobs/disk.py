"""Errors of the disk as sentences: a full or read-only disk is a row's reason, not a traceback."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from bench.data.contents import TEMPORARY

_SENTENCES = {
    errno.ENOSPC: "no space left in {}: free some and run again",
    errno.EDQUOT: "the disk quota of {} is used up: free some space and run again",
    errno.EROFS: "{} is on a read-only file system: make it writable or choose another",
    errno.EACCES: "no permission for {}: change that or choose another folder",
    errno.EPERM: "no permission for {}: change that or choose another folder",
    errno.EIO: "the disk reports an input/output error for {}",
}


def disk_problem(error: BaseException, folder: Path | None) -> str | None:
    """What the error says about the disk, or None where it is about something else.

    folder: where the work is done, if that is one place; named where the error names no file, or
    one below it.
    """
    sentence = _SENTENCES.get(_number(error) or 0)
    if sentence is None:
        return None
    named = getattr(error, "filename", None)
    place = Path(str(named)) if named else None
    if place is not None and place.name.endswith(TEMPORARY):
        place = place.parent
    if folder is not None and (place is None or place.is_relative_to(folder)):
        place = folder
    return sentence.format(place or "the folder that was being written")


def _number(error: BaseException) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    # Libraries, and the detector's process, hand the system's error on as text.
    found = re.search(r"\[Errno (\d+)\]", str(error))
    return int(found[1]) if found else None
