"""Make the synthetic data set on disk, once and resumably, and open it as a set of pairs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.data.pairs import Pair, PairSet, Split
from bench.data.synthetic.layouts import LAYOUTS, extras, slots
from bench.data.synthetic.regimes import REGIMES
from bench.data.synthetic.scene import PARTS, VERSION, render
from bench.data.synthetic.world import CLASSES
from bench.errors import UserError, counted, did_you_mean

PAIRS = (96, 32, 32)
SIZE = (384, 288)
SMALLEST = (64, 48)
RECORD = "synthetic.json"


def _put(path: Path, data: bytes) -> None:
    """Write a file so that it appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)


def _record(
    seed: int, pairs: tuple[int, int, int], size: tuple[int, int], layout: str
) -> dict[str, object]:
    """What synthetic.json says about a set; equal records mean equal files."""
    every = slots(pairs)
    return {
        "generator": VERSION,
        "seed": seed,
        "pairs": list(pairs),
        "size": list(size),
        "layout": layout,
        "classes": list(CLASSES),
        "split": {part: [s.stem for s in every if s.part == part] for part in PARTS},
        "regimes": {s.stem: REGIMES[s.index % len(REGIMES)] for s in every},
    }


def _known(path: Path) -> dict[str, object] | None:
    """The record in a file, or None where there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _remove(dest: Path, record: dict[str, object] | None, keep: set[Path]) -> None:
    """Remove the files of an earlier record that a new set will not replace."""
    layout, pairs = (record or {}).get("layout"), (record or {}).get("pairs")
    if isinstance(layout, str) and layout in LAYOUTS and isinstance(pairs, list):
        for slot in slots(pairs):
            for path in LAYOUTS[layout](dest, slot).keys() - keep:
                path.unlink(missing_ok=True)


def _checked(seed: int, pairs: tuple[int, ...], size: tuple[int, ...]) -> None:
    """Refuse parameters that cannot be rendered."""
    if seed < 0:
        raise UserError(f"synthetic: seed must be 0 or larger, not {seed}; choose another one.")
    if len(pairs) != 3 or min(pairs) < 0 or sum(pairs) == 0:
        raise UserError(
            f"synthetic: pairs must be three counts (train, val, test), not {list(pairs)}."
        )
    if len(size) != 2 or size[0] < SMALLEST[0] or size[1] < SMALLEST[1]:
        raise UserError(
            f"synthetic: size must be (width, height) of at least {SMALLEST[0]}x{SMALLEST[1]}, "
            f"not {list(size)}."
        )


def generate(
    dest: Path,
    *,
    seed: int = 0,
    pairs: tuple[int, int, int] = PAIRS,
    size: tuple[int, int] = SIZE,
    layout: str = "folder",
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the set under dest; a finished set is kept, an interrupted one is completed.

    pairs: counts of train, val and test. size: width, height. layout: "folder", "m3fd", "msrs".
    progress is called with (pairs done, pairs in all). Files that are there from the same
    parameters are kept; those of other parameters are replaced, and removed where unused.
    """
    _checked(seed, pairs, size)
    if layout not in LAYOUTS:
        raise UserError(
            f"synthetic: there is no layout '{layout}'{did_you_mean(layout, LAYOUTS)}; "
            f"use one of {', '.join(LAYOUTS)}."
        )
    record = _record(seed, pairs, size, layout)
    started = dest / f".{RECORD}.started"
    text = json.dumps(record, indent=1) + "\n"
    every = slots(pairs)
    finished = _known(dest / RECORD)
    paths = {path for slot in every for path in LAYOUTS[layout](dest, slot)}
    if finished == record and all(path.is_file() for path in paths):
        return
    resume = record in (finished, _known(started))
    if not resume:
        for old in (finished, _known(started)):
            _remove(dest, old, paths)
        (dest / RECORD).unlink(missing_ok=True)
        _put(started, text.encode())
    for done, slot in enumerate(every, start=1):
        files = LAYOUTS[layout](dest, slot)
        missing = [path for path in files if not (resume and path.is_file())]
        if missing:
            scene = render(seed, slot.part, slot.index, *size)
            for path in missing:
                _put(path, files[path](scene))
        if progress is not None:
            progress(done, len(every))
    for path, data in extras(layout, dest, every).items():
        _put(path, data)
    _put(dest / RECORD, text.encode())
    started.unlink(missing_ok=True)


def _numbers(options: Mapping[str, object], key: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """A list of whole numbers among the options."""
    value = options.get(key, default)
    if not isinstance(value, list | tuple) or not all(
        isinstance(v, int) and not isinstance(v, bool) for v in value
    ):
        raise UserError(
            f"synthetic: option '{key}' must be a list of whole numbers, not {value!r}."
        )
    return tuple(value)


def load(root: Path, options: Mapping[str, object]) -> PairSet:
    """The synthetic set under root, generated there if it is absent.

    options: seed (0), pairs ([96, 32, 32]), size ([384, 288]).
    """
    for key in options:
        if key not in ("seed", "pairs", "size"):
            hint = did_you_mean(key, ("seed", "pairs", "size"))
            raise UserError(
                f"synthetic: there is no option '{key}'{hint}; use seed, pairs or size."
            )
    (seed,) = _numbers({"seed": [options.get("seed", 0)]}, "seed", (0,))
    pairs, size = _numbers(options, "pairs", PAIRS), _numbers(options, "size", SIZE)
    _checked(seed, pairs, size)
    counts, shape = (pairs[0], pairs[1], pairs[2]), (size[0], size[1])

    def announce(done: int, total: int) -> None:
        if done == 1:
            scenes = counted(total, "scene")
            print(f"synthetic: rendering {scenes} into {root}, once", file=sys.stderr, flush=True)

    generate(root, seed=seed, pairs=counts, size=shape, progress=announce)
    every = slots(counts)
    ids = {part: tuple(s.stem for s in every if s.part == part) for part in PARTS}
    return PairSet(
        name="synthetic",
        pairs=tuple(
            Pair(
                id=s.stem,
                visible=root / s.part / "visible" / f"{s.stem}.png",
                infrared=root / s.part / "infrared" / f"{s.stem}.png",
                boxes=root / s.part / "labels" / f"{s.stem}.xml",
                mask=root / s.part / "masks" / f"{s.stem}.png",
            )
            for s in every
        ),
        scored=ids["test"],
        split=Split("synthetic", ids["train"], ids["val"], ids["test"]),
        classes=CLASSES,
        mask_classes=("background", *CLASSES),
        footnotes=(
            f"synthetic: generated street scenes (generator {VERSION}, seed {seed}, "
            f"{shape[0]}x{shape[1]}); they show that the suite works, not how methods rank.",
        ),
        attributes={s.stem: REGIMES[s.index % len(REGIMES)] for s in every},
    )
