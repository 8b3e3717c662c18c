"""The paper's statements as records, and what our numbers say to each.

A statement is decided by a paired signed-rank test over images (detection: seeds) with Holm's
correction over the rivals at 5 %, never by means alone. It is supported only if every rival that
the paper names was measured, and in every run that has the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from bench.errors import counted
from bench.report.compare import Measured, paired
from bench.report.published_tables import OWN, TITLES, printed, printed_names, published
from bench.report.statistics import bootstrap_mean_interval, holm_rejections, signed_rank_p

Outcome = Literal["supported", "contradicted", "not decided"]
LEVEL = 0.05


@dataclass(frozen=True)
class Verdict:
    """outcome, and the numbers and intervals that it rests on, in a sentence or two."""

    outcome: Outcome
    evidence: str


@dataclass(frozen=True)
class Statement:
    """text: the statement in plain words. source: where the paper makes it."""

    text: str
    source: str
    decide: Callable[[Measured], Verdict]


def judge(statement: Statement, measured: Measured) -> Verdict:
    """The verdict that all runs of the statement's table agree on; "not decided" where they don't.

    Repeats that say the same by the same numbers, because the statement is not about their table,
    count once.
    """
    verdicts = list(dict.fromkeys(statement.decide(view) for view in measured.views()))
    if len({verdict.outcome for verdict in verdicts}) == 1:
        return Verdict(verdicts[0].outcome, " Again: ".join(v.evidence for v in verdicts))
    said = (f"{verdict.outcome.capitalize()} by {verdict.evidence}" for verdict in verdicts)
    return Verdict("not decided", f"The runs disagree. {' '.join(said)}")


def best(measured: Measured, number: int, method: str, metric: str, sign: int = 1) -> Verdict:
    """Whether the method is better than every other row of the table (sign −1: lower than)."""
    rivals = _rivals(number, method)
    values = paired(measured, number, (method, *rivals), metric)
    if not values:
        return Verdict("not decided", f"Table {number} was not measured here.")
    if method not in values:
        return Verdict("not decided", f"{_name(measured, number, method)} was not measured here.")
    here = [name for name in rivals if name in values]
    missing = [name for name in rivals if name not in values]
    if not here:
        return Verdict("not decided", "None of the rivals was measured here.")
    gaps = {name: sign * float(np.mean(values[method] - values[name])) for name in here}
    tests = {name: signed_rank_p(values[method], values[name]) for name in here}
    clear = holm_rejections(tests, LEVEL)
    better = [name for name in here if gaps[name] < 0 and name in clear]
    tied = [name for name in here if name not in clear]
    shown = [method, *(better or tied or [min(here, key=lambda name: gaps[name])])]
    unit = "seed" if number == 4 else "image"
    count = len(values[method])
    evidence = (
        f"{count} {unit}s: ".replace("1 seeds", "1 seed")
        + "; ".join(f"{_name(measured, number, m)} {_mean(values[m])}" for m in shown)
        + "."
    )
    if better:
        more = "above" if sign > 0 else "below"
        words = f"{_count(better)} significantly {more}: {_names(measured, number, better)}."
        return Verdict("contradicted", f"{evidence} {words}")
    if tied:
        words = f"Not significantly different: {_names(measured, number, tied)}."
        return Verdict("not decided", f"{evidence} {words}")
    if missing:
        words = (
            f"Ahead of the {len(here)} rivals measured, but not measured: "
            f"{_names(measured, number, missing)}."
        )
        return Verdict("not decided", f"{evidence} {words}")
    return Verdict("supported", f"{evidence} Ahead of all {len(here)} rivals.")


def not_best(measured: Measured, number: int, method: str, metric: str) -> Verdict:
    """Whether at least one other row is better than the method."""
    opposite: dict[Outcome, Outcome] = {
        "supported": "contradicted",
        "contradicted": "supported",
        "not decided": "not decided",
    }
    verdict = best(measured, number, method, metric)
    return Verdict(opposite[verdict.outcome], verdict.evidence)


def cheaper(measured: Measured, method: str, than: str, quantity: str, unit: str) -> Verdict:
    """Whether the method has less of a quantity of the cost table; counts need no test."""
    for run in measured.runs:
        rows = run.frame[(run.frame["stage"] == "profile") & (run.frame["name"] == quantity)]
        sizes = [rows.loc[rows["method"] == name, "item"] for name in (method, than)]
        common = [size for size in sizes[0] if size in set(sizes[1])]
        if not common:
            continue
        rows = rows[rows["item"] == common[0]].set_index("method")["value"]
        own, other = float(rows[method]), float(rows[than])
        where = f" at {str(common[0]).replace('x', '×')}" if quantity == "macs" else ""
        evidence = (
            f"{unit}{where}: DSIFuse {_count_text(own)}, {printed_names(published())[than]} "
            f"{_count_text(other)} (ratio {own / other:.3f})."
        )
        return Verdict("supported" if own < other else "contradicted", evidence)
    return Verdict("not decided", f"The profile stage has not run for {method} and {than}.")


def _count_text(value: float) -> str:
    return f"{value / 1e9:.2f} G" if value >= 1e9 else f"{value:,.0f}"


def _rivals(number: int, method: str) -> list[str]:
    return [str(name) for name in printed(published(), number).index if name != method]


def _name(measured: Measured, number: int, method: str) -> str:
    """The printed name; weights that are not the authors' are said with it."""
    name = printed_names(published())[method]
    return f"{name} (our weights)" if measured.track(number, method) == "suite" else name


