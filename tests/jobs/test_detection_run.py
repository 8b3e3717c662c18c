"""Detection from image files to tables: a world in M3FD's layout, under all three protocols."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from bench.cli import main
from bench.data.m3fd import CLASSES
from bench.data.synthetic import generate
from bench.report.detections import read_marks
from bench.report.frame import read_jobs, read_results
from bench.report.tables import all_tables
from bench.stages import values

SET = "m3fd-detection"
ROWS = ("visible", "average")


def bench(folder: Path, *words: str) -> None:
    """One run of fuse and detect by the quick preset, small."""
    code = main([
        "run", "--methods", ",".join(ROWS), "--datasets", SET, "--stages", "fuse,detect",
        "--data-root", str(folder), "--results", str(folder / "results"), "--name", "run",
        "--device", "cpu", "--threads", "1", "--preset", "quick", "--set", "detect.imgsz=160",
        "--set", "detect.epochs=1", "--set", "detect.batch=4", *words,
    ])  # fmt: skip
    assert code == 0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run by the protocol own, then by cross."""
    folder = tmp_path_factory.mktemp("detection")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.chdir(folder)
        generate(folder / "M3FD", seed=0, pairs=(4, 1, 8), size=(160, 128), layout="m3fd")
        bench(folder)
        place = folder / "results" / "run"
        trained = {path: path.stat().st_mtime_ns for path in place.glob("*/*/train-seed0/*")}
        assert len(trained) == 2 * 4
        bench(folder, "--set", "detect.protocol=cross")
        # The detectors are there: they are asked, and not trained again.
        assert {path: path.stat().st_mtime_ns for path in trained} == trained
    return place


def by_hand(folder: Path) -> dict[tuple[str, str], float]:
    """What pycocotools says of a job's exported files, used as its documentation shows."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "ground-truth.json"))
        found = truth.loadRes(str(folder / "predictions-seed0.json"))
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        places = {"AP50:95": 0, "AP50": 1, "AP_small": 3, "AP_medium": 4, "AP_large": 5, "AR": 8}
        stats = {("all", name): evaluation.stats[k] for name, k in places.items()}
        for category in truth.loadCats(truth.getCatIds()):
            evaluation.params.catIds = [category["id"]]
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            for name in ("AP50", "AP50:95"):
                stats[category["name"], name] = evaluation.stats[places[name]]
    # "No ground truth" is -1 there and nan here.
    return {key: math.nan if value == -1 else 100 * value for key, value in stats.items()}


@pytest.mark.parametrize("job", ["visible/detect", "average/detect", "average/detect-by-visible"])
def test_ap_equals_pycocotools_by_hand_on_the_exported_files(run: Path, job: str) -> None:
    folder = run / SET / job
    ours = {(row.item, row.name): row.value for row in values.read(folder)}
    theirs = by_hand(folder)
    besides = ("(ultralytics)", " low", " high")
    assert theirs.keys() == {key for key in ours if not key[1].endswith(besides)}
    for key, value in theirs.items():
        np.testing.assert_equal(ours[key], value, err_msg=str(key))
    low, high = (ours["all", f"AP50 {end}"] for end in ("low", "high"))
    assert low <= ours["all", "AP50"] <= high and low < high
    assert 5 < ours["all", "AP50"] < 95


def test_the_layout_of_m3fd_gives_table_4(run: Path) -> None:
    tables = {table.name: table for table in all_tables(read_results(run), read_jobs(run))}
    own = tables[f"detection-{SET}"]
    assert own.number == 4
    # Classes of the official annotations, by name.
    labels = [column.label for column in own.columns]
    assert labels == [*CLASSES, "mAP50", "mAP50:95"]
    facts = json.loads((run / SET / "average" / "detect" / "job.json").read_text())["facts"]
    assert facts["images"] == {"train": 4, "val": 1, "test": 8}
    assert sum(facts["test_boxes"].values()) > 20
    assert set(read_marks(run / SET / "average" / "detect", 0)) == {
        path.stem for path in (run / SET / "average").glob("fuse-rest/*.png")
    } & {Path(image["file_name"]).stem for image in truth_of(run)}


def truth_of(run: Path) -> list[dict[str, str]]:
    path = run / SET / "average" / "detect" / "ground-truth.json"
    return list(json.loads(path.read_text())["images"])


def test_the_diagonal_of_the_matrix_is_the_own_protocol(run: Path) -> None:
    for row in ROWS:
        own, by_own = (run / SET / row / name for name in ("detect", f"detect-by-{row}"))
        for name in ("values.csv", "predictions-seed0.json"):
            assert (own / name).read_bytes() == (by_own / name).read_bytes()
    crossed = (run / SET / "average" / "detect-by-visible" / "values.csv").read_bytes()
    assert crossed != (run / SET / "average" / "detect" / "values.csv").read_bytes()
    with (run / "tables" / f"cross-{SET}-ap50.csv").open() as file:
        matrix = {row["method"]: row for row in csv.DictReader(file)}
    for trained in ROWS:
        assert matrix[trained]["ranked"] == "no"
        for tested in ROWS:
            rows = values.read(run / SET / tested / f"detect-by-{trained}")
            (ap,) = (r.value for r in rows if (r.item, r.name) == ("all", "AP50"))
            assert float(matrix[trained][f"AP50@{tested}_mean"]) == ap


def test_every_protocol_has_tables_of_its_own(run: Path) -> None:
    names = {path.name for path in (run / "tables").iterdir()}
    for stem in (
        f"detection-{SET}",
        *(f"transfer-{SET}-{row}" for row in ROWS),
        *(f"cross-{SET}-{measure}" for measure in ("ap50", "ap50-95")),
    ):
        assert {f"{stem}.{suffix}" for suffix in ("csv", "tex", "md", "html")} <= names
    text = (run / "tables" / f"transfer-{SET}-visible.md").read_text()
    assert "by detectors trained on Visible" in text.splitlines()[0]
    assert "Protocol transfer: the detectors were trained on the images of Visible alone" in text
    own = (run / "tables" / f"detection-{SET}.md").read_text()
    assert "Protocol own: " in own and "transfer" not in own
    cross = (run / "tables" / f"cross-{SET}-ap50.md").read_text()
    assert "Protocol cross: " in cross and "**" not in cross
