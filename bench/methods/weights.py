"""Weight files: which one a method runs with, how a foreign checkpoint is imported, how one is
loaded. Nothing is ever unpickled beyond tensors.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bench.errors import UserError
from bench.methods.contract import Method, Weights

_REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class ResolvedWeights:
    """The weights of one row. path is None for methods without parameters and random weights.

    sha256: of the file the weights came from (the authors' file for imported checkpoints).
    """

    name: str
    track: str
    sha256: str
    trained_on: tuple[str, ...]
    path: Path | None

    def facts(self) -> dict[str, Any]:
        """The record that results carry."""
        return {
            "name": self.name,
            "track": self.track,
            "sha256": self.sha256,
            "trained_on": list(self.trained_on),
        }


NO_WEIGHTS = ResolvedWeights("", "none", "", (), None)


class MissingWeightsError(UserError):
    """A method has no weights on this machine; the sentence names the command that gets them."""


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _stored(folder: Path, method: Method, known: Weights) -> Path:
    return folder / method.name / f"{known.name}.safetensors"


def _packaged(known: Weights) -> Path | None:
    path = _REPOSITORY / known.packaged
    return path if known.packaged and path.is_file() else None


def locate(folder: Path, method: Method, known: Weights) -> Path | None:
    """Where a known weight file lies: shipped with the package or imported into `folder`."""
    stored = _stored(folder, method, known)
    return _packaged(known) or (stored if stored.is_file() else None)


def _metadata(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, framework="pt") as stream:
            return dict(stream.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a safetensors file: {error}.") from None


def resolve(
    method: Method, folder: Path, *, chosen: Path | None = None, random: bool = False
) -> ResolvedWeights:
    """The weights for a row: `chosen` file, else the first known file that is here.

    Raises MissingWeightsError where none is here and `random` is not set.
    """
    if not method.needs_weights:
        return NO_WEIGHTS
    if random:
        return ResolvedWeights("random", "none", "", (), None)
    if chosen is not None:
        if not chosen.is_file():
            raise UserError(f"The weights file {chosen} for {method.name} does not exist.")
        facts = _metadata(chosen)
        return ResolvedWeights(
            facts.get("name", chosen.stem),
            facts.get("track", "suite"),
            facts.get("source_sha256") or sha256_of(chosen),
            tuple(json.loads(facts.get("trained_on", "[]"))),
            chosen,
        )
    for known in method.weights:
        path = locate(folder, method, known)
        if path is not None:
            return ResolvedWeights(known.name, known.track, known.sha256, known.trained_on, path)
    if not method.weights:
        raise MissingWeightsError(
            f"{method.name} has no weights: 'bench train {method.name}' makes them."
        )
    first = method.weights[0]
    raise MissingWeightsError(
        f"{method.name} has no weights here: get {first.file} from {first.origin} and run "
        f"'bench weights import {method.name} {first.file}'."
    )


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """A state_dict from .safetensors or a torch file that holds tensors only.

    DataParallel's `module.` prefix is removed. Raises UserError for anything else.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist.")
    if path.suffix == ".safetensors":
        try:
            return dict(load_file(path))
        except (SafetensorError, OSError) as error:
            raise UserError(f"{path} is not a safetensors file: {error}.") from None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"{path} holds more than tensors (a pickled object can run code): save its state_dict "
            "in the environment that made it."
        ) from None
    except Exception as error:
        # On arbitrary bytes the restricted unpickler fails with whatever it trips over.
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"{path} is not a torch checkpoint ({reason}).") from None
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(torch.is_tensor(v) for v in content.values()):
        raise UserError(f"{path} is not a state_dict: its values must be tensors.")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def load_into(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load strictly; UserError names the first keys or shapes that don't fit."""
    try:
        network.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:3]]
        raise UserError(f"{path} does not fit the network: {' '.join(lines)[:300]}") from None


def import_file(method: Method, source: Path, folder: Path) -> Path:
    """Check a known official file by its SHA-256 and keep its tensors under `folder`.

    Raises UserError for an unknown file, one that doesn't fit, or a method without known files.
    """
    if not method.weights:
        raise UserError(f"{method.name} knows no weight files to import.")
    if not source.is_file():
        raise UserError(f"{source} does not exist.")
    digest = sha256_of(source)
    known = next((weights for weights in method.weights if weights.sha256 == digest), None)
    if known is None:
        listed = "; ".join(f"{w.file} {w.sha256[:12]}… from {w.origin}" for w in method.weights)
        raise UserError(
            f"{source} (sha256 {digest[:12]}…) is no known file of {method.name}: "
            f"expected {listed}. To run other weights, save a safetensors file and use "
            f"--weights {method.name}=FILE."
        )
    state = read_checkpoint(source)
    if known.convert is not None:
        state = dict(known.convert(state))
    network = method.build()
    load_into(network, state, source)
    target = _stored(folder, method, known)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".tmp")
    metadata = {"method": method.name, "name": known.name, "source_sha256": digest}
    save_file({key: value.contiguous() for key, value in state.items()}, temporary, metadata)
    os.replace(temporary, target)
    return target


def build(method: Method, weights: ResolvedWeights, *, seed: int = 0) -> nn.Module:
    """The network in eval mode with its weights; random ones are drawn from `seed`."""
    torch.manual_seed(seed)
    network = method.build()
    if weights.path is not None:
        state = {key: value.float() if value.is_floating_point() else value
                 for key, value in read_checkpoint(weights.path).items()}  # fmt: skip
        load_into(network, state, weights.path)
    return network.eval()
