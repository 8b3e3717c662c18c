"""Where tests find the material that does not belong to the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden values and checkpoints beside the repository, or a skip."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared (golden values and official checkpoints), which is absent")
    return SHARED
