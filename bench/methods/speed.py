"""The same network in less time: bfloat16 and torch.compile, and how far that moves the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.methods.contract import Protocol
from bench.methods.protocol import fuse


class _Bfloat16(nn.Module):
    """Runs a network under autocast; its output is float32 again."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        with torch.autocast(visible.device.type, torch.bfloat16):
            fused: Tensor = self.network(visible, infrared)
        return fused.float()


def faster(network: nn.Module, *, bfloat16: bool = False, compiled: bool = False) -> nn.Module:
    """The network wrapped as wished; it shares its weights with the original, which stays as it is.

    A compiled one is compiled anew for each new image size, until torch takes the size as free.
    """
    chosen: nn.Module = _Bfloat16(network) if bfloat16 else network
    return torch.compile(chosen) if compiled else chosen  # type: ignore[return-value]


@dataclass(frozen=True)
class Deviation:
    """Differences of 8-bit images in grey levels: the largest, the mean, the share above one."""

    largest: int
    mean: float
    above_one: float

    def sentence(self) -> str:
        """For people."""
        return (
            f"largest {self.largest}, mean {self.mean:.4f} grey levels, "
            f"{self.above_one:.3%} of the samples off by more than one"
        )


def deviation(
    network: nn.Module, other: nn.Module, protocol: Protocol, pairs: Sequence[tuple[Tensor, Tensor]]
) -> Deviation:
    """Of `other` from `network` over pairs of uint8 1×3×H×W and 1×1×H×W on the networks' device."""
    differences = [
        (fuse(network, protocol, *pair).int() - fuse(other, protocol, *pair).int()).abs().flatten()
        for pair in pairs
    ]
    found = torch.cat(differences)
    return Deviation(
        int(found.max()), float(found.double().mean()), float((found > 1).double().mean())
    )