def _names(measured: Measured, number: int, methods: Sequence[str]) -> str:
    return ", ".join(_name(measured, number, method) for method in methods)


def _count(names: Sequence[str]) -> str:
    return counted(len(names), "row")


def _mean(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    interval = bootstrap_mean_interval(values)
    if interval.n_used < 2:
        return f"{interval.mean:.3f}"
    return f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _superior(number: int, metric: str) -> Statement:
    return Statement(
        f"DSIFuse has the best {metric} on {TITLES[number].partition(',')[0]}"
        + (
            " (standard SSIM; another convention may order otherwise)." if metric == "SSIM" else "."
        ),
        "text: AG, SD, VIF and SSIM are consistently superior",
        partial(best, number=number, method=OWN, metric=metric),
    )


STATEMENTS = (
    *(_superior(number, metric) for number in (1, 2, 3) for metric in ("AG", "SD", "VIF", "SSIM")),
    *(
        Statement(
            f"MFIFusion has the highest EN on {TITLES[number].partition(',')[0]}.",
            f"Table {number}",
            partial(best, number=number, method="mfifusion", metric="EN"),
        )
        for number in (1, 2, 3)
    ),
    *(
        Statement(
            f"Another method has a higher EN than DSIFuse on {TITLES[number].partition(',')[0]}.",
            f"text and Table {number}: EN slightly lower than some",
            partial(not_best, number=number, method=OWN, metric="EN"),
        )
        for number in (1, 2, 3)
    ),
    *(
        Statement(
            f"Another method has a higher MI than DSIFuse on {TITLES[number].partition(',')[0]}.",
            f"text and Table {number}: MI slightly lower than some",
            partial(not_best, number=number, method=OWN, metric="MI"),
        )
        for number in (1, 2)
    ),
    Statement(
        "DSIFuse has the best MI on TNO.",
        "Table 3",
        partial(best, number=3, method=OWN, metric="MI"),
    ),
    Statement(
        "Detection on DSIFuse's images has the best mAP50:95.",
        "Table 4",
        partial(best, number=4, method=OWN, metric="mAP50:95"),
    ),
    Statement(
        "Detection on CDDFuse's images has the best mAP50.",
        "Table 4",
        partial(best, number=4, method="cddfuse", metric="mAP50"),
    ),
    *(
        Statement(
            f"Every block that is left out lowers {metric} on MSRS.",
            "Table 5",
            partial(best, number=5, method=OWN, metric=metric),
        )
        for metric in ("EN", "MI", "AG", "SD", "VIF", "SSIM")
    ),
    Statement(
        "Leaving out CFC costs more VIF than leaving out any other block.",
        "text and Table 5",
        partial(best, number=5, method="dsifuse-no-cfc", metric="VIF", sign=-1),
    ),
    Statement(
        "DSIFuse has fewer parameters than FusionGAN (its generator; the discriminator is not "
        "needed for fusing).",
        "text on cost",
        partial(cheaper, method=OWN, than="fusiongan", quantity="params", unit="Parameters"),
    ),
    Statement(
        "DSIFuse has fewer parameters than CrossFuse.",
        "text on cost",
        partial(cheaper, method=OWN, than="crossfuse", quantity="params", unit="Parameters"),
    ),
    Statement(
        "DSIFuse needs far fewer operations than CDDFuse.",
        "text on cost",
        partial(cheaper, method=OWN, than="cddfuse", quantity="macs", unit="MACs"),
    ),
)
