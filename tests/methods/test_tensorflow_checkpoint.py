"""Reading TensorFlow checkpoints: every refusal names its remedy; real ones where TensorFlow is."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from bench.errors import UserError
from bench.methods.tensorflow_checkpoint import read_tensorflow_checkpoint


def write_files(prefix: Path) -> Path:
    """Files with the names of a checkpoint that are none."""
    prefix.with_name(f"{prefix.name}.index").write_bytes(b"no table")
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(b"no data")
    return prefix


def test_absent_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model-3\.index does not exist"):
        read_tensorflow_checkpoint(tmp_path / "model-3")
    write_files(tmp_path / "model-3").with_name("model-3.data-00000-of-00001").unlink()
    with pytest.raises(UserError, match=r"model-3\.data-00000-of-00001 does not exist"):
        read_tensorflow_checkpoint(tmp_path / "model-3")


def test_without_tensorflow_the_sentence_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # None in sys.modules is Python's own way to make an import fail.
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UserError, match=r"pip install 'ivif-bench\[tensorflow\]'"):
        read_tensorflow_checkpoint(write_files(tmp_path / "model-3"))


def test_a_real_checkpoint(tmp_path: Path) -> None:
    tensorflow = pytest.importorskip("tensorflow", reason="needs the extra [tensorflow]")
    values = {"net/w": np.arange(6, dtype=np.float32).reshape(2, 3), "net/b": np.float32([7, 8])}
    prefix = tmp_path / "model-3"
    # The operation that TensorFlow 1's Saver runs.
    tensorflow.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(values),
        shape_and_slices=[""] * len(values),
        tensors=[tensorflow.constant(value) for value in values.values()],
    )
    read = read_tensorflow_checkpoint(prefix)
    assert read.keys() == values.keys()
    for name, value in values.items():
        assert np.array_equal(read[name], value)
    with pytest.raises(UserError, match="not a readable TensorFlow checkpoint"):
        read_tensorflow_checkpoint(write_files(tmp_path / "broken"))
