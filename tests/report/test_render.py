"""The formats of a table: CSV with every digit, Markdown, terminal, LaTeX that compiles."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from bench.report.frame import read_jobs, read_results
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
    assert all(entry != "" for line in lines for key, entry in line.items() if key != "marks")


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
    assert r"\textcolor{red}{\textbf{6.100}}" in text
    assert r"\textcolor{blue}{6.000}\rlap{$^{=}$}" in text
    assert r"\textcolor{gray}{\textit{failed}}" in text
    assert r"\multicolumn{1}{c}{EN$\uparrow$}" in text
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
        f"{table.name}.{suffix}" for table in (*tables, SMALL) for suffix in ("csv", "tex", "md")
    }
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull \\hbox" not in done.stdout
    assert (tmp_path / "tables.pdf").stat().st_size > 10_000
