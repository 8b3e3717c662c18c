"""The trainer on a tiny set: it learns, resumes bit for bit, mixes labels, and says what it did."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from bench.errors import UserError
from bench.methods.contract import Method
from bench.training import TrainingGroup, train
from bench.training.dataset import (
    Sampler,
    centre_crops,
    decode_once,
    held_out_ids,
    split_entries,
)
from models.dsifuse import METHOD
from tests.training.toy import SIDE, Blend, method, write_pairs


def test_pixels_are_decoded_once_and_unchanged(tmp_path: Path) -> None:
    masked = TrainingGroup("a", write_pairs(tmp_path / "a", 3, (33, 47), masks=True))
    plain = TrainingGroup("b", write_pairs(tmp_path / "b", 2, (50, 41)))
    pixels = decode_once([masked, plain], tmp_path / "cache")
    last = pixels.entries[-1]
    assert (last.group, last.id, last.height, last.width) == ("b", "p1", 50, 41)
    assert pixels.mask(last) is None
    assert pixels.infrared(last)[-1, -1] == 41
    first = pixels.mask(pixels.entries[0])
    assert first is not None
    assert first[0, 0] == 1
    assert first[-1, -1] == 0
    stamp = next((tmp_path / "cache").glob("*/pixels.u8")).stat().st_mtime_ns
    again = decode_once([masked, plain], tmp_path / "cache")
    assert again.entries == pixels.entries
    assert next((tmp_path / "cache").glob("*/pixels.u8")).stat().st_mtime_ns == stamp


def test_crops_of_small_images_are_padded_and_depend_on_seed_and_iteration(
    tmp_path: Path,
) -> None:
    small = TrainingGroup("s", write_pairs(tmp_path / "s", 4, (20, 70), masks=True))
    pixels = decode_once([small], tmp_path / "cache")
    sampler = Sampler(pixels, (pixels.entries,), (1.0,), seed=5, side=SIDE, batch=3)
    crops = sampler(7)
    assert crops.visible.shape == (3, 3, SIDE, SIDE)
    assert crops.visible.flags.c_contiguous
    assert crops.infrared.shape == (3, 1, SIDE, SIDE)
    assert crops.mask.shape == (3, SIDE, SIDE)
    # Reflection: row 20 repeats row 18.
    assert (crops.visible[:, :, 20] == crops.visible[:, :, 18]).all()
    # Pixels stay registered under flips: the warm half is the labelled half.
    assert ((crops.mask > 0) == (crops.infrared[:, 0] > 100)).all()
    assert (sampler(7).visible == crops.visible).all()
    assert (sampler(8).visible != crops.visible).any()
    dimmed = Sampler(pixels, (pixels.entries,), (1.0,), 5, SIDE, 3, dim=1.0)(7)
    assert dimmed.visible.mean() < 0.85 * crops.visible.mean()


def test_a_fixed_tenth_is_held_out(tmp_path: Path, group: TrainingGroup) -> None:
    held = held_out_ids(group)
    assert len(held) == 1
    assert held == held_out_ids(TrainingGroup("other", group.pairs[::-1]))
    pixels = decode_once([group], tmp_path / "cache")
    train_entries, held_entries = split_entries(pixels, [group])
    assert {entry.id for entry in held_entries} == held
    assert len(train_entries[0]) == 9
    assert centre_crops(pixels, held_entries, SIDE).visible.shape == (1, 3, SIDE, SIDE)
    assert held_out_ids(TrainingGroup("few", group.pairs[:9])) == frozenset()


def test_training_learns_and_its_card_tells_how(tmp_path: Path, group: TrainingGroup) -> None:
    lines: list[str] = []
    path = train(
        method(), [group], out=tmp_path / "out", seed=3, iterations=60, log_every=1,
        validate_every=30, report=lines.append,
    )  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "out" / "log.csv").open()))
    losses = [float(row["total"]) for row in rows]
    assert len(losses) == 60
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    assert float(rows[-1]["rate"]) < 0.05 * float(rows[0]["rate"])
    card = json.loads(path.with_suffix(".json").read_text())
    data = path.read_bytes()
    assert card["sha256"] == hashlib.sha256(data).hexdigest()
    assert card["bytes"] == len(data)
    assert (card["iterations"], card["seed"]) == (60, 3)
    assert card["data"] == [{"name": "toy/train", "pairs": 10, "share": None}]
    assert "CPU core" in card["hardware"]
    assert card["validation"]["pairs"] == 1
    assert len(lines) == 3
    network = Blend()
    network.load_state_dict(load_file(path))


class KilledError(Exception):
    """Stands for the kill of a run."""


@pytest.mark.parametrize("chosen", [method(), METHOD], ids=lambda m: m.name)
def test_resume_continues_bit_for_bit(tmp_path: Path, group: TrainingGroup, chosen: Method) -> None:
    """Six iterations straight equal: three with a checkpoint, a fourth lost by a kill, resumed."""
    groups = [group, TrainingGroup("masked", write_pairs(tmp_path / "m", 4, (40, 50), masks=True))]

    def run(name: str, **options: Any) -> Path:
        shared = {"seed": 1, "iterations": 6, "crop": 32, "batch": 2, "log_every": 1}
        return train(chosen, groups, out=tmp_path / name, **shared, **options)

    def die(line: str) -> None:
        raise KilledError(line)

    straight = load_file(run("straight"))
    with pytest.raises(KilledError):
        # The report of the validation comes before the checkpoint of its iteration.
        run("broken", checkpoint_seconds=0.0, validate_every=4, report=die)
    assert torch.load(tmp_path / "broken" / "checkpoint.pt")["iteration"] == 3
    assert "\n4," in (tmp_path / "broken" / "log.csv").read_text()
    resumed = load_file(run("broken"))
    assert resumed.keys() == straight.keys()
    assert all(torch.equal(resumed[key], straight[key]) for key in straight)
    logs = [
        [
            {k: v for k, v in row.items() if k not in ("seconds", "pairs_per_second")}
            for row in csv.DictReader(file)
        ]
        for file in ((tmp_path / n / "log.csv").open() for n in ("straight", "broken"))
    ]
    assert len(logs[0]) == 6
    assert logs[0] == logs[1]


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path, group: TrainingGroup) -> None:
    train(method(), [group], out=tmp_path / "out", seed=1, iterations=1)
    with pytest.raises(UserError, match="another seed"):
        train(method(), [group], out=tmp_path / "out", seed=2, iterations=1)


def test_a_finished_training_is_not_run_again(tmp_path: Path, group: TrainingGroup) -> None:
    first = train(method(), [group], out=tmp_path / "out", iterations=2).read_bytes()
    assert train(method(), [group], out=tmp_path / "out", iterations=2).read_bytes() == first


def test_a_budget_ends_the_training(tmp_path: Path, group: TrainingGroup) -> None:
    path = train(method(), [group], out=tmp_path / "out", iterations=10**9, budget_seconds=0.2)
    card = json.loads(path.with_suffix(".json").read_text())
    assert 0 < card["iterations"] < 10**9
    assert card["seconds"] >= 0.2


def test_dsifuse_learns_on_mixed_labels(tmp_path: Path) -> None:
    groups = [
        TrainingGroup("plain", write_pairs(tmp_path / "p", 4, (40, 50)), share=0.5),
        TrainingGroup("masked", write_pairs(tmp_path / "m", 1, (40, 50), masks=True), share=0.5),
    ]
    path = train(METHOD, groups, out=tmp_path / "out", iterations=30, crop=32, batch=4, log_every=1)
    rows = list(csv.DictReader((tmp_path / "out" / "log.csv").open()))
    semantic = [float(row["semantic"]) for row in rows if float(row["semantic"]) > 0]
    total = [float(row["total"]) for row in rows]
    assert sum(semantic[-5:]) < 0.8 * sum(semantic[:5])
    assert sum(total[-5:]) < sum(total[:5])
    METHOD.build().load_state_dict(load_file(path))


def test_ablated_variants_train(tmp_path: Path) -> None:
    groups = [TrainingGroup("masked", write_pairs(tmp_path / "m", 3, (40, 50), masks=True))]
    path = train(
        METHOD, groups, out=tmp_path / "out", iterations=1, crop=32, batch=2, variant="no-sg"
    )
    assert path.name == "dsifuse-no-sg.safetensors"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variant": "sam"}, "did you mean 'same'"),
        ({"iterations": None}, "give the training an end"),
    ],
)
def test_errors_say_what_to_do(
    tmp_path: Path, group: TrainingGroup, change: dict[str, object], message: str
) -> None:
    options: dict[str, object] = {"iterations": 1, **change}
    with pytest.raises(UserError, match=message):
        train(method(), [group], out=tmp_path / "out", **options)  # type: ignore[arg-type]


def test_crop_must_fit_the_protocol(tmp_path: Path, group: TrainingGroup) -> None:
    with pytest.raises(UserError, match="multiple of 32"):
        train(METHOD, [group], out=tmp_path / "out", iterations=1, crop=48)
