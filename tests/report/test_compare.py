"""Measured beside published: differences, ranks, verdicts and the audit, on numbers known here."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.cli import main
from bench.errors import UserError
from bench.report.audit import consistently_superior, entropy_bound, mean_of_classes
from bench.report.compare import Measured, paired, rank_agreement, read, readings, side_by_side
from bench.report.compare_text import comparison, markdown, ranks
from bench.report.published_tables import TABLES, printed, published
from bench.report.statements import STATEMENTS, best, cheaper, judge, not_best
from tests.report.results_tree import IMAGES, METRICS, fuse_facts, scores, write_job

ROOT = Path(__file__).resolve().parents[2]
DATA = {"convention": "standard", "fingerprints": {"fuse": "ab" * 32}, "limit": None}
PAPER = [str(name) for name in printed(published(), 1).index]


def write_paper_run(run: Path, levels: dict[str, int], convention: str = "standard") -> Path:
    """MSRS with the paper's methods at the given levels, and the cost of two of them."""
    for name, level in levels.items():
        facts = fuse_facts("densefuse", printed_name=name)
        if name == "dsifuse":
            facts["weights"] = {**facts["weights"], "track": "suite"}
        write_job(run, f"msrs/{name}/fuse", facts=facts)
        own = {**DATA, "convention": convention}
        write_job(run, f"msrs/{name}/score", facts=own, values=scores(level))
    for name, params in (("dsifuse", 900_000.0), ("fusiongan", 925_633.0)):
        rows = [("480x640", "", "params", params), ("480x640", "", "macs", 7e9)]
        write_job(run, f"_cost/{name}/profile", facts={"device": "cpu"}, values=rows)
    return run


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    levels = dict.fromkeys(PAPER, 2) | {"seafusion": 6, "crossfuse": 1, "dsifuse": 4}
    return read([write_paper_run(tmp_path_factory.mktemp("runs") / "full", levels)])


