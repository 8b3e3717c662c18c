"""`bench run --from`: repeat a run from its manifest, and say which numbers came out different.

The manifest is the run.json of a run, whose values and images are compared one by one, or the
manifest.json of a published one, beside which only tables lie.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.config import RunConfig
from bench.config_file import from_record
from bench.data.contents import BROKEN_SEAL, SEAL, seal_holds
from bench.errors import UserError, counted
from bench.jobs.store import RECORD, read_record
from bench.report.frame import Jobs, read_jobs, read_results
from bench.report.render import to_csv
from bench.report.tables import all_tables

MANIFEST, PUBLISHED = "run.json", "manifest.json"
KEYS = ["dataset", "method", "stage", "item", "seed", "name"]
# Of a profile only these can be the same twice; the others are times and memory.
COUNTED = ("params", "macs")
# What a machine or an installation is known by, beside its packages.
CIRCUMSTANCES = ("bench", "python", "system", "processor", "gpu", "cuda", "driver", "commit")


@dataclass(frozen=True)
class Manifest:
    """file: it lies in the folder of the run, or of its published tables. record: what it says."""

    file: Path
    record: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """Where the numbers lie that it belongs to."""
        return self.file.parent

    @property
    def published(self) -> bool:
        """Whether tables are all that there is to compare with."""
        return not (self.folder / MANIFEST).is_file() and (self.folder / PUBLISHED).is_file()


@dataclass(frozen=True)
class Comparison:
    """lines: one for each thing that differs; values, images: how many were compared."""

    lines: tuple[str, ...]
    values: int
    images: int

    @property
    def same(self) -> bool:
        """Whether there was something to compare, and all of it is equal."""
        return not self.lines and bool(self.values or self.images)

    @property
    def verdict(self) -> str:
        """The sentence at the end."""
        if not self.values and not self.images:
            return "no numbers and no images lie beside the manifest."
        count = len(self.lines)
        lines = "one line above says" if count == 1 else f"{count} lines above say"
        state = f"{lines} what differs" if count else "all are the same"
        return f"{counted(self.values, 'number')} and {counted(self.images, 'image')}, {state}."


def read_manifest(path: Path) -> Manifest:
    """The manifest at `path`, a file or its folder. Raises UserError if it is none."""
    names = (path / name for name in (MANIFEST, PUBLISHED))
    file = next((file for file in names if file.is_file()), path)
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file} can't be read: {error.strerror}.") from None
    except ValueError:
        record = None
    parts = ("config", "jobs", "provenance")
    if not isinstance(record, dict) or not all(isinstance(record.get(p), dict) for p in parts):
        raise UserError(
            f"{file} is no manifest of a run: give the run.json of a bench run, or the "
            "manifest.json that bench publish wrote."
        )
    if SEAL in record and not seal_holds(record):
        raise UserError(
            f"{file} was changed after it had been written ({BROKEN_SEAL}): put the original back, "
            "and say with flags what shall be another."
        )
    return Manifest(file.resolve(), record)


def check_beside(manifest: Manifest) -> None:
    """Raise UserError where the numbers of the run that is repeated are not what its jobs wrote."""
    if not manifest.published:
        read_jobs(manifest.folder)


def configuration(manifest: Manifest, flags: Mapping[str, Any]) -> RunConfig:
    """The run's configuration with flags on top, into another folder: NAME-again unless named.

    Raises UserError where the results would fall into the run that is repeated.
    """
    name = manifest.record["config"].get("name", RunConfig.name)
    config = from_record(manifest.record, manifest.file, {"name": f"{name}-again", **flags})
    if config.run_folder.resolve() == manifest.folder:
        raise UserError(
            f"{manifest.folder} is the run to be repeated: choose another --name or --results."
        )
    return config


def circumstances(manifest: Manifest, now: Mapping[str, Any]) -> list[str]:
    """Which versions and machine parts are not those of the run, a line each."""
    then = manifest.record["provenance"]
    pairs = [(key, then.get(key), now.get(key)) for key in CIRCUMSTANCES if key in then]
    packages = then.get("packages", {})
    pairs += [(name, version, now["packages"].get(name)) for name, version in packages.items()]
    lines = [
        f"{name} is {here or 'missing'}, was {there or 'missing'}"
        for name, there, here in pairs
        if there != here
    ]
    if then.get("dirty") or now.get("dirty"):
        lines.append("the source tree has changes that its commit does not hold")
    return lines


def other_identities(manifest: Manifest, after: Path) -> list[str]:
    """Jobs of the run `after` whose code, weights, options or data are not those of the first."""
    then, jobs = _identities(manifest), _identities(read_manifest(after))
    return [key for key, identity in jobs.items() if then.get(key, identity) != identity]


def _identities(manifest: Manifest) -> dict[str, str]:
    jobs = manifest.record["jobs"].items()
    return {key: job["identity"] if isinstance(job, dict) else job for key, job in jobs}


def compare(manifest: Manifest, after: Path) -> Comparison:
    """Everything of the run `after` beside what lies with the manifest."""
    if manifest.published:
        return compare_tables(manifest.folder, after)
    return compare_runs(manifest.folder, after)


def compare_runs(before: Path, after: Path) -> Comparison:
    """Every number and fused image of `after` beside that of `before`."""
    old, new = read_jobs(before), read_jobs(after)
    lines = [*_statuses(old, new)]
    values_differ, values = _values(read_results(before), read_results(after))
    images_differ, images = _images(before, after, new)
    return Comparison((*lines, *images_differ, *values_differ), values, images)


def compare_tables(before: Path, after: Path) -> Comparison:
    """The means in the tables of the run `after` beside those of the published files in `before`.

    Rows and columns that only one of them has are left out.
    """
    lines, means = [], 0
    for table in all_tables(read_results(after), read_jobs(after)):
        file = before / f"{table.name}.csv"
        if not file.is_file():
            continue
        old = {row["method"]: row for row in csv.DictReader(io.StringIO(file.read_text("utf-8")))}
        for row in csv.DictReader(io.StringIO(to_csv(table))):
            was = old.get(row["method"], {})
            for column in row:
                if column not in was or not column.endswith("_mean") or _is_measured(column):
                    continue
                means += 1
                if row[column] != was[column]:
                    change = _change(was[column], row[column])
                    lines.append(f"{table.name} {row['method']} {column}: {change}")
    return Comparison(tuple(lines), means, 0)


def _change(before: str, after: str) -> str:
    try:
        gap = f", a difference of {abs(float(after) - float(before)):.3g}"
    except ValueError:
        # A cell without a number says why.
        gap = ""
    return f"is {after}, was {before}{gap}"


def _is_measured(column: str) -> bool:
    return column.startswith(("ms_", "peak_bytes"))


def _statuses(old: Jobs, new: Jobs) -> Iterator[str]:
    for (dataset, method, stage), job in new.found.items():
        was = old.get(dataset, method, stage)
        if was.finished != job.finished:
            why = job.reason or was.reason
            tail = f" ({why})" if why else ""
            yield f"{dataset}/{method}/{stage}: {job.status}, was {was.status}{tail}"


def _values(old: pd.DataFrame, new: pd.DataFrame) -> tuple[list[str], int]:
    """Lines, and how many values stand in both. Undefined values are equal to each other."""
    both = _numbers(old).merge(_numbers(new), on=KEYS, suffixes=("_old", "_new"))
    gap = (both["value_new"] - both["value_old"]).abs()
    undefined = both["value_new"].isna() | both["value_old"].isna()
    only_one = both["value_new"].isna() ^ both["value_old"].isna()
    # Equal infinities have an undefined gap.
    unequal = (both["value_new"] != both["value_old"]) & ~undefined
    both = both.assign(gap=gap.where(unequal, 0.0).mask(only_one, math.inf))
    both = both.assign(differs=unequal | only_one)
    lines = []
    for (dataset, method, stage, name), rows in both.groupby(
        ["dataset", "method", "stage", "name"], sort=False
    ):
        count = int(rows["differs"].sum())
        if count:
            lines.append(
                f"{dataset}/{method}/{stage} {name}: {count} of "
                f"{counted(len(rows), 'value')} differ, by at most {rows['gap'].max():.3g}"
            )
    return lines, len(both)


def _numbers(frame: pd.DataFrame) -> pd.DataFrame:
    named = frame[frame["name"] != ""]
    return named[(named["stage"] != "profile") | named["name"].isin(COUNTED)][[*KEYS, "value"]]


def _images(before: Path, after: Path, jobs: Jobs) -> tuple[list[str], int]:
    """Lines, and how many fused images were compared, by the hashes in the jobs' records."""
    lines, compared = [], 0
    for dataset, method, stage in jobs.found:
        if not stage.startswith("fuse"):
            continue
        place = Path(dataset) / method / stage
        old, new = (read_record(run / place).get("files", {}) for run in (before, after))
        common = [name for name in new if name in old and name != RECORD]
        differ = sum(old[name]["sha256"] != new[name]["sha256"] for name in common)
        compared += len(common)
        if differ:
            lines.append(f"{place.as_posix()}: {differ} of {counted(len(common), 'image')} differ")
    return lines, compared
