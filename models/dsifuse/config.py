"""Every settled point of DSIFuse's network as one named option (Sensors 2026, 26(9), 2577).

A later erratum or release of the authors' code is a change of these defaults.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Block = Literal["cfc", "cfb", "imb", "scb", "sg"]
BLOCKS: tuple[Block, ...] = ("cfc", "cfb", "imb", "scb", "sg")


@dataclass(frozen=True)
class DSIFuseConfig:
    """Sizes and readings of the network.

    widths, blocks: channels and number of basic blocks of the stages n = 1..5, strides 2..32.
    stem: "block" starts with basic blocks of stride 2; "resnet" with ResNet's 7×7 convolution
    (blocks[0] must be 0) and its max pooling.
    norm: "batch" as in ResNet, or "none".
    heads: attention heads at the levels t = 1, 2, 3. key_share: d_k = width · key_share.
    classes: K of the semantic priors with background; the synthetic world has 7, MSRS 9.
    colour: "luma" (one channel) or "rgb" (three) for the visible input and the output.
    output: "affine" (D_f = a ⊙ V + b ⊙ R + r with three predicted maps) or "sigmoid".
    decoder: channels of the decoder steps 1..5, at strides 16, 8, 4, 2, 1.
    source_skip: the two images themselves join decoder step 5, which has no encoder stage.
    prior_width: channels inside the segmentation branches; compensation_width: inside the SCB.
    lambda_channel, lambda_spatial: λ_C and λ_S of the CFC.
    ablate: the blocks switched off (Table 5 of the paper).
    """

    widths: tuple[int, int, int, int, int] = (16, 24, 32, 48, 64)
    blocks: tuple[int, int, int, int, int] = (1, 1, 2, 2, 2)
    stem: Literal["block", "resnet"] = "block"
    norm: Literal["batch", "none"] = "batch"
    heads: tuple[int, int, int] = (1, 2, 4)
    key_share: float = 0.5
    classes: int = 7
    colour: Literal["luma", "rgb"] = "luma"
    output: Literal["affine", "sigmoid"] = "affine"
    decoder: tuple[int, int, int, int, int] = (48, 32, 24, 16, 16)
    source_skip: bool = True
    prior_width: int = 24
    compensation_width: int = 8
    lambda_channel: float = 0.5
    lambda_spatial: float = 0.5
    ablate: frozenset[Block] = frozenset()

    def without(self, block: Block) -> DSIFuseConfig:
        """The same configuration with one more block switched off."""
        return replace(self, ablate=self.ablate | {block})

    def has(self, block: Block) -> bool:
        """Whether `block` is part of the network."""
        return block not in self.ablate

    @property
    def channels(self) -> int:
        """Channels of the visible input and of the output."""
        return 1 if self.colour == "luma" else 3


SLIM = DSIFuseConfig()
RESNET18 = DSIFuseConfig(
    widths=(64, 64, 128, 256, 512),
    blocks=(0, 2, 2, 2, 2),
    stem="resnet",
    decoder=(256, 128, 64, 64, 32),
    prior_width=64,
    compensation_width=16,
)
