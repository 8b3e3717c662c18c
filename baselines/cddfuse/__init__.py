"""CDDFuse: transformer features decomposed into a correlated base and an uncorrelated detail.

Zhao et al., CVPR 2023, pages 5906-5916, arXiv 2211.14461: card, protocol, weights, recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import Tensor

from baselines.cddfuse.loss import fusion_loss, reconstruction_loss
from baselines.cddfuse.network import CDDFuse
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
    Weights,
)
from bench.methods.shipped import shipped_weights


def _halved(begins: float, share: float) -> float:
    # Halved after every 20 of the 120 epochs, counted from where the part's training begins.
    return max(1e-6, 1e-4 * 0.5 ** int(max(0.0, share - begins) * 6 + 1e-9))


def _halved_from(begins: float) -> Rate:
    return partial(_halved, begins)


_AUTO_ENCODER = tuple(
    Part(prefix, _halved_from(0.0), clip_norm=0.01) for prefix in ("encoder.", "decoder.")
)
_FUSION = tuple(
    Part(prefix, _halved_from(1 / 3), clip_norm=0.01) for prefix in ("base_fuse.", "detail_fuse.")
)
_PARTS = {
    "DIDF_Encoder": "encoder",
    "DIDF_Decoder": "decoder",
    "BaseFuseLayer": "base_fuse",
    "DetailFuseLayer": "detail_fuse",
}


def _from_four_parts(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    # The authors' file is a dict of one state_dict per part.
    renamed = {}
    for key, value in state.items():
        part, _, name = key.partition(".")
        renamed[f"{_PARTS.get(part, part)}.{name}"] = value
    return renamed


METHOD = Method(
    card=Card(
        name="cddfuse",
        title="CDDFuse",
        year=2023,
        venue="CVPR",
        kind="transformer",
        licence="none stated",
        url="https://github.com/Zhaozixiang1228/MMIF-CDDFuse",
        doi="10.1109/CVPR52729.2023.00572",
        stated=(
            "code: 120 epochs of MSRS train (1083 pairs), 128×128 patches, batch 8; the first 40 "
            "epochs reconstruct each image, the other 80 fuse",
            "code: one Adam per part, 1e-4 halved every 20 epochs, gradient norm of each part "
            "clipped at 0.01",
            "code: the stored image is the network's output stretched to 0..255 per image",
        ),
        settled=(
            "suite training: the losses, rates, clipping and the 1:2 ratio of the phases are the "
            "authors'; data and flips are the suite's, as for all baselines",
            "suite training: batch 1 instead of 8, since one 128×128 pair already takes seconds "
            "on a CPU core",
            "suite training: luma is rounded to 8 bits, as in the authors' test script",
        ),
    ),
    protocol=Protocol(
        colour="luma8",
        range="unit",
        authors=AuthorsOutput(chroma="grey", stretch=True, rounding="nearest"),
    ),
    build=CDDFuse,
    weights=(
        Weights(
            name="official-ivf",
            track="official",
            file="CDDFuse_IVF.pth",
            sha256="",
            bytes=0,
            origin="https://github.com/Zhaozixiang1228/MMIF-CDDFuse",
            licence="none stated",
            trained_on=("msrs/train",),
            convert=_from_four_parts,
        ),
        *shipped_weights(__file__, "cddfuse"),
    ),
    needs_weights=True,
    recipe=Recipe(
        phases=(
            Phase((Update(reconstruction_loss, _AUTO_ENCODER),), share=1 / 3),
            Phase((Update(fusion_loss, _AUTO_ENCODER + _FUSION),), share=2 / 3),
        ),
        crop=128,
        batch=1,
    ),
)
