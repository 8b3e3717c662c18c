"""Folders that are missing, ambiguous, unreadable, or whose names are made to hurt."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.cli import main
from tests.hostile.corpus import RUN, Case, build, judge

VISIBLE, INFRARED = Path("data/TNO/vi"), Path("data/TNO/ir")
FUSED = (*RUN, "--fused", "x=out")
SCORE = ("score", "--fused", "out", "--visible", str(VISIBLE), "--infrared", str(INFRARED))


def renamed(stem: str) -> Callable[[Path], object]:
    """The pair 02 has another stem."""

    def spoil(project: Path) -> None:
        for folder in (VISIBLE, INFRARED):
            (project / folder / "02.png").rename(project / folder / f"{stem}.png")

    return spoil


def emptied(*folders: Path) -> Callable[[Path], object]:
    def spoil(project: Path) -> None:
        for folder in folders:
            for path in (project / folder).iterdir():
                path.unlink()

    return spoil


def copied(source: Path, target: str) -> Callable[[Path], object]:
    return lambda project: shutil.copy(project / source, project / target)


def out(*names: str) -> Callable[[Path], object]:
    """A folder of fused images with these names."""

    def spoil(project: Path) -> None:
        (project / "out").mkdir()
        for name in names:
            shutil.copy(project / VISIBLE / "01.png", project / "out" / name)

    return spoil


CASES = (
    Case("no data", lambda p: shutil.rmtree(p / "data"), ("TNO was not found in", "vi/NN.png")),
    Case("no infrared folder", lambda p: shutil.rmtree(p / INFRARED), ("TNO was not found in",)),
    Case("empty folders", emptied(VISIBLE, INFRARED), ("'tno' has no pairs",)),
    Case("one empty folder", emptied(INFRARED), ("01.png has no infrared twin and 2 more",)),
    Case(
        "a file for a folder",
        lambda p: (shutil.rmtree(p / VISIBLE), (p / VISIBLE).write_text("")),
        ("TNO was not found in",),
    ),
    Case(
        "two files of one stem",
        copied(VISIBLE / "02.png", str(VISIBLE / "02.bmp")),
        ("02.png and 02.bmp have the same stem",),
    ),
    Case(
        "two files whose suffixes differ in case",
        copied(VISIBLE / "02.png", str(VISIBLE / "02.PNG")),
        ("02.png and 02.PNG have the same stem",),
    ),
    Case("a twin too many", copied(VISIBLE / "02.png", str(VISIBLE / "4.png")), ("4.png has no",)),
    Case("a name of two lines", renamed("02\nbench: all is well"), (r"02\nbench: all", "control")),
    Case("a name that colours", renamed("\x1b[31m02"), (r"\x1b[31m02.png", "control character")),
    Case("a name that is no UTF-8", renamed("02\udcff"), (r"02\udcff.png", "control character")),
    Case("a name like a flag", renamed("-rf"), ("-rf.png", "begins with '-'")),
    Case("a name with a backslash", renamed("up\\02"), (r"up\02.png", "it has a slash")),
    Case("a name of 240 letters", renamed("x" * 240), ("longer than 200 bytes",)),
    Case(
        "results in a file",
        lambda p: (p / "file").write_text(""),
        ("The results folder", "can't be written"),
        (*RUN, "--results", "file"),
    ),
    Case(
        "a run in a file",
        lambda p: (p / "elsewhere").mkdir() or (p / "elsewhere/t").write_text(""),
        ("elsewhere/t can't be written",),
        (*RUN, "--results", "elsewhere"),
    ),
    Case("no ready-made images", lambda p: None, ("out is no folder",), FUSED),
    Case("ready-made images of others", out("77.png"), ("lacks 3 of 3 pairs",), FUSED),
    Case("no folder to score", lambda p: None, ("out is no folder",), SCORE),
    Case("an empty folder to score", out(), ("out holds no images",), SCORE),
    Case("no common names", out("77.png", "78.png"), ("77.png, 78.png have no source",), SCORE),
    Case(
        "the same folder twice",
        lambda p: None,
        ("The same folder is given twice",),
        ("score", "--fused", str(VISIBLE), "--visible", str(VISIBLE), "--infrared", str(INFRARED)),
    ),
    Case(
        "scores into no folder",
        out("01.png"),
        ("absent is no folder: create it",),
        (*SCORE, "--out", "absent/x.csv"),
    ),
    Case("no run", lambda p: None, ("data is no run",), ("tables", "--run", "data")),
    Case(
        "a run without jobs",
        lambda p: (p / "empty").mkdir() or (p / "empty/run.json").write_text("{}"),
        ("empty holds no jobs yet",),
        ("status", "--run", "empty"),
    ),
    Case(
        "a run whose record is damaged",
        lambda p: shutil.copytree(p / "results/t", p / "copy")
        and (p / "copy/run.json").write_text("{"),
        ("run.json is damaged",),
        ("publish", "--run", "copy", "--to", "to"),
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_folder(case: Case, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judge(case, project, capsys)


@pytest.mark.parametrize(
    "stem",
    [
        "a b",
        "straße 夜",
        "<script>alert(1)<",
        "a&b",
        "a_b",
        "$x^2$",
        "[red]x[",
        "50%",
        "+1+1",
        "A'\"b",
    ],
)
def test_names_are_text(stem: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    renamed(stem)(project)
    words = ("run", "--methods", "average", "--fused", f"{stem}=out")
    shutil.copytree(project / VISIBLE, project / "out")
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert stem in printed
    folder = project / "results/t/tno" / stem
    assert (folder / "fuse" / f"{stem}.png").is_file()
    assert main(("status", "--results", "results", "--name", "t", "--json")) == 0
    assert main(("figures", "--pairs", stem)) == 0
    assert main(("publish", "--to", "to")) == 0
    assert "Traceback" not in capsys.readouterr().err


def test_names_that_differ_in_case_are_two_pairs(project: Path) -> None:
    for folder in (VISIBLE, INFRARED):
        (project / folder / "02.png").rename(project / folder / "a.png")
        (project / folder / "03.png").rename(project / folder / "A.png")
    assert main(("run", "--methods", "average")) == 0
    fused = project / "results/t/tno/average/fuse"
    assert sorted(path.name for path in fused.glob("*.png")) == ["01.png", "A.png", "a.png"]


@pytest.fixture
def unprivileged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project of a user whom permissions bind, even where the tests run as root."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        build(project)
        monkeypatch.chdir(project)
        monkeypatch.setenv("XDG_CACHE_HOME", str(project / "cache"))
        root = os.geteuid() == 0
        if root:
            for path in (project, *project.rglob("*")):
                os.chown(path, 65534, 65534)
            os.seteuid(65534)
        try:
            yield project
        finally:
            if root:
                os.seteuid(0)
            for path in (project, *project.rglob("*")):
                path.chmod(0o700)


@pytest.mark.parametrize(
    ("place", "mode", "command", "says"),
    [
        ("data/TNO/vi", 0o000, RUN, "data/TNO/vi can't be read"),
        ("data/TNO", 0o000, RUN, "no permission for"),
        ("data/TNO/ir/02.png", 0o000, RUN, "02.png can't be read"),
        ("bench.toml", 0o000, RUN, "bench.toml can't be read"),
        ("results", 0o500, RUN, "can't be written"),
        ("results", 0o000, ("status",), "no permission for"),
        ("out", 0o500, ("data", "synth", "out", "--pairs", "1,0,0"), "no permission for"),
    ],
)
def test_permissions(
    place: str,
    mode: int,
    command: tuple[str, ...],
    says: str,
    unprivileged: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (unprivileged / "results").mkdir()
    (unprivileged / "out").mkdir()
    (unprivileged / place).chmod(mode)
    assert main(command) == 2
    err = capsys.readouterr().err
    assert err.startswith("bench: ") and err.count("\n") == 1 and says in err
    assert "Permission denied" in err or "no permission" in err
