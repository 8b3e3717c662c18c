"""A table as HTML: a fragment for other pages, and a page of its own without any script."""

from __future__ import annotations

from html import escape

from bench.report.table import ARROWS, Cell, Column, Table, interval_text

STYLE = """
:root { color-scheme: light dark; --best: #c00000; --second: #0050c8; --faint: #6a6a6a; }
@media (prefers-color-scheme: dark) {
  :root { --best: #ff7b72; --second: #79b8ff; --faint: #a0a0a0; }
}
body { font: 16px/1.4 system-ui, sans-serif; margin: 1.5rem; }
.wide { overflow-x: auto; }
table.bench { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.bench caption { text-align: left; font-weight: 600; padding: 0 0 .5rem; }
.bench th, .bench td { padding: .2rem .7rem; text-align: right; white-space: nowrap; }
.bench th[scope=row], .bench thead th:first-child { text-align: left; }
.bench thead tr:first-child { border-top: 2px solid; }
.bench thead tr:last-child, .bench tr.rule { border-bottom: 1px solid; }
.bench tbody:last-of-type tr:last-child { border-bottom: 2px solid; }
.bench .best { color: var(--best); font-weight: 700; }
.bench .second { color: var(--second); text-decoration: underline; }
.bench .none, .bench .interval { color: var(--faint); font-size: .85em; }
.bench .none { font-style: italic; }
.notes { font-size: .85rem; color: var(--faint); max-width: 60rem; padding-left: 1.2rem; }
"""
_CLASSES = {0: "", 1: "best", 2: "second"}
_WORDS = {1: "best", 2: "second best"}


def html_table(table: Table, *, intervals: bool = False) -> str:
    """`<div class="wide"><table class="bench">…</table></div><ul class="notes">…</ul>`.

    Numeric cells carry `data-value` at full precision for sorting; `STYLE` gives the look.
    """
    printed = table.printed()
    lines = [
        f'<div class="wide"><table class="bench" id="{escape(table.name)}">',
        f"<caption>{escape(table.heading(intervals))}</caption>",
        "<thead>",
    ]
    groups = table.groups()
    if groups:
        heads = "".join(
            f'<th colspan="{span}" scope="colgroup">{escape(heading)}</th>'
            for heading, span in groups
        )
        lines.append(f"<tr><td></td>{heads}</tr>")
    columns = [table.columns[index] for index in printed]
    heads = "".join(
        f'<th scope="col"{_better(c)}>{escape(c.label)} {ARROWS[c.direction]}</th>' for c in columns
    )
    lines += [f'<tr><th scope="col">Method</th>{heads}</tr>', "</thead>", "<tbody>"]
    for place, row in enumerate(table.rows):
        cells = "".join(_cell(table.columns[i], row.cells[i], intervals) for i in printed)
        rule = ' class="rule"' if place + 1 in table.rules else ""
        name = escape(row.label) + escape(row.tail)
        lines.append(f'<tr{rule}><th scope="row">{name}</th>{cells}</tr>')
    lines += ["</tbody>", "</table></div>"]
    if table.footers:
        notes = "".join(f"<li>{escape(note)}</li>" for note in table.footers)
        lines.append(f'<ul class="notes">{notes}</ul>')
    return "\n".join(lines) + "\n"


def html_page(table: Table, *, intervals: bool = False) -> str:
    """The table as a page that needs nothing else."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(table.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"{html_table(table, intervals=intervals)}</body>\n</html>\n"
    )


def _better(column: Column) -> str:
    return f' title="{column.direction} is better"' if column.direction else ""


def _cell(column: Column, cell: Cell, intervals: bool) -> str:
    if cell.value is None:
        return f'<td class="none">{escape(cell.text)}</td>'
    name = _CLASSES[cell.rank]
    # Colour and weight alone tell a screen reader nothing.
    word = _WORDS.get(cell.rank)
    text = f'<span class="{name}" title="{word}">{escape(cell.text)}</span>' if name else cell.text
    tie = '<sup title="not significantly different from the best">=</sup>' if cell.tie else ""
    bounds = interval_text(column, cell) if intervals else ""
    interval = f' <span class="interval">{bounds}</span>' if bounds else ""
    return f'<td data-value="{cell.value!r}">{text}{tie}{interval}</td>'
