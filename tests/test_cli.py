"""The commands from the outside: bad input, exit codes, one sentence, nothing finished lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from bench.cli import main

MakePairs = Callable[..., list[str]]
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def project(tmp_path: Path, make_pairs: MakePairs, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small TNO and a bench.toml for it, as the current folder."""
    make_pairs(tmp_path / "data" / "TNO" / "vi", tmp_path / "data" / "TNO" / "ir", 3, (64, 48))
    (tmp_path / "bench.toml").write_text(
        'name = "t"\nmethods = ["average", "max"]\ndatasets = ["tno"]\nstages = ["fuse", "score"]\n'
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(words)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command that must be refused with one sentence; returns the sentence."""
    code, _, err = run(capsys, *words)
    assert code == 2
    assert "Traceback" not in err
    assert err.startswith("bench: ") and err.count("\n") == 1
    return err


def test_run_makes_images_values_and_tables(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "run")
    assert code == 0
    assert "Fusion quality on TNO (3 images)" in out
    folder = project / "results" / "t"
    assert len(list((folder / "tno" / "average" / "fuse").glob("*.png"))) == 3
    assert (folder / "tables" / "fusion-tno.csv").is_file()
    code, out, _ = run(capsys, "run")
    assert code == 0 and "Nothing to do: all 4 jobs of 't' are done and unchanged." in out


def test_a_changed_pair_is_fused_again_and_only_what_depends_on_it(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "run")
    table = project / "results" / "t" / "tables" / "fusion-tno.csv"
    before = table.read_bytes()
    original = (project / "data" / "TNO" / "ir" / "02.png").read_bytes()
    Image.new("L", (64, 48), 77).save(project / "data" / "TNO" / "ir" / "02.png")
    run(capsys, "run")
    assert table.read_bytes() != before
    (project / "data" / "TNO" / "ir" / "02.png").write_bytes(original)
    # The first results were put aside, not lost: the old identity brings them back.
    _, out, _ = run(capsys, "run")
    assert "Nothing to do" in out
    run(capsys, "tables")
    assert table.read_bytes() == before


def test_dry_run_says_why(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "run", "--methods", "average", "--stages", "fuse")
    _, out, _ = run(capsys, "run", "--dry-run", "--methods", "average,densefuse-tf")
    assert "tno/average/fuse: cached" in out
    assert "tno/average/score: run" in out
    assert "tno/densefuse-tf/fuse: no weights" in out


def test_a_method_without_weights_is_a_row_with_its_reason(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "run", "--methods", "average,seafusion", "--track", "official")
    assert code == 1
    assert "bench weights import seafusion SeAFusion.pth" in " ".join(out.split())
    assert "no weights" in out


def test_random_weights_are_marked(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "run", "--methods", "seafusion", "--random-weights")
    assert code == 0
    assert "random" in out.lower()


def test_unknown_method_suggests_the_near_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "did you mean 'dsifuse'" in refused(capsys, "run", "--methods", "dsifuze")


def test_unknown_keys_are_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "bench.toml").write_text('metods = ["average"]\n')
    assert "'metods' in bench.toml (did you mean 'methods'?)" in refused(capsys, "run")
    (project / "bench.toml").write_text('[fuse]\noutptu = "clip"\n')
    assert "'fuse.outptu' in bench.toml (did you mean 'output'?)" in refused(capsys, "run")
    (project / "bench.toml").write_text('[data.tno]\nrot = "x"\n')
    assert "'data.tno.rot' in bench.toml (did you mean 'root'?)" in refused(capsys, "run")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--set", "limit=-1"), "limit is -1"),
        (("--set", 'limit="many"'), "limit must be of type int"),
        (("--output", "stretch"), "fuse.output is 'stretch'"),
        (("--stages", "fuse,scor"), "did you mean 'score'"),
        (("--name", "../up"), "one plain folder name"),
        (("--datasets", "tnp"), "did you mean 'tno'"),
        (("--device", "cuda:77"), "device 'cuda:77' is not usable"),
        (("--config", "absent.toml"), "absent.toml can't be read"),
        (("--set", "score.metrics=['VIP']"), "VIP"),
        (("--convention", "standart"), "standart"),
        (("--jobs", "0"), "run.jobs is 0: use 1 or more"),
        (("--executor", "slurn"), "did you mean 'slurm'"),
        (("--executor", "dask"), "dask.address is missing"),
        (("--executor", "slurm", "--jobs", "2"), "run.jobs is 2, but it counts local processes"),
        (("--set", "run.stale_after=1"), "run.stale_after is 1: use 20 or more"),
    ],
)
def test_bad_values_are_refused(
    project: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], part: str
) -> None:
    assert part in refused(capsys, "run", *words)


def test_broken_toml_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "bench.toml").write_text("methods = [")
    assert "bench.toml is not valid TOML" in refused(capsys, "run")


def test_a_missing_twin_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "data" / "TNO" / "ir" / "02.png").unlink()
    assert "02.png has no infrared twin" in refused(capsys, "run")


def test_sizes_that_differ_and_text_files_are_refused_before_any_work(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = project / "data" / "TNO" / "ir" / "02.png"
    Image.new("L", (64, 47)).save(victim)
    assert "02.png is 64×47 but" in refused(capsys, "run")
    victim.write_text("this is no image")
    assert "02.png can't be decoded" in refused(capsys, "run")
    assert not list((project / "results" / "t").glob("tno/*/*"))


def test_a_truncated_image_fails_its_rows_and_keeps_the_rest(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = project / "data" / "TNO" / "vi" / "02.png"
    whole = victim.read_bytes()
    victim.write_bytes(whole[: len(whole) // 2])
    code, out, err = run(capsys, "run")
    assert code == 1
    assert "failed tno/average/fuse" in out and "02.png can't be decoded" in out
    assert "Traceback" not in err
    kept = project / "results" / "t" / "tno" / "average" / "fuse.partial"
    assert sorted(p.name for p in kept.glob("*.png")) == ["01.png", "03.png"]
    victim.write_bytes(whole)
    assert run(capsys, "run")[0] == 0


def test_a_results_folder_that_cannot_be_written(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "file").write_text("in the way")
    assert "can't be written" in refused(capsys, "run", "--results", "file/results")


def test_data_check_lists_every_problem(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vi = project / "data" / "TNO" / "vi"
    (vi / "01.png").write_text("no image")
    Image.new("RGB", (10, 10)).save(vi / "03.png")
    code, out, _ = run(capsys, "data", "check", "tno")
    assert code == 1
    assert out.count("problem:") == 2 and "01.png" in out and "03.png is" not in out.split("01")[0]


def test_score_of_a_folder_equals_the_run(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "run", "--methods", "average")
    fused = project / "results" / "t" / "tno" / "average" / "fuse"
    sources = project / "data" / "TNO"
    code, out, _ = run(
        capsys, "score", "--fused", str(fused), "--visible", str(sources / "vi"),
        "--infrared", str(sources / "ir"), "--out", "own.csv",
    )  # fmt: skip
    assert code == 0 and "3 images, convention standard" in out
    own = (project / "own.csv").read_text().splitlines()
    values = (fused.parent / "score" / "values.csv").read_text().splitlines()
    entropy = dict(zip(own[0].split(","), own[1].split(","), strict=True))["EN"]
    assert f"01,,EN,{entropy}" in values


def test_score_refuses_what_does_not_fit(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vi, ir = str(project / "data" / "TNO" / "vi"), str(project / "data" / "TNO" / "ir")
    same = refused(capsys, "score", "--fused", vi, "--visible", vi, "--infrared", ir)
    assert "given twice" in same
    (project / "out").mkdir()
    Image.new("L", (64, 48)).save(project / "out" / "99.png")
    lonely = refused(capsys, "score", "--fused", "out", "--visible", vi, "--infrared", ir)
    assert "99.png has no source" in lonely


def test_kill_during_fuse_and_score_ends_with_the_same_bytes(
    project: Path, make_pairs: MakePairs, capsys: pytest.CaptureFixture[str]
) -> None:
    data = project / "data" / "TNO"
    make_pairs(data / "vi", data / "ir", 24, (320, 240))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "bench.cli", "run", "--methods", "laplacian"]

    def table(name: str) -> bytes:
        assert main(["run", "--methods", "laplacian", "--name", name, "--no-tables"]) == 0
        return (project / "results" / name / "tno/laplacian/score/values.csv").read_bytes()

    undisturbed = table("calm")
    folder = project / "results" / "killed" / "tno" / "laplacian"
    for made, enough in (("fuse.partial", "*.png"), ("score.partial", "rows.jsonl")):
        process = subprocess.Popen(
            [*command, "--name", "killed", "--no-tables"],
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        while process.poll() is None and not any((folder / made).glob(enough)):
            pass
        process.kill()
        process.wait()
    assert (folder / "score.partial").is_dir() or (folder / "score").is_dir()
    assert table("killed") == undisturbed
    capsys.readouterr()


def test_listings_are_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("methods", "datasets", "metrics", "doctor"):
        code, out, _ = run(capsys, command, "--json")
        assert code == 0 and len(json.loads(out)) >= 5


def test_help_names_every_command_and_imports_no_torch() -> None:
    code = (
        "import sys\nfrom bench.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    for command in ("run", "tables", "score", "weights", "train", "doctor"):
        assert command in done.stdout


def test_ready_made_images_are_a_row_like_others(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "run", "--methods", "average")
    made = project / "results" / "t" / "tno" / "average"
    theirs = project / "theirs"
    theirs.mkdir()
    for path in (made / "fuse").glob("*.png"):
        Image.open(path).save(theirs / f"{path.stem}.bmp")
    words = ("run", "--fused", "Theirs=theirs", "--stages", "fuse,score,profile", "--set",
             "profile.resolutions=['64x48']", "--set", "profile.seconds=1")  # fmt: skip
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert "Theirs¶" in out and "¶ Ready-made images, fused elsewhere" in out
    assert "not applicable _cost/Theirs/profile: no network" in out
    taken = made.parent / "Theirs"
    for path in (made / "fuse").glob("*.png"):
        assert (taken / "fuse" / path.name).read_bytes() == path.read_bytes()
    values = (taken / "score" / "values.csv").read_bytes()
    assert values == (made / "score" / "values.csv").read_bytes()

    Image.new("L", (64, 48), 7).save(theirs / "02.bmp")
    _, out, _ = run(capsys, *words, "--dry-run")
    assert "tno/Theirs/fuse: run again" in out and "tno/average/fuse: cached" in out
    (theirs / "02.bmp").unlink()
    assert "theirs lacks 1 of 3 pairs of tno: 02;" in refused(capsys, *words)
    Image.new("L", (64, 47)).save(theirs / "02.png")
    assert "02.png is 64×47 but its pair is 64×48" in refused(capsys, *words)
    twice = refused(capsys, "run", "--fused", "a=theirs", "--fused", "a=other")
    assert "--fused a is given twice" in twice


def test_a_published_run_names_its_ready_made_rows_without_paths(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "run", "--methods", "average")
    fused = project / "results" / "t" / "tno" / "average" / "fuse"
    words = ("--methods", "", "--fused", f"from elsewhere={fused}", "--name", "ready")
    assert run(capsys, "run", *words)[0] == 0
    assert run(capsys, "publish", "--run", "results/ready", "--to", "out")[0] == 0
    manifest = (project / "out" / "manifest.json").read_text()
    assert str(project) not in manifest
    assert "--fused 'from elsewhere=fuse'" in manifest


def test_weights_check_fails_for_a_file_that_does_not_load(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "weights", "check")
    assert code == 0 and "0 with a problem" in out
    stored = project / "weights" / "seafusion" / "official.safetensors"
    stored.parent.mkdir(parents=True)
    stored.write_text("no tensors")
    code, out, _ = run(capsys, "weights", "check", "--json")
    assert code == 1
    problems = {row["method"]: row["problem"] for row in json.loads(out) if row["problem"]}
    assert list(problems) == ["seafusion"]
    assert "is not a safetensors file" in problems["seafusion"]


def test_weights_list_and_fetch_know_what_ships(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = json.loads(run(capsys, "weights", "list", "--json")[1])
    rows = {(row["method"], row["weights"]): row for row in listed}
    assert rows["dsifuse", "suite"]["status"] == "shipped"
    seafusion = rows["seafusion", "official"]
    assert (seafusion["status"], seafusion["bytes"]) == ("missing", 682043)
    assert len(seafusion["sha256"]) == 64
    _, out, _ = run(capsys, "weights", "list")
    assert seafusion["sha256"][:12] in out and seafusion["sha256"] not in out
    code, out, _ = run(capsys, "weights", "fetch", "dsifuse")
    assert code == 0 and "here already (shipped): nothing to download" in out
    assert "it needs none" in refused(capsys, "weights", "fetch", "average")
    assert "did you mean 'seafusion'" in refused(capsys, "weights", "fetch", "seafusio")


def test_methods_say_what_they_are_and_cost(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {r["name"]: r for r in json.loads(run(capsys, "methods", "--macs", "--json")[1])}
    densefuse = rows["densefuse"]
    # 16 filters on 1, then 3 dense layers, then the decoder: 87984 products a pixel.
    assert densefuse["MACs at 480x640"] == 87984 * 480 * 640
    assert (densefuse["year"], densefuse["track"], densefuse["weights"]) == (
        2019,
        "suite",
        "shipped",
    )
    assert (rows["densefuse-tf"]["track"], rows["densefuse-tf"]["weights"]) == (
        "official",
        "missing",
    )
    assert (rows["average"]["track"], rows["average"]["weights"]) == ("none", "none needed")
    assert (rows["dsifuse"]["track"], rows["dsifuse"]["weights"]) == ("suite", "shipped")
    assert "MACs at 480x640" not in json.loads(run(capsys, "methods", "--json")[1])[0]
    out = run(capsys, "methods", "--macs")[1]
    assert "27.03 G" in out and "74,193" in out


def test_a_command_without_its_run_names_those_that_exist(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = refused(capsys, "tables", "1-5")
    assert "results/t is no run" in first and "--run; there is no other one" in first
    run(capsys, "run", "--methods", "average", "--stages", "fuse", "--name", "mine", "--no-tables")
    second = refused(capsys, "tables", "1-5")
    assert "with --run; the runs beside it are results/mine." in second


def test_figures_find_the_images_where_the_run_found_them(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "data").rename(project / "own")
    assert run(capsys, "run", "--data-root", "own", "--no-tables")[0] == 0
    # Neither the configuration nor the current folder matters, and what is given wins.
    away = project / "away"
    away.mkdir()
    monkeypatch.chdir(away)
    code, out, _ = run(capsys, "figures", "7", "--run", "../results/t")
    assert code == 0 and "panel-tno.png" in out
    nowhere = ("--data-root", "nowhere")
    assert "away/nowhere/TNO" in refused(capsys, "figures", "7", "--run", "../results/t", *nowhere)
    # Where the run's own place is gone, the configuration is asked.
    (project / "own").rename(away / "data")
    assert run(capsys, "figures", "7", "--run", "../results/t")[0] == 0


def test_status_stays_a_table_however_long_its_reasons(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(capsys, "run", "--methods", "average,seafusion", "--track", "official", "--no-tables")
    monkeypatch.setenv("COLUMNS", "110")
    _, out, _ = run(capsys, "status")
    lines = out.splitlines()
    head = next(line for line in lines if "data set" in line)
    assert [word.strip() for word in head.strip("┃").split("┃")] == [
        "data set", "method", "job", "status", "seconds", "reason",
    ]  # fmt: skip
    assert max(map(len, lines)) <= 110 and sum("…" in line for line in lines) == 2
    assert lines[-1] == "Some are cut off (reason): --json has them whole."
    rows = json.loads(run(capsys, "status", "--json")[1])
    assert max(len(row["reason"]) for row in rows) > 110
    monkeypatch.setenv("COLUMNS", "400")
    assert "cut off" not in run(capsys, "status")[1]


def test_one_thing_is_not_called_many(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("run", "--methods", "average", "--stages", "fuse", "--no-tables")
    run(capsys, *words)
    assert "Nothing to do: the only job of 't' is done and unchanged." in run(capsys, *words)[1]
    (project / "results" / "t" / "tno" / "average" / "fuse" / "01.png").write_bytes(b"")
    assert "1 job with 3 files: 1 difference." in run(capsys, "verify", "results/t")[1]
