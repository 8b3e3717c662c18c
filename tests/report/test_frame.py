"""Results folders -> frame: order, types, and folders that are half there."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from bench.errors import UserError
from bench.report.frame import COLUMNS, read_jobs, read_results
from tests.report.results_tree import METHODS, scores, write_job


def test_rows_are_tidy_and_in_the_order_asked_for(run: Path) -> None:
    frame = read_results(run)
    assert tuple(frame.columns) == COLUMNS
    assert list(dict.fromkeys(frame["dataset"])) == ["msrs", "m3fd-detection", "_cost"]
    assert list(dict.fromkeys(frame[frame["dataset"] == "msrs"]["method"])) == list(METHODS)
    pd.testing.assert_frame_equal(frame, read_results(run))


def test_values_keep_every_digit_and_ids_stay_text(run: Path) -> None:
    frame = read_results(run)
    wanted = [value for image, _, name, value in scores(3) if (image, name) == ("00004", "EN")]
    found = frame[
        (frame["method"] == "densefuse") & (frame["item"] == "00004") & (frame["name"] == "EN")
    ]
    assert list(found["value"]) == wanted
    seeds = frame[frame["stage"] == "detect"]["seed"].dropna()
    assert sorted(set(seeds)) == [0, 1]


def test_a_job_without_values_has_one_row_with_its_status(run: Path) -> None:
    frame = read_results(run)
    failed = frame[(frame["method"] == "average") & (frame["stage"] == "score")]
    assert list(failed["status"]) == ["failed"]
    assert list(failed["reason"]) == ["OSError: disk quota exceeded"]
    assert failed["value"].isna().all()


def test_a_job_that_never_got_a_folder_is_not_run(run: Path) -> None:
    assert read_jobs(run).get("m3fd-detection", "odd_one", "detect").status == "not run"


def test_half_written_folders_do_not_stop_the_others(tmp_path: Path) -> None:
    write_job(tmp_path, "tno/a/score", facts={"convention": "standard"}, values=scores(1))
    write_job(tmp_path, "tno/b/score")
    torn = write_job(tmp_path, "tno/c/score", values=scores(1))
    (torn / "job.json").write_text('{"status": "do')
    write_job(tmp_path, "tno/d/score", status="running", values=scores(1))
    write_job(tmp_path, ".stale/e/score", values=scores(1))
    (tmp_path / "tables").mkdir()
    jobs = read_jobs(tmp_path)
    assert jobs.datasets == ("tno",)
    assert jobs.methods == ("a", "b", "c", "d")
    statuses = {method: jobs.get("tno", method, "score").status for method in jobs.methods}
    assert statuses == {"a": "done", "b": "interrupted", "c": "interrupted", "d": "running"}
    frame = read_results(tmp_path)
    assert set(frame[frame["value"].notna()]["method"]) == {"a"}


def test_an_empty_run_gives_an_empty_frame(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"methods": ["a"], "datasets": ["tno"]}))
    assert read_results(tmp_path).empty
    assert read_jobs(tmp_path).methods == ("a",)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        read_results(tmp_path / "nowhere")
