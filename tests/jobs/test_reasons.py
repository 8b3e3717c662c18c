"""What a dry run and `bench status` say about each job, and why."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bench.config import RunConfig
from bench.config_file import read
from bench.errors import UserError
from bench.jobs import reasons
from bench.jobs.run import dry_run, prepare, run
from bench.jobs.status import STATUSES, states
from bench.jobs.store import Key, Store
from bench.report.frame import read_jobs, read_results
from bench.report.tables import fusion_table
from bench.status import rows, watch
from tests.jobs.test_store import Quiet


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    """A run of one method with weights and one without, which is done."""
    flags = {
        "methods": ["average", "densefuse-tf"],
        "stages": ["fuse", "score"],
        "data.synthetic.pairs": [1, 1, 2],
        "data.synthetic.size": [96, 64],
        "data.root": str(tmp_path / "data"),
        "weights.folder": str(tmp_path / "weights"),
        "results": str(tmp_path / "results"),
        "device": "cpu",
    }
    config = read(None, flags)
    run(config, Quiet())
    return config


def verdicts(config: RunConfig) -> dict[str, str]:
    return {key.strip(): verdict for line in dry_run(config) for key, _, verdict in
            [line.removeprefix("synthetic/").partition(": ")]}  # fmt: skip


def test_a_dry_run_names_what_changed_and_changes_nothing(config: RunConfig) -> None:
    before = sorted((p, p.stat().st_mtime_ns) for p in config.run_folder.rglob("*"))
    found = verdicts(config)
    assert found["average/fuse"] == found["average/score"] == "cached"
    assert found["densefuse-tf/fuse"].startswith("no weights: ")
    assert found["densefuse-tf/score"].startswith(
        "skipped: needs synthetic/densefuse-tf/fuse: no weigh"
    )
    found = verdicts(replace(config, seed=4))
    assert found["average/fuse"] == "run again: changed: options: seed 0 -> 4"
    assert found["average/score"] == ("run again: changed: its input synthetic/average/fuse")
    found = verdicts(replace(config, score=replace(config.score, metrics=("EN",))))
    assert "options: metrics ['EN', 'MI'" in found["average/score"]
    assert verdicts(replace(config, limit=1))["average/fuse"] == "run again: changed: data"
    assert verdicts(replace(config, name="new"))["average/fuse"] == "run: not run yet"
    assert not config.run_folder.with_name("new").exists()
    after = sorted((p, p.stat().st_mtime_ns) for p in config.run_folder.rglob("*"))
    assert after == before


def test_changed_code_and_weights_are_named(config: RunConfig) -> None:
    plan, _ = prepare(config)
    job = plan.job(Key("synthetic", "average", "fuse"))
    old = json.loads(json.dumps(job.made))
    old["code"]["method"] = "0"
    old["code"]["stage"] = "0"
    old["weights"]["sha256"] = "12ab"
    text = reasons.changes({"made": old}, job, plan)
    assert "code of the method average; code of bench.stages.fuse" in text
    assert "weights: sha256 12ab -> none" in text
    # Results of a version that kept no parts.
    assert reasons.changes({}, job, plan) == reasons.UNKNOWN


def test_status_has_every_planned_job_with_its_reason(config: RunConfig) -> None:
    found = {str(s.key): (s.status, s.reason) for s in states(config.run_folder)}
    assert found["synthetic/average/score"] == ("done", "")
    assert found["synthetic/densefuse-tf/fuse"][0] == "no weights"
    assert found["synthetic/densefuse-tf/score"][0] == "skipped"
    shutil.rmtree(config.run_folder / "synthetic" / "average" / "score")
    found = {str(s.key): (s.status, s.reason) for s in states(config.run_folder)}
    assert found["synthetic/average/score"] == ("not run", "its turn has not come")
    assert {status for status, _ in found.values()} <= set(STATUSES)


def test_running_is_said_of_living_processes_only(config: RunConfig) -> None:
    store = Store(config.run_folder)
    key = Key("synthetic", "average", "score")
    plan, _ = prepare(config)
    shutil.rmtree(store.final(key))
    claim = store.claim(key)
    assert claim is not None
    store.begin(key, plan.job(key).record())
    state = next(s for s in states(config.run_folder) if s.key == key)
    assert state.status == "running" and state.reason.startswith("by process ")
    claim.release()
    state = next(s for s in states(config.run_folder) if s.key == key)
    assert (state.status, state.reason) == (
        "interrupted",
        "its process ended without a word; run again to continue",
    )


def test_results_of_another_configuration_do_not_count_as_done(config: RunConfig) -> None:
    path = config.run_folder / "run.json"
    asked = json.loads(path.read_text())
    asked["jobs"]["synthetic/average/score"] = "another"
    path.write_text(json.dumps(asked))
    row = next(
        r for r in rows(config.run_folder) if (r["method"], r["job"]) == ("average", "score")
    )
    assert row["status"] == "not run" and "other code, weights or data" in row["reason"]


def test_a_row_without_weights_has_its_printed_name_in_the_table(config: RunConfig) -> None:
    run_folder = config.run_folder
    table = fusion_table(read_results(run_folder), read_jobs(run_folder), "synthetic")
    assert table is not None
    assert [row.label for row in table.rows] == ["Average", "DenseFuse (TensorFlow)"]


def test_watching_a_run_that_is_over_ends_at_once(config: RunConfig, tmp_path: Path) -> None:
    with (tmp_path / "shown.txt").open("w") as stream:
        watch(config.run_folder, Console(file=stream, width=200))
    shown = (tmp_path / "shown.txt").read_text()
    assert "4 jobs: 2 done, 1 no weights, 1 skipped" in shown


def test_a_folder_without_jobs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no jobs yet"):
        states(tmp_path)
