"""The comparison with the paper as text: sections for terminal, Markdown and CSV."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from bench.errors import UserError
from bench.report.audit import CHECKS
from bench.report.compare import (
    CLOSE,
    FEWEST,
    SHIPPED,
    Measured,
    rank_agreement,
    readings,
    side_by_side,
)
from bench.report.published_tables import PAIRS, PAPER, TITLES, printed_names, published
from bench.report.render import escape_markdown
from bench.report.statements import STATEMENTS, judge

OUTCOMES = ("supported", "contradicted", "not decided")


@dataclass(frozen=True)
class Section:
    """A heading, sentences, and perhaps a table whose cells may have several lines."""

    title: str
    text: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Comparison:
    """sections: for people. files: name of a CSV -> the numbers behind them."""

    sections: tuple[Section, ...]
    files: dict[str, pd.DataFrame]


def comparison(measured: Measured) -> Comparison:
    """Everything that `bench compare` says."""
    beside = side_by_side(measured)
    agreement = rank_agreement(beside)
    verdicts = pd.DataFrame(
        [
            (s.text, s.source, v.outcome, v.evidence)
            for s in STATEMENTS
            for v in (judge(s, measured),)
        ],
        columns=["statement", "source", "outcome", "evidence"],
    )
    paper = published()
    audit = pd.DataFrame(
        [
            (check.name, finding.table, finding.row, "yes" if finding.fits else "no", finding.text)
            for check in CHECKS
            for finding in check.find(paper)
        ],
        columns=["check", "table", "row", "fits", "text"],
    )
    read = readings(measured)
    sections = (
        _introduction(measured, beside),
        *(_table(measured, beside, number) for number in sorted(measured.chosen)),
        ranks(agreement),
        *_verdicts(verdicts),
        *_audit(audit),
        _readings(read),
    )
    files = {
        "side-by-side": beside,
        "rank-agreement": agreement,
        "statements": verdicts,
        "audit": audit,
        "readings": read,
    }
    return Comparison(sections, files)


def _introduction(measured: Measured, beside: pd.DataFrame) -> Section:
    ours = beside[(beside["weights"] == "suite") & beside["measured"].notna()]
    names = printed_names(published())
    trained = ", ".join(names[m] for m in dict.fromkeys(ours["method"]))
    which = "; ".join(
        f"Table {number}: run {run.name}, {table.title}"
        for number, (run, table) in sorted(measured.chosen.items())
    )
    text = [
        f"Published: Tables 1-5 of {PAPER}. Measured: {which}.",
        "Measured rows follow this suite's rules (stored 8-bit images, clamped output, convention "
        "standard); the paper states neither its convention nor its output rule.",
    ]
    if trained:
        text.append(
            f"Weights trained by this suite, not the authors': {trained}. A difference in these "
            "rows says something about our weights, not about the published networks."
        )
    lacking = [str(n) for n in TITLES if n not in measured.chosen]
    if lacking:
        text.append(f"Not measured in these runs: Table {', '.join(lacking)}.")
    return Section("Measured beside published", tuple(text))


def _table(measured: Measured, beside: pd.DataFrame, number: int) -> Section:
    part = beside[beside["table"] == number]
    title = f"Table {number}: {measured.chosen[number][1].title}"
    metrics = tuple(dict.fromkeys(part["metric"]))
    names = printed_names(published())
    rows = []
    for method in dict.fromkeys(part["method"]):
        own = part[part["method"] == method].set_index("metric")
        if own["measured"].notna().any():
            rows.append((names[method], *(_cell(own.loc[metric]) for metric in metrics)))
    absent = part[part["measured"].isna()]
    first = f"The paper: {PAIRS[number]} pairs."
    if not rows:
        return Section(title, (f"{first} None of its methods was measured in this run.",))
    text = [f"{first} Each cell: measured, published, relative difference."]
    # Where the two can't be expected to agree: split, recipe, what was done to the images.
    telling = ("Split", "Detector", "◊", "§")
    text += [note for note in measured.chosen[number][1].footers if note.startswith(telling)]
    if "SSIM" in metrics:
        text.append(
            "The printed SSIM fits another convention than standard (last section), so that its "
            "differences say nothing about the images."
        )
    missing = [
        f"{names[m]} ({s})"
        for m, s in dict(zip(absent["method"], absent["status"], strict=True)).items()
    ]
    if missing:
        text.append(f"No measured number: {', '.join(missing)}.")
    heads = ("", *(metric.removeprefix("AP50_") for metric in metrics))
    return Section(title, tuple(text), heads, tuple(rows))


def _cell(row: pd.Series[Any]) -> str:
    if math.isnan(float(row["measured"])):
        return f"{row['status']}\n{row['published']:g}"
    mark = "" if row["status"] == "done" else " ◊"
    return (
        f"{row['measured']:.{_digits(row)}f}{mark}\n{row['published']:.{_digits(row)}f}\n"
        f"{100 * float(row['relative']):+.1f} %"
    )


def _digits(row: pd.Series[Any]) -> int:
    return 1 if int(row["table"]) == 4 else 3


def ranks(agreement: pd.DataFrame) -> Section:
    """The ranks; without those tables in which there are too few methods to have an order."""
    title = "Do the methods keep their order?"
    enough = agreement[agreement["methods"] >= FEWEST]
    few = [str(number) for number in dict.fromkeys(agreement["table"])]
    few = [number for number in few if number not in set(enough["table"].astype(str))]
    left_out = (
        f"Table {', '.join(few)}: no order to compare, since fewer than {FEWEST} methods have a "
        "measured and a printed number."
    )
    if enough.empty:
        return Section(title, (left_out,))
    rows = tuple(
        (
            f"{table} ({TITLES[table]})",
            str(metric),
            str(methods),
            "–" if math.isnan(tau) else f"{tau:+.2f}",
            "–" if math.isnan(p) else f"{p:.2g}",
        )
        for table, metric, methods, tau, p in enough.itertuples(index=False)
    )
    text = (
        "Kendall's τ-b between the order of the methods here and in print: 1 the same order, 0 "
        "unrelated, −1 reversed; p for τ = 0; a dash where all numbers are equal.",
        *((left_out,) if few else ()),
    )
    return Section(title, text, ("table", "metric", "methods", "τ", "p"), rows)


def _verdicts(verdicts: pd.DataFrame) -> list[Section]:
    counts = ", ".join(f"{sum(verdicts['outcome'] == o)} {o}" for o in OUTCOMES)
    intro = Section(
        "The paper's statements",
        (
            f"{len(verdicts)} statements: {counts}. Decided by a paired signed-rank test over "
            "images (detection: over seeds) with Holm's correction over the rivals, 5 %; brackets "
            "are 95 % bootstrap intervals. Supported needs every rival of the paper measured, and "
            "several runs of one table (other seeds of a training) must agree.",
            "Where it says (our weights), the outcome holds for weights that this suite trained, "
            "and decides nothing about the published network.",
        ),
    )
    sections = [intro]
    for outcome in OUTCOMES:
        part = verdicts[verdicts["outcome"] == outcome]
        if len(part):
            rows = tuple(zip(part["statement"], part["source"], part["evidence"], strict=True))
            heads = ("statement", "made in", "our numbers")
            sections.append(Section(outcome.capitalize(), (), heads, rows))
    return sections


def _audit(audit: pd.DataFrame) -> list[Section]:
    sections = [Section("The published tables, checked with their own numbers")]
    for check in CHECKS:
        part = audit[audit["check"] == check.name]
        wrong = part[part["fits"] == "no"]
        text = (check.said, check.note, f"{len(part) - len(wrong)} of {len(part)} agree.")
        rows = tuple(
            zip((f"Table {n}" for n in wrong["table"]), wrong["row"], wrong["text"], strict=True)
        )
        heads = ("where", "row", "does not agree") if rows else ()
        sections.append(Section(check.name.capitalize(), text, heads, rows))
    return sections


def _readings(read: pd.DataFrame) -> Section:
    order = {metric: k for k, metric in enumerate(("EN", "MI", "AG", "SD", "VIF", "SSIM"))}
    parts = [(str(m), str(r), part) for (m, r), part in read.groupby(["metric", "reading"])]
    rows = tuple(
        (f"{metric}: {reading}", _where(part[part["fits"]]), _where(part[~part["fits"]]))
        for metric, reading, part in sorted(parts, key=lambda part: order[part[0]])
    )
    text = (
        "How far the printed number lies from what the same images give under each reading, "
        "relative to ours (the tables above: ours relative to the printed; * "
        "numbers that ship with this suite, made with the authors' weights or images). Rows with "
        "other weights are left out: they are other images. Where no reading fits a row in any "
        "metric, its images differ, and nothing can be said about the convention.",
        *_fitting(read),
    )
    heads = ("reading", f"within {100 * CLOSE:.0f} %", "further away")
    return Section("Which convention do the printed values fit?", text, heads, rows)


def _where(part: pd.DataFrame) -> str:
    names = printed_names(published())
    return ", ".join(
        f"{names[method]} on {dataset}{'*' if run == SHIPPED else ''} {100 * relative:+.1f} %"
        for method, dataset, run, relative in zip(
            part["method"], part["dataset"], part["run"], part["relative"], strict=True
        )
    )


def _fitting(read: pd.DataFrame) -> list[str]:
    """For the row that fits best, the readings that it leaves."""
    shares = (
        read[read["fits"]].groupby(["dataset", "method", "run"], sort=False)["metric"].nunique()
    )
    if shares.empty:
        return []
    keys = [tuple(map(str, key)) for key in shares.index]
    dataset, method, run = keys[int(shares.to_numpy().argmax())]
    own = read[(read["dataset"] == dataset) & (read["method"] == method) & (read["run"] == run)]
    fits = own[own["fits"]].groupby("metric", sort=False)["reading"].agg(" or ".join)
    words = "; ".join(f"{metric}: {reading}" for metric, reading in fits.items())
    name = printed_names(published())[method]
    mark = "*" if run == SHIPPED else ""
    return [f"Most metrics fit for {name} on {dataset}{mark}. What fits there: {words}."]


def markdown(found: Comparison) -> str:
    """The sections as GitHub Markdown; the first is the page's title."""
    lines: list[str] = []
    for place, section in enumerate(found.sections):
        lines += [f"{'#' if place == 0 else '##'} {section.title}", ""]
        lines += [line for text in section.text for line in (escape_markdown(text), "")]
        if section.heads:
            lines.append(f"| {' | '.join(_md(head) for head in section.heads)} |")
            lines.append("|---" * len(section.heads) + "|")
            lines += [f"| {' | '.join(_md(cell) for cell in row)} |" for row in section.rows]
            lines.append("")
    return "\n".join(lines)


def _md(cell: str) -> str:
    return "<br>".join(escape_markdown(line) for line in cell.split("\n"))


def terminal(found: Comparison) -> Group:
    """The sections for a terminal."""
    parts: list[Text | RichTable] = []
    for section in found.sections:
        parts.append(Text(f"\n{section.title}", style="bold"))
        parts += [Text(text) for text in section.text]
        if section.heads:
            table = RichTable(show_lines=True)
            for place, head in enumerate(section.heads):
                table.add_column(Text(head), no_wrap=place == 0 and len(section.heads) > 5)
            for row in section.rows:
                table.add_row(*(Text(cell) for cell in row))
            parts.append(table)
    return Group(*parts)


def write(found: Comparison, out: Path) -> tuple[Path, ...]:
    """`out`/compare.md and one CSV of numbers for each part."""
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file: give a folder for compare.md and its CSV files.")
    out.mkdir(parents=True, exist_ok=True)
    page = out / "compare.md"
    page.write_text(markdown(found), encoding="utf-8", newline="\n")
    paths = [page]
    for name, frame in found.files.items():
        path = out / f"{name}.csv"
        frame.to_csv(path, index=False, na_rep="NA", lineterminator="\n")
        paths.append(path)
    return tuple(paths)