@pytest.fixture(scope="module")
def partial_run(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    levels = {"densefuse": 2, "lrrnet": 4, "dsifuse": 4}
    return read([write_paper_run(tmp_path_factory.mktemp("runs") / "part", levels)])


def test_the_published_numbers_are_all_there() -> None:
    frame = published()
    counts = frame.groupby("table")["published"].agg(["size", "count"])
    assert counts["size"].tolist() == [60, 60, 60, 96, 36] == counts["count"].tolist()
    assert printed(frame, 1).loc["dsifuse", "VIF"] == 1.050
    assert printed(frame, 4).loc["cddfuse", "mAP50"] == 81.8
    assert [table.number for table in TABLES] == [1, 2, 3, 4, 5]


def test_differences(measured: Measured) -> None:
    beside = side_by_side(measured)
    row = beside[(beside["method"] == "seafusion") & (beside["metric"] == "SD")].iloc[0]
    mean = np.mean([value for _, _, name, value in scores(6) if name == "SD"])
    assert row["measured"] == pytest.approx(mean, rel=1e-12) and row["published"] == 35.375
    assert row["difference"] == pytest.approx(mean - 35.375)
    assert row["relative"] == pytest.approx(mean / 35.375 - 1)
    assert (row["n"], row["status"], row["table"]) == (40, "done", 1)


def test_rank_agreement_is_kendalls(measured: Measured, partial_run: Measured) -> None:
    from scipy.stats import kendalltau

    beside = side_by_side(measured)
    part = beside[beside["metric"] == "EN"]
    expected = kendalltau(part["measured"], part["published"]).statistic
    agreement = rank_agreement(beside).set_index("metric")
    assert agreement.loc["EN", "tau"] == pytest.approx(expected)
    assert agreement.loc["EN", "methods"] == 10
    few = rank_agreement(side_by_side(partial_run)).set_index("metric")
    assert few.loc["EN", "methods"] == 3 and not np.isnan(few.loc["EN", "tau"])


def test_verdicts(measured: Measured, partial_run: Measured) -> None:
    supported = best(measured, 1, "seafusion", "VIF")
    assert supported.outcome == "supported" and "all 9 rivals" in supported.evidence
    contradicted = best(measured, 1, "dsifuse", "VIF")
    assert contradicted.outcome == "contradicted"
    assert "DSIFuse (our weights) 1." in contradicted.evidence
    assert "1 row significantly above: SeAFusion." in contradicted.evidence
    assert not_best(measured, 1, "dsifuse", "VIF").outcome == "supported"
    assert best(measured, 1, "crossfuse", "VIF", -1).outcome == "supported"
    tied = best(partial_run, 1, "dsifuse", "EN")
    assert tied.outcome == "not decided" and "Not significantly different: LRRNet" in tied.evidence
    absent = best(partial_run, 1, "mfifusion", "EN")
    assert absent.outcome == "not decided" and "not measured" in absent.evidence
    ahead = best(partial_run, 1, "lrrnet", "MI")
    assert ahead.outcome == "not decided"


def test_costs_are_counted_not_tested(measured: Measured) -> None:
    fewer = cheaper(measured, "dsifuse", "fusiongan", "params", "Parameters")
    assert fewer.outcome == "supported" and "900,000" in fewer.evidence
    unknown = cheaper(measured, "dsifuse", "cddfuse", "macs", "MACs")
    assert unknown.outcome == "not decided"


def test_rows_of_other_images_decide_nothing(tmp_path: Path) -> None:
    run = write_paper_run(tmp_path / "run", {"densefuse": 2, "dsifuse": 4})
    write_job(run, "msrs/seafusion/fuse", facts=fuse_facts("densefuse"))
    write_job(run, "msrs/seafusion/score", facts=DATA, values=scores(9, IMAGES[:5]))
    found = read([run])
    assert set(paired(found, 1, PAPER, "EN")) == {"densefuse", "dsifuse"}
    beside = side_by_side(found).set_index(["method", "metric"])
    assert beside.loc[("seafusion", "EN"), "status"] == "not ranked"


def test_runs_that_disagree_decide_nothing(tmp_path: Path) -> None:
    """The same rows twice, with DSIFuse ahead in one run and behind in the other."""
    ahead = dict.fromkeys(PAPER, 2) | {"dsifuse": 6}
    runs = [
        write_paper_run(tmp_path / "ahead", ahead),
        write_paper_run(tmp_path / "again", ahead),
        write_paper_run(tmp_path / "behind", dict.fromkeys(PAPER, 2) | {"dsifuse": 1}),
        write_paper_run(tmp_path / "part", {"dsifuse": 1, "densefuse": 2}),
    ]
    statement = next(s for s in STATEMENTS if s.text.startswith("DSIFuse has the best AG on MSRS"))

    def outcome(*numbers: int) -> str:
        return judge(statement, read([runs[n] for n in numbers])).outcome

    assert [outcome(0), outcome(2)] == ["supported", "contradicted"]
    assert outcome(0, 1) == "supported"
    assert outcome(0, 2) == outcome(2, 0) == "not decided"
    # A run with fewer rows is no repeat.
    assert outcome(0, 3) == "supported"
    said = judge(statement, read([runs[0], runs[2]])).evidence
    assert said.startswith("The runs disagree. Supported by ") and "Contradicted by " in said


def test_every_statement_is_decided_or_says_why(measured: Measured) -> None:
    assert len({statement.text for statement in STATEMENTS}) == len(STATEMENTS) > 30
    for statement in STATEMENTS:
        verdict = statement.decide(measured)
        assert verdict.outcome in ("supported", "contradicted", "not decided")
        assert verdict.evidence.endswith(".")


def test_audit_of_the_printed_tables() -> None:
    frame = published()
    wrong = {f.row: f.text for f in mean_of_classes(frame) if not f.fits}
    assert len(wrong) == 11 and "CrossFuse" not in wrong
    assert "75.02, -3.12 points" in wrong["Visible"] and "-3.93" in wrong["Infrared"]
    below = [(f.table, f.text) for f in consistently_superior(frame) if not f.fits]
    assert below == [
        (2, "SD 33.346, but SeAFusion has 33.352"),
        (3, "SD 39.263, but SeAFusion has 39.556"),
    ]
    impossible = [(f.table, f.row) for f in entropy_bound(frame) if not f.fits]
    assert impossible == [(1, "MFIFusion"), (2, "UMF-CMGR"), (2, "MFIFusion")]


def test_no_8_bit_image_breaks_the_bound() -> None:
    """A sampled normal image comes within a hundredth of a bit, and never above."""
    image = np.clip(np.rint(np.random.default_rng(0).normal(128, 25, 400_000)), 0, 255)
    shares = np.unique(image, return_counts=True)[1] / image.size
    entropy = -(shares * np.log2(shares)).sum()
    row = {"printed_name": "Ours", "method": "dsifuse", "dataset": "msrs"}
    rows = [
        {**row, "table": table, "metric": metric, "published": value}
        for table in (1, 2, 3, 5)
        for metric, value in (("EN", entropy), ("SD", image.std()))
    ]
    found = entropy_bound(pd.DataFrame(rows))
    bound = float(found[0].text.split("at most ")[1].split()[0])
    assert all(finding.fits for finding in found) and 0 <= bound - entropy < 0.01


def test_readings_follow_from_the_terms(tmp_path: Path) -> None:
    standard = write_paper_run(tmp_path / "a", {"densefuse": 1})
    other = write_paper_run(tmp_path / "b", {"densefuse": 1}, "cddfuse-python")
    found = readings(read([standard, other]))
    live = found[found["run"] != "shipped with this suite"].set_index(["metric", "reading"])
    means = {m: np.mean([v for _, _, name, v in scores(1) if name == m]) for m in METRICS}
    assert live.loc[("MI", "nats, sum"), "value"] == pytest.approx(means["MI"] * np.log(2))
    assert live.loc[("VIF", "VIFp, visible only"), "value"] == pytest.approx(means["VIF_vi"])
    assert live.loc[("SSIM", "cddfuse-python"), "run"] == "b"
    shipped = found[(found["method"] == "densefuse") & (found["run"] == "shipped with this suite")]
    fits = set(shipped.loc[shipped["fits"], "reading"])
    assert {"bits, sum", "VIFp, sum", "plain", "L = 1, sum"} <= fits and "nats, sum" not in fits


def test_command_writes_markdown_and_numbers(
    measured: Measured, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_paper_run(tmp_path / "run", {"densefuse": 2, "dsifuse": 4})
    (run / "run.json").write_text("{}")
    assert main(["compare", "--run", str(run), "--out", str(tmp_path / "out")]) == 0
    printed_text = capsys.readouterr().out
    assert "Do the methods keep their order?" in printed_text
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "compare.md", "side-by-side.csv", "rank-agreement.csv", "statements.csv", "audit.csv",
        "readings.csv",
    }  # fmt: skip
    assert len(pd.read_csv(tmp_path / "out" / "side-by-side.csv")) == 60
    text = markdown(comparison(measured))
    assert "statements: " in text and "## Contradicted" in text
    assert "Weights trained by this suite, not the authors': DSIFuse." in text


def test_a_run_without_anything_published_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_job(run, "roadscene/average/fuse", facts=fuse_facts("average"))
    write_job(run, "roadscene/average/score", facts=DATA, values=scores(1))
    with pytest.raises(UserError, match="nothing that the paper has"):
        read([run])


def test_published_numbers_are_in_the_wheel(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77")
    source = tmp_path / "source"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        source.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    shutil.copytree(ROOT / "bench" / "report", source / "bench" / "report")
    (source / "bench" / "__init__.py").touch()
    code = "from setuptools import build_meta as b; import sys; print(b.build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=source, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-1000:]
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"bench/report/published/table{n}.csv" for n in range(1, 6)}
    assert wanted | {"bench/report/published/readings.csv"} <= inside


def test_a_table_with_too_few_methods_has_no_ranks_but_a_sentence(
    tmp_path: Path, partial_run: Measured
) -> None:
    two = read([write_paper_run(tmp_path / "few", {"densefuse": 2, "dsifuse": 4})])
    few = ranks(rank_agreement(side_by_side(two)))
    assert few.rows == () and few.heads == ()
    assert few.text == (
        "Table 1: no order to compare, since fewer than 3 methods have a measured and a printed "
        "number.",
    )
    enough = ranks(rank_agreement(side_by_side(partial_run)))
    assert len(enough.rows) == 6 and all(row[3] != "–" for row in enough.rows)


def test_a_run_without_the_papers_methods_has_no_grid_but_a_sentence(tmp_path: Path) -> None:
    for name in ("visible", "average"):
        write_job(tmp_path, f"msrs/{name}/fuse", facts=fuse_facts(name, printed_name=name))
        write_job(tmp_path, f"msrs/{name}/score", facts=DATA, values=scores(2))
    (table,) = (s for s in comparison(read([tmp_path])).sections if s.title.startswith("Table 1"))
    assert table.text[0].endswith("None of its methods was measured in this run.")
    assert table.heads == table.rows == ()
