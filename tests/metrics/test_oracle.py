"""Our metrics against every golden value of the public evaluators and of an independent `standard`.

One test a row. The rows that are not reproduced are in one list here, each with its reason.
"""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from fnmatch import fnmatch
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image

from bench.metrics.choices import ArtefactChoices, AverageGradientChoices, Convention
from bench.metrics.conventions import CONVENTIONS, THFYLSTY
from bench.metrics.evaluate import evaluate
from bench.metrics.registry import METRICS
from tests.conftest import SHARED

ORACLE = SHARED / "oracles" / "metrics"
Row = tuple[str, str, str, float]

# (convention, metric, image): (relative, absolute) tolerance; the first pattern that fits counts.
TOLERANCES = (
    # The thresholds of VIF act on rounding noise in flat areas: absolute only. In float32 the
    # noise is larger, most of all where nearly all pixels are within five levels.
    # (Evaluated in float32, the same formulas give the original's VIF and SSIM to six digits.)
    ("ivif-zoo", "VIF", "sat254", 2e-3, 0.0),
    ("ivif-zoo", "VIF", "*", 1e-4, 0.0),
    # Pixels whose two gains are equal up to rounding take one source or the other: the ramps of
    # `gradient` have them, and the oracle's own two implementations differ by as much.
    ("thfylsty", "VIFF", "gradient", 1e-4, 0.0),
    ("*", "VIFF", "sat254", 5e-9, 0.0),
    ("*", "VIFF", "*", 1e-9, 1e-9),
    ("*", "VIF*", "*", 0.0, 1e-9),
    # The original computes in float32, and SSIM on values up to 65025² there.
    ("cddfuse-python", "SSIM*", "copyvi", 3e-5, 1e-7),
    ("ivif-zoo", "SSIM", "sat254", 5e-3, 0.0),
    ("ivif-zoo", "*SSIM", "*", 1e-3, 0.0),
    ("ivif-zoo", "EN", "const", 0.0, 1e-7),
    ("ivif-zoo", "MI", "*", 1e-9, 1e-9),
    ("ivif-zoo", "*", "*", 1e-5, 1e-9),
    ("cddfuse-python", "EN", "*", 1e-9, 1e-9),
    ("cddfuse-python", "MI*", "*", 1e-9, 1e-9),
    ("cddfuse-python", "Qabf", "*", 2e-7, 0.0),
    ("cddfuse-python", "*", "*", 1e-5, 1e-7),
    # Where the two checkers cancel, the original stretches rounding noise to their contrast.
    ("tang-matlab", "MS_SSIM", "checker", 1e-4, 0.0),
    # With L = 1, C2 is 9e-4, against which rounding noise of flat areas counts.
    ("tang-matlab", "SSIM*", "*", 1e-7, 0.0),
    ("*", "*", "*", 1e-9, 1e-9),
)

# (convention, metric, image, reason) of the golden values that we do not give.
NOT_REPRODUCED = (
    (
        *("cddfuse-python", "VIF*", "tiny16"),
        "below 17 pixels the original slides the image over the window instead: no meaning; NaN",
    ),
    (
        *("ivif-zoo", "SSIM", "const"),
        "in float32 on values up to 65025 the variance of a constant is noise as large as C2",
    ),
    (*("ivif-zoo", "SSIM", "flat"), "as `const`: large constant areas"),
    (*("ivif-zoo", "NMI", "const"), "0 / 0, which is NaN here and 0 there"),
    (*("tang-matlab", "MS_SSIM", "tiny16"), "too small, which is NaN here and -inf there"),
    (*("thfylsty", "MI_rows", "*"), "takes rows of the image for records: it measures nothing"),
    (*("thfylsty", "VIF", "*"), "the wavelet VIF on 0..1 with the noise of 0..255"),
    (*("thfylsty", "VIF_vifvec_255", "*"), "the wavelet VIF needs a steerable pyramid"),
)

