"""Our metrics against golden values of the public evaluators and of an independent `standard`."""

from __future__ import annotations

import csv
import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.metrics.conventions import (
    AverageGradientChoices,
    Convention,
    StructuralSimilarityChoices,
)
from bench.metrics.evaluate import evaluate
from bench.metrics.registry import METRICS

SIZES = {  # of the oracle's small triples, W×H in the name where it is a crop
    "const": 48,
    "gradient": 64,
    "noise": 80,
    "checker": 64,
    "tiny16": 16,
    "odd101x77": 77,
    "copyvi": 72,
    "sat254": 60,
    "flat": 64,
    "colour": 60,
    "tno01_SeAFusion_128x96": 96,
    "tno10_DenseFuse_128x96": 96,
    "tno20_FusionGAN_128x96": 96,
    "tno30_SeAFusion_200x184": 184,
    "tno42_U2Fusion_128x96": 96,
    "msrs00055D_SeAFusion_200x184": 184,
    "msrs00486D_SeAFusion_128x96": 96,
    "msrs01008N_SeAFusion_128x96": 96,
}

# (relative, absolute). The thresholds of VIF act on rounding noise in flat areas, so it is given
# an absolute tolerance only. The evaluator `cddfuse-python` computes AG, SD and SSIM in float32.
TOLERANCES = {
    "standard": {"VIF": (0.0, 1e-9), "": (1e-9, 1e-9)},
    "cddfuse-python": {
        "VIF": (0.0, 1e-9),
        "AG": (1e-6, 0.0),
        "SD": (1e-6, 0.0),
        "SSIM": (1e-5, 1e-7),
        "": (1e-9, 1e-9),
    },
}


@lru_cache(maxsize=1)
def golden(table: Path) -> dict[tuple[str, str], dict[str, float]]:
    """(convention, image id) -> {column: value} of the small images."""
    rows: dict[tuple[str, str], dict[str, float]] = {}
    with table.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["image_set"] == "small":
                key = row["convention"], row["image_id"]
                rows.setdefault(key, {})[row["metric"]] = float(row["value"])
    return rows


@pytest.mark.parametrize("convention", TOLERANCES)
@pytest.mark.parametrize("image_id", SIZES)
def test_every_golden_value_is_reproduced(shared: Path, convention: str, image_id: str) -> None:
    oracle = shared / "oracles" / "metrics"
    expected = golden(oracle / "reference.csv")[convention, image_id]
    images = [
        np.asarray(Image.open(oracle / "images" / f"{image_id}_{kind}.png"))
        for kind in ("f", "vi", "ir")
    ]
    assert min(images[0].shape[:2]) == SIZES[image_id]
    measured = evaluate(*images, convention=convention)
    assert len(measured) == 12
    for column, values in measured.items():
        value = values.item()
        name = column.split("_")[0]
        if name == "VIF" and SIZES[image_id] < 41:
            # Below the window's size cddfuse-python slides the image over the window instead;
            # that number has no meaning and is not reproduced.
            assert math.isnan(value), column
            continue
        tolerances = TOLERANCES[convention]
        relative, absolute = tolerances.get(name, tolerances[""])
        assert value == pytest.approx(expected[column], rel=relative, abs=absolute, nan_ok=True), (
            column
        )


COLOUR = ("colour", "tno01_SeAFusion_128x96")
GREY = [name for name in SIZES if name not in COLOUR and not name.startswith("msrs")]


@pytest.mark.parametrize("image_id", GREY)
def test_choices_of_no_named_convention_reproduce_tang_matlab(shared: Path, image_id: str) -> None:
    """Divisor "cells", border "replicate", combination "mean"; grey images, so no luma rule."""
    oracle = shared / "oracles" / "metrics"
    expected = golden(oracle / "reference.csv")["tang-matlab", image_id]
    choices = Convention(
        name="test",
        origin="test",
        average_gradient=AverageGradientChoices(divisor="cells"),
        ssim=StructuralSimilarityChoices(border="replicate", data_range=1.0, combination="mean"),
    )
    fused, visible, infrared = (
        torch.from_numpy(np.array(Image.open(oracle / "images" / f"{image_id}_{kind}.png")))
        .double()
        .reshape(1, 1, SIZES[image_id], -1)
        for kind in ("f", "vi", "ir")
    )
    for name in ("EN", "AG", "SD", "SSIM"):
        value = METRICS[name].function(fused, visible, infrared, choices)[name].item()
        # With L = 1, C2 is 9e-4, against which rounding noise of flat areas counts.
        relative = 1e-6 if name == "SSIM" else 1e-9
        assert value == pytest.approx(expected[name], rel=relative, abs=1e-9), name
