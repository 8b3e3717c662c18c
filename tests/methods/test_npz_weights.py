"""Weights as an .npz file of arrays: read without ever unpickling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.errors import UserError
from bench.methods import weights


def test_arrays_become_tensors(tmp_path: Path) -> None:
    arrays = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(3)}
    np.savez(tmp_path / "w.npz", **arrays)
    state = weights.read_checkpoint(tmp_path / "w.npz")
    assert state.keys() == arrays.keys()
    assert torch.equal(state["a.weight"], torch.arange(6.0).view(2, 3))
    assert state["n"].item() == 3


class Trap:
    """A pickle that would create a file when loaded without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    made = tmp_path / "made"
    trap = np.array([Trap(made)], dtype=object)
    np.savez(tmp_path / "trap.npz", trap=trap)
    with pytest.raises(UserError, match=r"trap\.npz is not an \.npz file of number arrays"):
        weights.read_checkpoint(tmp_path / "trap.npz")
    assert not made.exists()


@pytest.mark.parametrize("damage", ["text", "array", "cut", "flipped"])
def test_damaged_and_foreign_files_are_named(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "w.npz"
    if damage == "text":
        np.savez(file, a=np.array(["word"]))
    elif damage == "array":
        with file.open("wb") as stream:
            np.save(stream, np.zeros(3))
    else:
        np.savez_compressed(file, a=np.random.default_rng(0).random(500))
        data = bytearray(file.read_bytes())
        if damage == "cut":
            del data[len(data) // 2 :]
        else:
            data[200] ^= 255
        file.write_bytes(data)
    with pytest.raises(UserError, match=r"w\.npz is not an \.npz file"):
        weights.read_checkpoint(file)
