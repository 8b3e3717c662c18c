"""Ready-made fused images: which folder serves which data set, what is missing, what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from bench.data.fingerprint import Inventory
from bench.data.fused import folder_of, images_fingerprint, images_of
from bench.data.pairs import Pair
from bench.errors import UserError

STEMS = [f"{k:02d}" for k in range(12)]
PAIRS = [Pair(stem, Path("vi") / stem, Path("ir") / stem) for stem in STEMS]
SIZES = dict.fromkeys(STEMS, (8, 6))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for value, stem in enumerate(STEMS):
        Image.new("L", (8, 6), value).save(tmp_path / f"{stem}.png")
    return tmp_path


def test_a_folder_serves_one_data_set_and_its_folders_serve_several(tmp_path: Path) -> None:
    assert folder_of(tmp_path, "tno", ["tno"]) == tmp_path
    with pytest.raises(UserError, match="no folder for any of the data sets tno, msrs"):
        folder_of(tmp_path, "tno", ["tno", "msrs"])
    (tmp_path / "tno").mkdir()
    assert folder_of(tmp_path, "tno", ["tno", "msrs"]) == tmp_path / "tno"
    assert folder_of(tmp_path, "tno", ["tno"]) == tmp_path / "tno"
    assert folder_of(tmp_path, "msrs", ["tno", "msrs"]) is None
    with pytest.raises(UserError, match="absent is no folder"):
        folder_of(tmp_path / "absent", "tno", ["tno"])


def test_images_are_found_by_stem_and_others_are_left_out(folder: Path) -> None:
    Image.new("L", (8, 6)).save(folder / "of-no-pair.png")
    (folder / "03.png").rename(folder / "03.bmp")
    found = images_of(folder, PAIRS, "tno")
    assert list(found) == STEMS
    assert found["03"].name == "03.bmp"


def test_missing_images_are_named_in_one_sentence(folder: Path) -> None:
    (folder / "04.png").unlink()
    (folder / "07.png").unlink()
    with pytest.raises(UserError, match="lacks 2 of 12 pairs of tno: 04, 07; a fused"):
        images_of(folder, PAIRS, "tno")
    for path in folder.glob("*.png"):
        path.unlink()
    with pytest.raises(UserError, match="lacks 12 of 12 pairs .* 09 and 2 more; a fused"):
        images_of(folder, PAIRS, "tno")


def test_the_fingerprint_follows_bytes_and_ids(folder: Path) -> None:
    inventory = Inventory("fused", folder)
    images = images_of(folder, PAIRS, "tno")
    before = images_fingerprint(images, SIZES, inventory)
    assert images_fingerprint(images, SIZES, Inventory("fused", folder)) == before
    swapped = {**images, "00": images["01"], "01": images["00"]}
    assert images_fingerprint(swapped, SIZES, inventory) != before
    Image.new("L", (8, 6), 99).save(folder / "00.png")
    assert images_fingerprint(images, SIZES, Inventory("fused", folder)) != before


def test_wrong_sizes_are_named_in_one_sentence(folder: Path) -> None:
    for stem in ("02", "05"):
        Image.new("L", (8, 5)).save(folder / f"{stem}.png")
    images = images_of(folder, PAIRS, "tno")
    with pytest.raises(UserError, match=r"02\.png is 8×5 but its pair is 8×6 \(so are 05\.png\)"):
        images_fingerprint(images, SIZES, Inventory("fused", folder))
