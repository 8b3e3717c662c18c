"""The corpus of bad inputs: what a case is, and the one way in which every case is judged."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cli import main

SIZE = (64, 48)
STEMS = ("01", "02", "03")
CONFIG = """
name = "t"
methods = ["average", "max"]
datasets = ["tno"]
stages = ["fuse", "score"]
threads = 1
[data]
root = "data"
[data.folder]
classes = ["person", "car"]
split = "splits"
"""
# A run with detection as far as its labels: their defects show before any training.
DETECT = ("run", "--datasets", "folder", "--methods", "average", "--stages", "detect")
RUN = ("run",)


@dataclass(frozen=True)
class Case:
    """One bad input. spoil(project) makes it; says: parts of the sentence that it must get.

    code: 2 where nothing may be done, 1 where the other rows go on and the bad one has its reason.
    """

    name: str
    spoil: Callable[[Path], object]
    says: tuple[str, ...]
    command: tuple[str, ...] = RUN
    code: int = 2


def build(project: Path) -> None:
    """A small TNO and a small labelled folder with a configuration for both."""
    random = np.random.default_rng(5)
    for visible, infrared in (("TNO/vi", "TNO/ir"), ("folder/visible", "folder/infrared")):
        for folder, shape in ((visible, (*SIZE[::-1], 3)), (infrared, SIZE[::-1])):
            (project / "data" / folder).mkdir(parents=True)
            for stem in STEMS:
                samples = random.integers(0, 256, shape, dtype=np.uint8)
                Image.fromarray(samples).save(project / "data" / folder / f"{stem}.png")
    labels, splits = project / "data" / "folder" / "labels", project / "data" / "folder" / "splits"
    labels.mkdir()
    splits.mkdir()
    for stem in STEMS:
        (labels / f"{stem}.xml").write_text(voc())
    (splits / "train.txt").write_text("01\n")
    (splits / "test.txt").write_text("02\n03\n")
    (project / "bench.toml").write_text(CONFIG)


def voc(box: str = "5 6 20 30", name: str = "person") -> str:
    """A VOC annotation with one object; box: xmin ymin xmax ymax."""
    edges = zip(("xmin", "ymin", "xmax", "ymax"), box.split(), strict=False)
    inner = "".join(f"<{tag}>{edge}</{tag}>" for tag, edge in edges)
    return (
        f"<annotation><object><name>{name}</name><bndbox>{inner}</bndbox></object></annotation>\n"
    )


def finished_files(project: Path) -> Counter[str]:
    """The content of every file of the finished jobs, put-aside ones too, as hashes."""
    return Counter(
        hashlib.sha256(path.read_bytes()).hexdigest()
        for record in (project / "results").rglob("job.json")
        if not record.parent.name.endswith(".partial")
        for path in record.parent.iterdir()
    )


def whole_tree(project: Path) -> dict[str, str]:
    """The hash of every file under the results."""
    return {
        str(path.relative_to(project)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((project / "results").rglob("*"))
        if path.is_file()
    }


def judge_output(case: Case, code: int, out: str, err: str) -> None:
    """The exit code, no traceback, and one sentence that names what is wrong."""
    printed = f"exit code {code}\n{out}\n{err}"
    assert "Traceback" not in out + err, printed
    assert code == case.code, printed
    if code == 2:
        assert err.startswith("bench: ") and err.count("\n") == 1 and err.endswith(".\n"), printed
        lines = [err]
    else:
        lines = [*out.splitlines(), *err.splitlines()]
    assert any(all(part in line for part in case.says) for line in lines), printed


def judge(case: Case, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Spoil the project, run the command, and check what it says and what it left alone."""
    before, tree = finished_files(project), whole_tree(project)
    assert before, "the project holds finished work"
    case.spoil(project)
    try:
        code = main(case.command)
    except SystemExit as error:
        code = int(str(error.code))
    printed = capsys.readouterr()
    judge_output(case, code, printed.out, printed.err)
    assert not before - finished_files(project), "finished work is lost"
    if code == 2:
        assert whole_tree(project) == tree, "a refused command left something behind"
