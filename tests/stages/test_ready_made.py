"""Ready-made images become the stored PNG with their pixels unchanged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.errors import UserError
from bench.stages.ready_made import ReadyMadeTask, run


def random(shape: tuple[int, ...], top: int = 256) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(0, top, shape)


def progress(done: int, total: int) -> None:
    """The stage's report is not of interest here."""


@pytest.fixture
def images(tmp_path: Path) -> dict[str, Path]:
    """Colour as PNG, grey as BMP, colour as JPEG, 16-bit grey as TIFF, colour with alpha."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    colour = random((7, 9, 3)).astype(np.uint8)
    alpha = np.dstack([colour, np.full((7, 9), 30, np.uint8)])
    arrays = {
        "colour.png": colour,
        "grey.bmp": colour[:, :, 0],
        "lossy.JPG": colour,
        "deep.tif": random((7, 9), 65536).astype(np.uint16),
        "alpha.png": alpha,
    }
    for name, array in arrays.items():
        Image.fromarray(array).save(folder / name)
    return {Path(name).stem: folder / name for name in arrays}


def test_pixels_stay_as_they_are(tmp_path: Path, images: dict[str, Path]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    facts = run(ReadyMadeTask("Theirs", images, "ab"), out, progress)
    assert sorted(path.name for path in out.iterdir()) == sorted(f"{id_}.png" for id_ in images)
    stored = {id_: np.asarray(Image.open(out / f"{id_}.png")) for id_ in images}
    given = {id_: np.asarray(Image.open(path)) for id_, path in images.items()}
    for id_ in ("colour", "grey", "lossy"):
        assert np.array_equal(stored[id_], given[id_]), id_
    assert np.array_equal(stored["alpha"], given["colour"])
    assert np.array_equal(stored["deep"], np.round(given["deep"] / 257).astype(np.uint8))
    assert (facts["printed_name"], facts["kind"], facts["images"]) == ("Theirs", "folder", 5)
    assert facts["lossy_images"] == 1 and facts["images_sha256"] == "ab"
    assert facts["weights"]["track"] == "none"


def test_what_is_stored_is_not_stored_again(tmp_path: Path, images: dict[str, Path]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    kept = out / "grey.png"
    kept.write_bytes(b"kept")
    counts: list[int] = []
    run(ReadyMadeTask("t", images, ""), out, lambda done, total: counts.append(done))
    assert kept.read_bytes() == b"kept"
    assert counts == [2, 3, 4, 5]


def test_a_broken_image_is_named_and_the_others_are_stored(
    tmp_path: Path, images: dict[str, Path]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for id_ in ("colour", "grey"):
        images[id_].write_bytes(images[id_].read_bytes()[:60])
    with pytest.raises(UserError, match=r"colour\.png can't be decoded .* \(and 1 more of 5\)"):
        run(ReadyMadeTask("t", images, ""), out, progress)
    assert sorted(path.stem for path in out.glob("*.png")) == ["alpha", "deep", "lossy"]
