"""What a folder of results holds: size and sha256 of each file, records that vouch for themselves,
and text that is written whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEAL = "seal"
# Names that a write in progress has until it is whole.
TEMPORARY = (".tmp", ".part")
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Difference:
    """A file that is not what a record says. kind: "changed", "missing", "foreign", "unsealed"
    (without hashes) or "outdated" (older than what it is made of). file: relative to the folder
    that was looked at. why: what to know about it, or "".
    """

    kind: str
    file: str
    why: str = ""


def sha256_of_file(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def files_in(folder: Path) -> list[str]:
    """All files below `folder`, relative to it and sorted; a linked folder counts as a file."""
    found = []
    for parent, folders, names in os.walk(folder):
        here = Path(parent)
        links = [name for name in folders if (here / name).is_symlink()]
        found += [(here / name).relative_to(folder).as_posix() for name in (*names, *links)]
    return sorted(found)


def contents(folder: Path, leave_out: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """Bytes and sha256 of each file below `folder` by its relative name."""
    return {
        name: {
            "bytes": (folder / name).stat().st_size,
            "sha256": sha256_of_file(folder / name),
        }
        for name in files_in(folder)
        if name not in leave_out
    }


def differences(
    folder: Path, recorded: Mapping[str, Mapping[str, Any]], leave_out: Collection[str] = ()
) -> list[Difference]:
    """How the files of `folder` differ from what `contents` once said of it."""
    here = [name for name in files_in(folder) if name not in leave_out]
    found = [Difference("foreign", name) for name in here if name not in recorded]
    for name, state in recorded.items():
        path = folder / name
        if not path.is_file():
            found.append(Difference("missing", name))
        elif path.stat().st_size != state["bytes"]:
            size = path.stat().st_size
            found.append(Difference("changed", name, f"{size} bytes, not {state['bytes']}"))
        elif sha256_of_file(path) != state["sha256"]:
            found.append(Difference("changed", name, "its sha256 is another"))
    return sorted(found, key=lambda difference: difference.file)


def _seal(record: Mapping[str, Any]) -> str:
    plain = json.loads(json.dumps(record, default=str))
    plain.pop(SEAL, None)
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with the sha256 of all its other keys, so that a change of any can be seen."""
    return {**record, SEAL: _seal(record)}


def seal_holds(record: Mapping[str, Any]) -> bool:
    """Whether nothing but the seal itself has been touched since `sealed`."""
    return bool(record.get(SEAL) == _seal(record))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 so that `path` is either the old or the new text, and nothing else is left."""
    # Several launchers may write the same file at the same time.
    temporary = path.with_name(f".{path.name}.{platform.node()}-{os.getpid()}{TEMPORARY[0]}")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write a JSON object as `write_text` does."""
    write_text(path, json.dumps(record, indent=1, sort_keys=True, default=str) + "\n")


def settle(folder: Path) -> None:
    """Have the disk hold every file of `folder`: a power cut can't take them back, and a disk that
    could not write them after all says so now.
    """
    for name in files_in(folder):
        with (folder / name).open("r+b") as stream:
            os.fsync(stream.fileno())


def sweep(folder: Path, *, shared: bool = False) -> None:
    """Remove what writes that a kill or a full disk cut off have left in `folder`.

    shared: others may write there now; what a living process, or one of another machine, has begun
    with `write_text` stays.
    """
    for path in folder.iterdir():
        torn = path.name.endswith(TEMPORARY) and not path.is_dir()
        if torn and not (shared and _is_in_use(path.name)):
            path.unlink(missing_ok=True)


def _is_in_use(name: str) -> bool:
    host, _, number = name.removesuffix(TEMPORARY[0]).rpartition("-")
    if not (name.startswith(".") and number.isdigit()) or int(number) == os.getpid():
        return False
    if not host.endswith(f".{platform.node()}"):
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
