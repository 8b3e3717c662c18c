"""PCA: a weighted mean of both images, with the weights of their first principal component.

Naidu and Raol, "Pixel-level image fusion using wavelets and principal component analysis", Defence
Science Journal 58(3), 2008. An example of a method in a package of its own: docs/adding-a-method.md
of the suite.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.methods.contract import Card, Method, Protocol


class PrincipalComponent(nn.Module):
    """N×1×H×W visible and infrared, 0..1, to the fused N×1×H×W.

    The pixels of a pair are points in a plane. The leading eigenvector of their 2×2 covariance,
    scaled to sum 1, holds the weights of the two images.
    """

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        # Means are taken over each image: the pairs of a batch have nothing to do with each other.
        sources = torch.cat([visible, infrared], dim=1)
        centred = sources - sources.mean(dim=(2, 3), keepdim=True)
        variance_v, variance_i = (centred**2).mean(dim=(2, 3), keepdim=True).split(1, dim=1)
        covariance = centred.prod(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True)
        # The eigenvector is (cos φ, sin φ) with tan 2φ = 2 cov / (var_v − var_i); the covariance's
        # magnitude makes that the magnitudes of its components, with φ in 0..π/2.
        angle = torch.atan2(2 * covariance.abs(), variance_v - variance_i) / 2
        weight = angle.cos() / (angle.cos() + angle.sin())
        # A round cloud of points has no leading direction, and two flat images are one point.
        undirected = (covariance == 0) & (variance_v == variance_i)
        weight = torch.where(undirected, torch.full_like(weight, 0.5), weight)
        return weight * visible + (1 - weight) * infrared


METHOD = Method(
    card=Card(
        name="pca",
        title="PCA",
        year=2008,
        venue="Defence Science Journal",
        kind="classical",
        licence="AGPL-3.0-or-later",
        url="",
        stated=(
            "the weights are the leading eigenvector of the images' 2×2 covariance, divided by the "
            "sum of its components",
        ),
        settled=(
            "magnitudes of the components are taken: with a negative covariance their signs "
            "differ, and the published quotient leaves 0..1",
            "without a leading direction (two flat images) both weights are 1/2",
        ),
    ),
    protocol=Protocol(colour="luma", range="unit"),
    build=PrincipalComponent,
)
