"""A table as LaTeX in the paper's look: booktabs, best red and bold, second blue and underlined.

The text of `latex` is for \\input; it needs the packages that `standalone` loads.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from bench.report.table import ARROWS, Cell, Row, Table, interval_text

PACKAGES = r"""\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage{textcomp}
\usepackage{booktabs}
\usepackage{graphicx}
\usepackage{siunitx}
\usepackage{xcolor}"""
NEEDS = "booktabs, graphicx, siunitx and xcolor"

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
    "◊": r"$^{\diamond}$",
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


def latex(table: Table, *, intervals: bool = False) -> str:
    """A `table*` environment with caption, label and footers. intervals: behind every mean."""
    printed = table.printed()
    last = r"@{\hspace{0.6em}}l" if intervals else ""
    columns = "".join(f"S[table-format={_format(table, index)}]{last}" for index in printed)
    lines = [
        f"% \\input this file; the preamble needs {NEEDS}.",
        r"\begin{table*}[t]",
        rf"\centering\small\setlength{{\tabcolsep}}{{{3 if intervals else 5}pt}}",
        # The class article leaves no room between a caption and the table below it.
        r"\setlength{\belowcaptionskip}{5pt}",
        r"\sisetup{detect-weight=true,detect-family=true,mode=text}",
        rf"\caption{{{escape(table.heading(intervals))}.{_colours(table)}}}",
        rf"\label{{tab:{table.name}}}",
        # Shrinks what is wider than the page, and nothing else.
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{columns}}}",
        r"\toprule",
        *_headings(table, 2 if intervals else 1),
    ]
    heads = []
    for index in printed:
        column = table.columns[index]
        text = escape(column.label + ARROWS[column.direction])
        heads.append(rf"\multicolumn{{2}}{{c}}{{{text}}}" if intervals else f"{{{text}}}")
    lines += ["Method & " + " & ".join(heads) + r" \\", r"\midrule"]
    for place, row in enumerate(table.rows):
        if place in table.rules:
            lines.append(r"\midrule")
        lines.append(f"{escape(row.label + row.tail)} & {_cells(table, row, intervals)}" + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}}"]
    if table.footers:
        lines += [r"\par\smallskip", r"\begin{minipage}{0.95\linewidth}\footnotesize\raggedright"]
        lines += [escape(note) + r"\par" for note in table.footers]
        lines.append(r"\end{minipage}")
    lines.append(r"\end{table*}")
    return "\n".join(lines) + "\n"


def _whole_digits(text: str) -> int:
    return len(text.partition(".")[0])


def _format(table: Table, index: int) -> str:
    """siunitx's table-format of a column: digits before and after the point."""
    texts = [row.cells[index].text for row in table.rows if row.cells[index].value is not None]
    whole = max((_whole_digits(text) for text in texts), default=1)
    return f"{whole}.{table.columns[index].decimals}"


def _colours(table: Table) -> str:
    """What the colours mean, where anything can be best."""
    if not any(table.columns[index].direction for index in table.printed()):
        return ""
    return (
        r" Best in \textcolor{red}{\textbf{red and bold}}, "
        r"second in \textcolor{blue}{\underline{blue and underlined}}."
    )


def _headings(table: Table, width: int) -> list[str]:
    """The spanning headings with their rules, or nothing. width: columns behind one number."""
    groups = table.groups()
    if not groups:
        return []
    heads, rules, place = [], [], 2
    for heading, count in groups:
        span = count * width
        heads.append(rf"\multicolumn{{{span}}}{{c}}{{{escape(heading)}}}")
        if heading:
            rules.append(rf"\cmidrule(lr){{{place}-{place + span - 1}}}")
        place += span
    return [" & " + " & ".join(heads) + r" \\", "".join(rules)]


def _cells(table: Table, row: Row, intervals: bool) -> str:
    printed = table.printed()
    status = table.same_status(row)
    if status:
        span = len(printed) * (2 if intervals else 1)
        return rf"\multicolumn{{{span}}}{{c}}{{{_missing(status)}}}"
    cells = []
    for index in printed:
        column, cell = table.columns[index], row.cells[index]
        cells.append(_cell(cell, int(_format(table, index).partition(".")[0])))
        if intervals:
            text = interval_text(column, cell)
            cells.append(rf"{{\scriptsize {text}}}" if text else "")
    return " & ".join(cells)


def _missing(words: str) -> str:
    return rf"\textcolor{{gray}}{{\textit{{{escape(words)}}}}}"


def _cell(cell: Cell, whole: int) -> str:
    """A number for siunitx. whole: digits before the point of the column's longest number."""
    if cell.value is None:
        return f"{{{_missing(cell.text)}}}"
    # Zero width keeps the digits of the column aligned.
    tie = r"{\rlap{$^{=}$}}" if cell.tie else ""
    if cell.rank == 1:
        return rf"\bfseries\color{{red}} {cell.text}{tie}"
    if cell.rank == 2:
        # siunitx can't underline: a text of the column's width, centred, stands as a number does.
        missing = whole - _whole_digits(cell.text)
        room = rf"\phantom{{{'0' * missing}}}" if missing else ""
        text = rf"\textcolor{{blue}}{{\underline{{{escape(cell.text)}}}}}"
        return f"{{{room}{text}{tie}}}"
    return cell.text + tie


def standalone(names: Sequence[str]) -> str:
    """A document that inputs the named tables from its own folder."""
    inputs = "\n".join(rf"\input{{{name}}}" for name in names)
    return (
        r"\documentclass{article}"
        "\n"
        r"\usepackage[a4paper,landscape,margin=15mm]{geometry}"
        f"\n{PACKAGES}\n\\begin{{document}}\n{inputs}\n\\end{{document}}\n"
    )
