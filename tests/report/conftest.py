"""One finished-in-part run for the tests of frame, tables and renderers, and one page of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.report.page.build import write_page
from tests.report.page_run import page_run
from tests.report.results_tree import write_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("results") / "demo")


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`report.html` in a run's folder with odd names; one set's sources lie outside of it."""
    run, pairs = page_run(tmp_path_factory.mktemp("page"))
    unfound = {"first": "its source images were not found (<nowhere>)"}
    return write_page(run, run / "report.html", pairs, unfound, lambda done, total: None)
