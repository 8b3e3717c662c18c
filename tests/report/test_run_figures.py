"""Figures 5-11 of a run: what is drawn, from which numbers, and what is said for missing data."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.cli import main
from bench.data.pairs import Pair, PairSet
from bench.errors import UserError
from bench.report.critical_difference import diagrams, mean_ranks
from bench.report.curves import curves, violins
from bench.report.detections import FALSE, HIT, MISS, detections, iou, matched
from bench.report.figure_list import chosen, draw
from bench.report.figures import Box
from bench.report.gain import gain_chart
from bench.report.panels import ablation_panel, methods_panel
from bench.report.pareto import bubbles, front
from bench.report.scaling import scaling
from bench.report.source import Source
from bench.report.style import plain
from tests.report.results_tree import CLASSES, fuse_facts, write_costs, write_detection, write_job

ODD = "a_b & <script>$x$</script> Größe 图"
ROWS = {"average": "Average", "mine": ODD, "dsifuse": "DSIFuse", "dsifuse-no-cfc": "w/o CFC"}
IDS = ("00001", "00002", "00003", "00004", "00005", "00006")
SET = "m3fd-detection"


def picture(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(60, 200, (48, 64), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("figures")
    run = folder / "run"
    pairs = tuple(
        Pair(
            id_, picture(folder / "vi" / f"{id_}.png", 1), picture(folder / "ir" / f"{id_}.png", 2)
        )
        for id_ in IDS
    )
    for level, (key, name) in enumerate(ROWS.items()):
        facts = fuse_facts("average", printed_name=name, limit=None)
        fused = write_job(run, f"{SET}/{key}/fuse", facts=facts)
        for k, id_ in enumerate(IDS):
            picture(fused / f"{id_}.png", 10 * level + k)
        values = [
            (id_, "", metric, level + k / 10 + m)
            for k, id_ in enumerate(IDS)
            for m, metric in enumerate(("EN", "MI", "AG", "SD", "VIF", "SSIM"), 1)
        ]
        write_job(run, f"{SET}/{key}/score", facts={"convention": "standard"}, values=values)
        write_costs(run, key, level)
        write_detector(run, key, level)
    return Source(run, lambda name: PairSet(name, pairs, IDS))


def write_detector(run: Path, method: str, level: int) -> None:
    """One object an image; found by all but the first row, which reports it elsewhere."""
    quality = [("all", 0, "AP50", 50.0 + level), ("all", 0, "AP50:95", 30.0 + level)]
    facts = {"recipe": {"seeds": [0]}, "images": {"test": 6}, "split_sha256": "ab" * 32}
    rows = [*quality, ("Car", 0, "AP50", 50.0 + level)]
    folder = write_job(run, f"{SET}/{method}/detect", facts=facts, values=rows)
    box = [10.0, 10.0, 20.0, 12.0]
    truth: dict[str, Any] = {
        "categories": [{"id": 1, "name": "Car"}],
        "images": [{"id": k, "file_name": f"{id_}.png"} for k, id_ in enumerate(IDS, 1)],
        "annotations": [
            {"image_id": k, "category_id": 1, "bbox": box} for k in range(1, len(IDS) + 1)
        ],
    }
    found = [40.0, 20.0, 10.0, 10.0] if level == 0 else box
    predictions = [
        {"image_id": k, "category_id": 1, "bbox": found, "score": score}
        for k in range(1, len(IDS) + 1)
        for score in (0.9, 0.1)
    ]
    (folder / "ground-truth.json").write_text(json.dumps(truth))
    (folder / "predictions-seed0.json").write_text(json.dumps(predictions))


def checked(files: tuple[Path, ...]) -> pd.DataFrame:
    """The figure's numbers, when PDF and PNG are what they should be."""
    pdf, png, table = files
    assert pdf.read_bytes().startswith(b"%PDF")
    with Image.open(png) as image:
        assert image.width > 1000 and np.asarray(image.convert("L")).std() > 5
    return pd.read_csv(table)


