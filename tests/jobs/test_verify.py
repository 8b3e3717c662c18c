"""`bench verify`: every file that is changed, missing or foreign is named, and nothing else is."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cli import main
from bench.data.contents import contents, differences, seal_holds, sealed, sweep, write_json
from bench.jobs.store import read_record
from bench.verify import verify

MakePairs = Callable[..., list[str]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a run of two methods, its tables and its figure."""
    import numpy as np
    from PIL import Image

    base = tmp_path_factory.mktemp("project")
    random = np.random.default_rng(0)
    for name, shape in (("vi", (48, 64, 3)), ("ir", (48, 64))):
        (base / "data" / "TNO" / name).mkdir(parents=True)
        for stem in ("a", "b", "c"):
            pixels = random.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(base / "data" / "TNO" / name / f"{stem}.png")
    (base / "bench.toml").write_text(
        'name = "t"\nmethods = ["average", "max"]\ndatasets = ["tno"]\nstages = ["fuse", "score"]\n'
    )
    before = Path.cwd()
    os.chdir(base)
    try:
        assert main(["run"]) == 0 and main(["figures"]) == 0
    finally:
        os.chdir(before)
    return base


@pytest.fixture
def run(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that run that a test may spoil, with its project as the current folder."""
    shutil.copytree(finished, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project" / "results" / "t"


def found(run: Path) -> dict[str, str]:
    return {difference.file: difference.kind for difference in verify(run).differences}


def test_an_untouched_run_is_clean(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = verify(run)
    assert (verdict.jobs, verdict.files) == (4, 8)
    assert verdict.differences == () and verdict.unfinished == ()
    assert main(["verify", str(run)]) == 0
    assert "4 jobs with 8 files: nothing is changed" in capsys.readouterr().out


def flip(path: Path) -> None:
    """Change one bit; size and time of change stay."""
    state, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize(
    "name",
    [
        "tno/average/fuse/b.png",
        "tno/max/score/values.csv",
        "tables/fusion-tno.csv",
        "tables/tables.tex",
        "figures/panel-tno.pdf",
        "figures/panel-tno.csv",
    ],
)
def test_one_bit_one_missing_file_one_more_file(run: Path, name: str) -> None:
    file = run / name
    flip(file)
    assert found(run).get(name) == "changed"
    file.unlink()
    assert found(run).get(name) == "missing"
    more = file.with_name("more.txt")
    more.write_text("")
    assert found(run)[more.relative_to(run).as_posix()] == "foreign"


@pytest.mark.parametrize(
    ("record", "old", "new"),
    [
        ("tno/average/fuse/job.json", '"seed": 0', '"seed": 1'),
        ("tno/average/score/job.json", '"status": "done"', '"status": "dome"'),
        ("run.json", '"limit": 0', '"limit": 1'),
    ],
)
def test_a_touched_record_is_found(run: Path, record: str, old: str, new: str) -> None:
    text = (run / record).read_text()
    assert old in text
    (run / record).write_text(text.replace(old, new, 1))
    assert found(run)[record] == "changed"
    (run / record).write_text(text[: len(text) // 2])
    assert found(run)[record] == "changed"


def test_tables_older_than_the_jobs_are_outdated_until_written_anew(run: Path) -> None:
    assert main(["run", "--methods", "laplacian", "--no-tables"]) == 0
    kinds = found(run)
    assert kinds["tables/fusion-tno.csv"] == "outdated"
    assert set(kinds.values()) == {"outdated"}
    assert main(["tables"]) == 0
    assert found(run) == {}


def test_a_table_whose_record_was_forged_with_it_is_still_found(run: Path) -> None:
    table = run / "tables" / "fusion-tno.csv"
    table.write_text(table.read_text().replace("average", "averaqe"))
    record = json.loads((run / "tables" / "manifest.json").read_text())
    record["files"] = contents(run / "tables", leave_out=("manifest.json",))
    write_json(run / "tables" / "manifest.json", sealed(record))
    (difference,) = verify(run).differences
    assert (difference.kind, difference.file) == ("changed", "tables/fusion-tno.csv")
    assert "bench tables" in difference.why


def test_foreign_files_are_named_wherever_they_lie(run: Path) -> None:
    names = ["notes.txt", "tno/x.png", "tno/average/y.png", "tno/average/fuse/deep/z.png"]
    for name in names:
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("mine")
    (run / "tno" / "average" / "score" / "linked").symlink_to(run / "tables")
    assert found(run) == dict.fromkeys([*names, "tno/average/score/linked"], "foreign")


def test_unfinished_work_and_traces_of_a_kill_are_no_differences(run: Path) -> None:
    partial = run / "tno" / "late" / "fuse.partial"
    partial.mkdir(parents=True)
    (partial / "a.png.tmp").write_bytes(b"half")
    write_json(partial / "job.json", {"status": "failed", "identity": "1"})
    dead = run / "tno" / "late" / "score.partial"
    dead.mkdir()
    write_json(dead / "job.json", {"status": "running", "identity": "2"})
    (run / "report.html").write_text("made by bench report")
    (run / "run.json.tmp").write_text("{")
    (run / "tno" / "average" / "score.1.claim").write_text("")
    verdict = verify(run)
    # The tables lack the row that has failed since.
    assert {difference.kind for difference in verdict.differences} == {"outdated"}
    assert all(difference.file.startswith("tables/") for difference in verdict.differences)
    assert set(verdict.unfinished) == {
        "tno/late/fuse.partial: failed",
        "tno/late/score.partial: interrupted",
        "run.json.tmp",
        "tno/average/score.1.claim",
    }


def test_results_that_were_put_aside_are_checked_too(run: Path) -> None:
    assert main(["run", "--limit", "2"]) == 0
    assert verify(run).jobs == 8 and found(run) == {}
    aside = next((run / ".stale").rglob("a.png"))
    flip(aside)
    assert found(run)[aside.relative_to(run).as_posix()] == "changed"


def test_a_job_without_hashes_can_not_be_called_clean(run: Path) -> None:
    record = read_record(run / "tno" / "max" / "fuse")
    for key in ("files", "seal"):
        record.pop(key)
    write_json(run / "tno" / "max" / "fuse" / "job.json", record)
    kinds = found(run)
    assert kinds["tno/max/fuse/job.json"] == "unsealed"


def test_json_and_exit_codes(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "tno" / "max" / "fuse" / "a.png").unlink()
    capsys.readouterr()
    assert main(["verify", str(run.parent), "--json"]) == 1
    (record,) = json.loads(capsys.readouterr().out).values()
    assert record["jobs"] == 4
    assert record["differences"] == [{"kind": "missing", "file": "tno/max/fuse/a.png", "why": ""}]
    assert main(["verify", str(run)]) == 1
    assert "missing: tno/max/fuse/a.png\n" in capsys.readouterr().out
    for nothing in (run / "tables" / "absent", run / "tno"):
        assert main(["verify", str(nothing)]) == 2
        assert "is no run" in capsys.readouterr().err


def test_a_published_run_vouches_for_itself(run: Path) -> None:
    assert main(["publish", "--run", str(run), "--to", "public"]) == 0
    public = Path("public")
    (public / "README.md").write_text("How this was made.")
    assert verify(public).differences == ()
    flip(public / "fusion-tno.csv")
    assert found(public) == {"fusion-tno.csv": "changed"}


def test_tables_that_a_kill_cut_off_are_written_by_the_next_run(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (run / "tables" / "fusion-tno.csv").read_bytes()
    (run / "tables" / "fusion-tno.csv").write_bytes(whole[:50])
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    name = f".fusion-tno.md.{platform.node()}-{gone.pid}.tmp"
    (run / "tables" / name).write_text("half")
    (run / name.replace("fusion-tno.md", "run.json")).write_text("half")
    capsys.readouterr()
    assert main(["run"]) == 0
    assert "Nothing to do" in capsys.readouterr().out
    assert (run / "tables" / "fusion-tno.csv").read_bytes() == whole
    assert verify(run).differences == () and verify(run).unfinished == ()


def test_a_table_that_the_run_no_longer_has_goes_unless_somebody_wrote_in_it(run: Path) -> None:
    from bench.report.derived import write_tables

    tables = run / "tables"
    shutil.rmtree(run / "tno")
    write_json(run / "run.json", {"methods": [], "datasets": [], "stages": []})
    (tables / "fusion-tno.md").write_text("my notes")
    write_tables(run)
    left = {path.name for path in tables.iterdir()}
    assert "fusion-tno.csv" not in left and "fusion-tno.md" in left


def test_what_a_record_says_of_the_machine(run: Path) -> None:
    record = read_record(run / "tno" / "average" / "score")
    made = record["provenance"]
    assert made["memory_bytes"] > 1 << 28 and made["cores"] >= 1
    assert 1 << 24 < made["peak_rss_bytes"] < made["memory_bytes"]
    assert made["packages"]["torch"] and made["bench"] is not None
    assert {"commit", "dirty", "gpu", "cuda", "driver", "seconds"} <= made.keys()
    assert record["config"]["seed"] == 0 and record["config"]["methods"] == ["average", "max"]


def test_only_writes_that_nobody_continues_are_swept(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = platform.node()
    torn = ["00.png.tmp", "seed0.json.part", f".a.json.{here}-{gone.pid}.tmp"]
    torn += [f".a.json.{here}-{os.getpid()}.tmp"]
    kept = [f".a.json.{here}-{os.getppid()}.tmp", f".a.json.elsewhere-{gone.pid}.tmp", "a.png"]
    for name in (*torn, *kept):
        (tmp_path / name).write_text("")
    sweep(tmp_path, shared=True)
    assert {path.name for path in tmp_path.iterdir()} == set(kept)
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_contents_and_their_differences(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"")
    recorded = contents(tmp_path)
    # sha256 of "abc" is the standard's first example.
    assert recorded["inner/a"] == {
        "bytes": 3,
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    }
    assert differences(tmp_path, recorded) == []
    (tmp_path / "inner" / "a").write_bytes(b"abd")
    (tmp_path / "b").unlink()
    (tmp_path / "c").write_bytes(b"x")
    kinds = [(d.file, d.kind) for d in differences(tmp_path, recorded)]
    assert kinds == [("b", "missing"), ("c", "foreign"), ("inner/a", "changed")]


def test_a_seal_survives_a_round_trip_through_json(tmp_path: Path) -> None:
    record = {"b": (1, 2), "a": {2: 0.1, 10: float("nan")}, "path": tmp_path, "none": None}
    write_json(tmp_path / "r.json", sealed(record))
    again = json.loads((tmp_path / "r.json").read_text())
    assert seal_holds(again)
    again["b"][0] = 3
    assert not seal_holds(again)
    assert not seal_holds({"a": 1})
