"""Names in tables: what they hold is printed as text in LaTeX, Markdown and CSV, whatever it is."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from bench.cli import main
from bench.errors import UserError
from bench.report import latex
from bench.report.figures import qualitative
from bench.report.render import markdown, to_csv
from bench.report.table import Cell, Column, Row, Table

NAME = "a_b & <script>alert(1)</script> é 50% \\input{/etc/passwd} $x$ `id` | [a](b) #1 ~ ^ {"
ROW = "a_b & <script>alert(1)< é 50%"


def table() -> Table:
    return Table(
        name="fusion-tno",
        title=NAME,
        columns=(Column("EN", "EN", "higher"),),
        rows=(Row(NAME, NAME, (Cell("6.500", value=6.5),)),),
        footers=(f"{NAME}\nand more",),
    )


def test_latex_prints_names() -> None:
    head, _, text = latex.latex(table()).partition("\n")
    assert head.startswith("%")
    for raw in ("a_b", " & <", "<script>", "50% ", r"\input", "$x$", "`id`", "| [", " #1", " ~ "):
        assert raw not in text
    shown = (
        r"a\_b \& \textless{}script\textgreater{}alert(1)\textless{}/script\textgreater{} é 50\%"
    )
    # As title, as label and in the footer.
    assert text.count(shown) == 3
    assert text.count(r"\textbackslash{}input\{/etc/passwd\}") == 3


def test_markdown_prints_names() -> None:
    lines = markdown(table()).splitlines()
    assert [line[:2] for line in lines if line] == ["##", "| ", "|-", "| ", "- "]
    shown = (
        r"a\_b \& \<script\>alert(1)\</script\> é 50% \\input{/etc/passwd} \$x\$ \`id\` \| \[a\]"
    )
    assert sum(shown in line for line in lines) == 3
    assert not any("<script>" in line for line in lines)


def test_csv_keeps_names() -> None:
    _, row = csv.reader(to_csv(table()).splitlines())
    assert row[:2] == [NAME, NAME]


def test_figures_print_names(tmp_path: Path) -> None:
    image = tmp_path / "x.png"
    Image.new("RGB", (64, 48), 99).save(image)
    columns = {"Visible": image, "Infrared": image, NAME: image, r"$\nonsense{$": image}
    files = qualitative([("x", columns)], tmp_path / "panel")
    assert files and all(path.is_file() for path in files)


def test_a_hostile_row_through_the_command_line(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "data/TNO/ir").rename(project / "data/TNO/infrared")
    (project / "out").symlink_to(project / "data/TNO/infrared")
    assert main(("run", "--methods", "average", "--fused", f"{ROW}=out")) == 0
    assert ROW in capsys.readouterr().out
    tables = project / "results/t/tables"
    assert r"a\_b \& \textless{}script" in (tables / "fusion-tno.tex").read_text()
    assert r"a\_b \& \<script\>" in (tables / "fusion-tno.md").read_text()


@pytest.mark.parametrize(
    "record",
    [
        '{"datasets": 5, "methods": null, "stages": "x"}',
        '{"datasets": [["tno"]], "methods": [7], "stages": [{}]}',
        r'{"datasets": ["../up", "x}\\input{y"], "methods": ["a/b", "a\nb"]}',
        "[1]",
        "{",
    ],
)
def test_results_of_a_stranger(
    record: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = project / "results/t"
    (run / "run.json").write_text(record)
    shutil.copytree(run / "tno", run / r"x}\input{y")
    job = run / "tno/max/score/job.json"
    job.write_text(json.dumps({**json.loads(job.read_text()), "facts": [1], "reason": 7}))
    assert main(("tables", "--run", str(run))) == 0
    assert main(("status", "--run", str(run))) == 0
    assert "job.json is damaged" in (run / "tables/fusion-tno.md").read_text()
    assert "Traceback" not in capsys.readouterr().err
    assert [path.name for path in (run / "tables").glob("*.csv")] == ["fusion-tno.csv"]


def test_a_sentence_is_one_line() -> None:
    assert str(UserError("a\nb\x1b[31m\u2028\udcff é 夜")) == r"a\nb\x1b[31m\u2028\udcff é 夜"
