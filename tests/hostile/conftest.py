"""A project with finished work, as the current folder of every case."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.cli import main
from tests.hostile.corpus import build


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose run is done; cases work in copies of it."""
    project = tmp_path_factory.mktemp("finished")
    build(project)
    assert main(["run", "--config", str(project / "bench.toml"), "--no-tables"]) == 0
    return project


@pytest.fixture
def project(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished project, as the current folder."""
    copy = tmp_path / "project"
    shutil.copytree(finished, copy)
    monkeypatch.chdir(copy)
    return copy
