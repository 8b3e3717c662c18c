"""The files that are derived from a run's jobs, tables and figures, each folder with a record of
what it holds: so that a later look can tell whether they are whole, foreign or out of date.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.data.contents import (
    Difference,
    contents,
    differences,
    read_object,
    seal_holds,
    sealed,
    sha256_of_file,
    sweep,
    write_json,
)
from bench.report.choice import choose
from bench.report.frame import read_jobs, read_results
from bench.report.render import write_files
from bench.report.table import Table
from bench.report.tables import all_tables

RECORD = "manifest.json"
TABLES, FIGURES = "tables", "figures"


def jobs_digest(run: Path) -> str:
    """Hex hash over the records of all jobs of a run and the order in which they were asked for."""
    asked = read_object(run / "run.json")
    order = [asked.get(key) for key in ("methods", "datasets", "stages")]
    digest = hashlib.sha256(json.dumps(order).encode())
    for path in sorted(run.glob("[!.]*/*/*/job.json")):
        digest.update(path.relative_to(run).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _record(folder: Path) -> dict[str, Any]:
    record = read_object(folder / RECORD)
    return record if seal_holds(record) else {}


def write_tables(
    run: Path, wanted: Sequence[str] = (), *, intervals: bool = False
) -> tuple[Table, ...]:
    """Derive all tables of a run and write them to its folder `tables`, which then holds no table
    that the run no longer has. Returns the wanted ones, all for no words.

    Raises UserError for a word that means no table, before anything is written.
    """
    digest = jobs_digest(run)
    tables = all_tables(read_results(run), read_jobs(run))
    chosen = choose(tables, wanted)
    folder = run / TABLES
    before: Mapping[str, Any] = _record(folder).get("files", {})
    if not tables and not before:
        return ()
    folder.mkdir(exist_ok=True)
    sweep(folder, shared=True)
    written = {path.name for path in write_files(tables, folder, intervals=intervals)}
    for name in set(before) - written:
        old = folder / name
        if old.is_file() and sha256_of_file(old) == before[name]["sha256"]:
            old.unlink(missing_ok=True)
    files = {name: state for name, state in contents(folder).items() if name in written}
    write_json(
        folder / RECORD, sealed({"made_from": digest, "intervals": intervals, "files": files})
    )
    return chosen


def tables_are_current(run: Path) -> bool:
    """Whether the tables were written, to the end, from the jobs that the run has now."""
    record = _record(run / TABLES)
    return record.get("made_from") == jobs_digest(run) and not differences(
        run / TABLES, record["files"], leave_out=(RECORD,)
    )


def record_figures(folder: Path, drawn: Iterable[Path]) -> None:
    """Add figures that were just drawn to the record of their folder."""
    before = _record(folder).get("files", {})
    names = {path.name for path in drawn} | set(before)
    files = {name: state for name, state in contents(folder).items() if name in names}
    write_json(folder / RECORD, sealed({"files": files}))


def check_derived(run: Path, *, derive: bool) -> list[Difference]:
    """What is changed, missing or foreign among a run's tables and figures, by names in the run.

    derive: derive the tables from the jobs once more, and compare them byte for byte.
    """
    found = [
        replace(difference, file=f"{folder.name}/{difference.file}")
        for folder in (run / TABLES, run / FIGURES)
        if folder.is_dir()
        for difference in check_recorded(folder)
    ]
    known = {difference.file for difference in found}
    outdated = _out_of_date(run) if derive else []
    return found + [d for d in outdated if d.file not in known]


def check_recorded(folder: Path, leave_out: Collection[str] = ()) -> list[Difference]:
    """The differences between a folder and the record of its files that lies in it."""
    record = _record(folder)
    if "files" not in record:
        why = "absent, or not what was written: have these files made anew"
        return [Difference("unsealed", RECORD, why)]
    return differences(folder, record["files"], leave_out=(RECORD, *leave_out))


def _out_of_date(run: Path) -> list[Difference]:
    record = _record(run / TABLES)
    if not record:
        return []
    recorded, outdated = record["files"], record["made_from"] != jobs_digest(run)
    again = Path(tempfile.mkdtemp())
    try:
        tables = all_tables(read_results(run), read_jobs(run))
        write_files(tables, again, intervals=record.get("intervals", False))
        now = contents(again)
    finally:
        shutil.rmtree(again)
    why = "the jobs give another one: bench tables writes it anew"
    return [
        Difference("outdated" if outdated else "changed", f"{TABLES}/{name}", why)
        for name, state in now.items()
        if recorded.get(name) != state
    ]
