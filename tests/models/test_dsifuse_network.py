"""DSIFuse's shapes, ablations, cost, and its formulas on small tensors by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from bench.methods.protocol import fuse
from models.dsifuse import METHOD, rgb_method
from models.dsifuse.attention import CrossAttention, FeatureModulation
from models.dsifuse.calibration import CrossModalCalibration
from models.dsifuse.config import BLOCKS, RESNET18, SLIM
from models.dsifuse.network import DSIFuse

FUSIONGAN_PARAMETERS = 925_633 + 397_953


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.fixture(scope="module")
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(2, 1, 64, 96, generator=generator), torch.rand(
        2, 1, 64, 96, generator=generator
    )


def awake(network: DSIFuse) -> DSIFuse:
    """With the output maps' weights away from their zero start, so that every block shows."""
    nn.init.normal_(network.decode.head.weight, std=0.1)
    return network.eval()


@pytest.mark.parametrize(("height", "width"), [(33, 70), (1, 40), (64, 96), (161, 33)])
def test_any_size_keeps_its_size(height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(height)
    shape = (1, 3, height, width)
    visible = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
    infrared = torch.randint(256, (1, 1, height, width), generator=generator, dtype=torch.uint8)
    for method in (METHOD, rgb_method()):
        fused = fuse(method.build().eval(), method.protocol, visible, infrared)
        assert fused.shape == shape
        assert fused.dtype == torch.uint8


def test_training_starts_at_the_average(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    visible, infrared = pair
    torch.testing.assert_close(DSIFuse()(visible, infrared), (visible + infrared) / 2)


def test_semantic_maps_are_probabilities_at_stride_8(
    pair: tuple[torch.Tensor, torch.Tensor],
) -> None:
    result = DSIFuse().forward_with_semantics(*pair)
    for prior in (result.prior_visible, result.prior_infrared, result.prior_global):
        assert prior is not None
        assert prior.shape == (2, SLIM.classes, 8, 12)
        torch.testing.assert_close(prior.sum(1), torch.ones(2, 8, 12))


def test_the_papers_cost_claims_hold() -> None:
    assert 0.8e6 < parameters(DSIFuse()) < FUSIONGAN_PARAMETERS
    assert parameters(DSIFuse(RESNET18)) > 22e6
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        DSIFuse()(torch.rand(1, 1, 480, 640), torch.rand(1, 1, 480, 640))
    assert counter.get_total_flops() / 2 < 552e9 / 20


def test_macs_of_the_first_decoder_step_by_hand() -> None:
    """3×3 convolution from 48 + 2·48 to 48 channels on a 4×6 map: 4·6·9·144·48 MACs."""
    step = DSIFuse().decode.steps[0]
    with FlopCounterMode(display=False) as counter:
        step(torch.rand(1, 144, 4, 6))
    assert counter.get_total_flops() == 2 * 4 * 6 * 9 * 144 * 48


@pytest.mark.parametrize("block", BLOCKS)
def test_ablations_build_run_and_drop_their_parameters(
    block: str, pair: tuple[torch.Tensor, torch.Tensor]
) -> None:
    network = METHOD.variants[f"no-{block}"]()
    names = [name for name, _ in network.named_parameters()]
    gone = {
        "cfc": ["calibrate."],
        "cfb": ["cross_modal."],
        "imb": ["intra_visible.", "intra_infrared."],
        "scb": ["decode.compensate.", "prior_global."],
        "sg": ["prior_"],
    }[block]
    assert not [name for name in names if name.startswith(tuple(gone))]
    full = [name for name, _ in DSIFuse().named_parameters()]
    assert all(any(name.startswith(g) for name in full) for g in gone)
    result = network.forward_with_semantics(*pair)
    assert result.fused.shape == (2, 1, 64, 96)
    assert (result.prior_visible is None) == (block == "sg")
    # Every remaining parameter takes part: none is built and then unused.
    awake(network).train()
    network(*pair).square().mean().backward()
    unused = [name for name, p in network.named_parameters() if p.grad is None]
    assert unused == []


@pytest.mark.parametrize(
    "part",
    [
        "calibrate.0.channel.2.weight",
        "calibrate.4.spatial.2.weight",
        "cross_modal.attend_visible.value.weight",
        "cross_modal.modulate_infrared.condition.weight",
        "intra_visible.0.semantic.value.weight",
        "intra_infrared.1.recovery.value.weight",
        "prior_visible.classify.weight",
        "prior_global.classify.weight",
        "decode.compensate.3.project.weight",
        "decode.compensate.4.project.weight",
    ],
)
def test_every_block_reaches_the_image(part: str, pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    torch.manual_seed(0)
    network = awake(DSIFuse())
    before = network(*pair)
    with torch.no_grad():
        network.get_parameter(part).add_(torch.randn(network.get_parameter(part).shape))
    assert not torch.equal(before, network(*pair))


def test_calibration_by_hand() -> None:
    """Zero weights make every gate sigmoid(0) = 1/2: F_V' = F_V + (0.5 + 0.5) · F_R / 2."""
    block = CrossModalCalibration(2, 0.5, 0.5)
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    visible = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 2, 1, 2)
    infrared = torch.tensor([10.0, 20.0, 30.0, 40.0]).view(1, 2, 1, 2)
    new_visible, new_infrared = block(visible, infrared)
    torch.testing.assert_close(new_visible.flatten(), torch.tensor([6.0, 12.0, 18.0, 24.0]))
    torch.testing.assert_close(new_infrared.flatten(), torch.tensor([10.5, 21.0, 31.5, 42.0]))


def test_calibration_gives_each_modality_the_other_ones_weights() -> None:
    """Only W_R opens (bias +50), W_V closes (-50): visible gains F_R fully, infrared nothing."""
    block = CrossModalCalibration(1, 0.5, 0.5)
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        block.channel[2].bias.copy_(torch.tensor([-50.0, 50.0]))
        block.spatial[2].bias.copy_(torch.tensor([-50.0, 50.0]))
    new_visible, new_infrared = block(torch.full((1, 1, 2, 2), 3.0), torch.full((1, 1, 2, 2), 7.0))
    assert new_visible.unique().tolist() == [10.0]
    assert new_infrared.unique().tolist() == [7.0]


def test_cross_attention_is_softmax_over_keys() -> None:
    torch.manual_seed(0)
    block = CrossAttention(3, 4, 6, 5, heads=2)
    query, source = torch.rand(1, 3, 2, 3), torch.rand(1, 4, 2, 3)
    out = block(query, source)
    q, k, v = (c(x).flatten(2)[0] for c, x in zip(
        (block.query, block.key, block.value), (query, source, source), strict=True))  # fmt: skip
    heads = []
    for rows in (slice(0, 3), slice(3, 6)):
        weights = (q[rows].T @ k[rows] / 3**0.5).softmax(dim=1)
        heads.append((weights @ v[rows].T).T)
    merged = torch.cat(heads).view(1, 6, 2, 3)
    torch.testing.assert_close(out, block.project(merged))


def test_modulation_by_hand() -> None:
    block = FeatureModulation(1, 1)
    nn.init.zeros_(block.condition.weight)
    with torch.no_grad():
        block.condition.bias.copy_(torch.tensor([2.0, 5.0]))
    out = block(torch.full((1, 1, 2, 2), 10.0), torch.zeros(1, 1, 2, 2))
    assert out.unique().tolist() == [35.0]


def test_eval_output_doesnt_depend_on_the_batch(
    pair: tuple[torch.Tensor, torch.Tensor],
) -> None:
    network = awake(DSIFuse())
    together = network(*pair)
    alone = network(pair[0][:1], pair[1][:1])
    torch.testing.assert_close(together[:1], alone, rtol=1e-4, atol=1e-5)
    assert functional.mse_loss(together[0], together[1]) > 0
