"""Why a job would run: which part of its identity is another one than that of what is there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bench.jobs.job import Job
from bench.jobs.plan import Plan
from bench.jobs.store import Key, Store, read_record

UNKNOWN = "its code, weights, options or data changed"


def verdicts_of(plan: Plan, store: Store) -> dict[Key, str]:
    """What a run would do with each job, and why; nothing is changed."""
    verdicts: dict[Key, str] = {}
    for job in plan.jobs:
        verdicts[job.key] = _verdict(job, plan, store, verdicts)
    return verdicts


def _verdict(job: Job, plan: Plan, store: Store, before: Mapping[Key, str]) -> str:
    if job.unready is not None:
        return f"{job.unready[0]}: {job.unready[1]}"
    if store.is_done(job.key, job.identity) or store.is_aside(job.key, job.identity):
        return "cached"
    unready = [key for key in job.needs if before[key].partition(":")[0] in _IMPOSSIBLE]
    if unready:
        return f"skipped: needs {unready[0]}: {before[unready[0]].removeprefix('skipped: ')}"
    if (seen := store.claimed(job.key)) is not None:
        return f"running: by {seen.holder}"
    if damage := store.damage(job.key, job.identity):
        return f"run again: {damage}"
    if store.final(job.key).exists():
        return f"run again: {changes(read_record(store.final(job.key)), job, plan)}"
    found = read_record(store.partial(job.key))
    if not found:
        return "run: not run yet"
    if found.get("identity") != job.identity:
        return f"run from the start: {changes(found, job, plan)}"
    if found.get("status") == "failed":
        return f"retry: it failed ({found.get('reason')})"
    if found.get("status") == "skipped":
        return "run: what it needs was missing before"
    return "continue: it was interrupted"


_IMPOSSIBLE = ("no weights", "not applicable", "skipped")


def changes(record: Mapping[str, Any], job: Job, plan: Plan) -> str:
    """How the job differs from the one that left this record, in words."""
    old, new = record.get("made"), json.loads(json.dumps(job.made, default=str))
    if not isinstance(old, Mapping) or not old:
        return UNKNOWN
    parts: list[str] = []
    for name in dict.fromkeys((*new, *old)):
        if old.get(name) == new.get(name):
            continue
        if name == "code":
            parts += [f"code of {_code(part, job)}" for part in _differing(old[name], new[name])]
        elif name == "needs":
            parts += [f"{key}" for key in _changed_needs(old[name], job, plan)]
        elif isinstance(old.get(name), Mapping) and isinstance(new.get(name), Mapping):
            parts += [
                f"{name}: {key} {_short(old[name].get(key))} -> {_short(new[name].get(key))}"
                for key in _differing(old[name], new[name])
            ]
        else:
            parts.append(str(name))
    return f"changed: {'; '.join(parts)}" if parts else UNKNOWN


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [key for key in dict.fromkeys((*new, *old)) if old.get(key) != new.get(key)]


def _code(part: str, job: Job) -> str:
    own = {"method": f"the method {job.key.method}", "stage": f"bench.stages.{job.stage}"}
    return own.get(part, part)


def _changed_needs(old: list[str], job: Job, plan: Plan) -> list[str]:
    changed = [key for key in job.needs if plan.job(key).identity not in old]
    return [f"its input {key}" for key in changed or job.needs]


def _short(value: Any) -> str:
    text = "none" if value in (None, "") else str(value)
    return text if len(text) <= 24 else f"{text[:21]}..."
