"""What the suite promises of every registered method, with random weights of seed 0."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bench.methods import registry, weights
from bench.methods.contract import Method
from bench.methods.protocol import fuse, network_input
from bench.stages.profile import macs, parameters

NAMES = registry.names()
SIZE = (37, 53)

# Counted by hand or in the authors' networks: parameters, and 10⁹ MACs of a pair of 480×640.
COSTS = {
    "visible": (0, 0.0),
    "infrared": (0, 0.0),
    "average": (0, 0.0),
    "max": (0, 0.0),
    "densefuse": (74_193, 27.029),
    "densefuse-tf": (74_193, 27.029),
    "fusiongan": (925_633, 287.879),
    "drf": (16_023_145, 380.068),
    "seafusion": (166_657, 50.995),
    "umf-cmgr": (629_253, 193.207),
    # The authors' 552.459 less the products of attention and values, which are one with the
    # projection here.
    "cddfuse": (1_188_272, 550.100),
    "lrrnet": (49_204, 14.167),
    "mfifusion": (328_287, 146.850),
    "crossfuse": (21_305_827, 128.915),
}


@lru_cache(maxsize=1)
def network_of(name: str) -> nn.Module:
    """Random weights; the tests of one method follow each other, so one is kept."""
    method = registry.method(name)
    return weights.build(method, weights.ResolvedWeights("random", "none", "", (), None), seed=0)


def pairs(count: int, height: int, width: int, *, grey: bool = False) -> tuple[Tensor, Tensor]:
    """uint8 N×3×H×W and N×1×H×W: ramps, a checker and a little noise, another one per item."""
    generator = torch.Generator().manual_seed(count + height)
    rows, columns = torch.arange(height)[:, None], torch.arange(width)[None, :]
    visible, infrared = [], []
    for k in range(count):
        base = 40 + 2 * rows + columns + 30 * ((rows // 8 + columns // 8 + k) % 2)
        noise = torch.randint(0, 12, (3, height, width), generator=generator)
        tint = torch.zeros(3, 1, 1) if grey else torch.tensor([0, 10, -10])[:, None, None]
        colour = base + tint + (noise[:1] if grey else noise)
        visible.append(colour.expand(3, height, width).clamp(0, 255))
        warm = 200 * ((rows - 15) ** 2 + (columns - 20 - 5 * k) ** 2 < 60)
        infrared.append((30 + columns + warm + noise[:1]).clamp(0, 255))
    return torch.stack(visible).to(torch.uint8), torch.stack(infrared).to(torch.uint8)


def stored(method: Method, network: nn.Module, visible: Tensor, infrared: Tensor) -> Tensor:
    return fuse(network, method.protocol, visible, infrared)


@pytest.mark.parametrize("name", NAMES)
def test_odd_sizes_batches_and_repetition(name: str) -> None:
    method, network = registry.method(name), network_of(name)
    visible, infrared = pairs(2, *SIZE)
    fused = stored(method, network, visible, infrared)
    assert fused.shape == (2, 3, *SIZE)
    assert fused.dtype == torch.uint8
    assert torch.equal(stored(method, network, visible, infrared), fused)
    for k in range(2):
        alone = stored(method, network, visible[k : k + 1], infrared[k : k + 1])
        # Sums of a batch may be taken in another order: a rounding may fall on the other side.
        difference = (alone.int() - fused[k : k + 1].int()).abs()
        assert difference.max() <= 1
        assert (difference > 0).float().mean() < 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_a_grey_visible_image_gives_a_grey_result(name: str) -> None:
    visible, infrared = pairs(1, 40, 48, grey=True)
    fused = stored(registry.method(name), network_of(name), visible, infrared)[0]
    assert torch.equal(fused[0], fused[1])
    assert torch.equal(fused[0], fused[2])


@pytest.mark.parametrize("name", NAMES)
def test_double_precision_changes_no_more_than_rounding(name: str) -> None:
    method, network = registry.method(name), network_of(name)
    source, thermal = network_input(method.protocol, *pairs(1, 40, 64))
    with torch.inference_mode():
        single = network(source, thermal)
        double = network.double()(source.double(), thermal.double())
    network.float()
    span = {"unit": 1.0, "signed": 2.0, "byte": 255.0}[method.protocol.range]
    assert torch.isfinite(single).all()
    assert (single - double).abs().max() / span < 2e-5


@pytest.mark.parametrize("name", NAMES)
def test_weights_survive_their_file(name: str, tmp_path: Path) -> None:
    method, network = registry.method(name), network_of(name)
    path = tmp_path / "weights.safetensors"
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, path)
    found = weights.ResolvedWeights("saved", "suite", "", (), path)
    again = weights.build(method, found, seed=1)
    visible, infrared = pairs(1, 40, 48)
    expected = stored(method, network, visible, infrared)
    assert torch.equal(stored(method, again, visible, infrared), expected)


@pytest.mark.parametrize("name", COSTS)
def test_parameters_and_macs_are_those_of_the_papers_network(name: str) -> None:
    method, network = registry.method(name), network_of(name)
    count, giga = COSTS[name]
    assert parameters(network) == count
    assert method.needs_weights == (count > 0)
    with torch.device("meta"):
        shell = method.build().eval()
    empty = (torch.empty(1, 1, 480, 640, device="meta") for _ in range(2))
    assert macs(shell, *empty) / 1e9 == pytest.approx(giga, abs=6e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_the_gpu_stores_nearly_the_same_image(name: str) -> None:
    method, network = registry.method(name), network_of(name)
    visible, infrared = pairs(1, 96, 128)
    expected = stored(method, network, visible, infrared)
    fused = stored(method, network.cuda(), visible.cuda(), infrared.cuda()).cpu()
    network.cpu()
    assert (fused.int() - expected.int()).abs().max() <= 2
