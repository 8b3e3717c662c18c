"""A small run with images and names that break careless pages, for the tests of `bench report`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from bench.data.pairs import Pair, PairSet
from tests.report.results_tree import METRICS, fuse_facts, write_costs, write_job, write_run

SIZE = (64, 48)
IDS = ("01", "b c#2", "ü%41?&'", '<script>"x"')
PRINTED = "R&D_1 </script><script>alert(1)</script> “Müller”"
METHODS = {"average": "Average", "odd one&<b>": PRINTED, "last": "Last"}
# Per method one level per pair; the metrics are multiples of it.
LEVELS = {
    "average": (1.0, 2.0, 3.0, 4.0),
    "odd one&<b>": (4.0, 1.5, 2.5, 3.0),
    "last": (2, 2, 9, 2),
}


def picture(path: Path, level: int, channels: int = 3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (SIZE[1], SIZE[0], 3)[: 2 + (channels == 3)]
    samples = np.random.default_rng(level).integers(0, 60, shape) + 20 * level
    Image.fromarray(samples.astype(np.uint8)).save(path)


def page_run(root: Path) -> tuple[Path, dict[str, PairSet]]:
    """(run, data sets): "first" has source rows in the run, "second" only sources outside of it."""
    (root / "runs").mkdir(parents=True)
    run = write_run(root / "runs" / "demo & <more>")
    asked = json.loads((run / "run.json").read_text())
    asked |= {"name": "demo & <more>", "datasets": [*asked["datasets"], "first", "second"]}
    asked["methods"] = [*asked["methods"], *METHODS]
    asked["config"] = {"data": {"root": "/home/somebody/data", "options": {}}}
    (run / "run.json").write_text(json.dumps(asked))
    for method in ("visible", "infrared"):
        folder = write_job(run, f"first/{method}/fuse", facts=fuse_facts(method))
        for level, id_ in enumerate(IDS):
            picture(folder / f"{id_}.png", level, 3 if method == "visible" else 1)
    for place, (method, printed) in enumerate(METHODS.items()):
        facts = fuse_facts("average", printed_name=printed, title=printed, images=len(IDS))
        for dataset in ("first", "second"):
            folder = write_job(run, f"{dataset}/{method}/fuse", facts=facts)
            for level, id_ in enumerate(IDS):
                if (method, id_) != ("last", "01"):
                    picture(folder / f"{id_}.png", level + place + 1)
            rows = [
                (f'"{id_.replace(chr(34), 2 * chr(34))}"', "", name, level * (k + 1))
                for id_, level in zip(IDS, LEVELS[method], strict=True)
                for k, name in enumerate(METRICS)
            ]
            scored = {"convention": "standard", "images": len(IDS)}
            write_job(run, f"{dataset}/{method}/score", facts=scored, values=rows)
        if method != "average":
            write_costs(run, method, place + 9)
    pairs = []
    for level, id_ in enumerate(IDS):
        pair = Pair(id_, root / "data" / f"{id_}.png", root / "data" / f"{id_}.tif")
        picture(pair.visible, level)
        picture(pair.infrared, level, 1)
        pairs.append(pair)
    second = PairSet("second", tuple(pairs), IDS, attributes={"01": "night"})
    return run, {"second": second}
