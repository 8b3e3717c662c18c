"""Whether the jobs of a run are still what they were when they finished, file by file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.data.contents import (
    BROKEN_SEAL,
    NUMBERS,
    TEMPORARY,
    Difference,
    differences,
    files_in,
    seal_holds,
)
from bench.jobs.store import CHANGED, RECORD, Key, Store, read_record

MANIFEST = "run.json"
STALE, PARTIAL = ".stale", ".partial"
# What a killed run may leave beside the jobs' folders; the next run takes it over or removes it.
CLAIM, QUEUE = ".claim", ".slurm"
# Folders of the run that are not jobs; they are checked by their own records.
DERIVED = ("tables", "figures")
# Made anew by `bench report` at any time, and opened as it is: not checked.
PAGE = "report.html"


@dataclass(frozen=True)
class Checked:
    """What was found. files: how many were hashed; unfinished: folders of jobs that are not done,
    and traces of runs in progress, none of which can be checked.
    """

    jobs: int
    files: int
    differences: tuple[Difference, ...]
    unfinished: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether the numbers of the jobs in use are those that the jobs wrote."""
        own = (d for d in self.differences if d.file != MANIFEST and not d.file.startswith(STALE))
        return not any(d.kind in ("changed", "missing") and d.file.endswith(NUMBERS) for d in own)


def is_run(run: Path) -> bool:
    """Whether the folder is one that `bench run` made."""
    return (run / MANIFEST).is_file()


def check_jobs(run: Path) -> Checked:
    """Hash every file of every finished job, results that were put aside too, and find what is
    changed, missing or foreign: names are relative to `run`.
    """
    found: list[Difference] = []
    unfinished: list[str] = []
    jobs = files = 0
    for folder in _job_folders(run):
        place = folder.relative_to(run).as_posix()
        record = read_record(folder)
        if folder.name.endswith(PARTIAL):
            unfinished.append(f"{place}: {_state(run, folder)}")
            continue
        if folder.name.endswith(CHANGED):
            unfinished.append(f"{place}: put aside because its numbers were changed, not used")
            continue
        jobs += 1
        found += _check_job(folder, place)
        files += len(record.get("files", ()))
    found += _check_manifest(run)
    loose, traces = _outside_jobs(run)
    found += [Difference("foreign", name) for name in loose]
    return Checked(jobs, files, tuple(found), (*unfinished, *traces))


def _job_folders(run: Path) -> Iterator[Path]:
    """Folders with the place of a job that hold its record, or its files without one."""
    for base in (run, run / STALE):
        for folder in sorted(base.glob("[!.]*/*/*")):
            if folder.is_dir() and folder.relative_to(base).parts[0] not in DERIVED:
                yield folder


def _state(run: Path, partial: Path) -> str:
    """The status of an unfinished job; one that a dead process left "running" is interrupted."""
    status = str(read_record(partial).get("status", "interrupted"))
    dataset, method, part = partial.parts[-3:]
    held = Store(run).claimed(Key(dataset, method, part.removesuffix(PARTIAL)))
    return "interrupted" if status == "running" and held is None else status


def _check_job(folder: Path, place: str) -> list[Difference]:
    if not (folder / RECORD).is_file():
        # A job's folder has a record from its first moment on.
        return [Difference("missing", f"{place}/{RECORD}")]
    record = read_record(folder)
    if not record:
        return [Difference("changed", f"{place}/{RECORD}", "it is no JSON object any more")]
    if "files" not in record:
        why = "an earlier version made this job and kept no hashes"
        return [Difference("unsealed", f"{place}/{RECORD}", why)]
    broken = [] if seal_holds(record) else [_touched(f"{place}/{RECORD}")]
    return broken + [
        Difference(difference.kind, f"{place}/{difference.file}", difference.why)
        for difference in differences(folder, record["files"], leave_out=(RECORD,))
    ]


def _check_manifest(run: Path) -> list[Difference]:
    try:
        record = json.loads((run / MANIFEST).read_text(encoding="utf-8"))
    except ValueError:
        return [Difference("changed", MANIFEST, "it is no JSON object any more")]
    if not isinstance(record, dict) or "seal" not in record:
        return [Difference("unsealed", MANIFEST, "an earlier version made it")]
    return [] if seal_holds(record) else [_touched(MANIFEST)]


def _touched(name: str) -> Difference:
    return Difference("changed", name, BROKEN_SEAL)


def _outside_jobs(run: Path) -> tuple[list[str], list[str]]:
    """(foreign files, traces of runs in progress) of the files that belong to no job."""
    foreign: list[str] = []
    traces: list[str] = []
    for name in files_in(run):
        parts = name.split("/")
        inside = parts[1:] if parts[0] == STALE else parts
        if (
            name in (MANIFEST, PAGE)
            or parts[0] in DERIVED
            or (len(inside) > 3 and parts[0] != QUEUE)
        ):
            continue
        trace = parts[0] == QUEUE or name.endswith((*TEMPORARY, CLAIM))
        (traces if trace else foreign).append(name)
    return foreign, traces
