"""The look of every figure: sizes that stay readable in a two-column page, colours that everyone
can tell apart (M. Okabe and K. Ito, Color Universal Design, 2008), and how a figure is saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

# Inches: the text width and one column of an IEEE page.
PAGE, COLUMN = 7.16, 3.5
DPI = 300
FONT = "DejaVu Sans"
SETTINGS: dict[Any, Any] = {
    "font.family": FONT,
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.linewidth": 0.4,
    "grid.color": "#dddddd",
    "lines.linewidth": 1.0,
    # Text in a PDF stays text.
    "pdf.fonttype": 42,
}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8a8a00")
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
# Frames on photographs: apart in lightness too, and the second one is dashed.
FRAMES = (("#FFB000", "solid"), ("#3FD0FF", "dashed"))


def colour(place: int) -> str:
    """The colour of the `place`-th line; they repeat with another `dash` and `marker`."""
    return COLOURS[place % len(COLOURS)]


def dash(place: int) -> Any:
    """A line style that tells lines of one colour, and neighbours, apart in black and white."""
    return DASHES[(place + place // len(COLOURS)) % len(DASHES)]


def marker(place: int) -> str:
    """The marker of the `place`-th line."""
    return MARKERS[(place + place // len(COLOURS)) % len(MARKERS)]


def new_figure(width: float, height: float, **options: Any) -> Figure:
    """A figure of this size in inches, in the house style, without any global state."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure((width, height), **options)
        FigureCanvasAgg(figure)
    return figure


def styled() -> Any:
    """The context in which axes are made and text is drawn."""
    return matplotlib.rc_context(SETTINGS)


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont(FONT)).get_charmap())


def plain(text: str) -> str:
    """The text as a figure prints it literally: a dollar starts no formula, and a character that
    the font lacks is printed as its code point, never as an empty box.
    """
    known = (c if ord(c) in _glyphs() else f"U+{ord(c):04X}" for c in text.replace("\n", " "))
    return "".join(known).replace("$", r"\$")


def save(figure: Figure, out: Path, data: pd.DataFrame) -> tuple[Path, ...]:
    """Write `out`.pdf, `out`.png and `out`.csv, what was drawn; returns the three files.

    Without dates and versions the same input gives the same files.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    files = tuple(out.with_name(f"{out.name}.{suffix}") for suffix in ("pdf", "png", "csv"))
    with styled():
        figure.savefig(files[0], dpi=DPI, metadata={"CreationDate": None, "Producer": None})
        figure.savefig(files[1], dpi=DPI, metadata={"Software": None})
    data.to_csv(files[2], index=False, na_rep="NA", lineterminator="\n")
    return files


def legend_below(figure: Figure, handles: Sequence[Any], columns: int) -> None:
    """One legend for all panels, under them."""
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)
