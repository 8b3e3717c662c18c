"""The pairs that most trainings of these tests run on."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.training import TrainingGroup
from tests.training.toy import write_pairs


@pytest.fixture
def group(tmp_path: Path) -> TrainingGroup:
    """Ten small pairs without masks; one is held out."""
    return TrainingGroup("toy/train", write_pairs(tmp_path / "toy", 10, (40, 50)))
