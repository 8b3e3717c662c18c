"""Rows made under other conditions are shown outside the ranking, and the footer says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.report.frame import read_jobs, read_results
from bench.report.html_table import html_page
from bench.report.latex import latex
from bench.report.render import markdown
from bench.report.table import Row, Table
from bench.report.tables import all_tables, fusion_table
from tests.report.results_tree import (
    IMAGES,
    fuse_facts,
    scores,
    write_costs,
    write_detection,
    write_job,
    write_run,
)

DATA = {"fingerprints": {"fuse": "ab" * 32}, "convention": "standard", "limit": None}


def scored(
    run: Path, name: str, level: int, images: tuple[str, ...] = IMAGES, **changes: Any
) -> None:
    facts = fuse_facts("densefuse", printed_name=name, output=changes.pop("output", "clip"))
    write_job(run, f"tno/{name}/fuse", facts=facts)
    values = scores(level, images)
    write_job(run, f"tno/{name}/score", facts={**DATA, **changes}, values=values)


def table(run: Path) -> Table:
    return fusion_table(read_results(run), read_jobs(run), "tno")


def row(found: Table, key: str) -> Row:
    return next(row for row in found.rows if row.key == key)


@pytest.mark.parametrize(
    ("images", "changes", "words"),
    [
        (IMAGES[:1], {"limit": 1}, "best: 1 image (limit 1)"),
        (IMAGES[:39], {}, "best: 39 images"),
        (IMAGES, {"fingerprints": {"fuse": "cd" * 32}}, "image files of fingerprint cdcdcdcdcdcd…"),
        (IMAGES, {"convention": "tang-matlab"}, "best: metric convention tang-matlab"),
        (IMAGES, {"output": "authors"}, "best: output rule authors"),
    ],
)
def test_the_best_number_of_another_set_is_not_ranked(
    tmp_path: Path, images: tuple[str, ...], changes: dict[str, Any], words: str
) -> None:
    scored(tmp_path, "best", 9, images, **changes)
    scored(tmp_path, "good", 3)
    scored(tmp_path, "poor", 1)
    found = table(tmp_path)
    assert "(40 images)" in found.title
    assert [r.key for r in found.rows] == ["good", "poor", "best"] and found.rules == {2}
    best = row(found, "best")
    assert not best.competes and best.tail.endswith(f"◊ (n = {len(images)})")
    assert all(cell.rank == 0 and not cell.tie for cell in best.cells)
    assert best.cells[0].value == pytest.approx(7.9, abs=0.7)
    assert row(found, "good").cells[0].rank == 1 and row(found, "poor").cells[0].rank == 2
    assert words in found.footers[0] and "not ranked" in found.footers[0]
    assert f"(n = {len(images)})" in markdown(found)
    assert f"(n = {len(images)})" in html_page(found)
    assert rf"$^{{\diamond}}$ (n = {len(images)})" in latex(found)


def test_two_rows_over_all_images_outrank_many_over_a_few(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        scored(tmp_path, name, 5, IMAGES[:4], limit=4)
    scored(tmp_path, "full", 1)
    assert [r.competes for r in table(tmp_path).rows] == [True, True, True, False]
    scored(tmp_path, "fuller", 2)
    found = table(tmp_path)
    assert [r.key for r in found.rows if r.competes] == ["full", "fuller"]


def test_detection_by_another_recipe_is_not_ranked(tmp_path: Path) -> None:
    for level, name in enumerate(("average", "seafusion", "dsifuse")):
        write_job(tmp_path, f"m3fd-detection/{name}/fuse", facts=fuse_facts(name))
        write_detection(tmp_path, name, level)
    path = tmp_path / "m3fd-detection" / "dsifuse" / "detect" / "job.json"
    path.write_text(path.read_text().replace('"epochs": 60', '"epochs": 5'))
    (found,) = all_tables(read_results(tmp_path), read_jobs(tmp_path))
    assert [r.key for r in found.rows if r.competes] == ["average", "seafusion"]
    assert "DSIFuse: epochs 5" in found.footers[0]


def test_costs_of_another_device_are_not_ranked(tmp_path: Path) -> None:
    for level, name in enumerate(("densefuse", "seafusion", "dsifuse"), 1):
        write_costs(tmp_path, name, level)
    path = tmp_path / "_cost" / "densefuse" / "profile" / "job.json"
    path.write_text(path.read_text().replace('"device": "cpu"', '"device": "cuda"'))
    (found,) = all_tables(read_results(tmp_path), read_jobs(tmp_path))
    assert [r.key for r in found.rows if r.competes] == ["seafusion", "dsifuse"]
    assert found.rows[-1].note == "cuda, threads 1"


def test_rows_stand_in_the_order_of_the_paper(tmp_path: Path) -> None:
    for name in ("dsifuse", "cddfuse", "densefuse-tf", "mine", "densefuse", "visible"):
        scored(tmp_path, name, 1)
    order = [r.key for r in table(tmp_path).rows]
    assert order == ["visible", "mine", "densefuse", "densefuse-tf", "cddfuse", "dsifuse"]


def test_ablations_have_a_table_of_their_own(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    for level, name in enumerate(("dsifuse-no-cfc", "dsifuse-no-sg"), 3):
        facts = fuse_facts("dsifuse", printed_name=name)
        write_job(run, f"msrs/{name}/fuse", facts=facts)
        convention = {"convention": "standard", "images": len(IMAGES)}
        write_job(run, f"msrs/{name}/score", facts=convention, values=scores(level))
    tables = {t.name: t for t in all_tables(read_results(run), read_jobs(run))}
    ablation = tables["ablation-msrs"]
    assert ablation.number == 5
    assert [r.key for r in ablation.rows] == ["dsifuse-no-cfc", "dsifuse-no-sg", "dsifuse"]
    assert ablation.rows[-1].cells[0].rank == 1
    assert not any("-no-" in r.key for r in tables["fusion-msrs"].rows)
