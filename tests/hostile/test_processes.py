"""A few of the corpus in processes of their own, where warnings and tracebacks would be seen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile import test_configs, test_folders, test_images, test_labels, test_weights
from tests.hostile.corpus import Case, finished_files, judge_output, whole_tree

ROOT = Path(__file__).resolve().parents[2]
CHOSEN = (
    (test_images, "a bomb below Pillow's error"),
    (test_images, "a TIFF of NaN"),
    (test_labels, "billion laughs"),
    (test_configs, "a name with NUL"),
    (test_weights, "a pickle that runs a program"),
    (test_folders, "a name that is no UTF-8"),
)


@pytest.mark.parametrize(
    "case",
    [next(case for case in module.CASES if case.name == name) for module, name in CHOSEN],
    ids=lambda case: case.name,
)
def test_in_a_process(case: Case, project: Path) -> None:
    before, tree = finished_files(project), whole_tree(project)
    case.spoil(project)
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", *case.command],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    judge_output(case, done.returncode, done.stdout, done.stderr)
    assert not before - finished_files(project)
    assert case.code == 1 or whole_tree(project) == tree
    assert not (project / "executed").exists()
