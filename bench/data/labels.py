"""Object boxes of one image, read from Pascal VOC XML, YOLO text or COCO JSON.

VOC (Everingham et al., IJCV 2010) counts pixels from 1 and includes the last one, so `xmin - 1` and
`xmax` are the edges; YOLO text holds `class centre-x centre-y width height` relative to the image.
COCO JSON, one file for many images, is `bench.data.coco`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.parsers import expat

from bench.data import coco
from bench.data.box import Box, RawBox, checked_box
from bench.errors import UserError


def read_boxes(
    path: Path, *, image: str, size: tuple[int, int], classes: Sequence[str]
) -> list[Box]:
    """The boxes of one image in `path`, in file order; size: its (width, height) in pixels.

    image: its stem, looked up in COCO files. classes: the known names; a YOLO index counts into
    them, while VOC and COCO have the names. An empty YOLO file means "no object".
    """
    if path.suffix.lower() == ".json":
        return coco.boxes_of(path, image, size, classes)
    readers = {".xml": _read_voc, ".txt": _read_yolo}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path}: labels must be VOC .xml, YOLO .txt or COCO .json files.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot read the label file ({error.strerror}).") from error
    return [
        checked_box(f"{path}:{raw.line}", raw, size, classes)
        for raw in reader(path, content, size, classes)
    ]


def _read_yolo(
    path: Path, content: bytes, size: tuple[int, int], classes: Sequence[str]
) -> list[RawBox]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: the label file is not UTF-8 text.") from error
    width, height = size
    boxes = []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        try:
            index = int(fields[0])
            cx, cy, w, h = (float(field) for field in fields[1:])
        except ValueError as error:
            raise UserError(
                f"{path}:{number}: expected 'class cx cy w h' (an index and four numbers), "
                f"found '{line.strip()[:60]}'."
            ) from error
        if not 0 <= index < len(classes):
            raise UserError(
                f"{path}:{number}: class index {index}, but there are {len(classes)} classes "
                f"(0 {classes[0]} to {len(classes) - 1} {classes[-1]})."
            )
        edges = (
            (cx - w / 2) * width,
            (cy - h / 2) * height,
            (cx + w / 2) * width,
            (cy + h / 2) * height,
        )
        boxes.append(RawBox(number, classes[index], edges))
    return boxes


def _read_voc(
    path: Path, content: bytes, size: tuple[int, int], classes: Sequence[str]
) -> list[RawBox]:
    # expat and not ElementTree, because only expat tells the line of an element.
    parser = expat.ParserCreate()
    stack: list[str] = []
    found: list[tuple[int, dict[str, str]]] = []

    def in_field() -> bool:
        # Exactly these depths: a VOC person may hold parts (head, hand) with names and boxes.
        return stack[1:2] == ["object"] and (
            stack[2:] == ["name"] or (len(stack) == 4 and stack[2] == "bndbox")
        )

    def start(tag: str, attributes: dict[str, str]) -> None:
        stack.append(tag)
        line = parser.CurrentLineNumber
        if stack[1:] == ["object"]:
            found.append((line, {}))
        elif in_field():
            if tag in found[-1][1]:
                raise UserError(f"{path}:{line}: the object has <{tag}> twice.")
            found[-1][1][tag] = ""

    def text(data: str) -> None:
        if in_field():
            found[-1][1][stack[-1]] += data

    def end(tag: str) -> None:
        stack.pop()

    def entity(*declared: object) -> None:
        # A few hundred bytes of entities can expand to gigabytes, and labels need none.
        raise UserError(
            f"{path}:{parser.CurrentLineNumber}: declares an XML entity; labels need none: "
            "remove its DOCTYPE."
        )

    parser.EntityDeclHandler = entity
    parser.StartElementHandler = start
    parser.CharacterDataHandler = text
    parser.EndElementHandler = end
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise UserError(f"{path}:{error.lineno}: not well-formed XML ({reason}).") from error
    except (LookupError, ValueError) as error:
        raise UserError(f"{path}: the XML's encoding can't be read: save it as UTF-8.") from error
    return [_voc_object(path, line, fields) for line, fields in found]


def _voc_object(path: Path, line: int, fields: dict[str, str]) -> RawBox:
    try:
        name = fields["name"].strip()
        xmin, ymin, xmax, ymax = (float(fields[key]) for key in ("xmin", "ymin", "xmax", "ymax"))
    except KeyError as error:
        raise UserError(f"{path}:{line}: the object has no <{error.args[0]}>.") from error
    except ValueError as error:
        raise UserError(f"{path}:{line}: the object's box is not four numbers.") from error
    return RawBox(line, name, (xmin - 1, ymin - 1, xmax, ymax))
