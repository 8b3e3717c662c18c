"""The protocol, in numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bench.methods import registry
from bench.methods.contract import AuthorsOutput, Protocol
from bench.methods.protocol import fuse, luma, network_input, pad_to_multiple
from bench.methods.weights import NO_WEIGHTS, build


def pair(height: int = 37, width: int = 53, batch: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    visible = torch.randint(0, 256, (batch, 3, height, width), generator=generator)
    infrared = torch.randint(0, 256, (batch, 1, height, width), generator=generator)
    return visible.to(torch.uint8), infrared.to(torch.uint8)


class Echo(nn.Module):
    """Returns what the network would see of the visible image, plus `shift`."""

    def __init__(self, shift: float = 0.0) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return visible + self.shift


@pytest.mark.parametrize("range_", ["unit", "signed", "byte"])
@pytest.mark.parametrize("colour", ["luma", "rgb"])
def test_echoing_the_visible_image_gives_it_back(colour: str, range_: str) -> None:
    visible, infrared = pair()
    protocol = Protocol(colour=colour, range=range_, multiple=32)  # type: ignore[arg-type]
    assert torch.equal(fuse(Echo(), protocol, visible, infrared), visible)


def test_ranges_of_the_input() -> None:
    visible = torch.tensor([0, 255]).view(1, 1, 1, 2).expand(1, 3, 1, 2).to(torch.uint8)
    infrared = visible[:, :1]
    for range_, expected in (("unit", [0, 1]), ("signed", [-1, 1]), ("byte", [0, 255])):
        protocol = Protocol(colour="rgb", range=range_)  # type: ignore[arg-type]
        source, thermal = network_input(protocol, visible, infrared)
        assert source[0, 0, 0].tolist() == pytest.approx(expected)
        assert thermal[0, 0, 0].tolist() == pytest.approx(expected)


def test_luma_shift_moves_all_channels_alike_and_clamps() -> None:
    visible = torch.tensor([[10, 100, 250]]).view(1, 3, 1, 1).to(torch.uint8)
    infrared = torch.zeros(1, 1, 1, 1, dtype=torch.uint8)
    fused = fuse(Echo(20.0), Protocol(colour="luma", range="byte"), visible, infrared)
    assert fused.flatten().tolist() == [30, 120, 255]


def test_luma8_rounds_before_the_network() -> None:
    visible = torch.tensor([[11, 101, 251]]).view(1, 3, 1, 1).to(torch.uint8)
    infrared = torch.zeros(1, 1, 1, 1, dtype=torch.uint8)
    exact = luma(visible.float()).item()
    assert exact == pytest.approx(0.299 * 11 + 0.587 * 101 + 0.114 * 251)
    source, _ = network_input(Protocol(colour="luma8", range="byte"), visible, infrared)
    assert source.item() == 91.0


def test_rounding_is_to_nearest_and_truncation_only_as_authors() -> None:
    visible = torch.full((1, 3, 1, 2), 100, dtype=torch.uint8)
    infrared = visible[:, :1]
    authors = AuthorsOutput(chroma="grey", stretch=False, rounding="truncate")
    protocol = Protocol(colour="luma", range="byte", authors=authors)
    assert fuse(Echo(0.6), protocol, visible, infrared).unique().tolist() == [101]
    stored = fuse(Echo(0.6), protocol, visible, infrared, output="authors")
    assert stored.shape == (1, 1, 1, 2) and stored.unique().tolist() == [100]


def test_stretch_takes_each_image_by_itself() -> None:
    visible = torch.tensor([[50, 150], [10, 20]]).view(2, 1, 1, 2).expand(2, 3, 1, 2)
    authors = AuthorsOutput(chroma="grey", stretch=True, rounding="nearest")
    protocol = Protocol(colour="luma", range="byte", authors=authors)
    stored = fuse(
        Echo(), protocol, visible.to(torch.uint8), visible[:, :1].to(torch.uint8), output="authors"
    )
    assert stored.flatten().tolist() == [0, 255, 0, 255]


def test_authors_output_of_a_method_without_one_is_refused() -> None:
    visible, infrared = pair()
    with pytest.raises(ValueError, match="no output habit"):
        fuse(Echo(), Protocol(colour="luma"), visible, infrared, output="authors")


def test_nan_never_becomes_an_image() -> None:
    visible, infrared = pair()
    with pytest.raises(FloatingPointError):
        fuse(Echo(float("nan")), Protocol(colour="luma"), visible, infrared)


@pytest.mark.parametrize("size", [(1, 1), (5, 70), (37, 53), (64, 64)])
def test_padding_reaches_the_multiple_at_any_size(size: tuple[int, int]) -> None:
    image = torch.rand(1, 1, *size)
    padded = pad_to_multiple(Protocol(colour="luma", multiple=32), image)
    assert padded.shape[-2] % 32 == 0 and padded.shape[-1] % 32 == 0
    assert torch.equal(padded[..., : size[0], : size[1]], image)


@pytest.mark.parametrize("name", registry.names())
def test_every_method_keeps_odd_sizes_and_treats_a_batch_as_singles(name: str) -> None:
    method = registry.method(name)
    torch.manual_seed(0)
    network = build(replace(method, needs_weights=False), NO_WEIGHTS)
    visible, infrared = pair(batch=2)
    both = fuse(network, method.protocol, visible, infrared)
    assert both.dtype == torch.uint8 and both.shape == (2, 3, 37, 53)
    single = fuse(network, method.protocol, visible[1:], infrared[1:])
    # Another batch size may choose another convolution kernel: one level of rounding.
    assert (both[1:].int() - single.int()).abs().max() <= 1
    again = fuse(network, method.protocol, visible, infrared)
    assert torch.equal(both, again)


def test_classical_rules_by_hand() -> None:
    visible = torch.tensor([[40, 200]]).view(1, 1, 1, 2).expand(1, 3, 1, 2).to(torch.uint8)
    infrared = torch.tensor([[100, 101]]).view(1, 1, 1, 2).to(torch.uint8)

    def result(name: str) -> list[int]:
        method = registry.method(name)
        fused = fuse(method.build(), method.protocol, visible, infrared)
        return [int(v) for v in fused[0, 0, 0]]

    assert result("visible") == [40, 200]
    assert result("infrared") == [100, 101]
    assert result("average") == [70, 150]
    assert result("max") == [100, 200]


def test_laplacian_of_equal_images_is_that_image() -> None:
    visible, _ = pair(64, 80)
    grey = visible[:, :1].expand(-1, 3, -1, -1)
    method = registry.method("laplacian")
    fused = fuse(method.build(), method.protocol, grey, grey[:, :1])
    assert torch.equal(fused, grey)
