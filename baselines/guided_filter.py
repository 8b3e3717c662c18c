"""GFF: two-scale fusion whose weight maps are refined by guided filters.

Li, Kang, Hu, IEEE Transactions on Image Processing 22(7), 2013, doi 10.1109/TIP.2013.2244222; the
guided filter is He, Sun, Tang, IEEE TPAMI 35(6), 2013.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.methods.contract import Card, Method, Protocol
from bench.methods.terms import LAPLACIAN_4, blur, extend, filtered

# Keeps a pixel with two zero weights at equal shares; far below any weight that matters.
TINY = 1e-12


def box_mean(image: Tensor, radius: int) -> Tensor:
    """Mean over a (2 radius + 1)² window, over the pixels inside the image only. N×C×H×W."""
    side = 2 * radius + 1
    rows = functional.avg_pool2d(image, (1, side), 1, (0, radius), count_include_pad=False)
    return functional.avg_pool2d(rows, (side, 1), 1, (radius, 0), count_include_pad=False)


def mean_filter(image: Tensor, radius: int) -> Tensor:
    """Mean over a (2 radius + 1)² window with replicated borders. N×C×H×W."""
    inner = slice(radius, -radius)
    return box_mean(extend(image, radius, "replicate"), radius)[..., inner, inner]


def guided_filter(target: Tensor, guide: Tensor, radius: int, epsilon: float) -> Tensor:
    """`target` as a locally affine function of `guide`, both N×1×H×W (He et al., section 3)."""
    moments = torch.cat([guide, target, guide * guide, guide * target], dim=1)
    mean_guide, mean_target, square, product = box_mean(moments, radius).split(1, dim=1)
    slope = (product - mean_guide * mean_target) / (square - mean_guide**2 + epsilon)
    offset = mean_target - slope * mean_guide
    mean_slope, mean_offset = box_mean(torch.cat([slope, offset], dim=1), radius).split(1, dim=1)
    return mean_slope * guide + mean_offset


def saliency(image: Tensor) -> Tensor:
    """S: local mean of the absolute Laplacian, Gaussian of radius 5 and σ = 5. N×1×H×W."""
    return blur(filtered(image, LAPLACIAN_4, "replicate").abs(), 11, 5.0, "replicate")


class GuidedFilterFusion(nn.Module):
    """N×1×H×W visible and infrared, 0..1, to the fused N×1×H×W; edges may exceed 0..1.

    base, detail: (radius, ε) of the guided filters that make the weights of the base layers (the
    means over a `mean`×`mean` window) and of the detail layers (what remains).
    """

    def __init__(
        self,
        base: tuple[int, float] = (45, 0.3),
        detail: tuple[int, float] = (7, 1e-6),
        mean: int = 31,
    ) -> None:
        super().__init__()
        self.base = base
        self.detail = detail
        self.mean = mean

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        # Variances of flat areas are compared with 1e-6, which float32 cannot resolve.
        sources = torch.stack([visible.double(), infrared.double()])
        images = sources.flatten(0, 1)
        activity = saliency(images).view_as(sources)
        decided = (activity == activity.amax(dim=0)).to(images.dtype).flatten(0, 1)
        coarse = mean_filter(images, self.mean // 2)
        fused = torch.zeros_like(sources[0])
        for layer, (radius, epsilon) in ((coarse, self.base), (images - coarse, self.detail)):
            refined = guided_filter(decided, images, radius, epsilon).clamp(0, 1) + TINY
            weights = refined.view_as(sources)
            fused = fused + (weights / weights.sum(dim=0) * layer.view_as(sources)).sum(dim=0)
        return fused.to(visible.dtype)


METHOD = Method(
    card=Card(
        name="gff",
        title="GFF",
        year=2013,
        venue="IEEE TIP",
        kind="classical",
        licence="AGPL-3.0-or-later",
        url="https://doi.org/10.1109/TIP.2013.2244222",
        doi="10.1109/TIP.2013.2244222",
        stated=(
            "base layers are means over 31×31 pixels, the detail layers what remains",
            "saliency is the absolute 3×3 Laplacian under a Gaussian of radius 5 and σ = 5",
            "the more salient source gets weight 1, refined by guided filters with r = 45, "
            "ε = 0.3 (base) and r = 7, ε = 1e-6 (detail); the weights are normalised to sum 1",
        ),
        settled=(
            "the Laplacian has 4 neighbours; borders are replicated, in the guided filters the "
            "window is cut at the border",
            "refined weights are clamped to 0..1 before they are normalised",
        ),
    ),
    protocol=Protocol(colour="luma"),
    build=GuidedFilterFusion,
)
