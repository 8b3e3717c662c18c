"""Images that are damaged, of another kind, or made to hurt."""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.hostile.corpus import RUN, SIZE, Case, judge

VISIBLE, INFRARED = Path("data/TNO/vi"), Path("data/TNO/ir")
CHECK = ("data", "check", "tno")
RANDOM = np.random.default_rng(2)
COLOUR = Image.fromarray(RANDOM.integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8))


def content(data: bytes, name: str = "02.png", folder: Path = VISIBLE) -> Callable[[Path], object]:
    return lambda project: (project / folder / name).write_bytes(data)


def saved(image: Image.Image, name: str = "02.png", **how: object) -> Callable[[Path], object]:
    """Instead of 02.png the image under this name, in the format that `how` says."""

    def spoil(project: Path) -> None:
        (project / VISIBLE / "02.png").unlink()
        image.save(project / VISIBLE / name, **how)

    return spoil


def cut(length: int) -> Callable[[Path], object]:
    def spoil(project: Path) -> None:
        file = project / VISIBLE / "02.png"
        whole = file.read_bytes()
        assert len(whole) > length
        file.write_bytes(whole[:length])

    return spoil


def replaced(make: Callable[[Path], object]) -> Callable[[Path], object]:
    """02.png of the visible images is something else, which make(path) puts there."""

    def spoil(project: Path) -> None:
        (project / VISIBLE / "02.png").unlink()
        make(project / VISIBLE / "02.png")

    return spoil


def png(width: int, height: int) -> bytes:
    """A well-formed PNG of this announced size with hardly any pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        end = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + end

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1 << 16))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(
        b"IEND", b""
    )  # fmt: skip


def text_bomb(project: Path) -> None:
    """A compressed comment of 128 MiB inside a small PNG."""
    body = b"Comment\0\0" + zlib.compress(bytes(128 << 20))
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body
    chunk += struct.pack(">I", zlib.crc32(b"zTXt" + body))
    whole = (project / VISIBLE / "02.png").read_bytes()
    (project / VISIBLE / "02.png").write_bytes(whole[:33] + chunk + whole[33:])


def float_tiff(project: Path) -> None:
    (project / VISIBLE / "02.png").unlink()
    samples = np.full((SIZE[1], SIZE[0]), np.nan, np.float32)
    Image.fromarray(samples).save(project / VISIBLE / "02.tif")


FRAMES: dict[str, object] = {"save_all": True, "append_images": [COLOUR.rotate(180)] * 2}
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\n(/tmp/x) (w) file\n"

CASES = (
    Case("a PNG that ends in its header", cut(20), ("02.png", "can't be decoded")),
    Case("a PNG that ends in its pixels", cut(4000), ("02.png", "can't be decoded"), code=1),
    Case("no bytes", content(b""), ("02.png is empty",)),
    Case("text under a PNG's name", content(b"hello"), ("02.png can't be decoded",)),
    Case("random bytes", content(RANDOM.bytes(5000)), ("02.png can't be decoded",)),
    Case("PostScript under a PNG's name", content(POSTSCRIPT), ("02.png can't be decoded",)),
    Case("another size than the twin", saved(COLOUR.resize((63, 48))), ("is 64×48", "63×48")),
    Case("a pixel bomb", content(png(60000, 60000)), ("02.png announces more than",)),
    Case("a bomb below Pillow's error", content(png(9500, 9500)), ("02.png announces more than",)),
    Case("a PNG of width 0", content(png(0, 48)), ("02.png can't be decoded",)),
    Case("a text bomb in a PNG", text_bomb, ("02.png can't be decoded",)),
    Case(
        "an animated GIF under a PNG's name",
        saved(COLOUR, format="GIF", **FRAMES),
        ("02.png can't be decoded", "whatever its name says"),
    ),
    Case("an animated PNG", saved(COLOUR, **FRAMES), ("02.png holds 3 images",)),
    Case("an animated WebP", saved(COLOUR, "02.webp", **FRAMES), ("02.webp holds", "images")),
    Case("a TIFF of three pages", saved(COLOUR, "02.tif", **FRAMES), ("02.tif holds 3 images",)),
    Case("a TIFF of NaN", float_tiff, ("02.tif holds float32 samples",), code=1),
    Case("a folder under a PNG's name", replaced(Path.mkdir), ("02.png is no file",)),
    Case(
        "a link to nothing", replaced(lambda p: p.symlink_to("absent.png")), ("02.png is no file",)
    ),
    Case("a link to itself", replaced(lambda p: p.symlink_to(p)), ("02.png is no file",)),
    Case("a FIFO", replaced(lambda path: os.mkfifo(path)), ("02.png is no file",)),
    Case(
        "a colour image as infrared",
        lambda project: COLOUR.save(project / INFRARED / "02.png"),
        ("02.png is a colour image", "swapped"),
        code=1,
    ),
    Case(
        "a bomb in data check",
        content(png(60000, 60000)),
        ("problem:", "02.png announces more than"),
        CHECK,
        code=1,
    ),
    Case(
        "a bomb in bench score",
        lambda project: shutil.copytree(project / VISIBLE, project / "out")
        and (project / "out/02.png").write_bytes(png(60000, 60000)),
        ("not scored:", "02.png announces more than"),
        ("score", "--fused", "out", "--visible", str(VISIBLE), "--infrared", str(INFRARED)),
        code=1,
    ),
    Case(
        "a damaged ready-made image",
        lambda project: shutil.copytree(project / INFRARED, project / "out")
        and (project / "out/02.png").write_bytes(b"no image"),
        ("out/02.png can't be decoded",),
        (*RUN, "--fused", "theirs=out"),
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_image(case: Case, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judge(case, project, capsys)


CMYK = COLOUR.convert("CMYK")
ALPHA = Image.merge("RGBA", (*COLOUR.split(), COLOUR.getchannel(0)))
ODD = (
    ("a CMYK JPEG", saved(CMYK, "02.jpg")),
    ("one bit a pixel", saved(COLOUR.convert("1"))),
    ("a palette", saved(COLOUR.quantize(16))),
    ("an alpha channel", saved(ALPHA)),
    ("grey with alpha", saved(ALPHA.convert("LA"))),
    ("16 bits", saved(Image.fromarray(RANDOM.integers(0, 65536, SIZE[::-1], dtype=np.uint16)))),
    ("a JPEG under a PNG's name", saved(COLOUR, format="JPEG")),
    ("a capital suffix", saved(COLOUR, "02.PNG")),
)


@pytest.mark.parametrize(("name", "spoil"), ODD, ids=[name for name, _ in ODD])
def test_odd_but_whole_images_are_scored(
    name: str, spoil: Callable[[Path], object], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(project)
    case = Case(name, lambda project: None, ("Results:",), code=0)
    judge(case, project, capsys)
    assert len(list((project / "results/t/tno/average/fuse").glob("*.png"))) == 3
