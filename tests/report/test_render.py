"""The formats of a table: CSV with every digit, Markdown, terminal, LaTeX that compiles."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from bench.report.frame import read_jobs, read_results
from bench.report.html_table import html_page
from bench.report.latex import escape, latex
from bench.report.render import markdown, terminal, to_csv, write_files
from bench.report.table import Cell, Column, Row, Table
from bench.report.tables import all_tables


@pytest.fixture(scope="module")
def tables(run: Path) -> tuple[Table, ...]:
    return all_tables(read_results(run), read_jobs(run))


SMALL = Table(
    name="small",
    title="A_b & 100 %",
    columns=(Column("EN", "EN"), Column("ms", "ms|x", "lower", 1)),
    rows=(
        Row("x", "X_1", (Cell("6.100", value=6.1, low=6.0, high=6.2, n=9, rank=1), Cell("failed"))),
        Row("y", "Y|2", (Cell("6.000", value=6.0, n=9, rank=2, tie=True), Cell("3.0", value=3.0))),
    ),
    footers=("One <note> with *stars*.",),
)


def test_csv_has_every_digit_and_words_for_what_is_missing(tables: tuple[Table, ...]) -> None:
    lines = list(csv.DictReader(io.StringIO(to_csv(tables[0]))))
    by_method = {line["method"]: line for line in lines}
    cell = next(row for row in tables[0].rows if row.key == "densefuse").cells[0]
    dense = by_method["densefuse"]
    assert float(dense["EN_mean"]) == cell.value
    assert float(dense["EN_low"]) == cell.low and float(dense["EN_high"]) == cell.high
    assert dense["EN_n"] == "40" and dense["ranked"] == "yes"
    assert "MI_ir_mean" in dense
    assert by_method["cddfuse"]["EN_mean"] == "no weights"
    assert by_method["cddfuse"]["EN_low"] == "NA"
    words = ("marks", "note")
    assert all(entry != "" for line in lines for key, entry in line.items() if key not in words)


def test_markdown() -> None:
    assert markdown(SMALL) == (
        "### A\\_b \\& 100 %\n\n"
        "| | EN ↑ | ms\\|x ↓ |\n"
        "|---|---:|---:|\n"
        "| X\\_1 | **6.100** | failed |\n"
        "| Y\\|2 | *6.000*<sup>=</sup> | 3.0 |\n\n"
        "- One \\<note\\> with \\*stars\\*.\n"
    )


def test_terminal_prints_names_with_markup_literally(tables: tuple[Table, ...]) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    for table in tables:
        console.print(terminal(table))
    text = console.export_text()
    assert "R&D_100% {#1} ~^\\ $α$ <Müller>" in text
    assert "no weights" in text and "DSIFuse†" in text


def test_latex_marks_best_second_ties_and_words() -> None:
    text = latex(SMALL)
    assert r"\bfseries\color{red} 6.100 &" in text
    assert r"{\textcolor{blue}{\underline{6.000}}{\rlap{$^{=}$}}} &" in text
    assert r"{\textcolor{gray}{\textit{failed}}}" in text
    assert r"\begin{tabular}{lS[table-format=1.3]S[table-format=1.1]}" in text
    assert r"Method & {EN$\uparrow$} & {ms\textbar{}x$\downarrow$}" in text
    assert r"A\_b \& 100 \%" in text


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("50% & $5_{a}#", r"50\% \& \$5\_\{a\}\#"),
        ("~^\\", r"\textasciitilde{}\textasciicircum{}\textbackslash{}"),
        ("α†480×640", r"$\alpha$$^{\dagger}$480$\times$640"),
        ("Müller 图", r"Müller \texttt{U+56FE}"),
    ],
)
def test_escape(text: str, printed: str) -> None:
    assert escape(text) == printed


def test_files_and_their_latex_compiles(tables: tuple[Table, ...], tmp_path: Path) -> None:
    files = write_files((*tables, SMALL), tmp_path)
    assert {path.name for path in files} == {"tables.tex"} | {
        f"{table.name}.{suffix}"
        for table in (*tables, SMALL)
        for suffix in ("csv", "tex", "md", "html")
    }
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    _compile(tmp_path, "tables")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_with_intervals_fits_an_ieee_page(tables: tuple[Table, ...], tmp_path: Path) -> None:
    if not _has("IEEEtran.cls"):
        pytest.skip("IEEEtran.cls is not installed")
    # The cost table has two times three columns, and only its times have intervals.
    chosen = [table for table in tables if table.name != "cost"]
    for name, intervals in (("plain", False), ("wide", True)):
        write_files(chosen, tmp_path / name, ("tex",), intervals=intervals)
    inputs = "".join(
        rf"\input{{{name}/{table.name}}}" for name in ("plain", "wide") for table in chosen
    )
    (tmp_path / "paper.tex").write_text(
        r"\documentclass[journal]{IEEEtran}\usepackage{booktabs,graphicx,siunitx,xcolor}"
        rf"\begin{{document}}Two columns of text.{inputs}\end{{document}}"
    )
    _compile(tmp_path, "paper")


def _has(file: str) -> bool:
    found = subprocess.run(["kpsewhich", file], capture_output=True, check=False)
    return found.returncode == 0


def _compile(folder: Path, name: str) -> None:
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull \\hbox" not in done.stdout
    assert (folder / f"{name}.pdf").stat().st_size > 10_000


class _Reader(HTMLParser):
    """Texts of a page and the tags that it opens."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


ODD = "a_b & <script>alert(1)</script> Größe 图"


def test_odd_names_survive_every_format(tmp_path: Path) -> None:
    odd = replace(SMALL, title=ODD, rows=(replace(SMALL.rows[0], label=ODD), SMALL.rows[1]))
    page = _Reader()
    page.feed(html_page(odd))
    assert ODD in page.texts
    assert "script" not in {tag for tag, _ in page.tags}
    assert next(csv.DictReader(io.StringIO(to_csv(odd))))["printed_name"] == ODD
    escaped = "a\\_b \\& \\<script\\>alert(1)\\</script\\> Größe 图"
    assert f"| {escaped} |" in markdown(odd)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(terminal(odd))
    assert ODD in console.export_text()
    text = latex(odd)
    assert r"a\_b \& \textless{}script\textgreater{}alert(1)" in text
    assert r"Größe \texttt{U+56FE}" in text


def test_html_says_what_colours_say(tables: tuple[Table, ...]) -> None:
    page = _Reader()
    page.feed(html_page(tables[0]))
    titles = [attributes.get("title") for tag, attributes in page.tags if tag == "span"]
    assert set(titles) == {"best", "second best"}
    numbers = [a["data-value"] for _, a in page.tags if a.get("data-value")]
    row = next(row for row in tables[0].rows if row.key == "dsifuse")
    assert {repr(row.cells[i].value) for i in tables[0].printed()} <= set(numbers)


def test_intervals_stand_behind_means_only_where_asked_for() -> None:
    bounds = "[6.000, 6.200]"
    for plain, asked in (
        (latex(SMALL), latex(SMALL, intervals=True)),
        (html_page(SMALL), html_page(SMALL, intervals=True)),
    ):
        assert bounds not in plain and asked.count(bounds) == 1
    assert r"**6.100** \[6.000, 6.200\] |" in markdown(SMALL, intervals=True)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(terminal(SMALL, intervals=True))
    assert "[6.000 6.200]" in console.export_text()
