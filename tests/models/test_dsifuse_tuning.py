"""DSIFuse's presets and options: what they set, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.errors import UserError
from bench.methods.contract import Method, TrainingBatch
from bench.training import TrainingGroup, train
from bench.training.description import described
from bench.training.experiments import read_experiments
from bench.training.tuning import Wish, arranged
from models.dsifuse import METHOD
from models.dsifuse.network import DSIFuse
from tests.training.toy import write_pairs

DOCS = Path(__file__).resolve().parents[2] / "docs"


def options(**chosen: Any) -> Method:
    assert METHOD.tuned is not None
    return METHOD.tuned(chosen)


def test_the_papers_preset_is_the_papers_recipe() -> None:
    chosen, settings = arranged(METHOD, Wish(preset="paper"))
    assert (settings["epochs"], settings["batch"], settings["budget_seconds"]) == (1900, 16, None)
    assert chosen.recipe is not None
    named = chosen.recipe.options
    assert (named["mu"], named["zeta"], named["eta"]) == (155, 10, 7)
    assert (named["decide"], named["tau"], named["ssim"]) == ("delta", 0, 0)
    rate = chosen.recipe.phases[0].updates[0].parts[0].rate
    assert rate(0) == 1e-3 and 0 < rate(0.99) < 1e-4
    network = chosen.build()
    assert isinstance(network, DSIFuse) and network.config.classes == 9


def test_without_options_nothing_changes() -> None:
    assert METHOD.recipe is not None
    same = options()
    assert same.recipe is not None
    assert described(same.recipe) == described(METHOD.recipe)
    assert same.recipe.options == METHOD.recipe.options
    assert same.weights == METHOD.weights and same.variants.keys() == METHOD.variants.keys()


def test_network_options_change_network_protocol_and_ablations() -> None:
    chosen = options(colour="rgb", widths=[8, 8, 16, 16, 32])
    assert chosen.protocol.colour == "rgb" and chosen.weights == ()
    network = chosen.variants["no-cfc"]()
    assert isinstance(network, DSIFuse)
    assert network.config.widths == (8, 8, 16, 16, 32) and not network.config.has("cfc")


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"muu": 1}, "did you mean 'mu'"),
        ({"mu": "much"}, "mu must be like 40.0"),
        ({"decide": "maxx"}, "delta or contrast or max or salient"),
        ({"widths": [8, 8]}, "widths must be like"),
        ({"rate": True}, "rate must be a number"),
    ],
)
def test_wrong_options_are_told(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        options(**chosen)


def test_more_classes_than_priors_are_told() -> None:
    recipe = METHOD.recipe
    assert recipe is not None
    images, labels = torch.rand(1, 1, 64, 64), torch.full((1, 64, 64), 8)
    batch = TrainingBatch(images, images, labels, labels[:, None] > 0, torch.tensor([True]))
    with pytest.raises(UserError, match="--option classes=9"):
        recipe.phases[0].updates[0].loss(METHOD.build().eval(), batch)


def test_rgb_trains_on_the_cpu(tmp_path: Path) -> None:
    groups = [TrainingGroup("masked", write_pairs(tmp_path / "m", 3, (70, 80), masks=True))]
    train(options(colour="rgb"), groups, out=tmp_path / "out", iterations=3, crop=64, batch=2)


def test_the_lists_of_the_documentation_are_possible() -> None:
    for path in sorted(DOCS.glob("dsifuse-*.toml")):
        for one in read_experiments(path, Wish()):
            method, _ = arranged(METHOD, one.wish)
            assert one.wish.variant is None or one.wish.variant in method.variants
