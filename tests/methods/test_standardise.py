"""Normalisation by an image's own statistics, in both memory layouts."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from bench.methods.standardise import standardise


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_equals_the_norms_in_double_where_the_mean_is_large(layout: torch.memory_format) -> None:
    """torch's group norm is off by 0.1 and more here in the channels_last layout."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 16, 120, 90, generator=generator) * 0.01 + 1
    weight, bias = torch.rand(2, 16, generator=generator)
    exact, given = x.double(), x.contiguous(memory_format=layout)
    scaled = standardise(given, (2, 3), 1e-5, weight, bias)
    per_channel = functional.instance_norm(
        exact, weight=weight.double(), bias=bias.double(), eps=1e-5
    )
    assert (scaled - per_channel).abs().max() <= 1e-4
    whole = standardise(given, (1, 2, 3), 1e-5)
    assert (whole - functional.group_norm(exact, 1, eps=1e-5)).abs().max() <= 1e-4
    assert scaled.is_contiguous(memory_format=layout)