# Rows that are a variant of a named convention: (metric and column, the convention for it).
VARIANTS: dict[tuple[str, str], tuple[str, Convention]] = {
    ("tang-matlab", "Nabf_fixedorder"): (
        "Nabf",
        replace(CONVENTIONS["tang-matlab"], nabf=ArtefactChoices()),
    ),
    ("thfylsty", "AG_forward"): (
        "AG",
        replace(THFYLSTY, average_gradient=AverageGradientChoices(differences="forward")),
    ),
}


def rows() -> list[Row]:
    """(convention, metric, image, value) of the small images; none where the oracle is absent."""
    table = ORACLE / "reference.csv"
    if not table.is_file():
        return []
    with table.open(newline="") as file:
        return [
            (row["convention"], row["metric"], row["image_id"], float(row["value"]))
            for row in csv.DictReader(file)
            if row["image_set"] == "small"
        ]


def reason_against(convention: str, metric: str, image: str) -> str | None:
    for *patterns, reason in NOT_REPRODUCED:
        if all(map(fnmatch, (convention, metric, image), patterns)):
            return reason
    return None


ROWS = rows()
REPRODUCED = [row for row in ROWS if reason_against(*row[:3]) is None]


def triple(image: str) -> list[np.ndarray]:
    files = (ORACLE / "images" / f"{image}_{kind}.png" for kind in ("f", "vi", "ir"))
    return [np.asarray(Image.open(file)) for file in files]


@cache
def measured(convention: str, image: str) -> dict[str, float]:
    names = CONVENTIONS[convention].metrics
    columns = evaluate(*triple(image), metrics=names, convention=convention)
    values = {name: column.item() for name, column in columns.items()}
    if convention == "thfylsty":
        values["MIabf"] = values["MI"]
    if convention == "tang-matlab":
        values["MS_SSIM"] = values["MEF_SSIM"]
    for name in ("VIF", "SSIM"):
        if name in values:
            values[f"{name}_mean"] = values[name] / 2
    return values


def variant(convention: str, metric: str, image: str) -> float:
    from bench.metrics.luma import luma

    name, record = VARIANTS[convention, metric]
    images = []
    for array in triple(image):
        pixels = torch.tensor(array)
        batch = pixels[None, None] if pixels.ndim == 2 else pixels[None].movedim(-1, 1)
        images.append(luma(batch, record.reading).double())
    return METRICS[name].function(images[0], images[1], images[2], record)[name].item()


@pytest.mark.skipif(not ROWS, reason="needs ../shared/oracles/metrics, which is absent")
@pytest.mark.parametrize(
    ("convention", "metric", "image", "expected"),
    REPRODUCED,
    ids=lambda value: None if isinstance(value, float) else value,
)
def test_row_is_reproduced(convention: str, metric: str, image: str, expected: float) -> None:
    if (convention, metric) in VARIANTS:
        value = variant(convention, metric, image)
    else:
        value = measured(convention, image)[metric]
    relative, absolute = next(
        (entry[3], entry[4])
        for entry in TOLERANCES
        if all(map(fnmatch, (convention, metric, image), entry[:3]))
    )
    assert value == pytest.approx(expected, rel=relative, abs=absolute, nan_ok=True)


@pytest.mark.skipif(not ROWS, reason="needs ../shared/oracles/metrics, which is absent")
def test_what_is_not_reproduced_is_listed_and_nothing_else() -> None:
    """The list has no entry without a row, and its rows are those counted here."""
    for *patterns, _ in NOT_REPRODUCED:
        assert any(all(map(fnmatch, row[:3], patterns)) for row in ROWS), patterns
    assert len(REPRODUCED) == 1877
    assert len(ROWS) == 1924


@pytest.mark.skipif(not ROWS, reason="needs ../shared/oracles/metrics, which is absent")
def test_cddfuse_python_is_undefined_where_the_original_has_no_window() -> None:
    values = measured("cddfuse-python", "tiny16")
    assert all(math.isnan(values[name]) for name in ("VIF", "VIF_ir", "VIF_vi"))


def test_every_convention_defines_known_metrics_only() -> None:
    for convention in CONVENTIONS.values():
        assert set(convention.metrics) <= set(METRICS)
