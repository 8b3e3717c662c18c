"""Configurations and flags: broken, misspelt, or with names that would be paths."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostile.corpus import CONFIG, DETECT, RUN, Case, judge


def toml(text: str | bytes) -> Callable[[Path], object]:
    """bench.toml holds this."""
    data = text.encode() if isinstance(text, str) else text
    return lambda project: (project / "bench.toml").write_bytes(data)


def top(lines: str) -> Callable[[Path], object]:
    """The working configuration with lines on top of it instead of its own of those keys."""
    keys = [line.partition("=")[0].strip() for line in lines.splitlines()]
    kept = "\n".join(
        line for line in CONFIG.splitlines() if line.partition("=")[0].strip() not in keys
    )
    return toml(lines + "\n" + kept)


def table(lines: str) -> Callable[[Path], object]:
    """The working configuration with a table below it."""
    return toml(CONFIG + lines + "\n")


def flags(*words: str) -> tuple[str, ...]:
    return (*RUN, *words)


def fused_in(project: Path) -> None:
    (project / "out").mkdir()


FILES = (
    ("broken syntax", toml("methods = ["), ("bench.toml is not valid TOML",)),
    ("no UTF-8", toml(b'name = "\xff\xfe"'), ("bench.toml is not valid TOML",)),
    ("a number of 5000 digits", toml("limit = " + "9" * 5000), ("bench.toml is not valid TOML",)),
    ("endless nesting", toml("methods = " + "[" * 20_000), ("bench.toml is not valid TOML",)),
    ("a key twice", toml('name = "a"\nname = "b"'), ("bench.toml is not valid TOML",)),
    ("an unknown key", top("metods = []"), ("'metods'", "did you mean 'methods'")),
    ("an unknown table", table("[detectt]"), ("'detectt'", "did you mean 'detect'")),
    ("an unknown key of a table", table("[fuse]\noutptu = 1"), ("'fuse.outptu'",)),
    ("an unknown key of a set", table("[data.tno]\nrot = 1"), ("'data.tno.rot'",)),
    ("an unknown set", table("[data.tnp]\nroot = ''"), ("'tnp'", "did you mean 'tno'")),
    ("text for a list", top('methods = "average"'), ("methods must be a list",)),
    ("numbers for names", top("methods = [1, 2]"), ("methods must be of type str",)),
    ("a list for a name", top('name = ["t"]'), ("name must be of type str",)),
    ("truth for a number", top("limit = true"), ("limit must be of type int",)),
    ("a fraction for a number", top("threads = 1.5"), ("threads must be of type int",)),
    ("a value for a table", top("fuse = 1"), ("fuse must be a table",)),
    ("a value for the data", toml("data = 1"), ("data must be a table",)),
    ("a number for classes", table("[data.m3fd]\nsplit = 1"), ("data.m3fd.split must be of type",)),
    ("names for sizes", table('[data.synthetic]\nsize = ["a"]'), ("data.synthetic.size must be",)),
    ("a negative limit", top("limit = -1"), ("limit is -1",)),
    ("negative threads", top("threads = -2"), ("threads is -2",)),
    ("a million threads", top("threads = 1000000"), ("threads is 1000000",)),
    ("a negative seed", top("seed = -1"), ("seed is -1",)),
    ("a seed beyond 32 bits", table("[detect]\nseeds = [4294967296]"), ("detect.seeds is 4294",)),
    ("no time to profile", table("[profile]\nseconds = 0"), ("profile.seconds is 0",)),
    ("no stages", top("stages = []"), ("stages is empty",)),
    ("no data sets", top("datasets = []"), ("datasets is empty",)),
    ("no methods", top("methods = []"), ("name at least one method",)),
    ("no metrics", table("[score]\nmetrics = []"), ("score.metrics is empty",)),
    ("a metric twice", table('[score]\nmetrics = ["EN", "EN"]'), ("score.metrics has an entry",)),
    ("a run's name that climbs", top('name = "../up"'), ("name is '../up'", "begins with '.'")),
    ("an absolute name", top('name = "/tmp/up"'), ("name is '/tmp/up'", "slash")),
    ("a name of dots", top('name = ".."'), ("name is '..'", "begins with '.'")),
    ("an empty name", top('name = ""'), ("name is ''", "empty")),
    ("a name like a flag", top('name = "-rf"'), ("name is '-rf'", "begins with '-'")),
    ("a name with NUL", top(r'name = "a\u0000b"'), ("name has a control character",)),
    ("a name of two lines", top(r'name = "a\nbench: all is well"'), ("control character",)),
    ("a name of 300 letters", top(f'name = "{"x" * 300}"'), ("longer than 200 bytes",)),
    ("a folder with NUL", top(r'results = "a\u0000b"'), ("results has a control character",)),
    ("a root with NUL", table('[data.tno]\nroot = "a\\u0000b"'), ("data.tno.root has a control",)),
    ("a row that climbs", table('[fused]\n"../up" = "out"'), ("the row '../up'", "begins")),
    ("a row with a backslash", table("[fused]\n'a\\b' = 'out'"), (r"the row 'a\b'", "slash")),
    ("a row with NUL", table('[fused]\n"a\\u0000" = "out"'), (r"the row 'a\x00'", "control")),
    ("a row named as a method", table('[fused]\nmax = "out"'), ("'max'", "max-theirs")),
    ("a method that climbs", top('methods = ["../max"]'), ("Unknown method '../max'",)),
    ("a set that climbs", top('datasets = ["../tno"]'), ("Unknown data set '../tno'",)),
    ("a resolution of words", table('[profile]\nresolutions = ["big"]'), ("HEIGHTxWIDTH",)),
)  # fmt: skip

FLAGS = (
    ("an unknown method", flags("--methods", "averge"), ("did you mean 'average'",)),
    ("a method in capitals", flags("--methods", "AVERAGE"), ("did you mean 'average'",)),
    ("an unknown set", flags("--datasets", "tnp"), ("did you mean 'tno'",)),
    ("an unknown stage", flags("--stages", "fuse,scor"), ("did you mean 'score'",)),
    ("an unknown metric", flags("--set", 'score.metrics=["VIG"]'), ("did you mean 'VIF'",)),
    ("a metric in small letters", flags("--set", "score.metrics=['en']"), ("did you mean 'EN'",)),
    ("an unknown convention", flags("--convention", "standrad"), ("did you mean 'standard'",)),
    ("an unknown preset", flags("--preset", "quik", "--stages", "detect", "--datasets", "folder"),
     ("did you mean 'quick'",)),
    ("an unknown key of detect", (*DETECT, "--set", "detect.epoch=1"), ("mean 'epochs'",)),
    ("no seeds", (*DETECT, "--set", "detect.seeds=[]"), ("detect.seeds is empty",)),
    ("a key below a value", flags("--set", "name.x=1"), ("'name.x' can't be set",)),
    ("a key of nothing but dots", flags("--set", "..=1"), ("Unknown key",)),
    ("a row like a flag", flags("--fused=-x=out"), ("the row '-x'",)),
    ("a row that climbs", flags("--fused", "../x=out"), ("the row '../x'",)),
    ("a folder as configuration", flags("--config", "data"), ("data can't be read",)),
    ("no such configuration", flags("--config", "absent.toml"), ("absent.toml can't be read",)),
    ("an image as configuration", flags("--config", "data/TNO/vi/01.png"), ("is not valid",)),
    ("a device that is code", flags("--device", "__import__('os')"), ("device '__import__",)),
    ("a table that climbs", ("tables", "../../x"), ("no table '../../x'",)),
    ("a pair that climbs", ("figures", "--pairs", "../01"), ("no pair '../01'",)),
    ("weights of a method that climbs", ("weights", "fetch", "../x"), ("Unknown method '../x'",)),
    ("weights that climb", ("weights", "fetch", "seafusion", "../x"), ("no weights '../x'",)),
    ("a variant that climbs", ("train", "dsifuse", "--variant", "../x", "--train-data", "tno"),
     ("no variant '../x'",)),
    ("two ways to name a run", ("status", "--run", "results/t", "--name", "t"), ("leave out",)),
    ("a run that is a file", ("tables", "--run", "bench.toml"), ("bench.toml is no run",)),
    ("a run that climbs", ("status", "--name", "../data"), ("name is '../data'",)),
)  # fmt: skip

CASES = (
    *(Case(name, spoil, says) for name, spoil, says in FILES),
    *(Case(f"{name}, as a flag", fused_in, says, words) for name, words, says in FLAGS),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_config(case: Case, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judge(case, project, capsys)
    outside = {path.name for path in project.parent.iterdir()}
    assert outside <= {"project", "cache"}, "something was written beside the project"
