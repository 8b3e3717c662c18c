"""Label files: both formats give the same edges, and each defect is named with file and line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.data.box import Box
from bench.data.labels import read_boxes
from bench.errors import UserError

SIZE = (200, 100)
CLASSES = ("People", "Car", "Bus")


def read(path: Path, content: str | bytes) -> list[Box]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_boxes(path, image="a", size=SIZE, classes=CLASSES)


def voc(name: str = "Car", box: str = "1 11 200 100", extra: str = "") -> str:
    tags = zip(("xmin", "ymin", "xmax", "ymax"), box.split(), strict=True)
    edges = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
    return (
        "<annotation>\n<size><width>200</width><height>100</height></size>\n"
        f"<object>\n<name>{name}</name>\n<bndbox>{edges}</bndbox>{extra}\n</object>\n</annotation>"
    )


def test_voc_counts_from_one_and_includes_the_last_pixel(tmp_path: Path) -> None:
    assert read(tmp_path / "a.xml", voc()) == [Box("Car", 0.0, 10.0, 200.0, 100.0)]


def test_voc_parts_of_an_object_are_not_objects(tmp_path: Path) -> None:
    part = (
        "<part><name>head</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>9</xmax><ymax>9</ymax>"
        "</bndbox></part>"
    )
    assert read(tmp_path / "a.xml", voc(extra=part)) == [Box("Car", 0.0, 10.0, 200.0, 100.0)]


def test_voc_without_objects_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path / "a.xml", "<annotation><size/></annotation>") == []


def test_yolo_is_relative_to_the_image(tmp_path: Path) -> None:
    assert read(tmp_path / "a.txt", "2 0.5 0.25 0.5 0.1") == [Box("Bus", 50.0, 20.0, 150.0, 30.0)]


@pytest.mark.parametrize(
    "content",
    [
        "0 0.5 0.5 0.5 0.5\n1 0.25 0.5 0.5 0.5",
        "0\t0.5  0.5 0.5 0.5\r\n\r\n  1 0.25 0.5\t0.5 0.5  \r\n\n",
        "\ufeff0 0.5 0.5 0.5 0.5\n\n1 .25 5e-1 .5 .5\n",
    ],
    ids=["no final newline", "tabs, CRLF, blank lines", "byte-order mark"],
)
def test_yolo_white_space(tmp_path: Path, content: str) -> None:
    assert read(tmp_path / "a.txt", content) == [
        Box("People", 50.0, 25.0, 150.0, 75.0),
        Box("Car", 0.0, 25.0, 100.0, 75.0),
    ]


@pytest.mark.parametrize("content", ["", "\n", " \n\t\n"])
def test_an_empty_yolo_file_means_no_object(tmp_path: Path, content: str) -> None:
    assert read(tmp_path / "a.txt", content) == []


def test_a_box_beyond_the_edge_by_rounding_is_clipped(tmp_path: Path) -> None:
    # 0.0009 of the width too far, as in one published MSRS label file.
    assert read(tmp_path / "a.txt", "0 0.9509 0.5 0.1 0.2")[0].xmax == 200.0
    assert read(tmp_path / "a.xml", voc(box="0 11 201 100")) == [
        Box("Car", 0.0, 10.0, 200.0, 100.0)
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "0 .5 .5 .5 .5\n\n3 .5 .5 .1 .1", "a.txt:3: class index 3"),
        ("a.txt", "-1 .5 .5 .1 .1", "a.txt:1: class index -1"),
        ("a.txt", "0 .5 .5 .1", "a.txt:1: expected"),
        ("a.txt", "0 .5 .5 .1 .1 .9", "a.txt:1: expected"),
        ("a.txt", "0 .5 .5 .1 x", "a.txt:1: expected"),
        ("a.txt", "car .5 .5 .1 .1", "a.txt:1: expected"),
        ("a.txt", "0 .5 .5 0 .1", "a.txt:1: the box has no area"),
        ("a.txt", "0 .5 .5 nan .1", "a.txt:1: the box has a coordinate that is not a finite"),
        ("a.txt", "0 .99 .5 .1 .1", "a.txt:1: the box leaves its 200x100 image by 8.0 pixels"),
        ("a.txt", "0 100 50 20 20", "a.txt:1: the box leaves its 200x100 image"),
        ("a.txt", b"\xff\xfe\x00", "a.txt: the label file is not UTF-8"),
        ("a.xml", voc("Cat"), "a.xml:3: unknown class 'Cat' (did you mean 'Car'?)"),
        ("a.xml", voc(box="1 11 202 100"), "a.xml:3: the box leaves its 200x100 image by 2.0"),
        ("a.xml", voc(box="50 11 49 100"), "a.xml:3: the box has no area"),
        ("a.xml", voc(box="a 11 49 100"), "a.xml:3: the object's box is not four numbers"),
        ("a.xml", voc().replace("xmax", "xmay"), "a.xml:3: the object has no <xmax>"),
        ("a.xml", voc().replace("</object>", ""), "a.xml:7: not well-formed XML (mismatched tag)"),
        ("a.xml", "", "a.xml:1: not well-formed XML (no element found)"),
        ("a.csv", "", "a.csv: labels must be VOC .xml, YOLO .txt or COCO .json"),
    ],
)
def test_defects(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        read(tmp_path / name, content)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.txt: cannot read the label file \(No such file"):
        read_boxes(tmp_path / "a.txt", image="a", size=SIZE, classes=CLASSES)
