"""`bench score` from the outside: matching, tables, files, comparisons, exit codes, start-up."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cli import main
from bench.metrics import evaluate
from bench.metrics.conventions import CONVENTIONS

ROOT = Path(__file__).resolve().parents[1]
MakePairs = Callable[..., list[str]]
STEMS = [f"{k:02d}" for k in range(1, 9)]


@pytest.fixture
def folders(tmp_path: Path, make_pairs: MakePairs, monkeypatch: pytest.MonkeyPatch) -> Path:
    """vi/ and ir/ with eight pairs of 53×45; mean/ and noisy/ fused from them."""
    make_pairs(tmp_path / "vi", tmp_path / "ir", 8)
    random = np.random.default_rng(3)
    for name, noise in (("mean", 1), ("noisy", 60)):
        (tmp_path / name).mkdir()
        for stem in STEMS:
            sources = (Image.open(tmp_path / k / f"{stem}.png").convert("L") for k in ("vi", "ir"))
            fused = sum(np.asarray(source).astype(int) for source in sources) // 2
            fused = fused + random.integers(0, noise, fused.shape)
            array = fused.clip(0, 255).astype(np.uint8)
            Image.fromarray(array).save(tmp_path / name / f"{stem}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def score(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    sources = ("--visible", "vi", "--infrared", "ir")
    fused = () if "--fused" in words else ("--fused", "mean")
    code = main(["score", *fused, *sources, *words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def cells(out: str, first: str) -> list[str]:
    """The cells of the table row that begins with `first`."""
    row = next(line for line in out.splitlines() if line.startswith(f"│ {first} "))
    return [cell.strip() for cell in row.strip("│").split("│")]


def test_csv_and_json_hold_what_evaluate_gives(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = score(capsys, "--out", "s.csv")
    assert code == 0 and err == ""
    assert "8 images, convention standard" in out
    rows = table(folders / "s.csv")
    assert [row["image"] for row in rows] == STEMS
    images = [np.asarray(Image.open(folders / k / "03.png")) for k in ("mean", "vi", "ir")]
    expected = {name: value.item() for name, value in evaluate(*images).items()}
    written = {name: float(value) for name, value in rows[2].items() if name != "image"}
    # `evaluate` may use more threads than the command, which moves the last digit of a sum.
    assert written == pytest.approx(expected, rel=1e-13)
    assert list(rows[0]) == ["image", *expected]
    mean = np.mean([float(row["VIF_ir"]) for row in rows])
    assert float(cells(out, "VIF_ir")[1]) == pytest.approx(mean, abs=5e-5)

    assert score(capsys, "--out", "s.json")[0] == 0
    again = json.loads((folders / "s.json").read_text())
    assert [{k: repr(v) if k != "image" else v for k, v in row.items()} for row in again] == rows


def test_parquet_holds_the_same_rows(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert score(capsys, "--out", "s.parquet", "--metrics", "EN,Qabf")[0] == 0
    assert score(capsys, "--out", "s.json", "--metrics", "EN,Qabf")[0] == 0
    expected = json.loads((folders / "s.json").read_text())
    assert parquet.read_table(folders / "s.parquet").to_pylist() == expected


def test_parquet_without_its_library_is_refused_before_scoring(
    folders: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as where it is not installed
    code, out, err = score(capsys, "--out", "s.parquet")
    assert code == 2 and out == ""
    assert "pip install 'ivif-bench[parquet]'" in err
    assert not (folders / "s.parquet").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--out", "s.xlsx"), "must be one of .csv, .json, .parquet"),
        (("--out", "nowhere/s.csv"), "nowhere is no folder"),
        (("--convention", "tangmatlab"), "did you mean 'tang-matlab'"),
        (("--metrics", "EN,VIP"), "did you mean 'VIF'"),
        (("--metrics", "VIF", "--convention", "vifb"), "'vifb' does not define VIF; it has EN, MI"),
        (("--fused", "nothing"), "nothing is no folder"),
        (("--against", "mean"), "given twice"),
    ],
)
def test_what_must_be_changed_is_one_sentence(
    folders: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    code, out, err = score(capsys, *words)
    assert code == 2 and out == ""
    assert sentence in err and err.count("\n") == 1 and err.startswith("bench: ")


def test_missing_images_are_named_and_the_rest_is_scored(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for stem in ("02", "05"):
        (folders / "mean" / f"{stem}.png").unlink()
    code, out, err = score(capsys, "--metrics", "EN")
    assert code == 1
    assert "6 images" in out
    assert err == "mean lacks 2 of 8 pairs: 02, 05\n"


def test_extra_images_are_named(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("90.png", "91.bmp"):
        Image.new("L", (53, 45)).save(folders / "mean" / name)
    code, _, err = score(capsys)
    assert code == 2
    assert "mean: 90.png, 91.bmp have no sources of the same stem in vi" in err


def test_images_that_cannot_be_scored_are_named_and_left_out(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (50, 45)).save(folders / "mean" / "04.png")
    (folders / "mean" / "06.png").write_bytes(b"\x89PNG no more")
    code, out, err = score(capsys, "--metrics", "EN", "--out", "s.csv")
    assert code == 1 and "6 images" in out
    assert "not scored: mean/04.png is 50×45 but its sources are 53×45" in err
    assert "not scored: mean/06.png can't be decoded" in err
    assert [row["image"] for row in table(folders / "s.csv")] == [
        "01",
        "02",
        "03",
        "05",
        "07",
        "08",
    ]


def test_nothing_that_can_be_scored_is_an_error(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for stem in STEMS:
        Image.new("L", (50, 45)).save(folders / "mean" / f"{stem}.png")
    code, _, err = score(capsys)
    assert code == 2 and "mean/01.png is 50×45" in err


def test_lossy_files_are_pointed_out(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = Image.open(folders / "mean" / "01.png")
    (folders / "mean" / "01.png").unlink()
    image.save(folders / "mean" / "01.jpg")
    code, _, err = score(capsys, "--metrics", "EN")
    assert code == 0 and "compression is scored too: 01.jpg" in err


def test_against_compares_paired_images(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folders / "noisy" / "08.png").unlink()
    code, out, err = score(capsys, "--against", "noisy", "--out", "s.csv")
    assert code == 1 and err == "noisy lacks 1 of 8 pairs: 08\n"
    assert "A = mean, B = noisy: 7 images, convention standard" in out
    rows = table(folders / "s.csv")
    assert [row["fused"] for row in rows] == ["mean"] * 8 + ["noisy"] * 7
    compared = out[out.index("A = mean") :]
    ours, theirs = ([float(r["SSIM_vi"]) for r in part] for part in (rows[:7], rows[8:]))
    _, a, b, gap, low, high, p, better = cells(compared, "SSIM_vi")
    assert float(a) == pytest.approx(np.mean(ours), abs=1e-4)
    assert float(b) == pytest.approx(np.mean(theirs), abs=1e-4)
    assert float(gap) == pytest.approx(np.mean(ours) - np.mean(theirs), abs=1e-4)
    assert float(low) < float(gap) < float(high)
    # The smallest p that seven pairs can have, and too large for six tests after Holm.
    assert float(p) == pytest.approx(2 / 2**7, abs=1e-3)
    assert better == cells(compared, "SSIM")[-1] == ""
    assert "too few images for a verdict: with fewer than 8 no diff" in " ".join(compared.split())


def test_eight_images_can_be_enough_for_a_verdict(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """2/2⁸ is below 5 % / 6: only the six metrics share the level, not their parts."""
    code, out, _ = score(capsys, "--against", "noisy")
    compared = out[out.index("A = mean") :]
    assert code == 0 and "Holm over the 6 metrics" in " ".join(compared.split())
    assert cells(compared, "SSIM")[-1] == "A"


def test_the_better_of_two_folders_follows_the_direction(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = score(capsys, "--against", "noisy", "--metrics", "MSE,PSNR")
    compared = out[out.index("A = mean") :]
    error, ratio = cells(compared, "MSE"), cells(compared, "PSNR")
    assert float(error[3]) < 0 < float(ratio[3])
    assert error[-1] == ratio[-1] == "A"


def test_all_conventions_side_by_side(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = score(capsys, "--convention", "all", "--out", "s.csv", "--metrics", "EN,MI,VIF")
    assert code == 0
    means = cells(out, "MI")[1:]
    assert len(means) == len(CONVENTIONS)
    assert float(means[1]) == pytest.approx(float(means[0]) * np.log(2), abs=1e-3)
    undefined = [
        c for c, cell in zip(CONVENTIONS, cells(out, "VIF")[1:], strict=True) if cell == "–"
    ]
    assert undefined == ["vifb", "thfylsty"]
    assert "Spearman" in out
    header = list(table(folders / "s.csv")[0])
    assert "ivif-zoo.VIF" in header and "vifb.VIF" not in header


def test_ranks_of_several_folders_by_convention(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = score(
        capsys, "--against", "noisy", "--convention", "all", "--metrics", "SSIM,MSE"
    )
    assert code == 0
    assert "A = mean, B = noisy" in out
    lines = [line for line in out.splitlines() if line.startswith("│ MSE ")]
    assert "(1)" in lines[0] and "(2)" in lines[1]


def test_metrics_all_is_what_the_convention_defines(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, _ = score(
        capsys, "--metrics", "all", "--convention", "vifb", "--out", "s.json", "--fused", "noisy"
    )
    assert code == 0
    columns = json.loads((folders / "s.json").read_text())[0]
    assert {name.split("_")[0] for name in columns} == {"image", *CONVENTIONS["vifb"].metrics}


def test_undefined_values_are_counted_and_null(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (53, 45), 9).save(folders / "ir" / "01.png")
    code, out, _ = score(capsys, "--metrics", "VIF", "--out", "s.json")
    assert code == 0
    assert [cells(out, name)[-1] for name in ("VIF_ir", "VIF_vi", "VIF")] == ["1", "0", "1"]
    assert "constant image" in out
    assert json.loads((folders / "s.json").read_text())[0]["VIF_ir"] is None


def modules_after(*words: str) -> set[str]:
    """Names of all modules that a process has imported at the end of that command."""
    script = f"import sys; from bench.cli import main; main({words!r}); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return set(done.stdout.split())


def test_nothing_heavy_is_imported_before_it_is_needed(folders: Path) -> None:
    sources = ("--visible", "vi", "--infrared", "ir")
    refused = modules_after("score", "--fused", "nothing", *sources)
    assert "bench.report.folder_scores" in refused
    assert not refused & {"torch", "scipy", "pandas", "matplotlib", "ultralytics"}
    scored = modules_after("score", "--fused", "mean", *sources)
    assert "torch" in scored
    assert not scored & {"pandas", "matplotlib", "ultralytics", "torchvision"}


def test_ranks_by_convention_are_drawn(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = score(
        capsys, *("--against", "noisy", "--convention", "all", "--metrics", "SSIM,MSE"),
        *("--plot", "ranks.png"),
    )  # fmt: skip
    assert code == 0, err
    assert "Ranks by convention: ranks.png" in out
    with Image.open(folders / "ranks.png") as picture:
        pixels = np.asarray(picture.convert("L"))
    assert (pixels < 128).any()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--plot", "ranks.png", "--convention", "all"), "at least one folder to compare with"),
        (("--plot", "ranks.png", "--against", "noisy"), "needs --convention all"),
        (("--plot", "ranks.gif", "--against", "noisy", "--convention", "all"), "ends in .pdf"),
        (("--plot", "no/r.png", "--against", "noisy", "--convention", "all"), "does not exist"),
    ],
)
def test_a_plot_that_cannot_be_drawn_is_refused_at_once(
    folders: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], complaint: str
) -> None:
    code, _, err = score(capsys, *options)
    assert code == 2
    assert complaint in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--set", "score.convention=vifb"), "reads no configuration"),
        (("--config", "bench.toml"), "reads no configuration"),
        (("--metrics", ""), "--metrics is empty"),
    ],
)
def test_options_without_effect_are_refused(
    folders: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], complaint: str
) -> None:
    code, _, err = score(capsys, *options)
    assert code == 2
    assert complaint in err
