"""What the listing commands print, as rows of plain values: methods, data sets, metrics, weights,
jobs, and the state of this machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.config import RunConfig
from bench.data import registry as data_registry
from bench.errors import UserError


def methods(config: RunConfig) -> list[dict[str, Any]]:
    """One row a registered method, with the state of its weights here."""
    from bench.methods import registry
    from bench.methods.weights import MissingWeightsError, resolve

    rows: list[dict[str, Any]] = []
    for name in registry.names():
        method = registry.method(name)
        try:
            found = resolve(method, config.path(config.weights.folder))
            state = found.track if method.needs_weights else "none needed"
        except MissingWeightsError:
            state = "missing"
        rows.append(
            {
                "name": name,
                "title": method.card.title,
                "year": method.card.year or "",
                "venue": method.card.venue,
                "kind": method.card.kind,
                "colour": method.protocol.colour,
                "parameters": sum(p.numel() for p in method.build().parameters()),
                "weights": state,
                "licence": method.card.licence,
            }
        )
    return rows


def datasets(config: RunConfig) -> list[dict[str, Any]]:
    """One row a data set: where it is looked for and whether it is there."""
    from bench.jobs.plan import data_root

    rows = []
    for name in data_registry.names():
        adapter = data_registry.adapter(name)
        root = data_root(config, adapter)
        there = "generated on demand" if adapter.generated else "yes" if root.is_dir() else "no"
        rows.append(
            {
                "name": name,
                "found": there,
                "folder": str(root),
                "stages": ", ".join(adapter.stages),
                "layout": adapter.layout.replace("\n", "; "),
                "source": adapter.source,
            }
        )
    return rows


def metrics() -> list[dict[str, Any]]:
    """One row a metric."""
    from bench.metrics.registry import METRICS

    return [
        {
            "name": metric.name,
            "title": metric.title,
            "columns": ", ".join(metric.columns),
            "better": metric.direction,
            "unit": metric.unit,
            "range": metric.range,
            "reference": metric.reference,
        }
        for metric in METRICS.values()
    ]


def weights(config: RunConfig) -> list[dict[str, Any]]:
    """One row a known weight file."""
    from bench.methods import registry
    from bench.methods.weights import locate

    folder = config.path(config.weights.folder)
    rows: list[dict[str, Any]] = []
    for name in registry.names():
        method = registry.method(name)
        for known in method.weights:
            path = locate(folder, method, known)
            rows.append(
                {
                    "method": name,
                    "weights": known.name,
                    "track": known.track,
                    "here": "yes" if path else "no",
                    "file": known.file,
                    "bytes": known.bytes,
                    "sha256": known.sha256,
                    "licence": known.licence,
                    "trained on": ", ".join(known.trained_on),
                    "origin": known.origin,
                }
            )
    return rows


def jobs(run: Path) -> list[dict[str, Any]]:
    """One row a job folder of a run, in order of its path."""
    from bench.jobs.store import RECORD, read_record

    rows = []
    for path in sorted(run.glob(f"*/*/*/{RECORD}")):
        record = read_record(path.parent)
        seconds = record.get("provenance", {}).get("seconds")
        rows.append(
            {
                "data set": record.get("dataset", ""),
                "method": record.get("method", ""),
                "job": record.get("part", ""),
                "status": record.get("status", "unreadable"),
                "seconds": "" if seconds is None else f"{seconds:.1f}",
                "reason": record.get("reason", ""),
            }
        )
    if not rows:
        raise UserError(f"{run} holds no jobs yet: 'bench run' makes them.")
    return rows


def doctor(config: RunConfig) -> list[dict[str, Any]]:
    """Versions, device, data and weights: what is here, and the command for what is not."""
    from bench.jobs.provenance import provenance

    facts = provenance()
    rows = [
        {"what": "python", "state": facts["python"], "do": ""},
        {"what": "processor", "state": facts["processor"], "do": ""},
        {"what": "GPU", "state": facts["gpu"] or "none", "do": ""},
    ]
    for package, version in facts["packages"].items():
        rows.append(
            {
                "what": package,
                "state": version or "missing",
                "do": "" if version else f"pip install {package}",
            }
        )
    for row in datasets(config):
        here = row["found"] != "no"
        rows.append(
            {
                "what": f"data: {row['name']}",
                "state": row["folder"] if here else "not found",
                "do": "" if here else f"{row['source']}, then --data {row['name']}=FOLDER",
            }
        )
    for row in weights(config):
        here = row["here"] == "yes"
        rows.append(
            {
                "what": f"weights: {row['method']} {row['weights']}",
                "state": "here" if here else "missing",
                "do": "" if here else f"bench weights import {row['method']} {row['file']}",
            }
        )
    return rows
