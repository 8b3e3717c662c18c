"""The same run through submitit: by its local stand-in, and by Slurm where there is one."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli import main
from bench.config import RunConfig, SlurmConfig
from bench.config_file import read
from bench.jobs.execute import execute
from bench.jobs.executors import slurm
from bench.jobs.executors.local import WorkerDiedError
from bench.jobs.executors.workers import Pool
from bench.jobs.plan import settle
from bench.jobs.run import prepare
from tests.jobs.launching import csv_bytes, image_bytes, left_over, words
from tests.jobs.test_store import Quiet

pytest.importorskip("submitit", reason="needs the extra 'slurm' (submitit), which is absent")

TWO = ("--methods", "average,densefuse")


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    """The run of `launching.words` with TWO, without GPUs."""
    flags = {
        "name": "tasks",
        "results": str(tmp_path / "results"),
        "data.root": str(tmp_path / "data"),
        "methods": ["average", "densefuse"],
        "stages": ["fuse", "score"],
        "data.synthetic.pairs": [1, 1, 6],
        "data.synthetic.size": [96, 64],
        "device": "cpu",
    }
    return replace(settle(read(None, flags)), slurm=SlurmConfig(gpus=0, cpus=1))


def test_tasks_of_submitit_give_the_bytes_of_a_local_run(tmp_path: Path, config: RunConfig) -> None:
    assert main(words(tmp_path, "here", *TWO)) == 0
    plan, store = prepare(config)
    executor = slurm.connect(config, cluster="local")
    outcome = execute(plan, store, Quiet(), Pool(executor, config, None, 1))
    executor.shutdown()
    assert {status for status, _ in outcome.statuses.values()} == {"done"}
    assert csv_bytes(tmp_path, "tasks") == csv_bytes(tmp_path, "here")
    assert image_bytes(tmp_path, "tasks") == image_bytes(tmp_path, "here")
    assert left_over(tmp_path, "tasks") == []


def test_a_task_that_vanishes_from_the_queue_is_dead(
    tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "GATHER", 0.05)
    executor = slurm.connect(config, cluster="local")
    executor._alive = lambda ids: ()
    future = executor.submit(subprocess.run, ["sleep", "30"])
    with pytest.raises(WorkerDiedError, match="ended without a result"):
        future.result(timeout=60)
    executor.shutdown(cancel_futures=True)


def test_what_a_task_raises_is_what_its_future_raises(config: RunConfig) -> None:
    executor = slurm.connect(config, cluster="local")
    future = executor.submit(divmod, 1, 0)
    with pytest.raises(Exception, match="ZeroDivisionError"):
        future.result(timeout=120)
    executor.shutdown()


def test_a_requeued_task_is_the_one_that_was_submitted() -> None:
    again = slurm.Resumable(divmod).checkpoint(7, 2)
    assert again.function(*again.args) == (3, 1)


@pytest.mark.skipif(shutil.which("sinfo") is not None, reason="Slurm is here")
def test_a_machine_without_slurm_is_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(tmp_path, "x", "--executor", "slurm")) == 2
    assert "needs Slurm's commands (sbatch) on this machine" in capsys.readouterr().err


@pytest.mark.skipif(
    shutil.which("sinfo") is None or subprocess.run(["sinfo"], check=False).returncode != 0,
    reason="needs a Slurm cluster: 'sinfo' is absent or its controller does not answer",
)
def test_a_real_slurm_gives_the_bytes_of_a_local_run(tmp_path: Path) -> None:
    assert main(words(tmp_path, "here", *TWO)) == 0
    slurmed = ("--executor", "slurm", "--device", "cpu", "--set", "slurm.gpus=0", "--set",
               "slurm.cpus=1", "--set", "slurm.minutes=10")  # fmt: skip
    assert main(words(tmp_path, "there", *TWO, *slurmed)) == 0
    assert csv_bytes(tmp_path, "there") == csv_bytes(tmp_path, "here")
    assert left_over(tmp_path, "there") == []
