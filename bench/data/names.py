"""Names that become files or folders of results: rows, runs, and the stems of images."""

from __future__ import annotations

from bench.errors import is_control

LONGEST = 200
"""Bytes; file systems allow 255, and suffixes follow."""


def name_problem(name: str) -> str:
    """Why `name` can't be one plain file or folder name everywhere, in words; "" if it can."""
    if not name:
        return "it is empty"
    if name[0] in ".-":
        return f"it begins with '{name[0]}'"
    if "/" in name or "\\" in name:
        return "it has a slash"
    if any(map(is_control, name)):
        return "it has a control character"
    if len(name.encode()) > LONGEST:
        return f"it is longer than {LONGEST} bytes"
    return ""
