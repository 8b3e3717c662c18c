"""One job of a run: what it is the result of, what it needs, and the work itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.jobs.rows import Work
from bench.jobs.store import Key


@dataclass(frozen=True)
class Job:
    """One job. work(folder, progress) returns facts. needs: keys that must be done first.

    unready: (status, reason) of a job that can't run at all, or None. made: what the identity is
    the hash of. config: of the whole run, with its seed, for the record alone.
    """

    key: Key
    stage: str
    identity: str
    work: Work
    options: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[Key, ...] = ()
    unready: tuple[str, str] | None = None
    made: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def measures_time(self) -> bool:
        """Whether other work on the same machine would change the result."""
        return self.stage == "profile"

    def record(self) -> dict[str, Any]:
        """The part of job.json that is known before the job runs."""
        return {
            "stage": self.stage,
            "dataset": self.key.dataset,
            "method": self.key.method,
            "part": self.key.folder,
            "identity": self.identity,
            "made": dict(self.made),
            "options": dict(self.options),
            "facts": dict(self.facts),
            "config": dict(self.config),
        }
