"""One finished-in-part run for the tests of frame, tables and renderers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.results_tree import write_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("results") / "demo")
