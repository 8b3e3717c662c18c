"""Labels that are broken, foreign, or made to hurt. COCO's JSON is not read: see the last cases."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostile.corpus import DETECT, Case, judge, voc

LABELS = Path("data/folder/labels")


def xml(text: str | bytes) -> Callable[[Path], object]:
    """02.xml holds this."""
    data = text.encode() if isinstance(text, str) else text
    return lambda project: (project / LABELS / "02.xml").write_bytes(data)


def yolo(text: str | bytes) -> Callable[[Path], object]:
    """02.txt holds this, instead of 02.xml."""
    data = text.encode() if isinstance(text, str) else text

    def spoil(project: Path) -> None:
        (project / LABELS / "02.xml").unlink()
        (project / LABELS / "02.txt").write_bytes(data)

    return spoil


def coco(project: Path) -> None:
    for file in (project / LABELS).glob("*.xml"):
        file.unlink()
    (project / LABELS / "instances.json").write_text(json.dumps({"images": [{"id": 1}] * 2}))


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
ENCODED = '<?xml version="1.0" encoding="hostile"?>' + voc()
BOMB = f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]>' + voc(name="&l9;")
EXTERNAL = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + voc(name="&x;")
QUADRATIC = f'<!DOCTYPE a [<!ENTITY x "{"h" * 50_000}">]>' + voc(name="&x;" * 5_000)
TWICE = voc().replace("<bndbox>", "<bndbox><xmin>1</xmin></bndbox><bndbox>")

BROKEN = (
    ("no XML", xml("hello"), ("02.xml:1: not well-formed XML",)),
    ("an empty XML", xml(""), ("02.xml:1: not well-formed XML",)),
    ("an XML that breaks off", xml(voc()[:60]), ("02.xml:", "not well-formed XML")),
    ("bytes that are no UTF-8", xml(voc().encode() + b"\xff\xfe"), ("02.xml:",)),
    ("an unknown encoding", xml(ENCODED), ("02.xml: the XML's encoding",)),
    ("billion laughs", xml(BOMB), ("02.xml:1: declares an XML entity",)),
    ("quadratic blow-up", xml(QUADRATIC), ("02.xml:1: declares an XML entity",)),
    ("an external entity", xml(EXTERNAL), ("02.xml:1: declares an XML entity",)),
    ("a box without edges", xml(voc("")), ("02.xml:1: the object has no <xmin>",)),
    ("three edges", xml(voc("5 6 20")), ("02.xml:1: the object has no <ymax>",)),
    ("two boxes in one object", xml(TWICE), ("02.xml:1: the object has <xmin> twice",)),
    ("a negative box", xml(voc("-50 6 20 30")), ("02.xml:1: the box leaves its 64x48 image",)),
    ("an inverted box", xml(voc("20 6 5 30")), ("02.xml:1: the box has no area",)),
    ("a box beyond", xml(voc("5 6 2000 30")), ("02.xml:1: the box leaves its 64x48 image",)),
    ("a box of NaN", xml(voc("nan 6 20 30")), ("02.xml:1", "not a finite number")),
    ("a box of infinity", xml(voc("5 6 1e999 30")), ("02.xml:1", "not a finite number")),
    ("a box of words", xml(voc("a b c d")), ("02.xml:1", "not four numbers")),
    ("an unknown class", xml(voc(name="persn")), ("02.xml:1", "did you mean 'person'")),
    (
        "a class that is code",
        xml(voc(name="&lt;script&gt;\x1b")),
        ("02.xml:1: not well-formed XML",),
    ),
    ("YOLO beyond the image", yolo("0 1.5 0.5 0.2 0.2"), ("02.txt:1: the box leaves",)),
    ("YOLO without area", yolo("0 0.5 0.5 -0.2 0.2"), ("02.txt:1: the box has no area",)),
    ("YOLO of NaN", yolo("0 nan 0.5 0.2 0.2"), ("02.txt:1", "not a finite number")),
    ("YOLO of three columns", yolo("0 0.5 0.5"), ("02.txt:1: expected 'class cx cy w h'",)),
    ("YOLO of six columns", yolo("0 1 1 1 1 1"), ("02.txt:1: expected 'class cx cy w h'",)),
    ("YOLO of another class", yolo("7 0.5 0.5 0.2 0.2"), ("02.txt:1: class index 7",)),
    ("YOLO of a negative class", yolo("-1 0.5 0.5 0.2 0.2"), ("02.txt:1: class index -1",)),
    ("YOLO in bytes", yolo(b"\x80\x81"), ("02.txt: the label file is not UTF-8 text",)),
    (
        "YOLO with an escape sequence",
        yolo("\x1b[31mred"),
        (r"02.txt:1: expected", r"\x1b[31mred"),
    ),
    ("a digit for every byte", yolo("9" * 5000), ("02.txt:1: expected 'class cx cy w h'",)),
)
CASES = (
    *(Case(name, spoil, says, DETECT, code=1) for name, spoil, says in BROKEN),
    Case(
        "labels in COCO's JSON",
        coco,
        ("The split 'splits' names", "does not have", "01"),
        DETECT,
    ),
    Case(
        "a label that is a folder",
        lambda project: (project / LABELS / "02.txt").mkdir(),
        ("02.txt is no file",),
        DETECT,
    ),
    Case(
        "two labels for one image",
        lambda project: (project / LABELS / "02.txt").write_text(""),
        ("02.xml and 02.txt have the same stem",),
        DETECT,
    ),
    Case(
        "a broken label in data check",
        xml(voc(name="persn")),
        ("problem:", "02.xml:1: unknown class 'persn'"),
        ("data", "check", "folder"),
        code=1,
    ),
    Case(
        "a split in bytes",
        lambda project: (project / "data/folder/splits/test.txt").write_bytes(b"\xff\xfe02"),
        ("test.txt is not UTF-8 text",),
        DETECT,
    ),
    Case(
        "a split of unknown pairs",
        lambda project: (project / "data/folder/splits/test.txt").write_text("../../01\n99\n"),
        ("The split 'splits' names 1 pair ", "99"),
        DETECT,
    ),
    Case(
        "a split whose parts overlap",
        lambda project: (project / "data/folder/splits/test.txt").write_text("01\n"),
        ("The split 'splits' has 01 in two parts",),
        DETECT,
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_label(case: Case, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judge(case, project, capsys)
