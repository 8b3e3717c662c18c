"""Split files: the packaged ones by name, and anyone's own as JSON, text, or COCO.

JSON: {"name", "train", "val", "test"} with lists of ids. Text: a folder of train.txt, val.txt,
test.txt with a name a line, or one file of lines "ID PART". COCO: a folder of train.json, val.json,
test.json, of which the images count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from bench.data.pairs import Split
from bench.errors import UserError, counted, did_you_mean

PARTS = ("train", "val", "test")
ALIASES = {"m3fd-public": "public-coco"}
"""Older names of packaged splits."""


def packaged_splits() -> list[str]:
    """Names of the split files in the package, and their older names."""
    entries = (resources.files("bench.data") / "splits").iterdir()
    return sorted([*(e.name[:-5] for e in entries if e.name.endswith(".json")), *ALIASES])


def read_split(name: str, ids: Iterable[str], root: Path) -> Split:
    """A split by packaged name, file or folder.

    Relative paths are looked up in the data set's `root` first. Raises UserError for an unknown
    name, an id that the data set does not have, an id in two parts, and an edited file.
    """
    candidates = [root / name, Path(name)]
    path = next((candidate for candidate in candidates if candidate.exists()), None)
    if path is not None:
        split = _from_path(path)
    elif name in packaged_splits():
        file = f"{ALIASES.get(name, name)}.json"
        with resources.as_file(resources.files("bench.data") / "splits" / file) as packaged:
            split = _from_json(packaged)
    else:
        raise UserError(
            f"The split '{name}' is neither a file nor a known name"
            f"{did_you_mean(name, packaged_splits())}; known: {', '.join(packaged_splits())}."
        )
    known = set(ids)
    seen: set[str] = set()
    for part in (split.train, split.val, split.test):
        absent = [id_ for id_ in part if id_ not in known]
        if absent:
            raise UserError(
                f"The split '{split.name}' names {counted(len(absent), 'pair')} that {root} does "
                f"not have, the first is {absent[0]}: use another split or complete the data set."
            )
        twice = sorted(seen.intersection(part)) or sorted(i for i in part if part.count(i) > 1)
        if twice and twice[0] in seen:
            raise UserError(f"The split '{split.name}' has {twice[0]} in two parts.")
        if twice:
            raise UserError(f"The split '{split.name}' names {twice[0]} twice: name it once.")
        seen.update(part)
    return split


def read_choice(wanted: str, ids: Iterable[str], root: Path) -> tuple[str, ...]:
    """The ids that `wanted` names, in the order of `ids`: "SPLIT:PART" (a split as `read_split`
    takes it and one of its parts) or a text file of one name a line.

    Raises UserError for what is neither, for an id that is not among `ids`, and for none at all.
    """
    all_ids = tuple(ids)
    name, _, part = wanted.rpartition(":")
    if name and part in PARTS:
        chosen = set(getattr(read_split(name, all_ids, root), part))
    else:
        path = next((path for path in (root / wanted, Path(wanted)) if path.is_file()), None)
        if path is None:
            raise UserError(
                f"'{wanted}' is neither a text file of one pair's name a line nor SPLIT:PART, such "
                "as public-300:test."
            )
        chosen = set(_text_stems(path))
    if absent := sorted(chosen.difference(all_ids)):
        raise UserError(
            f"'{wanted}' names {counted(len(absent), 'pair')} that {root} has not among its scored "
            f"pairs, the first is {absent[0]}: remove what is not there from the list."
        )
    if not chosen:
        raise UserError(f"'{wanted}' names no pair: name at least one.")
    return tuple(id_ for id_ in all_ids if id_ in chosen)


def write_split(path: Path, split: Split, facts: Mapping[str, Any]) -> None:
    """One JSON file with the parts, their hash, and `facts` (how it was made, its leakage)."""
    parts = {part: list(getattr(split, part)) for part in PARTS}
    record = {"name": split.name, **facts, "sha256": split.sha256, **parts}
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in record.items())
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(f"{{{lines}}}\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise UserError(f"{path} can't be written: {error.strerror}.") from None


def _from_path(path: Path) -> Split:
    if not path.is_dir():
        return _from_json(path) if path.suffix.lower() == ".json" else _from_lines(path)
    if (path / "train.json").is_file():
        return _from_folder(path, ".json", _coco_stems)
    return _from_folder(path, ".txt", _text_stems)


def _from_json(path: Path) -> Split:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict) or not any(record.get(part) for part in PARTS):
            raise ValueError("it has none of them")
        parts = {part: tuple(map(str, record.get(part) or ())) for part in PARTS}
        measured = record.get("leakage") or {}
        split = _split(str(record.get("name", path.stem)), parts)
        split = replace(split, leakage=str(measured.get("text", "")))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UserError(
            f"{path} is not a split file with train, val, test lists: {error}."
        ) from None
    if record.get("sha256", split.sha256) != split.sha256:
        raise UserError(
            f"{path} was changed after it was made (its sha256 is another one): give it another "
            "name and delete its 'sha256' and 'leakage', or restore it."
        )
    return split


def _from_lines(path: Path) -> Split:
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    for number, line in enumerate(_lines(path), start=1):
        words = line.replace(",", " ").split()
        if not words:
            continue
        if len(words) != 2 or words[1] not in PARTS:
            raise UserError(
                f"{path}:{number}: expected 'ID PART' with the part train, val or test, found "
                f"'{line.strip()[:60]}'."
            )
        parts[words[1]].append(words[0])
    return _split(path.stem, parts)


def _from_folder(folder: Path, suffix: str, stems: Callable[[Path], Iterable[str]]) -> Split:
    parts: dict[str, tuple[str, ...]] = {}
    for part in PARTS:
        path = folder / f"{part}{suffix}"
        if not path.is_file() and part != "val":
            raise UserError(
                f"{path} is missing: a split folder holds train{suffix} and test{suffix}."
            )
        parts[part] = tuple(stems(path)) if path.is_file() else ()
    return _split(folder.name, parts)


def _split(name: str, parts: Mapping[str, Sequence[str]]) -> Split:
    train, val, test = (tuple(parts[part]) for part in PARTS)
    return Split(name, train, val, test)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text: write one file name a line.") from None
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}.") from None


def _text_stems(path: Path) -> list[str]:
    return [Path(line.strip()).stem for line in _lines(path) if line.strip()]


def _coco_stems(path: Path) -> list[str]:
    try:
        images = json.loads(path.read_text(encoding="utf-8"))["images"]
        return [Path(str(image["file_name"])).stem for image in images]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is no COCO file with images and file_name ({error}).") from None
