"""Validation: six metrics of averaged weights, the best weights by a criterion, exact resume."""

from __future__ import annotations

import csv
import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bench.errors import UserError
from bench.methods.contract import Method, Part, Phase, Protocol, TrainingBatch, Update, poly
from bench.methods.terms import SOBEL_X, filtered, ssim
from bench.training import TrainingGroup, train
from bench.training.batches import AHEAD, crops_from
from bench.training.curves import draw
from bench.training.dataset import Crops, decode_once
from bench.training.updates import precision
from bench.training.validation import (
    SCORED_SIDE,
    SIX,
    goodness,
    held_out,
    scored_pairs,
    six_metrics,
)
from tests.training.toy import Blend, method, write_pairs

ROOT = Path(__file__).resolve().parents[2]


class First(nn.Module):
    """The visible image."""

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return visible


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def worse_and_worse(network: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
    """Climbs away from the target: every validation is worse than the one before."""
    assert isinstance(network, Blend)
    fused = network(batch.visible, batch.infrared)
    loss = (fused - torch.maximum(batch.visible, batch.infrared)).square().mean()
    return {"total": -loss if network.training else loss}


def climbing() -> Method:
    return method(Phase((Update(worse_and_worse, (Part(rate=poly(1e-2), clip_norm=1.0),)),)))


def test_the_centre_is_scored_by_the_suites_own_metrics(tmp_path: Path) -> None:
    group = TrainingGroup("large", write_pairs(tmp_path / "large", 1, (300, 310)))
    pixels = decode_once([group], tmp_path / "cache")
    ((visible, infrared),) = scored_pairs(pixels, pixels.entries, torch.device("cpu"))
    assert visible.shape == (1, 3, SCORED_SIDE, SCORED_SIDE)
    whole = torch.from_numpy(pixels.visible(pixels.entries[0]).copy()).permute(2, 0, 1)
    assert torch.equal(visible[0], whole[:, 22:278, 27:283])
    scores = six_metrics(First(), Protocol("rgb"), [(visible, infrared)])
    # The fused image is the visible one: its own entropy, and SSIM and VIF of 1 with it.
    levels = (visible.int() * torch.tensor([299, 587, 114]).view(1, 3, 1, 1)).sum(1)
    share = torch.bincount(((levels + 500) // 1000).flatten(), minlength=256) / SCORED_SIDE**2
    entropy = -(share[share > 0] * share[share > 0].log2()).sum()
    assert scores["EN"] == pytest.approx(float(entropy), abs=1e-5)
    assert 1 < scores["SSIM"] < 1.2
    held = held_out(Protocol("rgb"), [], ((visible, infrared),))
    assert held.average.keys() == set(SIX)
    assert held.average["SD"] != pytest.approx(scores["SD"], rel=0.01)


def test_the_best_weights_are_exported_and_the_card_says_which(
    tmp_path: Path, group: TrainingGroup
) -> None:
    found = {}
    for criterion in ("loss", "last"):
        path = train(
            climbing(), [group], out=tmp_path / criterion, iterations=40, validate_every=10,
            criterion=criterion,
        )  # fmt: skip
        found[criterion] = json.loads(path.with_suffix(".json").read_text())["validation"]
        rows = read(tmp_path / criterion / "validation.csv")
        assert [row["iteration"] for row in rows] == ["10", "20", "30", "40"]
        totals = [float(row["total"]) for row in rows]
        best = rows[totals.index(min(totals))] if criterion == "loss" else rows[-1]
        assert found[criterion]["iteration"] == int(best["iteration"])
        assert found[criterion]["total"] == pytest.approx(float(best["total"]), rel=1e-4)
        assert found[criterion]["EN"] == pytest.approx(float(best["EN"]), rel=1e-4)
    assert found["loss"]["iteration"] < 40
    assert found["loss"]["criterion"] == "the lowest mean loss"
    assert set(found["loss"]["average"]) == set(SIX)


def test_criteria(tmp_path: Path, group: TrainingGroup) -> None:
    assert goodness("loss", {"total": 2.0}) == -2.0
    assert goodness("VIF", {"VIF": 0.7}) == 0.7
    assert goodness("six", {"six": math.nan}) == -math.inf
    with pytest.raises(UserError, match="did you mean 'loss'"):
        train(method(), [group], out=tmp_path / "out", iterations=1, criterion="los")


def test_the_best_survives_a_resume(tmp_path: Path, group: TrainingGroup) -> None:
    def run(name: str, **options: Any) -> Path:
        shared = {"iterations": 12, "validate_every": 2, "checkpoint_seconds": 0.0}
        return train(climbing(), [group], out=tmp_path / name, **shared, **options)

    def die(line: str) -> None:
        if line.startswith("iteration 8 "):
            raise KeyboardInterrupt

    straight = run("straight")
    with pytest.raises(KeyboardInterrupt):
        run("broken", report=die)
    assert run("broken").read_bytes() == straight.read_bytes()
    cards = [json.loads((tmp_path / n / "blend.json").read_text()) for n in ("straight", "broken")]
    assert cards[0]["validation"] == cards[1]["validation"]


def test_epochs_end_a_training(tmp_path: Path, group: TrainingGroup) -> None:
    path = train(method(), [group], out=tmp_path / "out", epochs=3, batch=4)
    # Nine of the ten pairs are trained on: 27 crops are 7 batches of 4.
    assert json.loads(path.with_suffix(".json").read_text())["iterations"] == 7


def test_half_weights_take_half_the_bytes_and_run(tmp_path: Path, group: TrainingGroup) -> None:
    single = train(method(), [group], out=tmp_path / "single", iterations=2)
    half = train(method(), [group], out=tmp_path / "half", iterations=2, half=True)
    one, other = load_file(single), load_file(half)
    assert other["net.0.weight"].dtype == torch.float16
    assert torch.equal(one["net.0.weight"].half(), other["net.0.weight"])
    assert torch.equal(one["net.1.num_batches_tracked"], other["net.1.num_batches_tracked"])
    card = json.loads(half.with_suffix(".json").read_text())
    assert card["precision"] == "fp16"
    network = Blend()
    network.load_state_dict(other)
    assert network.net[0].weight.dtype == torch.float32


def test_a_diverged_training_is_told(tmp_path: Path, group: TrainingGroup) -> None:
    def nan(network: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
        return {"total": network(batch.visible, batch.infrared).mean() * math.nan}

    broken = method(Phase((Update(nan, (Part(),)),)))
    with pytest.raises(UserError, match="diverged"):
        train(broken, [group], out=tmp_path / "out", iterations=2)


def test_loss_terms_stay_in_single_precision_under_autocast() -> None:
    x, y = torch.rand(2, 1, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = ssim(x, y), filtered(x, SOBEL_X, "replicate")
        lower = nn.functional.conv2d(x, torch.ones(1, 1, 3, 3))
    assert lower.dtype == torch.bfloat16
    assert torch.equal(mixed[0], ssim(x, y))
    assert torch.equal(mixed[1], filtered(x, SOBEL_X, "replicate"))


def test_mixed_precision_is_off_on_the_cpu() -> None:
    with precision(torch.device("cpu"), mixed=True):
        assert not torch.is_autocast_enabled("cpu")


def test_crops_come_in_order_and_no_more_than_a_few_ahead() -> None:
    asked: list[int] = []

    def sampler(iteration: int) -> Crops:
        asked.append(iteration)
        return iteration  # type: ignore[return-value]

    source = crops_from(sampler, 5)
    assert [next(source) for _ in range(4)] == [5, 6, 7, 8]
    source.close()
    assert asked == sorted(asked) and max(asked) < 9 + AHEAD


def test_curves_are_drawn_with_and_without_validation(tmp_path: Path, group: TrainingGroup) -> None:
    train(method(), [group], out=tmp_path / "out", iterations=6, validate_every=2, log_every=1)
    drawn = draw(tmp_path / "out").stat().st_size
    few = TrainingGroup("few", group.pairs[:3])
    train(method(), [few], out=tmp_path / "few", iterations=2, log_every=1)
    assert 1000 < draw(tmp_path / "few").stat().st_size < drawn


KILLED = """
import sys
from pathlib import Path
import torch
from bench.training import TrainingGroup, train
from bench.data.pairs import Pair
from tests.training.toy import method
torch.set_num_threads(int(sys.argv[4]))
folder = Path(sys.argv[1])
pairs = tuple(Pair(f"p{i}", folder / f"v{i}.png", folder / f"r{i}.png") for i in range(10))
train(method(), [TrainingGroup("toy", pairs)], out=Path(sys.argv[2]), iterations=int(sys.argv[3]),
      seed=1, checkpoint_seconds=float(sys.argv[5]), log_every=1, validate_every=50)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_ended_process_loses_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """A process that is killed in the middle of its work, and then finished by this one."""
    pairs = write_pairs(tmp_path / "toy", 10, (40, 50))
    group = TrainingGroup("toy", pairs)
    # The sums of convolutions depend on the number of threads.
    # On Ctrl-C a checkpoint is written however young the last one is.
    every = 0.0 if number == signal.SIGKILL else 3600.0
    words = (tmp_path / "toy", tmp_path / "killed", 400, torch.get_num_threads(), every)
    command = [sys.executable, "-c", KILLED, *map(str, words)]
    process = subprocess.Popen(command, cwd=ROOT)
    checkpoint = tmp_path / "killed" / "checkpoint.pt"
    log = tmp_path / "killed" / "log.csv"
    while process.poll() is None and not (log.exists() and log.read_text().count("\n") > 60):
        time.sleep(0.02)
    assert checkpoint.exists() == (number == signal.SIGKILL)
    process.send_signal(number)
    assert process.wait() == -number
    assert 0 < torch.load(checkpoint)["iteration"] < 400
    settings: Mapping[str, Any] = {"iterations": 400, "seed": 1, "validate_every": 50}
    resumed = train(method(), [group], out=tmp_path / "killed", **settings)
    straight = train(method(), [group], out=tmp_path / "straight", **settings)
    assert resumed.read_bytes() == straight.read_bytes()
