"""Decoding: every format and depth that is promised, and every kind of bad file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from bench.data.images import decode, read_infrared, read_pair, read_visible, write_png
from bench.data.pairs import Pair
from bench.errors import UserError

RAMP = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
COLOUR = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=2)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp"])
def test_lossless_formats_keep_every_value(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(COLOUR).save(path, **({"lossless": True} if suffix == "webp" else {}))
    assert np.array_equal(read_visible(path), COLOUR)


def test_jpeg_is_near(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "a.jpg", quality=98)
    assert np.abs(read_infrared(tmp_path / "a.jpg").astype(int) - RAMP).max() <= 12


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_scaled_over_the_full_range(
    tmp_path: Path, suffix: str, channels: int
) -> None:
    deep = np.array([[0, 257, 65535], [128, 129, 32896]], np.uint16)
    image = deep if channels == 1 else np.stack([deep] * 3, axis=2)
    cv2.imwrite(str(tmp_path / f"a.{suffix}"), image)
    decoded = decode(tmp_path / f"a.{suffix}")
    assert decoded.depth == 16
    plane = decoded.samples if channels == 1 else decoded.samples[:, :, 1]
    assert plane.tolist() == [[0, 1, 255], [0, 1, 128]]


def test_alpha_and_palette_become_rgb(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([COLOUR, RAMP])).save(tmp_path / "rgba.png")
    Image.fromarray(COLOUR).quantize(64).save(tmp_path / "palette.png")
    assert np.array_equal(decode(tmp_path / "rgba.png").samples, COLOUR)
    assert decode(tmp_path / "palette.png").samples.shape == (6, 8, 3)


def test_three_equal_channels_are_infrared_and_colour_is_not(tmp_path: Path) -> None:
    Image.fromarray(np.stack([RAMP] * 3, axis=2)).save(tmp_path / "grey3.png")
    Image.fromarray(COLOUR).save(tmp_path / "colour.png")
    assert np.array_equal(read_infrared(tmp_path / "grey3.png"), RAMP)
    with pytest.raises(UserError, match=r"colour\.png is a colour image"):
        read_infrared(tmp_path / "colour.png")


def test_truncated_text_and_empty_files_are_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("not an image at all")
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("cut.png", "text.png", "empty.png", "absent.png"):
        with pytest.raises(UserError, match=name):
            decode(tmp_path / name)


def test_sizes_that_differ_are_an_error(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "v.png")
    Image.fromarray(RAMP[:5]).save(tmp_path / "i.png")
    with pytest.raises(UserError, match=r"i\.png is 8×5 but .*v\.png is 8×6"):
        read_pair(Pair("a", tmp_path / "v.png", tmp_path / "i.png"))


def test_png_round_trip_is_exact_and_grey_is_stored_as_grey(tmp_path: Path) -> None:
    write_png(tmp_path / "c.png", COLOUR)
    write_png(tmp_path / "g.png", np.stack([RAMP] * 3, axis=2))
    assert np.array_equal(decode(tmp_path / "c.png").samples, COLOUR)
    assert np.array_equal(decode(tmp_path / "g.png").samples, RAMP)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.png", "g.png"]
