"""COCO files as labels: the same boxes as VOC's, classes by name, and every defect named."""

from __future__ import annotations

import json
import lzma
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench.data import registry
from bench.data.box import Box
from bench.data.coco import label_files, read_coco
from bench.data.images import image_size
from bench.data.labels import read_boxes
from bench.data.m3fd import CLASSES
from bench.data.pairs import PairSet
from bench.data.split_files import read_split
from bench.data.synthetic import generate
from bench.errors import UserError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "m3fd"


def write(path: Path, **changes: Any) -> Path:
    """One 200x100 image "00007" with a car at 10, 20, 30 wide, 40 high."""
    box = {"id": 1, "image_id": "00007", "category_id": 5, "bbox": [10, 20, 30, 40], "iscrowd": 0}
    record = {
        "images": [{"id": "00007", "file_name": "00007.png", "width": 200, "height": 100}],
        "annotations": [box | changes],
        "categories": [{"id": 2, "name": "People"}, {"id": 5, "name": "Car"}],
    }
    path.write_text(json.dumps(record))
    return path


def read(path: Path, image: str = "00007", size: tuple[int, int] = (200, 100)) -> list[Box]:
    return read_boxes(path, image=image, size=size, classes=CLASSES)


def test_names_decide_and_boxes_count_from_zero(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.json")) == [Box("Car", 10, 20, 40, 60)]
    # The file is read anew when it changes.
    assert read(write(tmp_path / "a.json", category_id=2, bbox=[1, 2, 3, 4]))[0].cls == "People"
    assert read(write(tmp_path / "n.json", image_id="00007", bbox=[199.5, 0, 1, 5]))[0].xmax == 200


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"category_id": 3}, "annotation 1 is of image 00007, category 3"),
        ({"image_id": 7}, "annotation 1 is of image 7, category 5"),
        ({"bbox": [10, 20, 0, 40]}, "annotation 1: the box has no area"),
        ({"bbox": [190, 20, 30, 40]}, "leaves its 200x100 image by 20.0 pixels"),
        ({"bbox": [1, 2, 3]}, "no COCO file with images"),
        ({"bbox": [1, 2, float("nan"), 3]}, "not a finite number"),
        ({"iscrowd": 1}, "annotation 1 is a crowd"),
    ],
)
def test_defects_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(write(tmp_path / "a.json", **changes))


def test_labels_of_other_images_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json")
    with pytest.raises(UserError, match="has no image 00008"):
        read(path, image="00008")
    with pytest.raises(UserError, match=r"200×100 there, but its file is 400×200"):
        read(path, size=(400, 200))
    with pytest.raises(UserError, match="unknown class 'Car'.*did you mean 'Care'"):
        read_boxes(path, image="00007", size=(200, 100), classes=("Care",))
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(UserError, match="b.json can't be read as JSON"):
        read(tmp_path / "b.json")


def boxes_of(pairs: PairSet) -> dict[str, list[Box]]:
    return {
        pair.id: read_boxes(
            pair.boxes, image=pair.id, size=image_size(pair.visible), classes=pairs.classes
        )
        for pair in pairs.pairs
        if pair.boxes
    }


def test_a_world_in_m3fds_layout_has_the_same_boxes_as_xml_and_as_coco(tmp_path: Path) -> None:
    generate(tmp_path, seed=0, pairs=(4, 2, 2), size=(128, 96), layout="m3fd")
    m3fd = registry.adapter("m3fd-detection")
    as_xml = m3fd.load(tmp_path, m3fd.options)
    assert as_xml.split is not None
    expected = boxes_of(as_xml)
    assert sum(map(len, expected.values())) > 8

    (tmp_path / "coco").mkdir()
    # Other numbers for the classes in every file: only the names count.
    for part in ("train", "val", "test"):
        numbers = random.Random(part).sample(range(1, 100), len(CLASSES))
        category = dict(zip(CLASSES, numbers, strict=True))
        ids = getattr(as_xml.split, part)
        record = {
            "images": [{"id": i, "file_name": f"{i}.png", "width": 128, "height": 96} for i in ids],
            "annotations": [
                {
                    "id": k,
                    "image_id": i,
                    "category_id": category[box.cls],
                    "bbox": [box.xmin, box.ymin, box.xmax - box.xmin, box.ymax - box.ymin],
                }
                for i in ids
                for k, box in enumerate(expected[i], start=1)
            ],
            "categories": [{"id": number, "name": cls} for cls, number in category.items()],
        }
        (tmp_path / "coco" / f"{part}.json").write_text(json.dumps(record))
    as_coco = m3fd.load(tmp_path, {**m3fd.options, "labels": "coco", "split": "coco"})
    assert boxes_of(as_coco) == expected
    assert as_coco.split is not None
    assert (as_coco.split.train, as_coco.split.test) == (as_xml.split.train, as_xml.split.test)


# Images, then boxes of each class in the order of `CLASSES`, as published with the split.
PUBLIC = {
    "train": (2727, (7443, 11737, 449, 344, 1542, 654)),
    "val": (633, (1737, 2760, 88, 74, 355, 162)),
    "test": (840, (2297, 3799, 163, 103, 508, 192)),
}


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/m3fd, which is absent")
@pytest.mark.parametrize("part", PUBLIC)
def test_the_public_split_has_the_published_counts(tmp_path: Path, part: str) -> None:
    for name in PUBLIC:
        packed = (SHARED / "coco" / f"{name}.json.xz").read_bytes()
        (tmp_path / f"{name}.json").write_bytes(lzma.decompress(packed))
    images = read_coco(tmp_path, CLASSES)
    split = read_split("public-coco", sorted(images), tmp_path)
    found = Counter(box.cls for id_ in getattr(split, part) for box in images[id_].boxes)
    assert (len(getattr(split, part)), tuple(found[cls] for cls in CLASSES)) == PUBLIC[part]
    # The file of the part and the packaged split name the same frames.
    alone = read_coco(tmp_path / f"{part}.json", CLASSES)
    assert set(alone) == set(getattr(split, part))


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/m3fd, which is absent")
def test_the_real_coco_files_give_the_boxes_of_the_real_xml(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        packed = (SHARED / "coco" / f"{part}.json.xz").read_bytes()
        (tmp_path / f"{part}.json").write_bytes(lzma.decompress(packed))
    images = read_coco(tmp_path, CLASSES)
    files = label_files(tmp_path, CLASSES)
    every = [box.cls for image in images.values() for box in image.boxes]
    assert len(images) == 4200
    assert [every.count(cls) for cls in CLASSES] == [
        11477,
        18296,
        700,
        521,
        2405,
        1008,
    ]
    annotations = sorted((SHARED / "sample" / "M3FD_Detection" / "Annotation").glob("*.xml"))
    assert len(annotations) == 9
    for path in annotations:
        size = images[path.stem].size
        as_xml = read_boxes(path, image=path.stem, size=size, classes=CLASSES)
        assert as_xml == read_boxes(files[path.stem], image=path.stem, size=size, classes=CLASSES)
