"""The same run on a real Dask cluster of this machine, one of whose workers is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cli import main
from bench.jobs import claims
from tests.jobs.launching import (
    ENVIRONMENT,
    SLOW,
    csv_bytes,
    eventually,
    finished,
    image_bytes,
    launch,
    left_over,
    words,
)

pytest.importorskip("distributed", reason="needs the extra 'dask' (distributed), which is absent")


def dask(*arguments: str, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
        cwd=folder,
    )


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of a scheduler on loopback, and its two workers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    scheduler = dask("scheduler", "--host", address, "--no-dashboard", folder=tmp_path)
    workers = [
        dask("worker", address, "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny",
             "--no-dashboard", "--name", name, folder=tmp_path)
        for name in ("one", "two")
    ]  # fmt: skip
    try:
        from distributed import Client

        with Client(address, timeout="60s", set_as_default=False) as client:
            client.wait_for_workers(2, timeout=120)
        yield address, workers
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()


def test_a_run_survives_the_kill_of_a_worker_and_equals_a_local_one(
    tmp_path: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    address, workers = cluster
    assert main(words(tmp_path, "here", *SLOW)) == 0
    dasked = (*SLOW, "--executor", "dask", "--set", f"dask.address={address}")
    launcher = launch(tmp_path, "there", *dasked)
    job = tmp_path / "results" / "there" / "synthetic" / "densefuse" / "fuse"
    eventually(lambda: any(job.with_name("fuse.partial").glob("*.png")), launcher)
    seen = claims.look(job)
    assert seen is not None and seen.holder is not None
    assert seen.holder.pid in [worker.pid for worker in workers]
    os.kill(seen.holder.pid, signal.SIGKILL)
    printed = finished(launcher)
    assert launcher.returncode == 0, printed
    assert len(csv_bytes(tmp_path, "here")) == 2
    assert csv_bytes(tmp_path, "there") == csv_bytes(tmp_path, "here")
    assert image_bytes(tmp_path, "there") == image_bytes(tmp_path, "here")
    assert left_over(tmp_path, "there") == []


def test_an_address_without_a_scheduler_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.jobs.executors.dask.PATIENCE", "1s")
    nowhere = "tcp://127.0.0.1:9"
    dasked = ("--executor", "dask", "--set", f"dask.address={nowhere}")
    assert main(words(tmp_path, "nowhere", *dasked)) == 2
    assert f"dask.address is '{nowhere}', where no scheduler answers" in capsys.readouterr().err
