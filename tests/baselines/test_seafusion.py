"""SeAFusion's training: its loss against the authors' values, and the segmentation in the loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.seafusion import (
    METHOD,
    SeAFusion,
    WithSegmentation,
    content_terms,
    fusion_loss,
    hard_example_loss,
    segmentation_loss,
    ten_epochs,
)
from bench.methods.contract import TrainingBatch
from bench.training.updates import iterate, make_optimisers, phase_ends
from tests.baselines.rule_weights import apply_rule, waves


def labelled_batch(height: int = 40, width: int = 48) -> TrainingBatch:
    visible, infrared = waves(height, width)
    labels = (infrared[:, 0] > 0.5).long()
    return TrainingBatch(visible, infrared, labels, labels[:, None].float(), torch.tensor([True]))


def test_content_terms_equal_the_authors_values(shared: Path) -> None:
    golden = np.load(shared / "oracles" / "seafusion" / "losses.npz")
    visible, infrared, fused = (
        torch.from_numpy(golden[f"{name}_u8"]).float() / 255 for name in ("vi_y", "ir", "out")
    )
    terms = content_terms(fused, visible, infrared)
    for name, value in terms.items():
        assert value.item() == pytest.approx(float(golden[name]), abs=1e-6)
    total = terms["intensity"] + 10 * terms["gradient"]
    assert total.item() == pytest.approx(float(golden["total"]), abs=1e-5)


def test_the_losses_give_the_recorded_numbers() -> None:
    network = apply_rule(WithSegmentation(SeAFusion()))
    terms = fusion_loss(network, labelled_batch(), seg_weight=2)
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        {
            "intensity": 0.2559533,
            "gradient": 2.0757120,
            "segmentation": 2.4405842,
            "total": 25.8942413,
        },
        rel=1e-5,
    )
    assert segmentation_loss(network, labelled_batch())["total"].item() == pytest.approx(
        3.8802769, rel=1e-5
    )


def test_hard_examples_by_hand() -> None:
    # Probabilities of the true class 0: 0.5, 0.6, 0.9, 0.99; losses above -log 0.7 are hard.
    right = torch.tensor([0.5, 0.6, 0.9, 0.99])
    logits = torch.stack([right, 1 - right]).log().view(1, 2, 1, 4)
    labels = torch.zeros(1, 1, 4, dtype=torch.int64)
    losses = -right.log()
    torch.testing.assert_close(hard_example_loss(logits, labels, 1 / 4), losses[:2].mean())
    # At least three of four pixels: one easy pixel joins.
    torch.testing.assert_close(hard_example_loss(logits, labels, 3 / 4), losses[:3].mean())


def test_only_labelled_items_are_segmented() -> None:
    network = apply_rule(WithSegmentation(SeAFusion()))
    one = labelled_batch()
    assert one.labels is not None and one.foreground is not None
    two = TrainingBatch(
        torch.cat([one.visible, one.infrared]),
        torch.cat([one.infrared, one.visible]),
        torch.cat([one.labels, torch.zeros_like(one.labels)]),
        torch.cat([one.foreground, torch.zeros_like(one.foreground)]),
        torch.tensor([True, False]),
    )
    torch.testing.assert_close(
        segmentation_loss(network, two)["total"], segmentation_loss(network, one)["total"]
    )
    bare = segmentation_loss(network, TrainingBatch(one.visible, one.infrared))["total"]
    assert bare.item() == 0.0
    bare.backward()


def test_four_rounds_of_falling_rates() -> None:
    assert METHOD.recipe is not None
    ends = phase_ends(METHOD.recipe)
    assert len(ends) == 8
    # The first round, after a phase with the intensity alone, is three times as long as each other.
    assert ends[3] - ends[2] == pytest.approx((ends[1] - ends[0]) / 3)
    for start, end in ((ends[0], ends[1]), (ends[2], ends[3])):
        length = end - start
        rates = [ten_epochs(start, length, start + (e + 0.5) / 10 * length) for e in range(10)]
        assert rates == pytest.approx([1e-3 * 0.75 ** (e - 1) for e in range(10)])


def test_every_phase_learns_and_leaves_the_other_network_alone() -> None:
    assert METHOD.recipe is not None
    torch.manual_seed(0)
    network, batch = WithSegmentation(METHOD.build()), labelled_batch(32, 32)
    optimisers = make_optimisers(network, METHOD.recipe)
    parts = {"fusion": network.fusion, "segmentation": network.segmentation}
    for number, phase in enumerate(METHOD.recipe.phases[:4]):
        trained = ("fusion", "fusion", "segmentation", "fusion")[number]
        before = {name: [p.clone() for p in part.parameters()] for name, part in parts.items()}
        done = [0.0, *phase_ends(METHOD.recipe)][number]
        totals = [
            iterate(network, phase, optimisers, done, batch)["total"].item() for _ in range(20)
        ]
        assert totals[-1] < 0.95 * totals[0]
        for name, part in parts.items():
            same = all(
                torch.equal(old, new)
                for old, new in zip(before[name], part.parameters(), strict=True)
            )
            assert same == (name != trained)
