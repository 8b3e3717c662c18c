"""CrossFuse: two auto-encoders trained first, then cross attention with a reversed softmax between
their deep features, which looks for what the two images do not share.

Li and Wu, Information Fusion 103, 102147, 2024, doi 10.1016/j.inffus.2023.102147.
"""

from __future__ import annotations

from functools import partial

from baselines.crossfuse.loss import (
    TwoStages,
    fusion_loss,
    infrared_reconstruction,
    visible_reconstruction,
)
from baselines.crossfuse.network import CrossFuse
from bench.methods.contract import (
    AuthorsOutput,
    Card,
    Method,
    Part,
    Phase,
    Protocol,
    Rate,
    Recipe,
    Update,
)
from bench.methods.shipped import shipped_weights

STATED = (
    "stage 1: one auto-encoder per spectrum, 40 000 images of KAIST each, 256×256, batch 2, "
    "4 epochs, Adam at 1e-4 and a tenth of it from the third epoch, MSE + 10 000 (1 - MS-SSIM) on "
    "0..255",
    "stage 2: encoders fixed, 20 000 pairs of KAIST, 256×256 (one window), batch 8, 32 epochs, "
    "Adam at 1e-3 and a tenth of it from the third epoch, pixel + 10 gradient on the stretched "
    "output",
    "weight decay 0.9 in Adam's L2 form, in both stages (the authors' scripts)",
    "the per-image stretch to 0..255 is part of the training graph, so it stays in every output",
    "MS-SSIM of the authors' code: (v + 1) / 2 per scale, the coarsest scale counts four times",
)
SETTLED = (
    "two constant convolutions of 1/9 are a channel sum and a 3×3 box: 7.1 of 136.0 GMAC less",
    "rolled windows are left out: without position encoding and mask they change nothing",
    "deep features smaller than a window are mirrored as often as it takes; the authors' code "
    "stops below 136 pixels a side",
    "authors' output is the grey image; their exchange of red and blue before the luma is not done",
    "suite training: crops 128×128, mirrored to one window of the attention module, batch 2 for "
    "all, one fifth of the training for stage 1 (160 000 against 640 000 image pairs seen)",
    "suite training: the last bias of both encoders starts at 0.1, so that the sums by which deep "
    "features are weighed start with one sign; short trainings from the usual start left zero "
    "crossings, where single weights exceed 1000 and the stretch flattens the image",
    "variant small is not the paper's network: its attention module works on 64 of 128 channels "
    "behind 1×1 convolutions, 7.15 of 21.31 million parameters, 14.3 MB in half precision",
)
# Channels of the attention module in the variant whose weights are small enough to be passed on.
NARROW = 64
# By pairs seen: 40,000 in 4 epochs against 20,000 in 32. Both are 80,000 steps.
FIRST_STAGE = 0.2
WEIGHT_DECAY = 0.9


def _stepped(first: float, until: float, share: float) -> float:
    return first if share < until else first / 10


def stepped(first: float, until: float) -> Rate:
    """`first` until that share of the whole training is done, a tenth of it after."""
    return partial(_stepped, first, until)


def _part(prefix: str, rate: Rate) -> Part:
    return Part(prefix=prefix, rate=rate, weight_decay=WEIGHT_DECAY)


# Both stages divide the rate by ten from their third epoch on: of 4, and of 32.
_FIRST_RATE = stepped(1e-4, FIRST_STAGE * 2 / 4)
_SECOND_RATE = stepped(1e-3, FIRST_STAGE + (1 - FIRST_STAGE) * 2 / 32)

RECIPE = Recipe(
    phases=(
        Phase(
            updates=(
                Update(
                    infrared_reconstruction,
                    (_part("fusion.ae_ir.", _FIRST_RATE), _part("decoder_ir.", _FIRST_RATE)),
                ),
                Update(
                    visible_reconstruction,
                    (_part("fusion.ae_vi.", _FIRST_RATE), _part("decoder_vi.", _FIRST_RATE)),
                ),
            ),
            share=FIRST_STAGE,
        ),
        Phase(
            updates=(Update(fusion_loss, (_part("fusion.fuse.", _SECOND_RATE),)),),
            share=1 - FIRST_STAGE,
            evaluated=("fusion.ae_ir.", "fusion.ae_vi.", "decoder_ir.", "decoder_vi."),
        ),
    ),
    crop=128,
    batch=2,
    wrap=TwoStages,
)

METHOD = Method(
    card=Card(
        name="crossfuse",
        title="CrossFuse",
        year=2024,
        venue="Information Fusion",
        kind="transformer",
        licence="none stated",
        url="https://github.com/hli1221/CrossFuse",
        doi="10.1016/j.inffus.2023.102147",
        stated=STATED,
        settled=SETTLED,
    ),
    protocol=Protocol(
        colour="luma8",
        range="byte",
        authors=AuthorsOutput(chroma="grey", stretch=False, rounding="truncate"),
    ),
    build=CrossFuse,
    weights=shipped_weights(__file__, "crossfuse"),
    needs_weights=True,
    recipe=RECIPE,
    variants={"small": partial(CrossFuse, NARROW)},
)
