"""What README and docs/ say is true: commands parse, links lead somewhere, examples run."""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bench.arguments import parser
from bench.cli import HANDLERS, main
from bench.config_file import read
from bench.methods.protocol import fuse

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(bench [^`]+)`")


def commands() -> list[str]:
    """The whole commands of the shell blocks."""
    found: list[str] = []
    for page in PAGES:
        for language, block in BLOCK.findall(page.read_text(encoding="utf-8")):
            if language in ("sh", "bash"):
                lines = block.replace("\\\n", " ").splitlines()
                found += [line for line in lines if line.startswith("bench ")]
    return [line.partition("#")[0].strip() for line in found]


def mentioned() -> list[str]:
    """The commands named in running text, without their arguments."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    return [re.split(r" (?=[A-Z-])", line)[0] for line in INLINE.findall(BLOCK.sub("", text))]


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_every_printed_command_is_one(line: str) -> None:
    parser(HANDLERS).parse_args(shlex.split(line)[1:])


@pytest.mark.parametrize("line", sorted(set(mentioned())))
def test_every_mentioned_command_has_help(line: str) -> None:
    # The last word may be an argument, as in `bench train dsifuse`.
    with pytest.raises(SystemExit) as ended:
        parser(HANDLERS).parse_args([*shlex.split(line)[1:], "--help"])
    assert ended.value.code == 0


def test_there_are_commands_to_check() -> None:
    assert len(commands()) >= 9


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_the_python_example_of_the_metrics_page() -> None:
    failed, tried = doctest.testfile(str(ROOT / "docs" / "metrics.md"), module_relative=False)
    assert tried >= 4 and failed == 0


def test_the_method_of_adding_a_method_runs() -> None:
    text = (ROOT / "docs" / "adding-a-method.md").read_text(encoding="utf-8")
    code = next(block for language, block in BLOCK.findall(text) if language == "python")
    scope: dict[str, object] = {}
    exec(compile(code, "adding-a-method.md", "exec"), scope)
    method = scope["METHOD"]
    visible = torch.full((1, 3, 4, 4), 10, dtype=torch.uint8)
    fused = fuse(method.build(), method.protocol, visible, visible[:, :1] + 5)  # type: ignore[attr-defined]
    assert fused.unique().tolist() == [15]


def test_bench_toml_shows_the_defaults() -> None:
    shown, default = read(ROOT / "bench.toml", {}), read(None, {})
    for key in ("name", "results", "methods", "datasets", "stages", "limit", "device", "threads",
                "seed", "fuse", "score", "detect", "profile", "weights"):  # fmt: skip
        assert getattr(shown, key) == getattr(default, key), key
    assert shown.data.root == default.data.root


def test_the_score_command_of_the_readme_runs(
    tmp_path: Path,
    make_pairs: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    make_pairs(tmp_path / "MSRS/test/vi", tmp_path / "MSRS/test/ir", 2)
    make_pairs(tmp_path / "MINE", tmp_path / "unused", 2)
    line = next(line for line in commands() if line.startswith("bench score"))
    assert main(shlex.split(line)[1:]) == 0
    assert (tmp_path / "scores.csv").is_file()
    assert "2 images" in capsys.readouterr().out
