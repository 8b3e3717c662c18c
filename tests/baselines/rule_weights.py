"""Weights made by a stated rule from the names of their keys, so that a network can be compared
with its authors' one without any weight file.

Float32 normal numbers, PCG64 seeded by the CRC-32 of the key, times 0.5/sqrt(fan in) for
matrices, 0.05 for vectors; 1-dimensional `weight` (norm layers) 1 + 0.1 a; `running_mean` 0.05 a;
`running_var` 1 + 0.1 |a|; counters 0.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Collection

import numpy as np
import torch
from torch import Tensor, nn


def rule(key: str, value: Tensor) -> Tensor:
    """The rule's tensor for one key of a state_dict; tensors of integers are left as they are."""
    if not value.is_floating_point():
        return torch.zeros_like(value) if key.endswith("num_batches_tracked") else value
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode())))
    numbers = generator.standard_normal(tuple(value.shape)).astype(np.float32)
    if value.ndim >= 2:
        numbers = numbers * np.float32(0.5 / math.sqrt(math.prod(value.shape[1:])))
    elif key.endswith("running_var"):
        numbers = np.abs(numbers) * np.float32(0.1) + np.float32(1)
    elif key.endswith("weight"):
        numbers = numbers * np.float32(0.1) + np.float32(1)
    else:
        numbers = numbers * np.float32(0.05)
    return torch.from_numpy(np.asarray(numbers))


def apply_rule(
    network: nn.Module,
    *,
    name_of: Callable[[str], str] = str,
    keep: Collection[str] = (),
) -> nn.Module:
    """Fill the state_dict in place and return the network in eval mode.

    name_of: our key to the authors' key, where the oracle's rule used theirs. keep: keys whose
    own start value the oracle kept.
    """
    state = network.state_dict()
    for key, value in state.items():
        if key not in keep:
            state[key] = rule(name_of(key), value).to(value.dtype)
    network.load_state_dict(state)
    return network.eval()


def waves(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A smooth visible and infrared image, 1×1×H×W in 0..1, from integers only."""
    rows, columns = torch.arange(height)[:, None], torch.arange(width)[None, :]
    visible = ((3 * rows + 5 * columns) % 64).float() / 63
    infrared = ((rows * columns) % 97).float() / 96
    return visible[None, None], infrared[None, None]
