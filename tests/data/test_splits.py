"""Splits: files in every form, divisions by content, and how much of the test part train knows."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.cli import main
from bench.data.make_split import groups_by_content, groups_by_runs, random_split, scene_split
from bench.data.near_duplicates import hashes, leakage, number_of
from bench.data.pairs import Pair, Split
from bench.data.split_files import packaged_splits, read_choice, read_split, write_split
from bench.errors import UserError

FRAMES = [f"{number:05d}" for number in range(4200)]


def sequences(folder: Path, scenes: int, moments: int) -> list[Pair]:
    """Scenes of large random blobs, each seen `moments` times with the camera moving a little."""
    rng = np.random.default_rng(0)
    found = []
    for kind in ("visible", "infrared"):
        (folder / kind).mkdir(parents=True)
    for scene in range(scenes):
        worlds = {
            kind: cv2.resize(
                rng.integers(0, 256, (9, 12), np.uint8), (240, 180), interpolation=cv2.INTER_CUBIC
            )
            for kind in ("visible", "infrared")
        }
        for moment in range(moments):
            id_ = f"{scene * moments + moment:04d}"
            for kind, world in worlds.items():
                view = world[10 : 10 + 144, 4 * moment : 4 * moment + 192].astype(float)
                noisy = np.clip(view + rng.normal(0, 4, view.shape), 0, 255).astype(np.uint8)
                assert cv2.imwrite(str(folder / kind / f"{id_}.png"), noisy)
            found.append(
                Pair(id_, folder / "visible" / f"{id_}.png", folder / "infrared" / f"{id_}.png")
            )
    return found


def ignore(done: int, total: int) -> None:
    pass


def test_a_scene_that_moves_is_one_group_and_never_on_both_sides(tmp_path: Path) -> None:
    pairs = sequences(tmp_path, scenes=12, moments=6)
    ids = [pair.id for pair in pairs]
    found = hashes(pairs, ignore)
    groups = groups_by_content(ids, found)
    assert groups == [ids[k : k + 6] for k in range(0, 72, 6)]

    by_scene = scene_split(groups, {}, seed=0, share=0.25)
    assert len(by_scene.test) == 18 and len(by_scene.train) == 54
    clean = leakage(by_scene, (ids, found))
    # Following numbers across the cut are of different scenes.
    assert clean.by_image == 0 and clean.by_number is not None and clean.by_number <= 6

    drawn = random_split(ids, seed=0, share=0.25)
    leaky = leakage(drawn, (ids, found))
    assert leaky.test == 18 and leaky.by_image == 18
    assert leaky.sentence().startswith("of its 18 test images 100.0 % have a near-duplicate")


def test_the_guard_keeps_neighbours_of_the_test_part_out_of_train() -> None:
    facts = {id_: int(id_) // 100 for id_ in FRAMES[:1000]}
    groups = groups_by_runs(facts)
    assert [len(group) for group in groups] == [100] * 10
    split = scene_split(groups, {}, seed=1, share=0.2, guard=3)
    test = {int(id_) for id_ in split.test}
    assert len(test) == 200
    assert min(abs(int(id_) - n) for id_ in split.train for n in test) == 4
    with pytest.raises(UserError, match="guard needs names with numbers"):
        scene_split([["a"], ["b"], ["c"]], {}, seed=0, share=0.4, guard=1)
    with pytest.raises(UserError, match="can't be divided"):
        scene_split([["1", "2"], ["3", "4"]], {}, seed=0, share=0.2)


def test_the_test_part_of_scenes_has_its_share_of_every_class() -> None:
    groups = [[str(k)] for k in range(40)]
    boxes = {str(k): {"car": 1, "bus": int(k % 4 == 0)} for k in range(40)}
    split = scene_split(groups, boxes, seed=0, share=0.5)
    assert sum(boxes[id_]["bus"] for id_ in split.test) == 5


@pytest.mark.parametrize(
    ("name", "number"),
    [("00061", 61), ("00055D", 55), ("FLIR_00006", 6), ("a1b2", None), ("x", None)],
)
def test_numbers_in_names(name: str, number: int | None) -> None:
    assert number_of(name) == number


def test_leakage_by_number_counts_test_frames_with_a_neighbour() -> None:
    split = Split("s", ("0001", "0005"), (), ("0002", "0003", "0006", "0009"))
    assert leakage(split, None).by_number == 2
    named = Split("s", ("a", "b"), (), ("c",))
    assert leakage(named, None).by_number is None
    assert leakage(named, None).sentence().endswith("not measured")


def test_a_choice_is_a_part_of_a_split_or_a_list_in_the_order_of_the_set(tmp_path: Path) -> None:
    public = read_split("public-coco", FRAMES, tmp_path)
    chosen = read_choice("public-coco:test", FRAMES, tmp_path)
    assert chosen == tuple(sorted(public.test)) and len(chosen) == 840
    (tmp_path / "mine.txt").write_text("00007.png\n\n00003\n")
    assert read_choice("mine.txt", FRAMES, tmp_path) == ("00003", "00007")
    (tmp_path / "other.txt").write_text("00007\nnobody\n")
    with pytest.raises(UserError, match=r"'other\.txt' names 1 pair that .* nobody"):
        read_choice("other.txt", FRAMES, tmp_path)
    (tmp_path / "none.txt").write_text("\n")
    with pytest.raises(UserError, match="names no pair"):
        read_choice("none.txt", FRAMES, tmp_path)
    with pytest.raises(UserError, match="neither a text file"):
        read_choice("public-coco:tset", FRAMES, tmp_path)


def test_the_packaged_splits_of_m3fd(tmp_path: Path) -> None:
    drawn = read_split("random-80-20", FRAMES, tmp_path)
    again = random_split(FRAMES, seed=0, share=0.2, name="random-80-20")
    assert (drawn.train, drawn.test) == (again.train, again.test)
    assert drawn.sha256 == again.sha256
    assert len(drawn.test) == 840 and leakage(drawn, None).by_number == 802

    scene = read_split("scene", FRAMES, tmp_path)
    assert (len(scene.train), len(scene.test)) == (3253, 832)
    test = np.array([int(id_) for id_ in scene.test])
    assert min(np.abs(test - int(id_)).min() for id_ in scene.train) == 6

    public = read_split("public-coco", FRAMES, tmp_path)
    assert read_split("m3fd-public", FRAMES, tmp_path) == public
    assert leakage(public, None).by_number == 722 and "86.0 %" in public.leakage


def test_every_packaged_split_states_its_hash_and_leakage() -> None:
    folder = Path(read_split.__code__.co_filename).parent / "splits"
    assert {path.stem for path in folder.glob("*.json")} < set(packaged_splits())
    for path in folder.glob("*.json"):
        record = json.loads(path.read_text())
        ids = [id_ for part in ("train", "val", "test") for id_ in record[part]]
        split = read_split(str(path), ids, folder)
        assert record["sha256"] == split.sha256 and split.name == path.stem
        assert split.leakage.startswith(f"of its {len(split.test)} test images")


def test_an_edited_split_is_refused(tmp_path: Path) -> None:
    split = Split("mine", ("a", "b"), ("c",), ("d",))
    write_split(tmp_path / "mine.json", split, {"leakage": {"text": "of its 1 test images none"}})
    read = read_split("mine.json", "abcd", tmp_path)
    assert read.sha256 == split.sha256 and read.leakage == "of its 1 test images none"
    text = (tmp_path / "mine.json").read_text()
    (tmp_path / "mine.json").write_text(text.replace('["d"]', '["d", "e"]'))
    with pytest.raises(UserError, match="was changed after it was made"):
        read_split("mine.json", "abcde", tmp_path)


def test_splits_as_lines_and_as_coco_files(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("a train\nb,test\n\nc val\n")
    split = read_split("lines.txt", "abc", tmp_path)
    assert (split.train, split.val, split.test) == (("a",), ("c",), ("b",))
    (tmp_path / "lines.txt").write_text("a train\nb somewhere\n")
    with pytest.raises(UserError, match=r"lines.txt:2: expected 'ID PART'"):
        read_split("lines.txt", "abc", tmp_path)

    (tmp_path / "coco").mkdir()
    for part, name in (("train", "a.png"), ("test", "b.jpg")):
        record = {"images": [{"id": 1, "file_name": f"x/{name}"}]}
        (tmp_path / "coco" / f"{part}.json").write_text(json.dumps(record))
    split = read_split("coco", "abc", tmp_path)
    assert (split.train, split.val, split.test) == (("a",), (), ("b",))
    (tmp_path / "coco" / "test.json").write_text('{"images": [{"id": 1}]}')
    with pytest.raises(UserError, match="test.json is no COCO file"):
        read_split("coco", "abc", tmp_path)
    (tmp_path / "twice.json").write_text('{"train": ["a", "a"], "test": ["b"]}')
    with pytest.raises(UserError, match="names a twice"):
        read_split("twice.json", "abc", tmp_path)


def test_the_command_makes_checks_and_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sequences(tmp_path / "folder", scenes=10, moments=3)
    monkeypatch.chdir(tmp_path)
    words = ["data", "split", "folder", "--data-root", "."]
    assert main([*words, "--make", "scene", "--out", "own.json"]) == 0
    out = capsys.readouterr().out
    assert "10 scenes, the largest has 3 images" in out
    assert "split own (sha256" in out and "24 train, 0 val, 6 test" in out
    assert "0.0 % have a near-duplicate" in out
    record = json.loads(Path("own.json").read_text())
    assert record["leakage"]["by_image"] == 0 and "--make scene" in record["source"]
    scenes = {int(id_) // 3 for id_ in record["test"]}
    assert len(scenes) == 2 and not scenes & {int(id_) // 3 for id_ in record["train"]}

    Path("parts.txt").write_text(
        "".join(f"{k:04d} {'train' if k % 3 == 1 else 'test'}\n" for k in range(30))
    )
    assert main([*words, "--check", "parts.txt", "--out", "parts.json"]) == 0
    assert "of its 20 test images 100.0 %" in capsys.readouterr().out
    assert json.loads(Path("parts.json").read_text())["leakage"]["by_image"] == 20

    for wrong, message in (
        (["--make", "scene", "--check", "parts.txt"], "exclude each other"),
        ([], "has no split"),
        (["--check", "sceen"], "did you mean 'scene'"),
        (["--make", "random", "--share", "1.5"], "between 0 and 1"),
        (["--make", "random", "--out", "s.txt"], "name it FILE.json"),
    ):
        assert main([*words, *wrong]) == 2
        assert message in capsys.readouterr().err


def test_neighbours_in_time_stay_together_in_every_draw() -> None:
    groups = groups_by_runs({id_: int(id_) // 60 for id_ in FRAMES[:600]})
    for seed in range(5):
        split = scene_split(groups, {}, seed=seed, share=0.3)
        sides = {id_: side for side, part in enumerate((split.train, split.test)) for id_ in part}
        cuts = [(a, b) for a, b in pairwise(FRAMES[:600]) if sides[a] != sides[b]]
        assert cuts and all(int(b) % 60 == 0 for _, b in cuts)
