"""What an adapter of a data set is, and the pieces that all of them share: match by stem, find a
folder under its known spellings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.data.images import SUFFIXES
from bench.data.names import name_problem
from bench.data.pairs import PairSet
from bench.errors import UserError


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
