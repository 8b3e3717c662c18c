"""Tiles: seams, sizes, alignment; and what bfloat16 and compiling change."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from baselines.seafusion import METHOD as SEAFUSION
from bench.errors import UserError
from bench.methods.contract import Protocol
from bench.methods.protocol import fuse
from bench.methods.speed import deviation, faster
from bench.methods.tiling import fuse_tiled, starts
from bench.methods.weights import build, resolve
from models.dsifuse import METHOD

LUMA = Protocol("luma", multiple=32)


def smooth(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Slow waves and one warm hill, without texture."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    grey = 110 + 60 * torch.sin(x / 70) + 30 * torch.cos(y / 50)
    visible = torch.stack([grey, grey * 0.9 + 10, grey * 0.8 + 20])[None]
    infrared = 90 + 70 * torch.exp(-((x - 150) ** 2 + (y - 80) ** 2) / 5000)
    return visible.round().clamp(0, 255).byte(), infrared[None, None].round().byte()


def noise(height: int, width: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    both = torch.randint(0, 256, (1, 4, height, width), generator=generator, dtype=torch.uint8)
    return both[:, :3], both[:, 3:]


class Local(nn.Module):
    """Sees one pixel around each: less than any overlap."""

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return nn.functional.avg_pool2d((visible + infrared) / 2, 3, 1, 1, count_include_pad=False)


class Ones(nn.Module):
    """White wherever it looks."""

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return torch.ones_like(visible)


@pytest.mark.parametrize(
    ("length", "tile", "overlap"), [(96, 96, 32), (97, 96, 32), (1000, 160, 33)]
)
def test_tiles_cover_a_side_and_overlap(length: int, tile: int, overlap: int) -> None:
    begins = starts(length, tile, overlap, 32)
    assert begins[0] == 0 and begins[-1] + tile >= length
    assert all(begin % 32 == 0 for begin in begins)
    assert all(a + tile - b >= overlap for a, b in pairwise(begins))
    # The last is worth its while: it holds more than the overlap.
    assert length - begins[-1] > overlap or len(begins) == 1


def test_a_local_network_has_no_seams() -> None:
    images = noise(200, 333)
    whole = fuse(Local(), Protocol("rgb"), *images)
    tiled = fuse_tiled(Local(), Protocol("rgb"), *images, tile=128, overlap=32)
    # Pixels at a tile's border differ, where their weight is next to nothing.
    assert int((whole.int() - tiled.int()).abs().max()) <= 1


def test_weights_add_up_everywhere() -> None:
    visible = torch.zeros(1, 3, 130, 259, dtype=torch.uint8)
    tiled = fuse_tiled(Ones(), Protocol("rgb"), visible, visible[:, :1], tile=96, overlap=24)
    assert tiled.shape == visible.shape
    assert bool((tiled == 255).all())


def test_what_fits_is_fused_whole() -> None:
    images = noise(60, 64)
    tiled = fuse_tiled(Local(), LUMA, *images, tile=64, overlap=16)
    assert torch.equal(tiled, fuse(Local(), LUMA, *images))


def test_dsifuse_has_no_seams_on_smooth_content(tmp_path: Path) -> None:
    network = build(METHOD, resolve(METHOD, tmp_path))
    images = smooth(160, 256)
    whole = fuse(network, METHOD.protocol, *images)
    tiled = fuse_tiled(network, METHOD.protocol, *images, tile=128, overlap=32)
    assert int((whole.int() - tiled.int()).abs().max()) <= 1


@pytest.mark.parametrize(("tile", "overlap"), [(100, 16), (64, 32), (64, -1), (0, 0)])
def test_impossible_tiles_are_told(tile: int, overlap: int) -> None:
    with pytest.raises(UserError, match=f"tile = {tile} with an overlap of {overlap}"):
        fuse_tiled(Local(), LUMA, *noise(96, 96), tile=tile, overlap=overlap)


def test_a_stretch_over_the_image_can_not_be_tiled() -> None:
    protocol = replace(SEAFUSION.protocol, multiple=1)
    with pytest.raises(UserError, match="needs the whole image"):
        fuse_tiled(Local(), protocol, *noise(96, 96), tile=64, overlap=8, output="authors")


def test_bfloat16_moves_pixels_a_little_and_is_told(tmp_path: Path) -> None:
    network = build(METHOD, resolve(METHOD, tmp_path))
    pairs = [smooth(64, 96), noise(64, 96)]
    same = deviation(network, faster(network), METHOD.protocol, pairs)
    assert (same.largest, same.mean, same.above_one) == (0, 0.0, 0.0)
    moved = deviation(network, faster(network, bfloat16=True), METHOD.protocol, pairs)
    assert 0 < moved.mean < 1
    assert moved.largest < 8
    assert f"largest {moved.largest}," in moved.sentence()
