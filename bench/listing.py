"""What the listing commands print, as rows of plain values: methods, data sets, metrics, weights
and the state of this machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.config import RunConfig
from bench.data import registry as data_registry

if TYPE_CHECKING:
    from bench.methods.contract import Method, Weights


MACS_SIZE = (480, 640)


def methods(config: RunConfig, *, macs: bool = False) -> list[dict[str, Any]]:
    """One row a registered method, with the track and the state of the weights that it would run
    with here. macs: count them too, at `MACS_SIZE`; a network that the meta device can't run is
    then run once.
    """
    from bench.methods import registry
    from bench.stages import profile

    rows: list[dict[str, Any]] = []
    for name in registry.names():
        method = registry.method(name)
        network = method.build().eval()
        track, state = _weights_of(method, config.path(config.weights.folder))
        row = {
            "name": name,
            "title": method.card.title,
            "year": method.card.year or "",
            "venue": method.card.venue,
            "kind": method.card.kind,
            "colour": method.protocol.colour,
            "track": track,
            "parameters": profile.parameters(network),
        }
        if macs:
            pair = profile.inputs(method.protocol, *MACS_SIZE)
            row["MACs at {}x{}".format(*MACS_SIZE)] = profile.macs(network, *pair)
        rows.append({**row, "weights": state, "licence": method.card.licence})
    return rows


def _weights_of(method: Method, folder: Path) -> tuple[str, str]:
    """(track, state) of the first known file that is here, else of the first known file."""
    from bench.methods.weights import own, status

    if not method.needs_weights:
        return "none", "none needed"
    if not own(method):
        return "none", "missing"
    here = (known for known in own(method) if status(folder, method, known) != "missing")
    known = next(here, own(method)[0])
    return known.track, status(folder, method, known)


def datasets(config: RunConfig) -> list[dict[str, Any]]:
    """One row a data set: where it is looked for and whether it is there."""
    from bench.jobs.data import data_root

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
    from bench.methods.weights import status

    folder = config.path(config.weights.folder)
    return [
        {
            "method": method.name,
            "weights": known.name,
            "track": known.track,
            "status": status(folder, method, known),
            "file": known.file,
            "bytes": known.bytes,
            "sha256": known.sha256,
            "licence": known.licence,
            "trained on": ", ".join(known.trained_on),
            "origin": known.origin,
            "url": known.url,
        }
        for method, known in _known_weights()
    ]


def weights_check(config: RunConfig) -> list[dict[str, Any]]:
    """One row a known weight file with its `problem`, which is empty where there is none."""
    from bench.methods.weights import problem, status

    folder = config.path(config.weights.folder)
    return [
        {
            "method": method.name,
            "weights": known.name,
            "status": status(folder, method, known),
            "problem": problem(folder, method, known),
        }
        for method, known in _known_weights()
    ]


def _known_weights() -> Iterator[tuple[Method, Weights]]:
    from bench.methods import registry

    for name in registry.names():
        method = registry.method(name)
        for known in method.weights:
            yield method, known


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
        name = f"{row['method']} {row['weights']}"
        get = f"fetch {name}" if row["url"] else f"import {row['method']} {row['file']}"
        rows.append(
            {
                "what": f"weights: {name}",
                "state": row["status"],
                "do": f"bench weights {get}" if row["status"] == "missing" else "",
            }
        )
    return rows
