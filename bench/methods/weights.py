"""Weight files: which one a method runs with, how a foreign checkpoint is imported, how one is
loaded and checked. Nothing is ever unpickled beyond tensors.
"""

from __future__ import annotations

import hashlib
import json
import os
import textwrap
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bench.errors import UserError
from bench.methods.contract import Method, Weights
from bench.methods.tensorflow_checkpoint import read_tensorflow_checkpoint
from bench.methods.torch_file import read_torch_file, refuse_bomb

Status = Literal["shipped", "imported", "missing"]

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
    """Hex SHA-256 of a file's bytes; of a TensorFlow .index with its data files after it."""
    digest = hashlib.sha256()
    data = path.parent.glob(f"{path.stem}.data-*") if path.suffix == ".index" else ()
    for file in (path, *sorted(data)):
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
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


def own(method: Method) -> tuple[Weights, ...]:
    """The known files that fit the method itself: one named like a variant is that variant's."""
    return tuple(known for known in method.weights if known.name not in method.variants)


def status(folder: Path, method: Method, known: Weights) -> Status:
    """Whether a known file ships with the package, was imported into `folder`, or is missing."""
    if _packaged(known):
        return "shipped"
    return "imported" if locate(folder, method, known) else "missing"


def problem(folder: Path, method: Method, known: Weights) -> str:
    """What is wrong with a known file that should be here, in one sentence; "" if nothing.

    A shipped file must have its SHA-256, an imported one must come from the known file, and both
    must load strictly. A file that nobody imported is no problem.
    """
    path = locate(folder, method, known)
    if path is None:
        return f"{known.packaged} is missing from the package." if known.packaged else ""
    try:
        if path == _packaged(known):
            if (digest := sha256_of(path)) != known.sha256:
                return f"{path} has sha256 {digest[:12]}… instead of {known.sha256[:12]}…."
        elif known.sha256 and (source := _metadata(path).get("source_sha256", "")) != known.sha256:
            return f"{path} was imported from another file (sha256 {source[:12] or 'unknown'}…)."
        # A file that is named like a variant holds the weights of that variant.
        network = method.variants.get(known.name, method.build)()
        load_into(network, read_checkpoint(path), path)
    except UserError as error:
        return str(error)
    return ""


def _metadata(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, framework="pt") as stream:
            found: dict[str, str] = dict(stream.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a safetensors file: {error}.") from None
    try:
        row = json.loads(found["row"]) if "row" in found else found
        trained_on = json.loads(row.get("trained_on", "[]"))
        if all(isinstance(fact, str) for fact in (*row.values(), *trained_on)):
            return dict(row)
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    raise UserError(
        f"{path} describes itself in another way than 'bench train' does: save it anew."
    )


def resolve(
    method: Method,
    folder: Path,
    *,
    chosen: Path | None = None,
    random: bool = False,
    track: str = "any",
) -> ResolvedWeights:
    """The weights for a row: `chosen` file, else the first known file of the track that is here.

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
    of_track = [known for known in own(method) if track in ("any", known.track)]
    for known in of_track:
        path = locate(folder, method, known)
        if path is not None:
            # A file whose digest nobody could state beforehand is named by its own.
            digest = known.sha256 or _metadata(path).get("source_sha256") or sha256_of(path)
            return ResolvedWeights(known.name, known.track, digest, known.trained_on, path)
    if not of_track:
        raise MissingWeightsError(
            f"{method.name} has no {'' if track == 'any' else track + ' '}weights: "
            f"'bench train {method.name}' makes some, --weights {method.name}=FILE takes them."
        )
    first = of_track[0]
    fetched = f"run 'bench weights fetch {method.name}', or " if first.url else ""
    raise MissingWeightsError(
        f"{method.name} has no weights here: {fetched}{by_hand(method, first)}."
    )


def by_hand(method: Method, known: Weights) -> str:
    """How a person gets a known file without this program's help, as an order."""
    return (
        f"get {known.file} from {known.origin} and run "
        f"'bench weights import {method.name} {known.file}'"
    )


def _read_arrays(path: Path) -> dict[str, Tensor]:
    """The arrays of an .npz file; one that holds Python objects is refused, never unpickled."""
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is not an .npz file.")
    refuse_bomb(path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except Exception as error:
        # Damaged archives and arrays of objects or text fail in the zip, numpy or torch code.
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"{path} is not an .npz file of number arrays ({reason}).") from None


def _flattened(content: Mapping[Any, Any]) -> dict[str, Any]:
    """Nested mappings as one with dotted keys; DataParallel's `module.` is removed in each."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        name = str(key).removeprefix("module.")
        if isinstance(value, Mapping):
            flat.update({f"{name}.{inner}": leaf for inner, leaf in _flattened(value).items()})
        else:
            flat[name] = value
    return flat


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """A state_dict from .safetensors, .npz, a torch file that holds tensors only, or the variables
    of a TensorFlow checkpoint given by its .index file.

    DataParallel's `module.` prefix is removed. A dict of state_dicts, one per part of a network,
    becomes one with the keys "part.key". Raises UserError for anything else.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist.")
    if path.suffix == ".safetensors":
        try:
            return dict(load_file(path))
        except (SafetensorError, OSError) as error:
            raise UserError(f"{path} is not a safetensors file: {error}.") from None
    if path.suffix == ".npz":
        return _read_arrays(path)
    if path.suffix == ".index":
        arrays = read_tensorflow_checkpoint(path.with_suffix(""))
        return {name: torch.from_numpy(array) for name, array in arrays.items()}
    content = read_torch_file(path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    state = _flattened(content) if isinstance(content, Mapping) else None
    if state is None or not all(torch.is_tensor(value) for value in state.values()):
        raise UserError(f"{path} is not a state_dict: its values must be tensors.")
    return state


def load_into(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load strictly; UserError names the first keys or shapes that don't fit."""
    try:
        network.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:3]]
        reason = textwrap.shorten(" ".join(lines), 300, placeholder=" …").removesuffix(".")
        raise UserError(f"{path} does not fit the network: {reason}.") from None


def import_file(method: Method, source: Path, folder: Path) -> Path:
    """Check a known official file by its SHA-256 and keep its tensors under `folder`.

    A record without a SHA-256 accepts the file of its name if it fits the network exactly.
    Raises UserError for an unknown file, one that doesn't fit, or a method without known files.
    """
    if not method.weights:
        raise UserError(f"{method.name} knows no weight files to import.")
    if not source.is_file():
        raise UserError(f"{source} does not exist.")
    digest = sha256_of(source)
    by_name = next((w for w in method.weights if not w.sha256 and w.file == source.name), None)
    known = next((weights for weights in method.weights if weights.sha256 == digest), by_name)
    if known is None:
        listed = "; ".join(
            f"{w.file} {w.sha256[:12] + '…' if w.sha256 else '(by this name)'} from {w.origin}"
            for w in method.weights
        )
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
