"""The one place where a method's protocol is applied: 8-bit images in, 8-bit images out.

Rules of comparability: luma is BT.601 full range; output is clamped and rounded to nearest; the
authors' own habits (stretch, truncation) only on request.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.methods.contract import AuthorsOutput, Protocol

Output = Literal["clip", "authors"]

_BYTE_SPAN = {"unit": (1 / 255, 0.0), "signed": (2 / 255, -1.0), "byte": (1.0, 0.0)}
_PAD_MODE = {"reflect": "reflect", "replicate": "replicate", "zero": "constant"}


def luma(visible: Tensor) -> Tensor:
    """BT.601 full-range Y of RGB. visible: N×3×H×W, 0..255 floats; returns N×1×H×W."""
    red, green, blue = (visible[:, channel : channel + 1] for channel in range(3))
    y = red * 0.299
    y += green * 0.587
    y += blue * 0.114
    return y


def _luma8(visible: Tensor) -> Tensor:
    # Integers, as in the `standard` metrics: no platform can round differently.
    weights = visible.new_tensor([299, 587, 114], dtype=torch.int32).view(1, 3, 1, 1)
    weighted = (visible.to(torch.int32) * weights).sum(dim=1, keepdim=True)
    return ((weighted + 500) // 1000).float()


def network_input(protocol: Protocol, visible: Tensor, infrared: Tensor) -> tuple[Tensor, Tensor]:
    """Colour and range for the network.

    visible: uint8 N×3×H×W RGB; infrared: uint8 N×1×H×W. Returns float32 N×C×H×W (C = 1 for luma,
    3 for rgb) and N×1×H×W in the protocol's range.
    """
    source = _source(protocol, visible, visible.float())
    return _in_range(protocol, source), _in_range(protocol, infrared.float())


def _source(protocol: Protocol, visible: Tensor, levels: Tensor) -> Tensor:
    """The visible input in 0..255. levels: visible as floats."""
    if protocol.colour == "rgb":
        return levels
    return luma(levels) if protocol.colour == "luma" else _luma8(visible)


def _in_range(protocol: Protocol, levels: Tensor) -> Tensor:
    scale, offset = _BYTE_SPAN[protocol.range]
    return levels * scale + offset


def pad_to_multiple(protocol: Protocol, image: Tensor) -> Tensor:
    """Pad right and bottom so that both sides are multiples of `protocol.multiple`."""
    height, width = image.shape[-2:]
    down, right = -height % protocol.multiple, -width % protocol.multiple
    if not (down or right):
        return image
    mode = _PAD_MODE[protocol.pad]
    if mode == "reflect" and (down >= height or right >= width):
        # Reflection needs more pixels than it adds; tiny images repeat their border instead.
        mode = "replicate"
    return functional.pad(image, (0, right, 0, down), mode=mode)


def _to_bytes(protocol: Protocol, fused: Tensor) -> Tensor:
    scale, offset = _BYTE_SPAN[protocol.range]
    return (fused - offset) / scale


def _recolour(visible: Tensor, y: Tensor, fused_luma: Tensor) -> Tensor:
    # With exact BT.601 coefficients, exchanging Y and keeping Cb, Cr shifts R, G, B equally.
    return visible + (fused_luma - y)


def _recolour_tang(visible: Tensor, fused_luma: Tensor) -> Tensor:
    # SeAFusion's rounded coefficients, in 0..1 floats as its scripts compute them.
    red, green, blue = (visible / 255).unbind(dim=1)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    cr = (0.713 * (red - y) + 0.5).clamp(0, 1) - 0.5
    cb = (0.564 * (blue - y) + 0.5).clamp(0, 1) - 0.5
    f = (fused_luma / 255).squeeze(1)
    channels = (f + 1.403 * cr, f - 0.714 * cr - 0.344 * cb, f + 1.773 * cb)
    return torch.stack(channels, dim=1).clamp(0, 1) * 255


def _store_as_authors(authors: AuthorsOutput, visible: Tensor, fused: Tensor) -> Tensor:
    if fused.shape[1] == 1:
        if authors.chroma == "tang":
            fused = _recolour_tang(visible, fused)
        elif authors.chroma == "exact":
            fused = _recolour(visible, luma(visible), fused)
    if authors.stretch:
        low = fused.amin(dim=(1, 2, 3), keepdim=True)
        high = fused.amax(dim=(1, 2, 3), keepdim=True)
        fused = (fused - low) / (high - low).clamp_min(torch.finfo(fused.dtype).tiny) * 255
    fused = fused.clamp(0, 255)
    return (fused if authors.rounding == "truncate" else fused.round()).to(torch.uint8)


def fuse(
    network: nn.Module,
    protocol: Protocol,
    visible: Tensor,
    infrared: Tensor,
    *,
    output: Output = "clip",
) -> Tensor:
    """Fuse a batch of equal size on the device where the tensors are.

    visible: uint8 N×3×H×W RGB; infrared: uint8 N×1×H×W; the network is in eval mode on the same
    device. Returns uint8 N×3×H×W RGB, or N×1×H×W where the authors stored grey.
    output: "clip" clamps to 0..255 and rounds to nearest; "authors" follows `protocol.authors`.
    Raises ValueError for "authors" where the protocol knows no authors' habit and for a network
    output of another shape than its input's, FloatingPointError for one that is not finite.
    """
    height, width = visible.shape[-2:]
    levels = visible.float()
    source = _source(protocol, visible, levels)
    thermal = _in_range(protocol, infrared.float())
    with torch.inference_mode():
        padded = pad_to_multiple(protocol, _in_range(protocol, source))
        fused = network(padded, pad_to_multiple(protocol, thermal))
    if fused.shape != padded.shape:
        raise ValueError(f"the network made {tuple(fused.shape)} of {tuple(padded.shape)}")
    fused = _to_bytes(protocol, fused[..., :height, :width].float())
    # Extremes are NaN where any value is, and cost a fifth of a test of every value.
    if not torch.isfinite(torch.stack(fused.aminmax())).all():
        raise FloatingPointError("the network's output holds NaN or infinity")
    if output == "authors":
        if protocol.authors is None:
            raise ValueError("this method's authors published no output habit of their own")
        return _store_as_authors(protocol.authors, levels, fused)
    if fused.shape[1] == 1:
        y = source if protocol.colour == "luma" else luma(levels)
        fused = _recolour(levels, y, fused)
    # In place: these are passes over all pixels, and the tensor is nobody else's.
    return fused.clamp_(0, 255).round_().to(torch.uint8)
