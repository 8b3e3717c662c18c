"""Tables from the frame: means, intervals, ranks, ties, statuses and footers, with real numbers."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.report.frame import read_jobs, read_results
from bench.report.latex import latex
from bench.report.table import Cell, Table
from bench.report.tables import all_tables, fusion_table
from tests.report.results_tree import (
    IMAGES,
    METRICS,
    fuse_facts,
    scores,
    write_detection,
    write_job,
)

DETECTED = "m3fd-detection"


@pytest.fixture(scope="module")
def tables(run: Path) -> dict[str, Table]:
    return {t.name: t for t in all_tables(read_results(run), read_jobs(run))}


def cell(table: Table, method: str, column: str) -> Cell:
    row = next(row for row in table.rows if row.key == method)
    return row.cells[[c.name for c in table.columns].index(column)]


def test_the_run_gives_its_tables_with_the_numbers_of_the_paper(tables: dict[str, Table]) -> None:
    numbers = {name: table.number for name, table in tables.items()}
    assert numbers == {"fusion-msrs": 1, "detection-m3fd-detection": 4, "cost": None}


@pytest.mark.parametrize("metric", METRICS)
def test_means_and_intervals(tables: dict[str, Table], metric: str) -> None:
    values = np.array([value for _, _, name, value in scores(7) if name == metric])
    found = cell(tables["fusion-msrs"], "dsifuse", metric)
    assert found.value == pytest.approx(values.mean(), rel=1e-14)
    assert found.n == len(IMAGES)
    assert found.low is not None and found.high is not None
    # The normal interval is a fair guide for the bootstrap of 40 images.
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)
    assert found.text == f"{values.mean():.3f}"


def test_sources_come_first_and_do_not_compete(run: Path, tables: dict[str, Table]) -> None:
    table = tables["fusion-msrs"]
    assert [row.key for row in table.rows][:2] == ["visible", "infrared"]
    assert [row.competes for row in table.rows][:3] == [False, False, True]
    assert table.rules == {2}
    assert cell(table, "dsifuse", "EN").rank == 1
    assert cell(table, "odd_one", "EN").rank == 2
    assert cell(table, "infrared", "EN").rank == 0


def test_terms_of_single_sources_are_in_the_csv_only(tables: dict[str, Table]) -> None:
    table = tables["fusion-msrs"]
    assert [table.columns[i].name for i in table.printed()] == [
        "EN", "MI", "AG", "SD", "VIF", "SSIM",
    ]  # fmt: skip
    assert {c.name for c in table.columns} == set(METRICS)


def test_missing_numbers_show_their_status(tables: dict[str, Table]) -> None:
    for table, method, words in (
        ("fusion-msrs", "average", "failed"),
        ("fusion-msrs", "cddfuse", "no weights"),
        ("detection-m3fd-detection", "cddfuse", "no weights"),
        ("detection-m3fd-detection", "odd_one", "not run"),
        ("cost", "cddfuse", "not run"),
    ):
        row = next(row for row in tables[table].rows if row.key == method)
        assert {c.text for c in row.cells} == {words}
        assert all(c.value is None and c.n == 0 for c in row.cells)
        assert tables[table].same_status(row) == words
    footers = " ".join(tables["fusion-msrs"].footers)
    assert "Average: OSError: disk quota exceeded." in footers


def test_footers_say_what_must_be_known(tables: dict[str, Table]) -> None:
    footers = "\n".join(tables["fusion-msrs"].footers)
    assert "in luma (BT.601 Y; chroma of the visible image): Average, SeAFusion, DSIFuse" in footers
    assert "in RGB: R&D_100%" in footers
    assert "convention: standard" in footers
    assert "the authors' (DenseFuse, sha256 64656e736566…" in footers
    assert "none needed (Average)" in footers
    assert "† Weights trained on a part of the same data set (msrs/train: SeAFusion, DSI" in footers
    assert "MSRS: the 40 test pairs." in footers
    detection = "\n".join(tables["detection-m3fd-detection"].footers)
    assert (
        "m3fd-public (sha256 abababababab…): 2940 training and 1260 test images; "
        "of its 1260 test images 86.0 % have a near-duplicate in train."
    ) in detection
    assert "The source leaves the number of epochs open." in detection
    assert re.search(r"did not fit into memory: \w+ \(seed 1: 8\)\.", detection)
    assert "epochs 60" in detection and "seeds 0, 1" in detection
    assert "†" not in detection


def test_marks_of_rows(tables: dict[str, Table]) -> None:
    marks = {row.key: row.marks for row in tables["fusion-msrs"].rows}
    assert marks["seafusion"] == marks["dsifuse"] == "†"
    assert marks["densefuse"] == marks["odd_one"] == ""


def test_detection_means_over_seeds(tables: dict[str, Table]) -> None:
    table = tables["detection-m3fd-detection"]
    assert [c.label for c in table.columns] == [
        "People", "Car", "Bus", "Motorcycle", "Lamp", "Truck", "mAP50", "mAP50:95",
    ]  # fmt: skip
    bus = cell(table, "seafusion", "AP50_Bus")
    assert (bus.value, bus.low, bus.high, bus.n, bus.text) == (72.25, 72.0, 72.5, 2, "72.2")
    assert cell(table, "seafusion", "mAP50:95").value == pytest.approx(54.25)
    assert not any(c.tie for row in table.rows for c in row.cells)


def test_cost_is_lower_better_among_methods_with_parameters(tables: dict[str, Table]) -> None:
    table = tables["cost"]
    assert {row.key for row in table.rows}.isdisjoint({"visible", "infrared"})
    dense = cell(table, "densefuse", "macs@480x640")
    assert (dense.text, dense.rank) == ("27.03", 1)
    assert cell(table, "average", "macs@480x640").rank == 0
    time = cell(table, "densefuse", "ms_median@768x1024")
    assert (time.value, time.low, time.high) == (930 * 2.56, 900 * 2.56, 990 * 2.56)
    assert table.groups() == (("", 1), ("480×640", 3), ("768×1024", 3))


def test_ties_equal_ranks_limits_and_random_weights(tmp_path: Path) -> None:
    """a and b differ by noise of either sign, c is clearly worse, r has random weights."""
    rows = {"a": 0, "b": 0, "c": -2, "r": 5}
    for k, (name, level) in enumerate(rows.items()):
        facts = {
            **fuse_facts("densefuse"),
            "printed_name": name,
            "limit": 40,
            "random_weights": name == "r",
        }
        write_job(tmp_path, f"tno/{name}/fuse", facts=facts)
        sign = np.random.default_rng(k).standard_normal(len(IMAGES)) * 1e-4
        values = [(i, "", "EN", 6 + level + s) for i, s in zip(IMAGES, sign, strict=True)]
        values += [(i, "", "AG", float("nan") if i < "00003" else 3.0 + level) for i in IMAGES]
        write_job(tmp_path, f"tno/{name}/score", facts={"convention": "standard"}, values=values)
    table = fusion_table(read_results(tmp_path), read_jobs(tmp_path), "tno")
    assert table.number == 3
    ranks = {row.key: row.cells[0].rank for row in table.rows}
    assert ranks == {"a": 1, "b": 1, "c": 2, "r": 0}
    assert sorted(row.cells[0].tie for row in table.rows) == [False, False, False, True]
    assert not next(row for row in table.rows if row.key == "c").cells[0].tie
    undefined = cell(table, "a", "AG")
    assert (undefined.n, undefined.left_out, undefined.text) == (37, 3, "3.000")
    assert cell(table, "a", "SD").text == "not asked for"
    footers = "\n".join(table.footers)
    assert "Undefined values left out of means: a AG 3, b AG 3, c AG 3, r AG 3." in footers
    assert "Only the first 40 pairs" in footers
    assert "= Not significantly different" in footers
    assert "‡ Random weights" in footers
    assert [row.marks for row in table.rows] == ["", "", "", "‡"]


def test_weights_trained_on_a_folder_say_that_nobody_knows_what_was_in_it(tmp_path: Path) -> None:
    for dataset in ("tno", "folder"):
        facts = fuse_facts("densefuse")
        facts["weights"]["trained_on"] = ["roadscene/all", "folder/all"]
        write_job(tmp_path, f"{dataset}/densefuse/fuse", facts=facts)
        done = {"convention": "standard"}
        write_job(tmp_path, f"{dataset}/densefuse/score", facts=done, values=scores(2))
    frame, jobs = read_results(tmp_path), read_jobs(tmp_path)
    elsewhere, there = (fusion_table(frame, jobs, name) for name in ("tno", "folder"))
    sentence = "somebody's folder of pairs: DenseFuse; whether it holds images of this set"
    assert elsewhere.rows[0].marks == "" and sentence in "\n".join(elsewhere.footers)
    assert there.rows[0].marks == "†" and sentence not in "\n".join(there.footers)


def test_ready_made_rows_are_marked_and_claim_nothing(tmp_path: Path) -> None:
    """Rows of images that were fused elsewhere compete, but their rules are not ours to state."""
    nothing = {"name": "", "track": "none", "sha256": "", "trained_on": []}
    theirs = {"printed_name": "Theirs", "kind": "folder", "images": 40, "weights": nothing}
    for name, facts in (
        ("ours", fuse_facts("densefuse")),
        ("theirs", {**theirs, "lossy_images": 7}),
    ):
        write_job(tmp_path, f"tno/{name}/fuse", facts=facts)
        level = 3 if name == "theirs" else 2
        convention = {"convention": "standard"}
        write_job(tmp_path, f"tno/{name}/score", facts=convention, values=scores(level))
    table = fusion_table(read_results(tmp_path), read_jobs(tmp_path), "tno")
    assert {row.key: (row.marks, row.competes) for row in table.rows} == {
        "ours": ("", True),
        "theirs": ("¶", True),
    }
    claims = [line for line in table.footers if "Theirs" in line]
    assert [line[:20] for line in claims] == ["¶ Ready-made images,", "Their JPEG compressi"]
    assert "Theirs 7 of 40 images" in claims[1]
    assert r"Theirs$^{\P}$" in latex(table)


def test_a_failed_training_is_why_a_row_has_no_number(tmp_path: Path) -> None:
    for method in ("average", "seafusion"):
        write_job(tmp_path, f"{DETECTED}/{method}/fuse", facts=fuse_facts(method))
    nan = "box_loss of the training became nan in epoch 3: lower detect.lr0, or check the labels"
    write_job(tmp_path, f"{DETECTED}/average/train-seed1", status="failed", reason=nan)
    for place in ("average/detect", "average/detect-by-average", "seafusion/detect-by-average"):
        reason = f"needs {DETECTED}/average/train-seed1: {nan}"
        write_job(tmp_path, f"{DETECTED}/{place}", status="skipped", reason=reason)
    write_detection(tmp_path, "seafusion", 1)
    tables = all_tables(read_results(tmp_path), read_jobs(tmp_path))
    own, transfer = tables
    assert (own.name, transfer.name) == (f"detection-{DETECTED}", f"transfer-{DETECTED}-average")
    assert cell(own, "average", "mAP50").text == "failed"
    assert cell(own, "seafusion", "mAP50").value is not None
    assert {c.text for row in transfer.rows for c in row.cells} == {"failed"}
    assert f"No number: Average: {nan}." in own.footers


def test_what_one_detector_and_what_each_own_detector_finds_are_apart(tmp_path: Path) -> None:
    odd = "a_b & <script>"
    for level, method in enumerate(("visible", "average", "seafusion", odd)):
        facts = fuse_facts("average", printed_name=method.capitalize())
        write_job(tmp_path, f"{DETECTED}/{method}/fuse", facts=facts)
        for trained in ("visible", odd):
            write_detection(tmp_path, method, level, f"detect-by-{trained}")
    write_detection(tmp_path, "average", 7)
    write_detection(tmp_path, "seafusion", 8)
    tables = {t.name: t for t in all_tables(read_results(tmp_path), read_jobs(tmp_path))}
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in tables)
    assert [table.number for table in tables.values()] == [4, None, None, None, None]
    own, by_visible = tables[f"detection-{DETECTED}"], tables[f"transfer-{DETECTED}-visible"]
    assert cell(own, "average", "AP50_People").value == 67.25
    assert cell(by_visible, "average", "AP50_People").value == 61.25
    assert cell(by_visible, odd, "mAP50").rank == 1
    assert "trained on Visible" in by_visible.title and "Protocol transfer" in str(by_visible)
    matrix = tables[f"cross-{DETECTED}-ap50-95"]
    assert [row.key for row in matrix.rows] == ["visible", odd]
    assert [column.name for column in matrix.columns] == [
        f"AP50:95@{name}" for name in ("visible", odd, "average", "seafusion")
    ]
    assert cell(matrix, odd, "AP50:95@seafusion").value == pytest.approx(52.25)
    assert not any(c.rank or c.tie for row in matrix.rows for c in row.cells)
    assert "Best in" not in latex(matrix) and "Best in" in latex(own)


def test_a_stage_that_is_not_for_the_data_set_gives_no_table(tmp_path: Path) -> None:
    write_job(tmp_path, "tno/a/fuse", facts=fuse_facts("densefuse"))
    write_job(tmp_path, "tno/a/detect", status="not applicable", reason="TNO has no boxes.")
    assert all_tables(read_results(tmp_path), read_jobs(tmp_path)) == ()


def test_rows_can_be_chosen(run: Path) -> None:
    frame, jobs = read_results(run), read_jobs(run)
    table = fusion_table(frame, jobs, "msrs", methods=["dsifuse", "densefuse"])
    assert [row.key for row in table.rows] == ["dsifuse", "densefuse"]
    assert cell(table, "densefuse", "EN").rank == 2


def test_tables_do_not_change_the_frame(run: Path) -> None:
    frame = read_results(run)
    before = frame.copy()
    first = all_tables(frame, read_jobs(run))
    assert first == all_tables(frame, read_jobs(run))
    assert first[0] != replace(first[0], title="")
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(("images", "rows", "tested"), [(4, 2, False), (6, 2, True), (6, 3, False)])
def test_too_few_images_give_no_ties_but_a_sentence(
    tmp_path: Path, images: int, rows: int, tested: bool
) -> None:
    """Two rows need 6 images, three need 7: 2 / 2^6 is above 5 % / 2."""
    for name in ("densefuse", "seafusion", "dsifuse")[:rows]:
        write_job(tmp_path, f"tno/{name}/fuse", facts=fuse_facts(name))
        values = [(i, "", "EN", 6 + (-1) ** k * 0.01) for k, i in enumerate(IMAGES[:images])]
        values = [(i, s, n, v + 0.1 * len(name)) for i, s, n, v in values]
        noise = np.random.default_rng(len(name)).standard_normal(images)
        values += [(i, "", "AG", 3 + v) for i, v in zip(IMAGES, noise, strict=False)]
        write_job(tmp_path, f"tno/{name}/score", facts={"convention": "standard"}, values=values)
    table = fusion_table(read_results(tmp_path), read_jobs(tmp_path), "tno")
    ties = any(cell.tie for row in table.rows for cell in row.cells)
    footers = "\n".join(table.footers)
    assert ties is tested
    assert ("= Not significantly different" in footers) is tested
    fewest = 6 if rows == 2 else 7
    assert ("Too few images for a test" in footers) is not tested
    assert (f"fewer than {fewest} the paired Wilcoxon test" in footers) is not tested


def test_what_is_said_of_boxes_stands_under_tables_of_detection_only(tmp_path: Path) -> None:
    boxes = "MSRS boxes: third-party labels, variant 'fusion'."
    facts = fuse_facts("densefuse", box_footnotes=[boxes])
    write_job(tmp_path, "msrs/densefuse/fuse", facts=facts)
    convention = {"convention": "standard", "box_footnotes": [boxes]}
    write_job(tmp_path, "msrs/densefuse/score", facts=convention, values=scores(1))
    ap = [("car", 0, "AP50", 60.0), ("all", 0, "AP50", 60.0), ("all", 0, "AP50:95", 40.0)]
    write_job(tmp_path, "msrs/densefuse/detect", facts={"box_footnotes": [boxes]}, values=ap)
    fusion, detection = all_tables(read_results(tmp_path), read_jobs(tmp_path))
    assert boxes in detection.footers and boxes not in fusion.footers
    assert "MSRS: the 40 test pairs." in fusion.footers
