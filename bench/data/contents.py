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
BROKEN_SEAL = "its seal does not fit what it says"
# Names that a write in progress has until it is whole.
TEMPORARY = (".tmp", ".part")
# What tables, figures and pages are made of. Images are too many to hash whenever a run is looked
# at; `differences` hashes them too.
NUMBERS = (".csv", ".json")
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
    found += [d for name, state in recorded.items() if (d := _difference(folder, name, state))]
    return sorted(found, key=lambda difference: difference.file)


def _difference(folder: Path, name: str, state: Mapping[str, Any]) -> Difference | None:
    path = folder / name
    if not path.is_file():
        return Difference("missing", name)
    size = path.stat().st_size
    if size != state["bytes"]:
        return Difference("changed", name, f"{size} bytes, not {state['bytes']}")
    if sha256_of_file(path) != state["sha256"]:
        return Difference("changed", name, "its sha256 is another")
    return None


def number_differences(
    folder: Path, record: Mapping[str, Any], record_file: str
) -> list[Difference]:
    """What numbers are read from in `folder`, the record and its files of `NUMBERS`, and is not as
    the record says. An unsealed record, that of an earlier version, says nothing.
    """
    if SEAL not in record and "files" not in record:
        return []
    if not seal_holds(record):
        return [Difference("changed", record_file, BROKEN_SEAL)]
    files = record.get("files", {})
    return [
        difference
        for name in sorted(files)
        if name.endswith(NUMBERS) and (difference := _difference(folder, name, files[name]))
    ]


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file, or {} where there is none that can be read."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _seal(plain: Mapping[str, Any]) -> str:
    others = {key: value for key, value in plain.items() if key != SEAL}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with the sha256 of all its other keys, so that a change of any can be seen."""
    return {**record, SEAL: _seal(json.loads(json.dumps(record, default=str)))}


def seal_holds(record: Mapping[str, Any]) -> bool:
    """Whether nothing but the seal has been touched since `sealed`; of a record as JSON gave it."""
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
