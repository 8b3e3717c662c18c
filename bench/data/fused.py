"""Ready-made fused images of any method, in any environment: found by the stems of a data set's
pairs, as `bench score` finds them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.data.adapter import files_by_stem
from bench.data.fingerprint import Inventory
from bench.data.pairs import Pair
from bench.errors import UserError, counted, named


def is_lossy(path: Path) -> bool:
    """Whether the format changes pixels when an image is saved."""
    return path.suffix.lower() in (".jpg", ".jpeg")


def folder_of(root: Path, dataset: str, datasets: Sequence[str]) -> Path | None:
    """Where the images of one of the run's data sets lie: `root`/`dataset`, or `root` itself where
    that does not exist and the run has one data set. None where `root` has other sets only.

    Raises UserError for a root that does not exist, or that serves none of several data sets.
    """
    if not root.is_dir():
        raise UserError(f"{root} is no folder: give a folder of fused images.")
    if (root / dataset).is_dir():
        return root / dataset
    if len(datasets) == 1:
        return root
    if not any((root / name).is_dir() for name in datasets):
        raise UserError(
            f"{root} has no folder for any of the data sets {', '.join(datasets)}: with several "
            "sets, put the images of each into a folder of its name."
        )
    return None


def images_of(folder: Path, pairs: Sequence[Pair], dataset: str) -> dict[str, Path]:
    """The fused image of each pair by its id; images of no pair are left out.

    Raises UserError that names the pairs without an image.
    """
    found = files_by_stem(folder)
    lacking = [pair.id for pair in pairs if pair.id not in found]
    if lacking:
        raise UserError(
            f"{folder} lacks {len(lacking)} of {counted(len(pairs), 'pair')} of {dataset}: "
            f"{named(lacking)}; a fused image needs the stem of its pair."
        )
    return {pair.id: found[pair.id] for pair in pairs}


def images_fingerprint(
    images: Mapping[str, Path], sizes: Mapping[str, tuple[int, int]], inventory: Inventory
) -> str:
    """Hex hash over ids and the bytes of the images, in order. sizes: (width, height) per id.

    Raises UserError for a file that is no image, and that names images of another size.
    """
    digest = hashlib.sha256()
    wrong = []
    for id_, path in images.items():
        entry = inventory.entry(path, image=True)
        digest.update(f"{id_}\0{entry[2]}\n".encode())
        found, expected = (int(entry[3]), int(entry[4])), sizes[id_]
        if found != expected:
            wrong.append((path, found, expected))
    if wrong:
        path, found, expected = wrong[0]
        others = f" (so are {named([path.name for path, *_ in wrong[1:]])})" if wrong[1:] else ""
        raise UserError(
            f"{path} is {found[0]}×{found[1]} but its pair is {expected[0]}×{expected[1]}{others}: "
            "a fused image has the size of its pair, nothing is resized."
        )
    return digest.hexdigest()
