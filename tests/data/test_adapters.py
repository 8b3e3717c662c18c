"""The adapters on small trees in the layouts that users have, with the defects that occur."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.data import registry
from bench.data.fingerprint import Inventory, fingerprint
from bench.data.split_files import packaged_splits, read_split
from bench.errors import UserError

MakePairs = Callable[..., list[str]]


def test_tno_ignores_what_is_no_image(tmp_path: Path, make_pairs: MakePairs) -> None:
    make_pairs(tmp_path / "vi", tmp_path / "ir", 4)
    (tmp_path / "vi" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "vi" / ".ipynb_checkpoints").mkdir()
    pairs = registry.adapter("tno").load(tmp_path, {})
    assert [pair.id for pair in pairs.pairs] == ["01", "02", "03", "04"]
    assert pairs.scored == ("01", "02", "03", "04")
    assert pairs.split is None and pairs.no_split


def test_a_missing_twin_is_named(tmp_path: Path, make_pairs: MakePairs) -> None:
    make_pairs(tmp_path / "vi", tmp_path / "ir", 3)
    (tmp_path / "ir" / "02.png").unlink()
    with pytest.raises(UserError, match=r"vi.02\.png has no infrared twin"):
        registry.adapter("tno").load(tmp_path, {})


def test_two_files_with_one_stem_are_refused(tmp_path: Path, make_pairs: MakePairs) -> None:
    make_pairs(tmp_path / "vi", tmp_path / "ir", 1)
    (tmp_path / "vi" / "01.bmp").write_bytes(b"x")
    with pytest.raises(UserError, match="same stem"):
        registry.adapter("tno").load(tmp_path, {})


def test_msrs_test_part_with_third_party_labels(tmp_path: Path, make_pairs: MakePairs) -> None:
    root = tmp_path / "MSRS"
    make_pairs(root / "test" / "vi", root / "test" / "ir", 2)
    make_pairs(root / "train" / "vi", root / "train" / "ir", 3)
    for stem in ("03",):
        for kind in ("vi", "ir"):
            (root / "train" / kind / f"{stem}.png").rename(root / "train" / kind / "00003N.png")
    for part, stems in (("test", ("01", "02")), ("train", ("01", "02", "00003N"))):
        labels = tmp_path / "MSRS-detection-label" / "fusion" / part
        labels.mkdir(parents=True)
        for stem in stems:
            (labels / f"{stem}.txt").write_text("0  0.5  0.5  0.2  0.2  ")
    # The stems 01 and 02 are in both parts here, which real MSRS never has.
    for part in ("vi", "ir"):
        for stem in ("01", "02"):
            (root / "train" / part / f"{stem}.png").unlink()
    pairs = registry.adapter("msrs").load(root, {})
    assert pairs.scored == ("01", "02")
    assert pairs.split is not None and pairs.split.name == "released"
    assert pairs.split.train == ("00003N",) and pairs.split.test == ("01", "02")
    assert "variant 'fusion'" in " ".join(pairs.box_footnotes)
    assert pairs.footnotes == ("MSRS: the 2 test pairs.",)


@pytest.mark.parametrize("spelling", [("Vis", "Ir"), ("vi", "ir")])
def test_m3fd_in_both_spellings(
    tmp_path: Path, make_pairs: MakePairs, spelling: tuple[str, str]
) -> None:
    for part in ("M3FD_Fusion", "M3FD_Detection"):
        make_pairs(tmp_path / part / spelling[0], tmp_path / part / spelling[1], 3)
    (tmp_path / "M3FD_Detection" / "Annotation").mkdir()
    for stem in ("01", "02", "03"):
        xml = tmp_path / "M3FD_Detection" / "Annotation" / f"{stem}.xml"
        xml.write_text("<annotation/>")
    (tmp_path / "splits" / "own").mkdir(parents=True)
    (tmp_path / "splits" / "own" / "train.txt").write_text("01\n03\n")
    (tmp_path / "splits" / "own" / "test.txt").write_text("02")
    fusion = registry.adapter("m3fd-fusion").load(tmp_path, {"note": "a copy"})
    assert len(fusion.scored) == 3 and "a copy" in fusion.footnotes
    detection = registry.adapter("m3fd-detection").load(tmp_path, {})
    assert detection.split is not None
    assert (detection.split.train, detection.split.test) == (("01", "03"), ("02",))
    assert detection.split.name == "own"
    assert all(pair.boxes for pair in detection.pairs)


def test_the_family_name_stands_for_both_m3fd_sets() -> None:
    assert registry.expand(("m3fd", "tno")) == ("m3fd-fusion", "m3fd-detection", "tno")


def test_folder_with_other_names(tmp_path: Path, make_pairs: MakePairs) -> None:
    make_pairs(tmp_path / "rgb", tmp_path / "thermal", 2)
    pairs = registry.adapter("folder").load(tmp_path, {"visible": "rgb", "infrared": "thermal"})
    assert len(pairs.pairs) == 2


def test_an_absent_set_names_layout_source_and_key(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        registry.adapter("msrs").load(tmp_path, {})
    for part in ("test/{vi,ir}", "github.com/Linfeng-Tang/MSRS", "[data.msrs] root"):
        assert part in str(caught.value)


def test_unknown_data_set_suggests_the_near_one() -> None:
    with pytest.raises(UserError, match="did you mean 'roadscene'"):
        registry.adapter("roadscne")


@pytest.mark.parametrize(
    ("name", "counts"),
    [("m3fd-public", (2727, 633, 840)), ("public-300", (199, 40, 61)), ("msrs-dev", (241, 0, 120))],
)
def test_packaged_splits_have_the_stated_counts(
    tmp_path: Path, name: str, counts: tuple[int, int, int]
) -> None:
    assert name in packaged_splits()
    everything = [f"{index:05d}" for index in range(4200)]
    everything += [f"{index:05d}{light}" for index in range(1604) for light in "DN"]
    split = read_split(name, everything, tmp_path)
    assert (len(split.train), len(split.val), len(split.test)) == counts


def test_a_split_with_a_pair_in_two_parts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps({"train": ["a", "b"], "test": ["b"]}))
    with pytest.raises(UserError, match="has b in two parts"):
        read_split("s.json", ["a", "b"], tmp_path)
    (tmp_path / "t.json").write_text(json.dumps({"train": ["a", "z"], "test": ["b"]}))
    with pytest.raises(UserError, match="names 1 pair that .* the first is z"):
        read_split("t.json", ["a", "b"], tmp_path)


def test_fingerprint_follows_bytes_and_is_cached(tmp_path: Path, make_pairs: MakePairs) -> None:
    make_pairs(tmp_path / "vi", tmp_path / "ir", 2)
    pairs = registry.adapter("tno").load(tmp_path, {})
    first = Inventory.of(pairs)
    before = fingerprint(pairs.pairs, first)
    first.save()
    assert fingerprint(pairs.pairs, Inventory.of(pairs)) == before
    make_pairs(tmp_path / "vi", tmp_path / "ir", 2, (53, 44))
    assert fingerprint(pairs.pairs, Inventory.of(pairs)) != before
