"""The methods of a run for people: the registered card, and the weights that its rows used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.errors import UserError
from bench.methods import registry
from bench.methods.contract import Card, Method
from bench.report import footers
from bench.report.frame import COST, FINISHED, Jobs

COLOURS = {
    "luma": "luma (BT.601 Y); chroma of the visible image",
    "luma8": "luma rounded to 8 bits first; chroma of the visible image",
    "rgb": "RGB",
}


@dataclass(frozen=True)
class UsedWeights:
    """One weight file and the data sets whose rows rest on it. licence, origin: "" if unknown."""

    name: str
    track: str
    sha256: str
    trained_on: tuple[str, ...]
    datasets: tuple[str, ...]
    licence: str = ""
    origin: str = ""
    random: bool = False


@dataclass(frozen=True)
class MethodCard:
    """card: None for methods that are not registered here, such as ready-made images."""

    key: str
    label: str
    kind: str
    colour: str
    card: Card | None
    weights: tuple[UsedWeights, ...]

    @property
    def address(self) -> str:
        """The card's link, or "" where it is none that a page may offer."""
        url = self.card.url if self.card else ""
        return url if url.startswith(("https://", "http://")) else ""


def method_cards(jobs: Jobs) -> tuple[MethodCard, ...]:
    """One card per method of the run, in its order."""
    known = set(registry.names())
    return tuple(_card(jobs, name, _registered(name, known)) for name in jobs.methods)


def _registered(name: str, known: set[str]) -> Method | None:
    if name not in known:
        return None
    try:
        return registry.method(name)
    except UserError:
        # The page of a finished run needs no working plug-in.
        return None


def _card(jobs: Jobs, name: str, method: Method | None) -> MethodCard:
    datasets = [*jobs.datasets, COST]
    facts = {d: job.facts for d in datasets if (job := footers.fusion_job(jobs, d, name)).facts}
    first: dict[str, Any] = dict(next(iter(facts.values()), {}))
    colour = str(first.get("colour") or (method.protocol.colour if method else ""))
    card = method.card if method else None
    return MethodCard(
        key=name,
        label=next((str(f["printed_name"]) for f in facts.values() if f.get("printed_name")), name),
        kind=str(first.get("kind") or (card.kind if card else "")),
        colour=COLOURS.get(colour, colour),
        card=card,
        weights=_weights(jobs, name, method),
    )


def _weights(jobs: Jobs, name: str, method: Method | None) -> tuple[UsedWeights, ...]:
    used: dict[tuple[str, str, bool], list[str]] = {}
    recorded: dict[tuple[str, str, bool], dict[str, Any]] = {}
    for dataset in jobs.datasets:
        job = footers.fusion_job(jobs, dataset, name)
        weights = dict(job.facts.get("weights") or {})
        random = bool(job.facts.get("random_weights"))
        if job.status not in FINISHED or not (random or weights.get("sha256")):
            continue
        key = (str(weights.get("name", "")), str(weights.get("sha256", "")), random)
        used.setdefault(key, []).append(dataset)
        recorded[key] = weights
    return tuple(_described(key, tuple(sets), recorded[key], method) for key, sets in used.items())


def _described(
    key: tuple[str, str, bool],
    datasets: tuple[str, ...],
    recorded: dict[str, Any],
    method: Method | None,
) -> UsedWeights:
    name, sha256, random = key
    same = [w for w in (method.weights if method else ()) if w.sha256 == sha256 or w.name == name]
    return UsedWeights(
        name=name,
        track=str(recorded.get("track", "")),
        sha256=sha256,
        trained_on=tuple(map(str, recorded.get("trained_on") or ())),
        datasets=datasets,
        licence=same[0].licence if same and not random else "",
        origin=same[0].origin if same and not random else "",
        random=random,
    )
