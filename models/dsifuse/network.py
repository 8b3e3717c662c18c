"""DSIFuse: semantic-guided multi-level collaborative fusion (Yuan et al., Sensors 2026, 2577).

The data flow of the paper in one place; each block has its own file.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.dsifuse.calibration import CrossModalCalibration
from models.dsifuse.config import SLIM, DSIFuseConfig
from models.dsifuse.cross_modal import CrossModalFusion
from models.dsifuse.decoder import Decoder
from models.dsifuse.encoder import Encoder
from models.dsifuse.intra_modal import IntraModalInteraction
from models.dsifuse.segmentation import GlobalPrior, ModalPrior, resize


@dataclass(frozen=True)
class FusedWithSemantics:
    """fused: D_f, N×C×H×W. The priors are class probabilities N×K×H/8×W/8, None without them."""

    fused: Tensor
    prior_visible: Tensor | None
    prior_infrared: Tensor | None
    prior_global: Tensor | None


class DSIFuse(nn.Module):
    """forward(visible N×C×H×W, infrared N×1×H×W) -> fused N×C×H×W, in 0..1; H, W divide by 32."""

    def __init__(self, config: DSIFuseConfig = SLIM) -> None:
        super().__init__()
        self.config = config
        widths, classes = config.widths, config.classes
        self.encode_visible = Encoder(config, config.channels)
        self.encode_infrared = Encoder(config, 1)
        self.calibrate = nn.ModuleList()
        if config.has("cfc"):
            self.calibrate.extend(
                CrossModalCalibration(w, config.lambda_channel, config.lambda_spatial)
                for w in widths
            )
        self.prior_visible = self.prior_infrared = self.prior_global = None
        if config.has("sg"):
            self.prior_visible = ModalPrior(widths[4], config.prior_width, classes)
            self.prior_infrared = ModalPrior(widths[4], config.prior_width, classes)
            if config.has("scb"):
                self.prior_global = GlobalPrior(widths, config.prior_width, classes)
        self.cross_modal: CrossModalFusion | None = None
        if config.has("cfb"):
            self.cross_modal = CrossModalFusion(*self._attention_sizes(0))
        self.intra_visible, self.intra_infrared = nn.ModuleList(), nn.ModuleList()
        if config.has("imb"):
            for level in (1, 2):
                sizes = self._attention_sizes(level)
                self.intra_visible.append(IntraModalInteraction(*sizes))
                self.intra_infrared.append(IntraModalInteraction(*sizes))
        self.decode = Decoder(config)

    def _attention_sizes(self, level: int) -> tuple[int, int, int, int]:
        """Channels of the prior, of the features and of the keys, and the heads, of a level."""
        width = self.config.widths[2 + level]
        prior = self.config.classes if self.config.has("sg") else width
        return prior, width, int(width * self.config.key_share), self.config.heads[level]

    def encode(self, visible: Tensor, infrared: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The calibrated features of stages n = 1..5 of both modalities, at strides 2..32."""
        of_visible, of_infrared = [], []
        for n in range(5):
            visible = self.encode_visible.stages[n](visible)
            infrared = self.encode_infrared.stages[n](infrared)
            if self.config.has("cfc"):
                visible, infrared = self.calibrate[n](visible, infrared)
            of_visible.append(visible)
            of_infrared.append(infrared)
        return of_visible, of_infrared

    def interact(
        self,
        features_v: list[Tensor],
        features_r: list[Tensor],
        prior_v: Tensor | None,
        prior_r: Tensor | None,
    ) -> list[tuple[Tensor, Tensor] | None]:
        """(M_V^t, M_R^t) for t = 1, 2, 3, or None for an ablated block (M = 0)."""
        results: list[tuple[Tensor, Tensor] | None] = []
        for level, (v, r) in enumerate(zip(features_v[2:], features_r[2:], strict=True)):
            query_v = v if prior_v is None else resize(prior_v, v)
            query_r = r if prior_r is None else resize(prior_r, r)
            if level == 0:
                block = self.cross_modal
                results.append(None if block is None else block(query_v, query_r, v, r))
            elif self.config.has("imb"):
                m_visible = self.intra_visible[level - 1](query_v, v)
                m_infrared = self.intra_infrared[level - 1](query_r, r)
                results.append((m_visible, m_infrared))
            else:
                results.append(None)
        return results

    def forward_with_semantics(self, visible: Tensor, infrared: Tensor) -> FusedWithSemantics:
        """The fused image together with S_V, S_R and S_G, which the semantic loss needs."""
        features_v, features_r = self.encode(visible, infrared)
        prior_v = prior_r = prior_g = None
        if self.prior_visible is not None and self.prior_infrared is not None:
            prior_v = self.prior_visible(features_v[4])
            prior_r = self.prior_infrared(features_r[4])
        if self.prior_global is not None:
            prior_g = self.prior_global(features_v, features_r)
        results = self.interact(features_v, features_r, prior_v, prior_r)
        for level, result in enumerate(results):
            if result is not None:
                features_v[2 + level] = features_v[2 + level] + result[0]
                features_r[2 + level] = features_r[2 + level] + result[1]
        features = [torch.cat(both, dim=1) for both in zip(features_v, features_r, strict=True)]
        interactions = [None if m is None else torch.cat(m, dim=1) for m in results]
        fused = self.decode(visible, infrared, features, interactions, prior_g)
        return FusedWithSemantics(fused, prior_v, prior_r, prior_g)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """visible N×C×H×W and infrared N×1×H×W to fused N×C×H×W."""
        return self.forward_with_semantics(visible, infrared).fused
