"""Material of many tests: golden values outside the repository, and small pairs made here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden values and checkpoints beside the repository, or a skip."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared (golden values and official checkpoints), which is absent")
    return SHARED


@pytest.fixture
def make_pairs() -> Callable[..., list[str]]:
    """make_pairs(visible folder, infrared folder, count, size) writes random pairs as PNG."""

    def make(
        visible: Path, infrared: Path, count: int = 3, size: tuple[int, int] = (53, 45)
    ) -> list[str]:
        visible.mkdir(parents=True, exist_ok=True)
        infrared.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(5)
        stems = [f"{index:02d}" for index in range(1, count + 1)]
        for stem in stems:
            colour = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            grey = random.integers(0, 256, (size[1], size[0]), dtype=np.uint8)
            Image.fromarray(colour).save(visible / f"{stem}.png")
            Image.fromarray(grey).save(infrared / f"{stem}.png")
        return stems

    return make


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fingerprint caches of tests stay out of the user's home."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def _own_threads() -> Iterator[None]:
    """A command that was run in this process leaves the number of threads as it was."""
    before = sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None
    yield
    if before is not None and sys.modules["torch"].get_num_threads() != before:
        sys.modules["torch"].set_num_threads(before)
