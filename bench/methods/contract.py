"""The contract of a fusion method: card (for people), protocol (for the machine), network, weights.

A method's own file contains no image I/O, no colour conversion and no rounding: one function,
`bench.methods.protocol.fuse`, applies the protocol for everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

Colour = Literal["luma", "luma8", "rgb"]
Range = Literal["unit", "signed", "byte"]
Pad = Literal["reflect", "replicate", "zero"]
Track = Literal["official", "suite", "none"]


@dataclass(frozen=True)
class Card:
    """What a person wants to know about a method; printed by `bench methods`.

    kind: "source", "classical", "cnn", "autoencoder", "gan", "transformer".
    stated / settled: for methods without public code, what the paper states and what we decided.
    """

    name: str
    title: str
    year: int | None
    venue: str
    kind: str
    licence: str
    url: str
    doi: str = ""
    stated: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()


@dataclass(frozen=True)
class AuthorsOutput:
    """How the authors' own script wrote its images; applied only with `--output authors`.

    chroma: "exact" (BT.601 full range), "tang" (SeAFusion's rounded YCrCb coefficients) or "grey"
    (the fused luma alone is stored).
    stretch: per-image min-max stretch over all stored channels before quantisation.
    rounding: "nearest" or "truncate".
    """

    chroma: Literal["exact", "tang", "grey"]
    stretch: bool
    rounding: Literal["nearest", "truncate"]


@dataclass(frozen=True)
class Protocol:
    """How 8-bit images become the network's input and its output becomes an 8-bit image.

    colour: "luma" (BT.601 full-range Y as float; chroma from the visible image), "luma8" (the same
    with Y rounded to 8 bits first, for networks whose authors read a grey file), "rgb".
    range: "unit" 0..1, "signed" -1..1, "byte" 0..255, for input and output alike.
    multiple, pad: sides are padded on the right and bottom to a multiple, and cropped after.
    """

    colour: Colour
    range: Range = "unit"
    multiple: int = 1
    pad: Pad = "reflect"
    authors: AuthorsOutput | None = None


@dataclass(frozen=True)
class Weights:
    """One known weight file.

    file: its usual file name. sha256: "" where nobody here has seen the file yet (then bytes is 0):
    the file of that name is accepted if it fits the network exactly, and results carry its own
    digest. packaged: "package/path.safetensors" for files that ship with us.
    trained_on: data sets (names of `bench datasets`, with part: "msrs/train"), for the mark in
    the tables when a row's weights saw training data of the same set.
    convert: maps a foreign state_dict to the network's keys, or None if they are equal.
    url: https address of the file's bytes for `bench weights fetch`, "" where none is known; it
    takes sha256 and bytes, by which the download is checked.
    """

    name: str
    track: Track
    file: str
    sha256: str
    bytes: int
    origin: str
    licence: str
    trained_on: tuple[str, ...]
    packaged: str = ""
    convert: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] | None = None
    url: str = ""


@dataclass(frozen=True)
class TrainingBatch:
    """One training batch, on the training device, after the method's protocol.

    visible: N×C×H×W (C = 1 for luma protocols, 3 for rgb), infrared: N×1×H×W, in the protocol's
    range. labels: N×H×W int64 segmentation map or None; foreground: N×1×H×W in {0, 1} or None;
    labelled: N bool, which items of `labels` are annotations (others hold zeros).
    """

    visible: Tensor
    infrared: Tensor
    labels: Tensor | None = None
    foreground: Tensor | None = None
    labelled: Tensor | None = None


Loss = Callable[[nn.Module, TrainingBatch], dict[str, Tensor]]
Rate = Callable[[float], float]


def poly(start: float, power: float = 0.9) -> Rate:
    """Learning rate falling from `start` to 0 over the whole training: start (1 − share)^power."""
    return partial(_poly, start, power)


def _poly(start: float, power: float, share: float) -> float:
    return start * float((1 - share) ** power)


@dataclass(frozen=True)
class Part:
    """Parameters with an Adam optimiser of their own: those whose names begin with `prefix`.

    The optimiser's state lives as long as the training; parts with the same prefix in several
    phases or updates are one optimiser. rate: share of the whole training that is done (0..1) to
    the learning rate. weight_decay is the L2 form. clip_norm: of this part's gradient.
    """

    prefix: str = ""
    rate: Rate = field(default_factory=lambda: poly(1e-3))
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    clip_norm: float | None = None


@dataclass(frozen=True)
class Update:
    """One backward pass of `loss` and one step of the optimisers of `parts`, `repeat` times.

    loss: (training network, batch) -> dict of named scalar terms; the key "total" is minimised.
    Parameters outside `parts` get no gradient in this update (a generator's step leaves the
    discriminator alone).
    """

    loss: Loss
    parts: tuple[Part, ...] = (Part(),)
    repeat: int = 1


@dataclass(frozen=True)
class Phase:
    """A stretch of the training: in every iteration its updates run in order on one batch.

    share: part of the whole training (the phases' shares are normalised to sum 1). evaluated:
    name prefixes of modules kept in eval mode, everything else is in train mode.
    The terms of the last update's loss are what validation reports.
    """

    updates: tuple[Update, ...]
    share: float = 1.0
    evaluated: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """How a method is trained: data for the one trainer in `bench.training`.

    crop: training crop side in pixels. ema: decay of the moving average that is exported, None to
    export the last weights. wrap: puts what only training needs (a discriminator, a second
    decoder) around the fusion network, which becomes the attribute `fusion` of the result; None
    trains the fusion network itself. Losses get the wrapped network, part prefixes refer to it,
    and the fusion network alone is exported. What a wrap keeps from batch to batch belongs into its
    state_dict, so that a resumed training has it.
    options: everything else that the losses need to be named in the weights' card.
    """

    phases: tuple[Phase, ...]
    crop: int
    batch: int
    ema: float | None = None
    wrap: Callable[[nn.Module], nn.Module] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Preset:
    """A named training: `bench train METHOD --preset NAME`. What is None is left to the recipe.

    says: one line for people. epochs (passes over the training pairs) and seconds: where it ends,
    the first reached. mixed: bfloat16 where there is a GPU. options: for `Method.tuned`.
    """

    says: str
    epochs: float | None = None
    seconds: float | None = None
    crop: int | None = None
    batch: int | None = None
    mixed: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """A fusion method. `build()` returns a plain nn.Module with
    ``forward(visible, infrared) -> fused``: visible N×C×H×W, infrared N×1×H×W and fused N×C×H×W
    floats in the protocol's range (C = 1 for luma protocols, 3 for rgb).

    needs_weights: False for methods without parameters. recipe: None if it can't be trained here.
    variants: named other configurations (ablations, widths) as builders.
    tuned: the same method with other settings of network, loss and recipe, by name; it raises
    UserError for what it doesn't know. None where there is nothing to choose.
    presets: named trainings.
    """

    card: Card
    protocol: Protocol
    build: Callable[[], nn.Module]
    weights: tuple[Weights, ...] = ()
    needs_weights: bool = False
    recipe: Recipe | None = None
    variants: Mapping[str, Callable[[], nn.Module]] = field(default_factory=dict)
    tuned: Callable[[Mapping[str, Any]], Method] | None = None
    presets: Mapping[str, Preset] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The card's name: the method's identifier on the command line and in results."""
        return self.card.name
