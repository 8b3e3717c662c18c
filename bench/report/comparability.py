"""Which rows of a table may be ranked together: those made under the same conditions.

A row that rests on other images, another split, recipe, convention or output rule is shown with its
number of images, but it is neither best nor second, and nothing is tested against it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from bench.errors import counted
from bench.report.frame import Job


@dataclass(frozen=True)
class Conditions:
    """n: images behind the row's numbers. parts: what must agree -> (its value, it in words)."""

    n: int
    parts: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def of_score(fused: Job, scored: Job, items: Iterable[str]) -> Conditions:
    """A row of fusion metrics: which images, in which version, by which convention and output."""
    images = sorted(set(items))
    limit = scored.facts.get("limit")
    count = counted(len(images), "image")
    convention = str(scored.facts.get("convention", ""))
    return Conditions(
        len(images),
        {
            "images": (_digest(images), f"{count} (limit {limit})" if limit else count),
            **_data(scored),
            "convention": (convention, f"metric convention {convention}"),
            **_output(fused),
        },
    )


def of_detection(fused: Job, detected: Job) -> Conditions:
    """A row of detection: which images and split, by which recipe and output."""
    facts = detected.facts
    counts = facts.get("images")
    n = int(counts.get("test", 0)) if isinstance(counts, Mapping) else 0
    recipe = facts.get("recipe")
    keys = recipe if isinstance(recipe, Mapping) else {}
    split = str(facts.get("split_sha256", ""))
    return Conditions(
        n,
        {
            "images": (str(n), f"{n} test images"),
            **_data(detected),
            "split": (split, f"split {facts.get('split')} ({split[:12]}…)"),
            **{
                key: (json.dumps(value), f"{key} {json.dumps(value)}")
                for key, value in keys.items()
            },
            **_output(fused),
        },
    )


def of_cost(profiled: Job) -> Conditions:
    """A row of costs: on which device, by how many threads."""
    words = f"{profiled.facts.get('device')}, threads {profiled.facts.get('threads')}"
    return Conditions(1, {"device": (words, words)})


def outside(
    conditions: Mapping[str, Conditions], competing: Collection[str]
) -> tuple[str | None, dict[str, str]]:
    """(a row of the ranked group, {row outside it: how it differs}); (None, {}) without rows.

    The ranked group is the one with most images among those with two competing rows or more; with
    equally many images the larger group, then the one that comes first.
    """
    groups: dict[str, list[str]] = {}
    for name, found in conditions.items():
        key = json.dumps({part: value for part, (value, _) in found.parts.items()}, sort_keys=True)
        groups.setdefault(key, []).append(name)
    if not groups:
        return None, {}

    def weight(group: list[str]) -> tuple[bool, int, int]:
        rivals = sum(name in competing for name in group)
        return rivals > 1, conditions[group[0]].n, rivals

    reference = max(groups.values(), key=weight)[0]
    inside = {name for group in groups.values() if reference in group for name in group}
    return reference, {
        name: _difference(found, conditions[reference])
        for name, found in conditions.items()
        if name not in inside
    }


def _difference(own: Conditions, reference: Conditions) -> str:
    nothing = ("", "")
    parts = [
        part
        for part in dict.fromkeys((*own.parts, *reference.parts))
        if own.parts.get(part, nothing)[0] != reference.parts.get(part, nothing)[0]
    ]
    # Another set of images has another fingerprint: nothing more to say.
    told = [part for part in parts if part != "data" or "images" not in parts]
    return ", ".join(
        own.parts[part][1] if part in own.parts else f"{part} not recorded" for part in told
    )


def _data(job: Job) -> dict[str, tuple[str, str]]:
    prints = job.facts.get("fingerprints") or {}
    text = json.dumps(prints, sort_keys=True)
    first = next(iter(prints.values()), "unknown")
    return {"data": (text, f"image files of fingerprint {str(first)[:12]}…")}


def _output(fused: Job) -> dict[str, tuple[str, str]]:
    # Ready-made images record no output rule; they are taken as they are stored.
    rule = str(fused.facts.get("output") or "clip")
    return {"output": (rule, f"output rule {rule}")}


def _digest(names: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()
