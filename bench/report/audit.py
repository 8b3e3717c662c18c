"""What the published tables say about themselves, checked with their own numbers alone.

Nothing here is measured: every finding can be redone with a pencil from the printed page.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from bench.report.published_tables import OWN, printed, printed_names

# Of a printed last digit: half of it on each side.
ROUNDING = 0.05
# log2 of sqrt(2 π e): the entropy of a normal distribution of standard deviation 1, in bits. Of all
# distributions with one variance the normal one has the largest entropy.
NORMAL_ENTROPY = 0.5 * math.log2(2 * math.pi * math.e)
FUSION_TABLES = (1, 2, 3)
SUPERIOR = ("AG", "SD", "VIF", "SSIM")


@dataclass(frozen=True)
class Finding:
    """One number of the paper beside what follows from its other numbers."""

    table: int
    row: str
    fits: bool
    text: str


@dataclass(frozen=True)
class Check:
    """A question to the printed tables. said: what the paper says or implies."""

    name: str
    said: str
    note: str
    find: Callable[[pd.DataFrame], list[Finding]]


def mean_of_classes(frame: pd.DataFrame) -> list[Finding]:
    """Table 4: mAP50 against the mean of the six AP50 of its row."""
    names, table = printed_names(frame), printed(frame, 4)
    classes = [column for column in table.columns if column.startswith("AP50_")]
    found = []
    for method, row in table.iterrows():
        mean = float(row[classes].mean())
        gap = float(row["mAP50"]) - mean
        text = f"mAP50 {row['mAP50']:.1f}, mean of the six classes {mean:.2f}, {gap:+.2f} points"
        # Both numbers are rounded to one digit.
        found.append(Finding(4, names[str(method)], abs(gap) <= 2 * ROUNDING + 1e-9, text))
    return found


def consistently_superior(frame: pd.DataFrame) -> list[Finding]:
    """Tables 1-3: whether the paper's method has the best printed AG, SD, VIF and SSIM."""
    names = printed_names(frame)
    found = []
    for number in FUSION_TABLES:
        table = printed(frame, number)
        for metric in SUPERIOR:
            column = {str(name): float(value) for name, value in table[metric].items()}
            best, own = max(column, key=lambda name: column[name]), column[OWN]
            text = f"{metric} {own:g}"
            if best != OWN:
                text += f", but {names[best]} has {column[best]:g}"
            found.append(Finding(number, names[OWN], best == OWN, text))
    return found


def entropy_bound(frame: pd.DataFrame) -> list[Finding]:
    """Tables 1-3 and 5: whether EN is possible for 8-bit images with the SD of the same row."""
    names = printed_names(frame)
    found = []
    for number in (*FUSION_TABLES, 5):
        for method, row in printed(frame, number).iterrows():
            # Grey levels are integers: Sheppard's 1/12 of a step. Printed SDs are rounded.
            variance = (float(row["SD"]) + 0.0005) ** 2 + 1 / 12
            bound = 0.5 * math.log2(variance) + NORMAL_ENTROPY
            entropy = float(row["EN"])
            text = f"EN {entropy:.3f}, at most {bound:.3f} with SD {row['SD']:g}"
            found.append(Finding(number, names[str(method)], entropy - 0.0005 <= bound, text))
    return found


CHECKS = (
    Check(
        "mean of the classes",
        "Table 4 prints AP50 of six classes and their mean mAP50.",
        "Rounding explains a tenth of a point.",
        mean_of_classes,
    ),
    Check(
        "consistently superior",
        "The text calls AG, SD, VIF and SSIM of DSIFuse consistently superior.",
        "Compared are the printed numbers of Tables 1-3.",
        consistently_superior,
    ),
    Check(
        "bound of the entropy",
        "EN and SD of a row are means over the same 8-bit images.",
        "For one image EN ≤ log2(SD) + 2.047 bits, because of all distributions with one variance "
        "the normal one has the largest entropy; the logarithm is concave, so the bound holds for "
        "means too. A row that breaks it has EN and SD of different images, or an SD (or EN) of "
        "another definition.",
        entropy_bound,
    ),
)
