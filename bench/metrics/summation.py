"""Sums over an image whose last digits do not depend on the number of threads."""

from __future__ import annotations

from torch import Tensor


def plane_sum_log1p(values: Tensor) -> Tensor:
    """...×H×W to ...: the sum of log(1 + v) over each plane; `values` is overwritten.

    Eight factors make one logarithm, since products are cheaper; values below 1e38 can't overflow.
    """
    factors = values.add_(1)
    eighth = factors.shape[-1] // 8
    groups, rest = factors[..., : 8 * eighth], factors[..., 8 * eighth :]
    product = groups[..., :eighth] * groups[..., eighth : 2 * eighth]
    for first in range(2 * eighth, 8 * eighth, max(1, eighth)):
        product.mul_(groups[..., first : first + eighth])
    return plane_sum(product.log_()) + plane_sum(rest.log())


def plane_sum(values: Tensor) -> Tensor:
    """...×H×W to ...: the sum of each plane, row by row.

    torch divides one long sum among its threads, and the rounding follows their number; a row is
    always one thread's.
    """
    rows: Tensor = values.sum(-1)
    return rows.sum(-1)
