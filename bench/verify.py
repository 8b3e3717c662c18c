"""What `bench verify` says of a folder: a run with its tables and figures, or a published one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.data.contents import Difference
from bench.errors import UserError
from bench.jobs.verify import check_jobs, is_run
from bench.report.derived import RECORD, check_derived, check_recorded


@dataclass(frozen=True)
class Verdict:
    """jobs, files: how many were checked. unfinished: what is not done and can't be checked."""

    jobs: int
    files: int
    differences: tuple[Difference, ...]
    unfinished: tuple[str, ...]

    def lines(self) -> list[str]:
        """One line a difference, those of unfinished jobs, and a sum."""
        marked = [
            f"{d.kind}: {d.file}" + (f" ({d.why})" if d.why else "") for d in self.differences
        ]
        notes = [f"not finished, not checked: {place}" for place in self.unfinished]
        verdict = (
            f"{len(marked)} differences" if marked else "nothing is changed, missing or foreign"
        )
        return [*marked, *notes, f"{self.jobs} jobs with {self.files} files: {verdict}."]

    def record(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


def verify(folder: Path) -> Verdict:
    """Hash everything again. Raises UserError where neither a run nor a published one lies."""
    if is_run(folder):
        jobs = check_jobs(folder)
        every = (*jobs.differences, *check_derived(folder))
        return Verdict(jobs.jobs, jobs.files, every, jobs.unfinished)
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
