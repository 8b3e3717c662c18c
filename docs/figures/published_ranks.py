"""Draw how four published methods' ranks on TNO move between evaluators.

    python docs/figures/published_ranks.py reference.csv docs/figures/ranks-published-tno.png

reference.csv holds what the original programs printed for the images that the methods' authors
published (columns convention, metric, image_set, image_id, method, value); means over its images.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from bench.metrics.conventions import CONVENTIONS
from bench.metrics.registry import METRICS
from bench.report.convention_ranks import draw


def main(table: Path, out: Path) -> None:
    """Read the table, draw the figure, and name what was drawn."""
    rows = pd.read_csv(table)
    rows = rows[(rows["image_set"] == "tno") & rows["metric"].isin(list(METRICS))]
    images = rows["image_id"].nunique()
    # An evaluator that was run on some of the images only can't be compared with the others.
    groups = rows.groupby(["metric", "convention", "method"])
    means = groups["value"].mean()[groups["image_id"].nunique() == images]
    by_metric = {
        metric: {
            convention: dict(means[metric, convention])
            for convention in CONVENTIONS
            if (metric, convention) in means.index
        }
        for metric in METRICS
        if metric in means.index
    }
    drawn = draw(by_metric, out, f"Published images, {images} TNO pairs, as the evaluators printed")
    print(f"{out}: {', '.join(drawn)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
