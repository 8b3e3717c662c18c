"""Weights made by a stated rule from the names of their keys, so that a network can be compared
with its authors' one without any weight file (rule: float32 normal numbers, PCG64 seeded by the
CRC-32 of the key; 0.5/sqrt(fan in) for matrices, 0.05 for biases).
"""

from __future__ import annotations

import math
import zlib

import numpy as np
import torch
from torch import nn


def apply_rule(network: nn.Module) -> nn.Module:
    """Fill every float tensor of the state_dict in place and return the network in eval mode."""
    state = network.state_dict()
    for key, value in state.items():
        generator = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode())))
        numbers = generator.standard_normal(tuple(value.shape)).astype(np.float32)
        scale = 0.5 / math.sqrt(math.prod(value.shape[1:])) if value.ndim >= 2 else 0.05
        state[key] = torch.from_numpy(numbers * np.float32(scale))
    network.load_state_dict(state)
    return network.eval()


def waves(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A smooth visible and infrared image, 1×1×H×W in 0..1, from integers only."""
    rows, columns = torch.arange(height)[:, None], torch.arange(width)[None, :]
    visible = ((3 * rows + 5 * columns) % 64).float() / 63
    infrared = ((rows * columns) % 97).float() / 96
    return visible[None, None], infrared[None, None]
