"""A table as LaTeX in the paper's look: booktabs, best red and bold, second blue.

The text of `latex` is for \\input; it needs the packages that `standalone` loads.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from bench.report.table import ARROWS, Cell, Row, Table

PACKAGES = r"""\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage{textcomp}
\usepackage{booktabs}
\usepackage{xcolor}"""

_SIGNS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "{''}",
    "`": r"\textasciigrave{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "†": r"$^{\dagger}$",
    "‡": r"$^{\ddagger}$",
    "§": r"$^{\S}$",
    "¶": r"$^{\P}$",
    "…": r"\ldots{}",
    "–": "--",
    "—": "---",
    "−": "$-$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "°": r"$^{\circ}$",
    "µ": r"$\mu$",
    "’": "'",
    "“": "``",
    "”": "''",
}


def escape(text: str) -> str:
    """The text as LaTeX prints it literally. A character without a glyph in the standard fonts is
    printed as its code point, never dropped.
    """
    return "".join(_SIGNS[c] if c in _SIGNS else _plain(c) for c in text)


def _plain(character: str) -> str:
    if character.isascii():
        return character if character.isprintable() else " "
    name = unicodedata.name(character, "")
    if name.startswith("LATIN ") and ord(character) < 0x180:
        return character
    if name.startswith("GREEK SMALL LETTER ") and len(name.split()) == 4:
        letter = name.split()[-1].replace("LAMDA", "LAMBDA").lower()
        return "o" if letter == "omicron" else f"$\\{letter}$"
    return rf"\texttt{{U+{ord(character):04X}}}"


def latex(table: Table) -> str:
    """A `table*` environment with caption, label and footers."""
    printed = table.printed()
    lines = [
        r"\begin{table*}[t]",
        r"\centering\small\setlength{\tabcolsep}{5pt}",
        rf"\caption{{{escape(table.title)}. Best in \textcolor{{red}}{{\textbf{{red}}}}, "
        r"second in \textcolor{blue}{blue}.}",
        rf"\label{{tab:{table.name}}}",
        r"\begin{tabular}{l" + "r" * len(printed) + "}",
        r"\toprule",
        *_headings(table),
    ]
    heads = []
    for index in printed:
        column = table.columns[index]
        arrow = ARROWS[column.direction]
        heads.append(rf"\multicolumn{{1}}{{c}}{{{escape(column.label + arrow)}}}")
    lines += ["Method & " + " & ".join(heads) + r" \\", r"\midrule"]
    for place, row in enumerate(table.rows):
        if place in table.rules:
            lines.append(r"\midrule")
        lines.append(f"{escape(row.label + row.marks)} & {_cells(table, row)}" + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    if table.footers:
        lines += [r"\par\smallskip", r"\begin{minipage}{0.95\linewidth}\footnotesize\raggedright"]
        lines += [escape(note) + r"\par" for note in table.footers]
        lines.append(r"\end{minipage}")
    lines.append(r"\end{table*}")
    return "\n".join(lines) + "\n"


def _headings(table: Table) -> list[str]:
    """The spanning headings with their rules, or nothing."""
    groups = table.groups()
    if not groups:
        return []
    heads, rules, place = [], [], 2
    for heading, span in groups:
        heads.append(rf"\multicolumn{{{span}}}{{c}}{{{escape(heading)}}}")
        if heading:
            rules.append(rf"\cmidrule(lr){{{place}-{place + span - 1}}}")
        place += span
    return [" & " + " & ".join(heads) + r" \\", "".join(rules)]


def _cells(table: Table, row: Row) -> str:
    status = table.same_status(row)
    if status:
        return rf"\multicolumn{{{len(table.printed())}}}{{c}}{{{_missing(status)}}}"
    return " & ".join(_cell(row.cells[i]) for i in table.printed())


def _missing(words: str) -> str:
    return rf"\textcolor{{gray}}{{\textit{{{escape(words)}}}}}"


def _cell(cell: Cell) -> str:
    if cell.value is None:
        return _missing(cell.text)
    text = escape(cell.text)
    if cell.rank == 1:
        text = rf"\textcolor{{red}}{{\textbf{{{text}}}}}"
    elif cell.rank == 2:
        text = rf"\textcolor{{blue}}{{{text}}}"
    # Zero width keeps the digits of the column aligned.
    return text + (r"\rlap{$^{=}$}" if cell.tie else "")


def standalone(names: Sequence[str]) -> str:
    """A document that inputs the named tables from its own folder."""
    inputs = "\n".join(rf"\input{{{name}}}" for name in names)
    return (
        r"\documentclass{article}"
        "\n"
        r"\usepackage[a4paper,landscape,margin=15mm]{geometry}"
        f"\n{PACKAGES}\n\\begin{{document}}\n{inputs}\n\\end{{document}}\n"
    )
