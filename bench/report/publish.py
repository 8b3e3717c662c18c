"""A run's tables, figures and manifest as a folder that can be committed: no images, no paths."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from bench.data.contents import contents, sealed, write_json
from bench.errors import UserError
from bench.report.derived import RECORD
from bench.report.frame import read_jobs, read_results
from bench.report.render import write_files
from bench.report.tables import all_tables

WIDTH = 1200
# What a repository's page shows or a paper takes.
PUBLISHED = ("csv", "tex", "md")
_PATH_KEYS = ("root", "results", "folder", "scored", "split", "labels")
# Tables in which every value is a path.
_PATH_TABLES = ("use", "fused")


def without_paths(value: Any, key: str = "") -> Any:
    """Absolute paths are a machine's own business: only their last part is kept."""
    if isinstance(value, Mapping):
        inner = {k: without_paths(v, key if key in _PATH_TABLES else k) for k, v in value.items()}
        return inner
    if isinstance(value, list):
        return [without_paths(entry) for entry in value]
    if isinstance(value, str) and key in (*_PATH_KEYS, *_PATH_TABLES) and "/" in value:
        return Path(value).name
    return value


def command(config: Mapping[str, Any]) -> str:
    """The `bench run` line that asks for the same jobs; data roots are the reader's own."""
    words = ["bench run"]
    for key in ("methods", "datasets", "stages"):
        words.append(f"--{key} {','.join(config[key])}")
    for name, options in config.get("data", {}).get("options", {}).items():
        words += [
            f"--set {shlex.quote(f'data.{name}.{key}={without_paths(value, key)}')}"
            for key, value in options.items()
            if key != "root"
        ]
    for name, folder in config.get("fused", {}).items():
        words.append(f"--fused {shlex.quote(f'{name}={Path(folder).name}')}")
    if config["limit"]:
        words.append(f"--limit {config['limit']}")
    if config["fuse"]["output"] != "clip":
        words.append(f"--output {config['fuse']['output']}")
    if "detect" in config["stages"]:
        detect = config["detect"]
        words.append(f"--preset {detect['preset']} --seeds {','.join(map(str, detect['seeds']))}")
        if detect.get("protocol", "own") != "own":
            words.append(f"--set detect.protocol={detect['protocol']}")
        if train_on := detect.get("train_on"):
            words.append(f"--set {shlex.quote(f'detect.train_on={json.dumps(train_on)}')}")
        words += [f"--set detect.{key}={value}" for key, value in detect["overrides"].items()]
    return " ".join(words)


def _asked(file: Path) -> dict[str, Any]:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        return {key: record[key] for key in ("config", "data", "provenance")}
    except (ValueError, TypeError, KeyError):
        raise UserError(f"{file} is damaged: 'bench run' writes it anew.") from None


def publish(run: Path, to: Path) -> tuple[Path, ...]:
    """Write tables, small figures (CSV, PNG) and manifest.json of `run` into `to`.

    Raises UserError for a run without finished jobs.
    """
    tables = all_tables(read_results(run), read_jobs(run))
    if not tables:
        raise UserError(f"{run} has no results that a table could be made of: run more stages.")
    asked = _asked(run / "run.json")
    files = list(write_files(tables, to, PUBLISHED))
    records = {}
    for path in sorted(run.glob("[!.]*/*/*/job.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        key = path.parent.relative_to(run).as_posix().removesuffix(".partial")
        made = record.get("provenance", {})
        records[key] = {
            "status": record["status"],
            "reason": record["reason"],
            "identity": record["identity"],
            "commit": made.get("commit"),
            "seconds": made.get("seconds"),
            "weights": record.get("facts", {}).get("weights"),
        }
    manifest = {
        "command": command(asked["config"]),
        "config": without_paths(asked["config"]),
        "data": asked["data"],
        "provenance": asked["provenance"],
        "jobs": records,
    }
    for figure in sorted((run / "figures").glob("*.csv")):
        files.append(Path(shutil.copy2(figure, to / figure.name)))
    files += [_small(figure, to) for figure in sorted((run / "figures").glob("*.png"))]
    names = {file.name for file in files}
    held = {name: state for name, state in contents(to).items() if name in names}
    write_json(to / RECORD, sealed({**manifest, "files": held}))
    return (*files, to / RECORD)


def _small(figure: Path, to: Path) -> Path:
    """A panel in a size that a repository can carry and that shows nobody's images in full."""
    with Image.open(figure) as image:
        small = image.convert("RGB")
        small.thumbnail((WIDTH, 4 * WIDTH))
    small.save(to / figure.name, optimize=True)
    return to / figure.name
