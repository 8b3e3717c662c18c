"""The TensorBoard log: written where the package is, one sentence where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.training import TrainingGroup, train
from bench.training.board import board
from tests.training.toy import method


def test_values_are_written_to_event_files(tmp_path: Path, group: TrainingGroup) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (extra 'board')")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    lines: list[str] = []
    with board(tmp_path / "out", lines.append) as watch:
        assert not (tmp_path / "out").exists()
        train(method(), [group], out=tmp_path / "out", iterations=4, log_every=2, watch=watch)
    events = EventAccumulator(str(tmp_path / "out" / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("train/total")] == [2, 4]
    assert [event.step for event in events.Scalars("validation/six")] == [4]
    assert lines == []


def test_without_the_package_it_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.training.board.find_spec", lambda name: None)
    lines: list[str] = []
    with board(tmp_path / "out", lines.append) as watch:
        watch("train", {"total": 1.0}, 1)
    assert len(lines) == 1 and "ivif-bench[board]" in lines[0]
    assert not (tmp_path / "out").exists()
