"""The decoder of DSIFuse: steps 1..5 at strides 16, 8, 4, 2, 1, with the SCB at steps 4 and 5."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.dsifuse.compensation import SemanticCompensation
from models.dsifuse.config import Block, DSIFuseConfig
from models.dsifuse.segmentation import resize


class Decoder(nn.Module):
    """F̃_V^n, F̃_R^n, the interaction results and S_G to the fused image D_f."""

    def __init__(self, config: DSIFuseConfig) -> None:
        super().__init__()
        self.config = config
        widths, steps, channels = config.widths, config.decoder, config.channels
        self.deepest = nn.Conv2d(2 * widths[4], steps[0], 1)
        inputs = (steps[0], *steps[:4])
        skips = [2 * widths[i] for i in (3, 2, 1, 0)]
        skips.append(channels + 1 if config.source_skip else 0)
        self.steps = nn.ModuleList(
            [
                nn.Conv2d(i + s, o, 3, padding=1)
                for i, s, o in zip(inputs, skips, steps, strict=True)
            ]
        )
        # The finer result (M^1) compensates the finer step (5).
        self.levels = {3: 1, 4: 0}
        self.compensate = nn.ModuleDict()
        for step, level in self.levels.items():
            block: Block = "cfb" if level == 0 else "imb"
            sources = (
                widths[2 + level] if config.has(block) else 0,
                config.classes if config.has("sg") else 0,
            )
            if config.has("scb") and any(sources):
                self.compensate[str(step)] = SemanticCompensation(
                    *sources, config.compensation_width, steps[step]
                )
        maps = channels if config.output == "sigmoid" else 2 + channels
        self.head = nn.Conv2d(steps[4], maps, 3, padding=1)
        if config.output == "affine":
            # Training starts at the average of the sources instead of at noise.
            start = torch.cat([torch.full((2,), 0.5), torch.zeros(channels)])
            with torch.no_grad():
                self.head.weight.zero_()
                self.head.bias = nn.Parameter(start)

    def forward(
        self,
        visible: Tensor,
        infrared: Tensor,
        features: Sequence[Tensor],
        interactions: Sequence[Tensor | None],
        global_prior: Tensor | None,
    ) -> Tensor:
        """features: concat(F̃_V^n, F̃_R^n) of n = 1..5; interactions: concat(M_V^t, M_R^t) or None.

        Returns D_f, N×C×H×W (C = 1 or 3), in the range of the inputs.
        """
        sources = torch.cat([visible, infrared], dim=1)
        skips = [features[3], features[2], features[1], features[0], sources]
        x = functional.relu(self.deepest(features[4]))
        for step, (convolve, skip) in enumerate(zip(self.steps, skips, strict=True)):
            x = resize(x, skip)
            if step < 4 or self.config.source_skip:
                x = torch.cat([x, skip], dim=1)
            x = functional.relu(convolve(x))
            if str(step) in self.compensate:
                given = [interactions[self.levels[step]], global_prior]
                present = [item for item in given if item is not None]
                x = x + self.compensate[str(step)](present, x)
        maps = self.head(x)
        if self.config.output == "sigmoid":
            return torch.sigmoid(maps)
        return maps[:, :1] * visible + maps[:, 1:2] * infrared + maps[:, 2:]
