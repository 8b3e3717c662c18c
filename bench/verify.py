"""What `bench verify` says of a folder: a run with its tables and figures, or a published one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.data.contents import Difference
from bench.errors import UserError, counted
from bench.jobs.verify import check_jobs, is_run
from bench.report.derived import RECORD, check_derived, check_recorded

REPAIR_FIRST = (
    "tables and figures can't be compared with jobs whose numbers are changed or missing: repair "
    "these jobs first ('bench run' makes them anew), then write the tables and figures anew "
    "('bench tables', 'bench figures')."
)


@dataclass(frozen=True)
class Verdict:
    """jobs, files: how many were checked. unfinished: what is not done and can't be checked.

    advice: what to do first, or "".
    """

    jobs: int
    files: int
    differences: tuple[Difference, ...]
    unfinished: tuple[str, ...]
    advice: str = ""

    def lines(self) -> list[str]:
        """One line a difference, those of unfinished jobs, and a sum."""
        marked = [
            f"{d.kind}: {d.file}" + (f" ({d.why})" if d.why else "") for d in self.differences
        ]
        notes = [f"not finished, not checked: {place}" for place in self.unfinished]
        verdict = (
            counted(len(marked), "difference")
            if marked
            else "nothing is changed, missing or foreign"
        )
        notes += [self.advice] if self.advice else []
        checked = f"{counted(self.jobs, 'job')} with {counted(self.files, 'file')}"
        return [*marked, *notes, f"{checked}: {verdict}."]

    def record(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


def verify(folder: Path) -> Verdict:
    """Hash everything again. Raises UserError where neither a run nor a published one lies."""
    if is_run(folder):
        jobs = check_jobs(folder)
        every = (*jobs.differences, *check_derived(folder, derive=jobs.sound))
        return Verdict(
            jobs.jobs, jobs.files, every, jobs.unfinished, "" if jobs.sound else REPAIR_FIRST
        )
    if (folder / RECORD).is_file():
        # People explain a published folder beside what the command wrote.
        found = check_recorded(folder, leave_out=("README.md",))
        return Verdict(0, len(list(folder.iterdir())), tuple(found), ())
    raise UserError(
        f"{folder} is no run (it has no run.json): give the folder of a bench run or publish."
    )


def runs_in(folder: Path) -> list[Path]:
    """The folder, or the runs that lie in it where it is a folder of runs."""
    if is_run(folder) or (folder / RECORD).is_file() or not folder.is_dir():
        return [folder]
    return sorted(inner for inner in folder.iterdir() if is_run(inner)) or [folder]
