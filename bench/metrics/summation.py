"""Sums over an image whose last digits do not depend on the number of threads."""

from __future__ import annotations

from torch import Tensor


def plane_sum(values: Tensor) -> Tensor:
    """...×H×W to ...: the sum of each plane, row by row.

    torch divides one long sum among its threads, and the rounding follows their number; a row is
    always one thread's.
    """
    rows: Tensor = values.sum(-1)
    return rows.sum(-1)
