"""Numbers that somebody changed after their job had ended are in no table, figure or page."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cli import main
from bench.data.contents import number_differences, sealed, write_json
from bench.jobs.store import Key, Store, read_record
from bench.verify import verify
from tests.jobs.test_store import Work, job, run, writes

SCORE = Path("results/t/tno/average/score")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a run of two methods and its tables."""
    base = tmp_path_factory.mktemp("project")
    random = np.random.default_rng(0)
    for name, shape in (("vi", (48, 64, 3)), ("ir", (48, 64))):
        (base / "own" / "TNO" / name).mkdir(parents=True)
        for stem in ("a", "b", "c"):
            pixels = random.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(base / "own" / "TNO" / name / f"{stem}.png")
    (base / "bench.toml").write_text(
        'name = "t"\nmethods = ["average", "max"]\ndatasets = ["tno"]\nstages = ["fuse", "score"]\n'
    )
    before = Path.cwd()
    os.chdir(base)
    try:
        assert main(["run", "--data-root", "own"]) == 0
    finally:
        os.chdir(before)
    return base


@pytest.fixture
def project(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that project, which a test may spoil, as the current folder."""
    shutil.copytree(finished, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def better(path: Path) -> bytes:
    """Make one number of values.csv a better one, as a careless hand would; what it was before."""
    before = path.read_bytes()
    head, first, *rest = before.decode().splitlines()
    path.write_text("\n".join([head, first.rpartition(",")[0] + ",99.0", *rest]) + "\n")
    return before


@pytest.mark.parametrize(
    "words",
    [
        ("tables",),
        ("figures", "10"),
        ("report",),
        ("publish", "--to", "out"),
        ("compare", "--run", "results/t"),
        ("run", "--from", "results/t", "--data-root", "own"),
    ],
)
def test_changed_values_are_refused_wherever_they_are_read(
    project: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    table = (project / "results/t/tables/fusion-tno.csv").read_bytes()
    better(project / SCORE / "values.csv")
    assert main(words) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert f"{SCORE}/values.csv was changed after its job had ended" in err
    assert "run 'bench run' again" in err
    assert (project / "results/t/tables/fusion-tno.csv").read_bytes() == table
    assert not (project / "results" / "t-again").exists()


def test_the_next_run_makes_them_anew_and_says_why(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original = better(project / SCORE / "values.csv")
    assert main(["run", "--data-root", "own", "--dry-run"]) == 0
    plan = capsys.readouterr().out
    assert f"tno/average/score: run again: {project / SCORE}/values.csv was changed" in plan
    assert plan.count("cached") == 3
    assert main(["run", "--data-root", "own"]) == 0
    out = capsys.readouterr().out
    assert f"{project / SCORE}/values.csv was changed after its job had ended" in out
    assert "3 of 4 jobs done already, not run again." in out
    assert (project / SCORE / "values.csv").read_bytes() == original
    verdict = verify(project / "results" / "t")
    assert verdict.differences == () and len(verdict.unfinished) == 1
    assert ".changed: put aside because its numbers were changed" in verdict.unfinished[0]
    assert main(["run", "--data-root", "own"]) == 0
    assert "Nothing to do: all 4 jobs" in capsys.readouterr().out


def test_a_touched_record_is_refused_too(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = project / "results/t/tno/max/fuse/job.json"
    record.write_text(record.read_text().replace('"printed_name": "', '"printed_name": "Our '))
    assert main(["tables"]) == 2
    assert "tno/max/fuse/job.json was changed" in capsys.readouterr().err
    assert main(["run", "--data-root", "own"]) == 0
    assert "Our" not in (project / "results/t/tables/fusion-tno.md").read_text()


def test_a_run_of_other_rows_keeps_its_jobs_and_writes_no_tables(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    better(project / SCORE / "values.csv")
    assert main(["run", "--data-root", "own", "--methods", "laplacian"]) == 1
    printed = capsys.readouterr()
    assert "the tables are not written: " in printed.err and "values.csv was chang" in printed.err
    assert (project / "results/t/tno/laplacian/score/values.csv").is_file()


def test_verify_says_to_repair_the_jobs_before_the_tables(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    better(project / SCORE / "values.csv")
    assert main(["verify", "results/t"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("changed: tno/average/score/values.csv")
    assert "repair these jobs first ('bench run'" in lines[1] and "'bench tables'" in lines[1]
    assert lines[2].endswith("4 jobs with 8 files: 1 difference.") and len(lines) == 3


def test_images_are_left_to_verify(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = project / "results/t/tno/average/fuse/a.png"
    image.write_bytes(image.read_bytes()[:-1])
    folder = image.parent
    assert number_differences(folder, read_record(folder), "job.json") == []
    assert [d.file for d in verify(project / "results/t").differences] == ["tno/average/fuse/a.png"]


def test_an_unsealed_record_says_nothing_and_a_torn_one_is_broken(tmp_path: Path) -> None:
    (tmp_path / "values.csv").write_text("x")
    state = {"bytes": 1, "sha256": "0" * 64}
    whole = {"files": {"values.csv": state, "gone.json": state, "a.png": state}}
    assert number_differences(tmp_path, {"status": "done"}, "job.json") == []
    found = number_differences(tmp_path, whole, "job.json")
    assert [(d.kind, d.file) for d in found] == [("changed", "job.json")]
    write_json(tmp_path / "job.json", sealed(whole))
    found = number_differences(tmp_path, read_record(tmp_path), "job.json")
    assert [(d.kind, d.file) for d in found] == [
        ("missing", "gone.json"),
        ("changed", "values.csv"),
    ]


def test_what_was_changed_never_comes_back_from_aside(tmp_path: Path) -> None:
    def numbers(text: str) -> Work:
        def work(folder: Path, progress: object) -> dict[str, str]:
            (folder / "values.csv").write_text(text)
            return {}

        return work

    store, key = Store(tmp_path / "run"), Key("set", "method", "score")
    run(store, job("score", numbers("1"), "1"))
    (store.final(key) / "values.csv").write_text("9")
    # Another version puts the changed folder aside; asking for the first one runs it again.
    run(store, job("score", numbers("2"), "2"))
    statuses, begun = run(store, job("score", numbers("1"), "1"))
    assert statuses["score"] == ("done", "") and begun == ["set/method/score"]
    assert (store.final(key) / "values.csv").read_text() == "1"
    kept = [path.parent.name for path in (tmp_path / "run" / ".stale").rglob("values.csv")]
    assert sorted(name.endswith(".changed") for name in kept) == [False, True]
    assert run(store, job("score", writes("x"), "2"))[0]["score"] == ("cached", "")
