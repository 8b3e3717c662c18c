"""What an adapter of a data set is, and the pieces that all of them share: match by stem, find a
folder under its known spellings, read a split file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from bench.data.images import SUFFIXES
from bench.data.names import name_problem
from bench.data.pairs import PairSet, Split
from bench.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Adapter:
    """A data set as users meet it.

    folder: its usual folder name under `data.root`. layout: the expected tree, one entry a line.
    source: where it comes from, in words. options: keys of `[data.NAME]` with their defaults.
    stages: what can be run on it.
    """

    name: str
    title: str
    folder: str
    layout: str
    source: str
    terms: str
    load: Callable[[Path, Mapping[str, Any]], PairSet]
    options: Mapping[str, Any] = field(default_factory=dict)
    stages: tuple[str, ...] = ("fuse", "score", "profile")
    generated: bool = False


def missing(adapter: Adapter, root: Path) -> UserError:
    """The error for a data set that isn't where it should be."""
    tree = "; ".join(line.strip() for line in adapter.layout.strip().splitlines())
    return UserError(
        f"{adapter.title} was not found in {root}: expected {tree}. Source: {adapter.source}. "
        f"Set [data.{adapter.name}] root in bench.toml or --data {adapter.name}=FOLDER."
    )


def first_folder(root: Path, names: Sequence[str]) -> Path | None:
    """The first existing folder of `names` (relative to `root`), or None."""
    return next((root / name for name in names if (root / name).is_dir()), None)


def files_by_stem(folder: Path, suffixes: Iterable[str] = SUFFIXES) -> dict[str, Path]:
    """Visible files of these suffixes by stem, sorted; hidden ones are ignored.

    Raises UserError for a folder that can't be read, for two files of one stem, for a stem that
    can't name a file of results, and for what has such a name but is no file.
    """
    allowed = set(suffixes)
    found: dict[str, Path] = {}
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder} can't be read: {error.strerror}.") from None
    for path in entries:
        if path.name.startswith(".") or path.suffix.lower() not in allowed:
            continue
        if not path.is_file():
            raise UserError(
                f"{path} is no file (a folder, a device or a link to nothing): remove it."
            )
        if problem := name_problem(path.stem):
            raise UserError(f"{path} can't name a result, because {problem}: rename it.")
        if path.stem in found:
            raise UserError(
                f"{path} and {found[path.stem].name} have the same stem: keep one of them."
            )
        found[path.stem] = path
    return found


def matched_stems(visible: Mapping[str, Path], infrared: Mapping[str, Path]) -> list[str]:
    """Stems in order; UserError that names the first files without a twin."""
    for have, want, kind in ((visible, infrared, "infrared"), (infrared, visible, "visible")):
        lonely = sorted(have.keys() - want.keys())
        if lonely:
            more = f" and {len(lonely) - 1} more" if len(lonely) > 1 else ""
            raise UserError(
                f"{have[lonely[0]]} has no {kind} twin{more}: add the missing file or remove this "
                "one ('bench data check' lists all of them)."
            )
    return sorted(visible)


def _split_from_json(path: Path) -> Split:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        parts = {part: tuple(map(str, record.get(part, ()))) for part in ("train", "val", "test")}
        return Split(str(record.get("name", path.stem)), **parts)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UserError(
            f"{path} is not a split file with train, val, test lists: {error}."
        ) from None


def _split_from_folder(folder: Path) -> Split:
    parts: dict[str, tuple[str, ...]] = {}
    for part in ("train", "val", "test"):
        path = folder / f"{part}.txt"
        if not path.is_file() and part != "val":
            raise UserError(f"{path} is missing: a split folder holds train.txt and test.txt.")
        try:
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
        except UnicodeDecodeError:
            raise UserError(f"{path} is not UTF-8 text: write one file name a line.") from None
        parts[part] = tuple(Path(line.strip()).stem for line in text.splitlines() if line.strip())
    return Split(folder.name, **parts)


def packaged_splits() -> list[str]:
    """Names of the split files in the package."""
    entries = (resources.files("bench.data") / "splits").iterdir()
    return sorted(entry.name[:-5] for entry in entries if entry.name.endswith(".json"))


def read_split(name: str, ids: Iterable[str], root: Path) -> Split:
    """A split by packaged name, JSON file, or folder of train.txt, val.txt, test.txt.

    Relative paths are looked up in the data set's `root` first. Raises UserError for an unknown
    name, an id that the data set does not have, and an id in two parts.
    """
    candidates = [root / name, Path(name)]
    path = next((candidate for candidate in candidates if candidate.exists()), None)
    if path is not None:
        split = _split_from_folder(path) if path.is_dir() else _split_from_json(path)
    elif name in packaged_splits():
        with resources.as_file(resources.files("bench.data") / "splits" / f"{name}.json") as file:
            split = _split_from_json(file)
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
                f"The split '{split.name}' names {len(absent)} pairs that {root} does not have, "
                f"the first is {absent[0]}: use another split or complete the data set."
            )
        twice = seen.intersection(part)
        if twice:
            raise UserError(f"The split '{split.name}' has {min(twice)} in two parts.")
        seen.update(part)
    return split
