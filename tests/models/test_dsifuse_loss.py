"""DSIFuse's loss terms on tiny tensors, with numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch

from bench.methods.contract import TrainingBatch
from models.dsifuse.config import SLIM
from models.dsifuse.loss import (
    LossOptions,
    dsifuse_loss,
    foreground,
    gradient_loss,
    intensity_loss,
    local_variance,
    normalised_variance,
    saliency_mask,
    semantic_loss,
    sobel,
    structural_similarity,
)
from models.dsifuse.network import DSIFuse, FusedWithSemantics


def image(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows)[None, None]


def flat(value: float, side: int = 4) -> torch.Tensor:
    return torch.full((1, 1, side, side), value)


def test_local_variance_of_one_bright_pixel() -> None:
    spot = torch.zeros(1, 1, 5, 5)
    spot[..., 2, 2] = 9.0
    variance = local_variance(spot)
    # One of nine pixels is 9: mean 1, mean of squares 9, variance 8.
    torch.testing.assert_close(variance[0, 0, 1:4, 1:4], torch.full((3, 3), 8.0))
    assert variance[0, 0, 0, 4] == 0.0
    scaled = normalised_variance(spot)
    assert (scaled.min(), scaled.max()) == (0.0, 1.0)
    assert normalised_variance(flat(0.3)).abs().max() == 0.0


def test_literal_delta_makes_both_sources_pull_at_textured_pixels() -> None:
    visible, infrared = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    infrared[..., ::2] = 0.8
    label = torch.ones(1, 1, 4, 4)
    options = LossOptions()
    # Labelled, flat visible: δ(M_V + 1 - 1) = 0, so only the infrared image counts.
    assert intensity_loss(visible, visible, infrared, label, options) == pytest.approx(0.9)
    # Unlabelled: δ = 1 for visible everywhere and, by its texture, for infrared as well.
    nothing = torch.zeros_like(label)
    half = flat(0.5)
    loss = intensity_loss(half, visible, infrared, nothing, options)
    textured = (normalised_variance(infrared) > 0).float()
    assert loss == pytest.approx(float(0.5 + (textured * (half - infrared).abs()).mean()))
    # τ above every variance: δ is 1 for visible alone where there is no label.
    high = LossOptions(tau=0.99)
    weak = flat(1.0)
    assert intensity_loss(half, visible, weak, nothing, high) == pytest.approx(0.5)


def test_deciding_rules_choose_one_source() -> None:
    visible, infrared = flat(0.2), flat(0.6)
    visible[..., ::2] = 0.4  # the only texture
    none, all_ = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)

    def loss(fused: torch.Tensor, label: torch.Tensor, **options: object) -> float:
        made = LossOptions(**options)  # type: ignore[arg-type]
        return float(intensity_loss(fused, visible, infrared, label, made))

    assert loss(infrared, none, decide="max") == 0.0
    assert loss(visible, none, decide="max") == pytest.approx(0.3)
    assert loss(visible, none, decide="contrast") == 0.0
    assert loss(infrared, all_, decide="contrast") == 0.0
    assert loss(visible, none, decide="salient") == 0.0
    assert loss(infrared, all_, decide="salient") == 0.0
    brighter = visible + 0.5
    assert (
        float(intensity_loss(brighter, brighter, infrared, all_, LossOptions(decide="salient")))
        == 0.0
    )


def test_sobel_and_gradient_loss_by_hand() -> None:
    ramp = image([0, 1, 2], [0, 1, 2], [0, 1, 2]) / 10
    gradient = sobel(ramp)
    assert gradient.shape == (1, 1, 2, 3, 3)
    assert gradient[0, 0, 0, 1, 1] == pytest.approx(0.8)  # (1+2+1) · 0.2
    assert gradient[0, 0, 1].abs().max() < 1e-6
    flat_ = torch.zeros_like(ramp)
    # Replicated borders halve the outer columns: (0.4 + 0.8 + 0.4) / 3.
    expected = 1.6 / 3
    for kind in ("magnitude", "signed"):
        assert gradient_loss(flat_, flat_, ramp, kind) == pytest.approx(expected)
        assert gradient_loss(ramp, flat_, ramp, kind) == 0.0
    # An inverted ramp has the right magnitude, but the wrong sign.
    assert gradient_loss(-ramp, flat_, ramp, "magnitude") == 0.0
    assert gradient_loss(-ramp, flat_, ramp, "signed") == pytest.approx(2 * expected)


def test_semantic_loss_by_hand() -> None:
    labels = torch.zeros(2, 64, 64, dtype=torch.int64)
    labels[0] = 1
    uniform = torch.full((2, 2, 8, 8), 0.5)
    right = torch.zeros(2, 2, 8, 8)
    right[0, 1], right[1, 0] = 1.0, 1.0
    everyone = torch.tensor([True, True])
    first = torch.tensor([True, False])

    def loss(prior: torch.Tensor, labelled: torch.Tensor) -> float:
        return float(semantic_loss(FusedWithSemantics(prior, prior, prior, None), labels, labelled))

    assert loss(right, everyone) == 0.0
    # Two modalities · three levels · two classes · 0.5².
    assert loss(uniform, everyone) == pytest.approx(2 * 3 * 2 * 0.25)
    # Only the labelled item counts.
    half_right = torch.stack([right[0], uniform[1]])
    assert loss(half_right, first) == 0.0
    assert loss(half_right, everyone) == pytest.approx(1.5)
    assert loss(uniform, torch.tensor([False, False])) == 0.0


def test_structural_similarity_of_equal_and_of_flat_images() -> None:
    torch.manual_seed(0)
    noise = torch.rand(1, 1, 24, 24)
    assert structural_similarity(noise, noise) == pytest.approx(1.0, abs=1e-5)
    # Flat images leave the luminance term: (2ab + c1) / (a² + b² + c1).
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.04 + 0.36 + 1e-4)
    value = structural_similarity(flat(0.2, 16).double(), flat(0.6, 16).double())
    assert value == pytest.approx(expected, abs=1e-6)


def test_foreground_is_the_annotation_or_the_saliency_rule() -> None:
    infrared = torch.zeros(2, 1, 4, 4)
    infrared[..., 0, 0] = 1.0
    assert saliency_mask(infrared, 1.0).sum((1, 2, 3)).tolist() == [1.0, 1.0]
    marked = torch.zeros(2, 1, 4, 4)
    marked[0, :, 3] = 1
    batch = TrainingBatch(
        infrared, infrared, torch.zeros(2, 4, 4).long(), marked, torch.tensor([True, False])
    )
    chosen = foreground(batch, 1.0)
    assert torch.equal(chosen[0], marked[0])
    assert torch.equal(chosen[1], saliency_mask(infrared, 1.0)[1])


def test_total_is_the_weighted_sum_and_unlabelled_batches_have_no_semantic_term() -> None:
    torch.manual_seed(0)
    visible, infrared = torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32)
    options = LossOptions(mu=3, zeta=2, eta=5, ssim=7)
    labels = torch.randint(0, 7, (2, 32, 32))
    batch = TrainingBatch(
        visible, infrared, labels, (labels > 0)[:, None].float(), torch.tensor([True, False])
    )
    terms = dsifuse_loss(options)(DSIFuse(), batch)
    expected = (
        3 * terms["intensity"] + 2 * terms["gradient"] + 5 * terms["semantic"] + 7 * terms["ssim"]
    )
    torch.testing.assert_close(terms["total"], expected)
    assert terms["semantic"] > 0
    bare = dsifuse_loss(options)(DSIFuse(), TrainingBatch(visible, infrared))
    assert bare["semantic"] == 0


def test_without_semantic_guidance_there_is_no_semantic_term() -> None:
    visible = torch.rand(2, 1, 32, 32)
    labels = torch.ones(2, 32, 32, dtype=torch.int64)
    batch = TrainingBatch(
        visible, visible, labels, labels[:, None].float(), torch.tensor([True, True])
    )
    terms = dsifuse_loss(LossOptions())(DSIFuse(SLIM.without("sg")), batch)
    assert terms["semantic"] == 0
