"""Cost against image size: is fusing linear in the number of pixels, or worse?"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from bench.errors import UserError
from bench.report.frame import COST
from bench.report.source import Source
from bench.report.style import colour, dash, legend_below, marker, new_figure, plain, save, styled

WIDTH, HEIGHT = 7.16, 4.0
# Below, an exponent would be read off two neighbouring points.
LEAST_SIZES = 3
QUANTITIES = {
    "macs": ("GMACs", 1e9),
    "ms_median": ("ms", 1.0),
    "peak_bytes": ("MiB", float(2**20)),
}


def points(source: Source) -> pd.DataFrame:
    """method, name, size, pixels and the quantities of every single-pair pass of a network.

    UserError where the profile stage has measured fewer than `LEAST_SIZES` sizes.
    """
    frame = source.frame
    frame = frame[(frame["stage"] == "profile") & frame["name"].isin(QUANTITIES)]
    frame = frame[~frame["item"].str.contains("@")]
    if source.methods:
        frame = frame[frame["method"].isin(source.methods)]
    if frame["item"].nunique() < LEAST_SIZES:
        raise UserError(
            f"{source.run} has the cost at fewer than {LEAST_SIZES} sizes: name more in "
            "profile.scaling and run the profile stage."
        )
    wide = frame.pivot(index=["method", "item"], columns="name", values="value").reset_index()
    wide = wide[wide["macs"] > 0].rename(columns={"item": "size"})
    sides = wide["size"].str.split("x", expand=True).astype(int)
    wide.insert(2, "pixels", sides[0] * sides[1])
    wide.insert(1, "name", [source.name(COST, method) for method in wide["method"]])
    order = {method: place for place, method in enumerate(source.jobs.methods)}
    return wide.sort_values(
        ["method", "pixels"], key=lambda c: c.map(order) if c.name == "method" else c
    ).reset_index(drop=True)


def exponent(pixels: Any, values: Any) -> float:
    """The slope of a straight line through the logarithms: 1 is linear in pixels, 2 quadratic."""
    known = np.asarray(values, float) > 0
    if known.sum() < 2:
        return float("nan")
    logs = np.log(np.asarray(pixels, float)[known]), np.log(np.asarray(values, float)[known])
    return float(np.polyfit(*logs, 1)[0])


def scaling(source: Source, _dataset: str) -> tuple[Path, ...]:
    """`scaling`: MACs, time and memory of one pass against megapixels, both axes logarithmic."""
    data = points(source)
    methods = list(dict.fromkeys(data["method"]))
    for quantity in QUANTITIES:
        slopes = {
            method: exponent(rows["pixels"], rows[quantity])
            for method, rows in data.groupby("method")
        }
        data[f"exponent_{quantity}"] = data["method"].map(slopes)
    first = data.groupby("method").first()
    with styled():
        figure = new_figure(WIDTH, HEIGHT, layout="constrained")
        for axes, (quantity, (unit, one)) in zip(
            figure.subplots(1, len(QUANTITIES)), QUANTITIES.items(), strict=True
        ):
            for place, method in enumerate(methods):
                rows = data[data["method"] == method]
                axes.plot(
                    rows["pixels"] / 1e6, rows[quantity] / one, color=colour(place),
                    linestyle=dash(place), marker=marker(place), markersize=3,
                )  # fmt: skip
            axes.set(xscale="log", yscale="log", xlabel="megapixels", title=f"{unit} of a pass")
            # Decades say little over a factor of ten: the measured sizes are the ticks.
            sizes = sorted(set(data["pixels"] / 1e6))
            axes.xaxis.set_major_locator(FixedLocator(sizes))
            axes.xaxis.set_major_formatter(FixedFormatter([f"{size:.2f}" for size in sizes]))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.grid()
        handles = [
            Line2D(
                [], [], color=colour(k), linestyle=dash(k), marker=marker(k), markersize=3,
                label=plain(
                    f"{textwrap.shorten(first.loc[method, 'name'], 24, placeholder='…')}: "
                    f"MACs ~ n^{first.loc[method, 'exponent_macs']:.2f}, "
                    f"time ~ n^{first.loc[method, 'exponent_ms_median']:.2f}"
                ),
            )
            for k, method in enumerate(methods)
        ]  # fmt: skip
        legend_below(figure, handles, 2)
    return save(figure, source.out("scaling"), data)
