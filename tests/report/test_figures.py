"""The qualitative figure: where crops fall, what is written, what is refused."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.errors import UserError
from bench.report.figures import Box, most_different, qualitative


def image(seed: int, height: int = 60, width: int = 80) -> np.ndarray:
    return np.random.default_rng(seed).integers(90, 110, (height, width), dtype=np.uint8)


def panel(folder: Path, name: str, labels: tuple[str, ...]) -> tuple[str, dict[str, Path]]:
    paths = {}
    for k, label in enumerate(labels):
        paths[label] = folder / f"{name}-{label}.png"
        Image.fromarray(image(k)).save(paths[label])
    return name, paths


def test_crops_lie_where_the_methods_differ() -> None:
    first, second = image(0), image(0)
    second[40:52, 60:76] = 255
    second[5:17, 10:26] = 200
    assert most_different([first, second]) == (Box(60, 40, 16, 12), Box(10, 5, 16, 12))


def test_crops_do_not_overlap_and_stay_inside() -> None:
    a, b = most_different([image(1), image(2)])
    for box in (a, b):
        assert 0 <= box.x <= 80 - box.width and 0 <= box.y <= 60 - box.height
    assert abs(a.x - b.x) >= a.width or abs(a.y - b.y) >= a.height


def test_files(tmp_path: Path) -> None:
    panels = [
        panel(tmp_path, "a", ("visible", "infrared", "One", "Two")),
        panel(tmp_path, "b", ("visible", "infrared", "One")),
    ]
    chosen = (Box(0, 0, 10, 10), Box(20, 20, 10, 10))
    files = qualitative(panels, tmp_path / "out" / "figure-tno", crops={"b": chosen})
    assert [path.name for path in files] == [f"figure-tno.{s}" for s in ("pdf", "png", "csv")]
    with files[2].open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == 2 * 4 * 2
    last = [line for line in lines if (line["id"], line["column"]) == ("b", "Two")]
    assert [line["drawn"] for line in last] == ["not available"] * 2
    drawn = [tuple(int(line[key]) for key in ("x", "y", "width", "height")) for line in last]
    assert drawn == [(0, 0, 10, 10), (20, 20, 10, 10)]
    with Image.open(files[1]) as picture:
        assert picture.width > 4 * 250
    first = [path.read_bytes() for path in files]
    qualitative(panels, tmp_path / "out" / "figure-tno", crops={"b": chosen})
    assert [path.read_bytes() for path in files] == first


def test_refusals_name_what_is_wrong(tmp_path: Path) -> None:
    name, paths = panel(tmp_path, "a", ("visible", "One"))
    with pytest.raises(UserError, match="leaves its 80×60 image"):
        qualitative([(name, paths)], tmp_path / "f", crops={"a": [Box(75, 0, 10, 10)]})
    Image.fromarray(image(0, 30, 40)).save(paths["One"])
    with pytest.raises(UserError, match="no common size"):
        qualitative([(name, paths)], tmp_path / "f")
    paths["One"].write_bytes(b"not an image")
    with pytest.raises(UserError, match="a-One.png"):
        qualitative([(name, paths)], tmp_path / "f")
    with pytest.raises(UserError, match="No pair"):
        qualitative([], tmp_path / "f")
