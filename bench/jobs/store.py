"""Where results live: one folder a job, `<run>/<data set>/<method>/<stage>`, whole or absent.

A job works in `<stage>.partial`, which survives a kill and is continued by a job of the same
identity; it becomes `<stage>` by one rename. A finished folder of another identity is put aside
under `.stale` first: it is never mixed in, and comes back when its identity is asked for again.
One whose numbers are not what the job wrote is put aside for good, and its job runs again.
Whoever changes a job's folders holds its claim (see `claims`); looking needs none.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.data.contents import (
    Difference,
    contents,
    number_differences,
    read_object,
    sealed,
    settle,
    sweep,
    write_json,
)
from bench.errors import UserError
from bench.jobs import claims

RECORD = "job.json"
PATIENCE = 120.0
# Put aside since somebody changed its numbers: never brought back.
CHANGED = ".changed"


@dataclass(frozen=True)
class Key:
    """The place of a job in a run; `folder` is the stage with its part, for example fuse-rest."""

    dataset: str
    method: str
    folder: str

    def __str__(self) -> str:
        return f"{self.dataset}/{self.method}/{self.folder}"


def read_record(folder: Path) -> dict[str, Any]:
    """The job's record in `folder`, or {} where there is none that can be read."""
    return read_object(folder / RECORD)


def _changes(folder: Path) -> list[Difference]:
    return number_differences(folder, read_record(folder), RECORD)


def _holds(folder: Path, identity: str) -> bool:
    """Whether a job of this identity finished in `folder`, whose numbers are what it wrote."""
    record = read_record(folder)
    finished = record.get("status") == "done" and record.get("identity") == identity
    return finished and not number_differences(folder, record, RECORD)


def _remove(folder: Path) -> None:
    # Without its record first: a removal that is cut off must not pass for work to be continued.
    (folder / RECORD).unlink(missing_ok=True)
    shutil.rmtree(folder)


class Store:
    """The folders of one run; nothing is created before something is written.

    stale_after: seconds of silence after which a claim of another machine is void.
    """

    def __init__(self, run: Path, stale_after: float = PATIENCE) -> None:
        self.run = run
        self.stale_after = stale_after

    def check_writable(self) -> None:
        """Raise UserError when the run's folder can't be written; nothing is left behind."""
        place = self.run
        try:
            while not (place.exists() or place.is_symlink()) and place != place.parent:
                place = place.parent
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError as error:
            raise self._unwritable(error) from None

    def create(self) -> None:
        """Make the run's folder. Raises UserError where it can't be made."""
        try:
            self.run.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(
            f"The results folder {self.run} can't be written ({error.strerror}): "
            "choose another with --results."
        )

    def final(self, key: Key) -> Path:
        """The folder of the finished job."""
        return self.run / key.dataset / key.method / key.folder

    def partial(self, key: Key) -> Path:
        """The folder in which the job works."""
        return self.run / key.dataset / key.method / f"{key.folder}.partial"

    def claim(self, key: Key) -> claims.Claim | None:
        """Claim a job for this process, or None where another process has it."""
        return claims.take(self.final(key), self.stale_after)

    def claimed(self, key: Key) -> claims.Seen | None:
        """The claim under which someone works on the job now, or None."""
        seen = claims.look(self.final(key))
        return None if seen is None or seen.is_stale(self.stale_after) else seen

    def _stale(self, key: Key, identity: str) -> Path:
        return self.run / ".stale" / key.dataset / key.method / f"{key.folder}-{identity[:16]}"

    def is_done(self, key: Key, identity: str) -> bool:
        """Whether the finished folder has this identity, and numbers as they were written."""
        return _holds(self.final(key), identity)

    def damage(self, key: Key, identity: str) -> str:
        """What keeps a finished folder of this identity from being used, or ""."""
        final = self.final(key)
        if read_record(final).get("identity") != identity:
            return ""
        said = (
            f"{final / d.file} is missing"
            if d.kind == "missing"
            else f"{final / d.file} was changed after its job had ended ({d.why})"
            for d in _changes(final)
        )
        return next(said, "")

    def is_aside(self, key: Key, identity: str) -> bool:
        """Whether a finished folder of this identity was put aside."""
        return _holds(self._stale(key, identity), identity)

    def bring_back(self, key: Key, identity: str) -> bool:
        """Whether the job is done, after a put-aside folder of this identity has come back."""
        if not self.is_done(key, identity) and self.is_aside(key, identity):
            self._put_aside(key)
            self.final(key).parent.mkdir(parents=True, exist_ok=True)
            os.replace(self._stale(key, identity), self.final(key))
        return self.is_done(key, identity)

    def _put_aside(self, key: Key) -> None:
        final = self.final(key)
        if not final.exists():
            return
        target = self._stale(key, str(read_record(final).get("identity", "unknown")))
        if _changes(final):
            target = target.with_name(target.name + CHANGED)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            _remove(target)
        os.replace(final, target)

    def begin(self, key: Key, record: Mapping[str, Any]) -> Path:
        """The working folder for a job: continued when its identity is the same, else empty."""
        self._put_aside(key)
        partial = self.partial(key)
        if partial.exists() and read_record(partial).get("identity") != record["identity"]:
            _remove(partial)
        partial.mkdir(parents=True, exist_ok=True)
        sweep(partial)
        write_json(partial / RECORD, {**record, "status": "running", "reason": ""})
        return partial

    def finish(self, key: Key, record: Mapping[str, Any]) -> None:
        """Mark the working folder done, with the hash of each of its files, and move it to its
        final place.
        """
        partial = self.partial(key)
        sweep(partial)
        settle(partial)
        files = contents(partial, leave_out=(RECORD,))
        done = {**record, "status": "done", "reason": "", "files": files}
        write_json(partial / RECORD, sealed(done))
        os.replace(partial, self.final(key))

    def refuse(self, key: Key, record: Mapping[str, Any], status: str, reason: str) -> None:
        """Keep a job's failed, skipped or interrupted status; what it had made stays.

        A disk that takes no more is no error here: the caller knows the status, and the folder
        says what it said before, or nothing.
        """
        partial = self.partial(key)
        kept = {**record, "status": status, "reason": reason}
        with contextlib.suppress(OSError):
            self._put_aside(key)
            partial.mkdir(parents=True, exist_ok=True)
            sweep(partial)
            try:
                write_json(partial / RECORD, kept)
            except OSError:
                # On a full disk the new record fits only where the old one was.
                (partial / RECORD).unlink(missing_ok=True)
                write_json(partial / RECORD, kept)
