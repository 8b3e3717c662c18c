"""A finished training as two files: weights (safetensors) and a card (JSON) that says how made."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor


def hardware(device: torch.device) -> str:
    """The device in words: "1 CPU core" or the name of the GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"{threads} CPU core{'s' if threads > 1 else ''} ({platform.machine()})"
    return device.type


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(data)
    os.replace(temporary, path)


def halved(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state as 16-bit floats hold it, for files of half the size."""
    return {k: v.half() if v.is_floating_point() else v for k, v in state.items()}


def export(state: Mapping[str, Tensor], card: Mapping[str, Any], stem: Path) -> Path:
    """Write `stem`.safetensors and `stem`.json (the card plus sha256 and bytes).

    Returns the path of the weights.
    """
    tensors = {key: value.cpu().contiguous() for key, value in state.items()}
    # What a row needs when somebody runs this file with --weights METHOD=FILE. One key, because
    # safetensors writes several in a random order and equal trainings must give equal files.
    row = {
        "name": stem.name,
        "track": "suite",
        "trained_on": json.dumps([part["name"] for part in card["data"]]),
    }
    data = save(tensors, {"row": json.dumps(row)})
    weights = stem.with_name(stem.name + ".safetensors")
    _write(weights, data)
    facts = {**card, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    _write(stem.with_name(stem.name + ".json"), text.encode())
    return weights
