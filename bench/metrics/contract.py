"""What a metric is: a frozen record for people and tables, and a pure function on tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from bench.metrics.choices import Convention

MetricFunction = Callable[[Tensor, Tensor, Tensor, Convention], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Metric:
    """One metric; printed by `bench metrics`.

    name: the identifier on the command line and the column of the tables.
    columns: what `function` returns, in order; the terms of single sources before their
    combination ("MI_ir", "MI_vi", "MI").
    unit, range: as in the convention `standard`.
    smallest: the shortest image side for which the metric is defined; below it the value is NaN.
    function: (fused, visible, infrared, convention) -> {column: float64 Tensor[N]}; the images are
    N×1×H×W luma with integer values 0..255.
    dtype: of these images. uint8 for functions that convert band by band or only count: an image
    in double precision is eight times as large, and new memory costs more than their arithmetic.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    direction: Literal["higher", "lower"]
    unit: str
    range: str
    smallest: int
    reference: str
    function: MetricFunction
    dtype: torch.dtype = torch.float64