def test_panels_leave_ablations_to_their_own_figure(source: Source) -> None:
    names = set(checked(methods_panel(source, SET))["column"])
    assert names == {"Visible", "Infrared", "Average", ODD, "DSIFuse"}
    shown = checked(ablation_panel(source, SET))["column"].unique().tolist()
    assert shown == ["Visible", "Infrared", "w/o CFC", "DSIFuse"]


def test_pairs_rows_and_crops_can_be_chosen(source: Source) -> None:
    crop = (Box(1, 2, 10, 8), Box(20, 20, 10, 8))
    own = replace(source, methods=("mine",), pairs=("00004",), crops={"00004": crop})
    drawn = checked(methods_panel(own, SET))
    assert set(drawn["id"].astype(str)) == {"4"} and drawn["x"].unique().tolist() == [1, 20]
    with pytest.raises(UserError, match="has no pair 'x'"):
        methods_panel(replace(source, pairs=("x",)), SET)
    with pytest.raises(UserError, match="no row 'minne' .did you mean 'mine'"):
        methods_panel(replace(source, methods=("minne",)), SET)


def test_rows_of_one_name_are_told_apart(source: Source, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for key in ("a", "b"):
        write_job(run, f"tno/{key}/fuse", facts=fuse_facts("average"))
    found = Source(run, source.load)
    assert [found.name("tno", key) for key in ("a", "b")] == ["Average (a)", "Average (b)"]


def test_matching_is_cocos() -> None:
    box = (0.0, 0.0, 10.0, 10.0)
    assert iou(box, (5.0, 0.0, 10.0, 10.0)) == pytest.approx(1 / 3)
    assert iou(box, (20.0, 0.0, 5.0, 5.0)) == 0
    close, far = (0.0, 1.0, 10.0, 10.0), (50.0, 50.0, 5.0, 5.0)
    marks = matched(
        [("Car", box), ("Bus", far)],
        [("Car", close, 0.6), ("Car", box, 0.9), ("Car", far, 0.5)],
    )
    assert [(mark.kind, mark.cls) for mark in marks] == [
        (HIT, "Car"), (FALSE, "Car"), (FALSE, "Car"), (MISS, "Bus"),
    ]  # fmt: skip
    assert math.isnan(marks[-1].score) and marks[0].score == 0.9


def test_detections_count_what_the_stage_kept(source: Source) -> None:
    drawn = checked(detections(source, SET))
    kinds = {m: sorted(part["kind"].unique()) for m, part in drawn.groupby("method")}
    assert kinds["average"] == [FALSE, MISS] and kinds["mine"] == [HIT]
    # What scores below the threshold is not drawn, and two images are.
    assert len(drawn[drawn["method"] == "mine"]) == 2


def test_gain_per_class_over_one_camera(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for level, method in enumerate(("visible", "infrared", "densefuse", "dsifuse")):
        write_job(run, f"{SET}/{method}/fuse", facts=fuse_facts(method))
        write_detection(run, method, level)
    # Another recipe is no comparison.
    path = run / SET / "densefuse" / "detect" / "job.json"
    path.write_text(path.read_text().replace('"epochs": 60', '"epochs": 5'))
    drawn = checked(gain_chart(Source(run, lambda name: PairSet(name, (), ())), SET))
    assert set(drawn["method"]) == {"visible", "infrared", "dsifuse"}
    per_class = drawn[(drawn["measure"] == "AP50") & (drawn["method"] == "dsifuse")]
    assert list(per_class["class"]) == [*CLASSES, "all"] * 2
    assert list(per_class["gain"]) == pytest.approx([3.0] * 7 + [2.0] * 7)
    assert list(per_class["reference"]) == ["visible"] * 7 + ["infrared"] * 7
    assert set(drawn["seeds"]) == {2} and set(per_class["objects"]) == {100, 600}
    # The gain is the same with both seeds, so its interval has no width.
    assert list(per_class["low"]) == list(per_class["high"]) == list(per_class["gain"])
    alone = Source(run, lambda name: PairSet(name, (), ()), methods=("dsifuse",))
    assert set(checked(gain_chart(alone, SET))["method"]) == {"dsifuse"}
    for name in ("visible", "infrared"):
        shutil.rmtree(run / SET / name)
    with pytest.raises(UserError, match="run the detect stage for visible, infrared"):
        gain_chart(Source(run, lambda name: PairSet(name, (), ())), SET)


def test_pareto_front() -> None:
    assert front([3, 1, 2, 4], [5, 1, 1, 9]) == [1, 0, 3]
    assert front([1, 1], [2, 3]) == [1]


def test_quality_against_cost(source: Source) -> None:
    drawn = checked(bubbles(source, SET)).set_index("method")
    assert drawn.loc["mine", "name"] == ODD
    assert drawn.loc["dsifuse", "quality"] == 32.0 and drawn.loc["dsifuse", "params"] == 74193 * 2
    assert drawn.loc["average", "macs"] == 0
    assert set(drawn["pareto"]) == {"yes"}


def test_cost_against_size_has_the_exponents_of_its_points(tmp_path: Path) -> None:
    run = tmp_path / "run"
    sides = (64, 128, 256)
    for method, power in (("mine", 1.0), ("square", 2.0), ("average", 0.0)):
        rows: list[tuple[str, object, str, float]] = []
        for side in sides:
            pixels = float(side * side)
            counted = pixels**power if power else 0.0
            rows += [
                (f"{side}x{side}", "", "macs", counted),
                (f"{side}x{side}", "", "ms_median", 3 * pixels),
                (f"{side}x{side}", "", "peak_bytes", 2.0**20 * side),
                (f"{side}x{side}@8", "", "ms_median", 1.0),
            ]
        facts = {"printed_name": method.title(), "resolutions": ["64x64"], "batches": [1, 8]}
        write_job(run, f"_cost/{method}/profile", facts=facts, values=rows)
    source = Source(run, lambda _name: pytest.fail("no data set is needed"))
    outcome = {dataset: files for _, dataset, files in draw(source, ["9"], ["tno", "msrs"])}
    assert list(outcome) == ["tno", "msrs", "_cost"]
    drawn = checked(outcome["_cost"])
    assert set(drawn["method"]) == {"mine", "square"} and len(drawn) == 2 * len(sides)
    slopes = drawn.set_index("method").groupby(level=0).first()
    assert slopes["exponent_macs"].to_dict() == pytest.approx({"mine": 1, "square": 2})
    assert slopes["exponent_ms_median"].tolist() == pytest.approx([1, 1])
    assert slopes["exponent_peak_bytes"].tolist() == pytest.approx([0.5, 0.5])
    assert slopes.loc["mine", "name"] == "Mine"
    few = tmp_path / "few"
    write_job(few, "_cost/mine/profile", facts={}, values=[("64x64", "", "macs", 1.0)])
    alone = Source(few, source.load)
    with pytest.raises(UserError, match=r"fewer than 3 sizes: name more in profile\.scaling"):
        scaling(alone, "_cost")


def test_curves_and_violins_hold_the_values(source: Source) -> None:
    lines = checked(curves(source, SET))
    # By default the ablations and the method they belong to.
    assert list(lines.columns) == ["item", "name", "dsifuse-no-cfc", "dsifuse"]
    value = lines[(lines["item"] == 3) & (lines["name"] == "AG")]["dsifuse"].item()
    assert value == pytest.approx(2 + 0.2 + 3)
    bodies = checked(violins(source, SET))
    assert list(bodies.columns) == ["item", "name", "average", "mine", "dsifuse"]


def test_mean_ranks_and_cliques() -> None:
    from scipy.stats import friedmanchisquare

    random = np.random.default_rng(0)
    same = random.normal(size=30)
    values = {"a": same + 5, "b": same + random.normal(size=30), "c": same, "d": same - 5}
    found = mean_ranks(values)
    assert next(iter(found.mean_rank)) == "a" and found.mean_rank["d"] == 4
    assert found.mean_rank["a"] == 1
    # Demšar's table: q(0.05, 4 methods) = 2.569.
    assert found.distance == pytest.approx(2.569 * math.sqrt(4 * 5 / (6 * 30)), rel=1e-3)
    assert found.p == pytest.approx(friedmanchisquare(*values.values()).pvalue)
    assert found.cliques == (tuple(name for name in found.mean_rank if name in "bc"),)


def test_critical_differences(source: Source) -> None:
    drawn = checked(diagrams(source, SET)).set_index(["metric", "method"])
    assert drawn.loc[("VIF", "dsifuse"), "mean_rank"] == 1
    assert drawn.loc[("VIF", "average"), "mean_rank"] == 3
    assert set(drawn["images"]) == {6}


def test_names_stay_as_they_are() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plain(ODD) == r"a_b & <script>\$x\$</script> Größe U+56FE"


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext is not installed")
@pytest.mark.parametrize("figure", [methods_panel, bubbles, violins, diagrams])
def test_odd_names_stand_in_the_pdf(source: Source, figure: Any) -> None:
    pdf = figure(source, SET)[0]
    text = subprocess.run(
        ["pdftotext", pdf, "-"], capture_output=True, text=True, check=True
    ).stdout
    assert "a_b & <script>$x$</script> Größe U+56FE" in " ".join(text.split())


def test_words_choose_figures() -> None:
    assert [figure.number for figure in chosen(["5-7"])] == [5, 6, 7]
    assert [figure.number for figure in chosen(["9", "10"])] == [9, 9, 10, 10, 10]
    assert len(chosen([])) == 11
    for word in ("4", "panel", "12-13"):
        with pytest.raises(UserError, match=f"no figure '{word}'"):
            chosen([word])


def outcomes(source: Source, words: list[str], sets: list[str]) -> Mapping[tuple[int, str], Any]:
    return {(figure.number, name): result for figure, name, result in draw(source, words, sets)}


def test_what_is_missing_is_one_sentence(tmp_path: Path, source: Source) -> None:
    run = tmp_path / "run"
    write_job(run, "tno/average/fuse", status="failed", reason="disk full")
    empty = Source(run, source.load)
    found = outcomes(empty, ["5-11"], ["tno"])
    assert set(found) == {
        *((number, "tno") for number in (7, 8, 9, 10, 11)), (9, "_cost"),
    }  # fmt: skip
    for number, stage in ((7, "fuse"), (8, "detect"), (9, "detect"), (10, "score"), (11, "fuse")):
        assert f"run the {stage} stage" in str(found[(number, "tno")])
    # A set of the paper stands under its own number alone, any other under all three.
    assert (5, SET) not in outcomes(source, ["5-7"], [SET])
    assert set(outcomes(source, ["6"], [SET])) == {(6, SET)}
    assert set(outcomes(empty, ["5-7"], ["roadscene"])) == {(5, "roadscene")}


def test_the_command_says_what_to_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    write_job(run, "tno/average/fuse", facts=fuse_facts("average"))
    (run / "run.json").write_text("{}")
    picture(tmp_path / "TNO" / "vi" / "01.png", 0)
    picture(tmp_path / "TNO" / "ir" / "01.png", 1)
    words = ["--run", str(run), "--data-root", str(tmp_path)]
    assert main(["figures", "9", *words]) == 2
    assert "run the detect stage first" in capsys.readouterr().err
    assert main(["figures", "12", *words]) == 2
    assert "There is no figure '12'" in capsys.readouterr().err
