"""The synthetic world as a data set: generated where it is missing."""

from __future__ import annotations

from bench.data.adapter import Adapter
from bench.data.synthetic import load

ADAPTER = Adapter(
    name="synthetic",
    title="Synthetic world",
    folder="synthetic",
    layout="(generated on demand)",
    source="bench data synth",
    terms="AGPL-3.0-or-later, as this repository",
    load=load,
    options={"seed": 0, "pairs": [96, 32, 32], "size": [384, 288]},
    stages=("fuse", "score", "detect", "profile"),
    generated=True,
)
