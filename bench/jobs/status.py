"""How far every job of a run has come, as its folders and claims say; nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.jobs.store import PATIENCE, RECORD, Key, Store, read_record

STATUSES = (
    "done",
    "cached",
    "running",
    "not run",
    "failed",
    "interrupted",
    "skipped",
    "no weights",
    "not applicable",
)
PARTIAL = ".partial"


@dataclass(frozen=True)
class State:
    """One job: its status, one of `STATUSES`, and why. seconds: of a finished one.

    progress: (done, total) of a running one.
    """

    key: Key
    status: str
    reason: str = ""
    seconds: float | None = None
    progress: tuple[int, int] = (0, 0)


def states(run: Path) -> list[State]:
    """Every job that the last launcher planned, in its order, then what else lies in the folder.

    Raises UserError for a run without jobs.
    """
    planned, patience = _asked(run)
    found = [_key(path.parent.relative_to(run)) for path in sorted(run.glob(f"[!.]*/*/*/{RECORD}"))]
    keys = dict.fromkeys((*planned, *found))
    if not keys:
        raise UserError(f"{run} holds no jobs yet: 'bench run' makes them.")
    store = Store(run, patience)
    return [_state(store, key, planned.get(key, "")) for key in keys]


def _asked(run: Path) -> tuple[dict[Key, str], float]:
    """The identities of run.json by key, and after how many seconds a claim is void."""
    try:
        asked = json.loads((run / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        asked = {}
    patience = _inner(_inner(_inner(asked), "config"), "run").get("stale_after")
    jobs = {
        _key(Path(name)): str(identity)
        for name, identity in _inner(_inner(asked), "jobs").items()
        if len(Path(name).parts) == 3
    }
    return jobs, patience if isinstance(patience, int | float) else PATIENCE


def _inner(value: Any, key: str | None = None) -> Mapping[str, Any]:
    """The object, or the one under a key of it; {} where a damaged file has something else."""
    found = value if key is None else value.get(key)
    return found if isinstance(found, dict) else {}


def _key(folder: Path) -> Key:
    dataset, method, part = folder.parts
    return Key(dataset, method, part.removesuffix(PARTIAL))


def _state(store: Store, key: Key, planned: str) -> State:
    if (seen := store.claimed(key)) is not None:
        return State(key, "running", f"by {seen.holder}", None, (seen.done, seen.total))
    # A finished folder beside a partial one is of another identity, or was finished just now.
    record = read_record(store.final(key)) or read_record(store.partial(key))
    if not record:
        torn = store.final(key).exists() or store.partial(key).exists()
        if torn:
            return State(key, "interrupted", f"its {RECORD} is missing or cut off; run again")
        return State(key, "not run", "its turn has not come")
    status, reason = str(record.get("status")), str(record.get("reason") or "")
    if planned and record.get("identity") != planned:
        return State(key, "not run", "what is there was made from other code, weights or data")
    if status == "running":
        return State(key, "interrupted", "its process ended without a word; run again to continue")
    if status not in STATUSES:
        return State(key, "interrupted", f"its {RECORD} has the unknown status '{status}'")
    seconds = record.get("provenance", {}).get("seconds")
    return State(key, status, reason, seconds)
