"""Importing and loading weight files: what is accepted, and what is refused with which words."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bench.errors import UserError
from bench.methods import registry, weights
from bench.methods.contract import Method
from bench.training.export import export


class Malicious:
    """A pickle that would create a file when loaded without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


def test_missing_weights_name_the_command(tmp_path: Path) -> None:
    with pytest.raises(
        weights.MissingWeightsError, match="bench weights import seafusion SeAFusion.pth"
    ):
        weights.resolve(registry.method("seafusion"), tmp_path, track="official")


def test_random_weights_say_so(tmp_path: Path) -> None:
    found = weights.resolve(registry.method("seafusion"), tmp_path, random=True)
    assert found.facts()["name"] == "random"


def test_a_known_file_is_imported_once_checked(tmp_path: Path) -> None:
    method = registry.method("densefuse")
    file = tmp_path / "densefuse_gray.model"
    torch.manual_seed(1)
    state = {f"module.{key}": value for key, value in method.build().state_dict().items()}
    torch.save(state, file)
    known = replace(method.weights[0], sha256=weights.sha256_of(file))
    method = replace(method, weights=(known,))
    target = weights.import_file(method, file, tmp_path / "store")
    found = weights.resolve(method, tmp_path / "store")
    assert found.path == target and found.track == "official"
    network = weights.build(method, found)
    assert torch.equal(network.conv1.conv2d.weight, state["module.conv1.conv2d.weight"])


def test_an_unknown_file_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    file = tmp_path / "other.pth"
    torch.save({"a": torch.zeros(1)}, file)
    with pytest.raises(UserError, match=r"no known file of seafusion: expected SeAFusion\.pth"):
        weights.import_file(registry.method("seafusion"), file, tmp_path)


def test_a_pickle_with_code_is_never_run(tmp_path: Path) -> None:
    for name, save in (("legacy.pth", pickle.dump), ("zip.pth", torch.save)):
        trap = tmp_path / f"{name}.created"
        with (tmp_path / name).open("wb") as stream:
            save({"state_dict": Malicious(trap)}, stream)
        with pytest.raises(UserError, match=name):
            weights.read_checkpoint(tmp_path / name)
        assert not trap.exists()


def test_damaged_and_foreign_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "text.safetensors").write_text("hello")
    for name in ("text.pth", "text.safetensors", "absent.pth"):
        with pytest.raises(UserError, match=name):
            weights.read_checkpoint(tmp_path / name)


def test_weights_of_another_network_do_not_load(tmp_path: Path) -> None:
    file = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(2)}, file)
    method = registry.method("densefuse")
    found = weights.resolve(method, tmp_path, chosen=file)
    with pytest.raises(UserError, match="does not fit the network"):
        weights.build(method, found)


def test_the_seed_decides_random_weights(tmp_path: Path) -> None:
    method = registry.method("densefuse")
    found = weights.resolve(method, tmp_path, random=True)
    one, same, other = (weights.build(method, found, seed=s).state_dict() for s in (0, 0, 1))
    key = "conv1.conv2d.weight"
    assert torch.equal(one[key], same[key]) and not torch.equal(one[key], other[key])


def shipped_method(file: Path) -> Method:
    """DenseFuse with weights drawn here, in the place of a file that ships with the package."""
    method = registry.method("densefuse")
    save_file(method.build().state_dict(), file)
    known = replace(
        method.weights[0], packaged=str(file), sha256=weights.sha256_of(file), track="suite"
    )
    return replace(method, weights=(known,))


def test_a_changed_shipped_file_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "shipped.safetensors"
    method = shipped_method(file)
    known = method.weights[0]
    assert weights.status(tmp_path, method, known) == "shipped"
    assert weights.problem(tmp_path, method, known) == ""
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert f"instead of {known.sha256[:12]}…" in weights.problem(tmp_path, method, known)
    file.unlink()
    assert weights.status(tmp_path, method, known) == "missing"
    assert "missing from the package" in weights.problem(tmp_path, method, known)


def test_imported_files_that_do_not_load_are_problems(tmp_path: Path) -> None:
    method = registry.method("densefuse")
    file = tmp_path / "own.pth"
    torch.save(method.build().state_dict(), file)
    known = replace(method.weights[0], sha256=weights.sha256_of(file))
    method = replace(method, weights=(known,))
    assert weights.status(tmp_path, method, known) == "missing"
    assert weights.problem(tmp_path, method, known) == ""
    stored = weights.import_file(method, file, tmp_path)
    assert weights.status(tmp_path, method, known) == "imported"
    assert weights.problem(tmp_path, method, known) == ""

    source = {"source_sha256": known.sha256}
    state = method.build().state_dict()
    state.popitem()
    save_file(state, stored, source)
    assert "does not fit the network" in weights.problem(tmp_path, method, known)
    save_file(method.build().state_dict(), stored, {"source_sha256": "0" * 64})
    assert "imported from another file (sha256 000000000000…)" in weights.problem(
        tmp_path, method, known
    )
    stored.write_bytes(stored.read_bytes()[:1000])
    assert "is not a safetensors file" in weights.problem(tmp_path, method, known)


def test_an_exported_file_brings_the_facts_of_its_row(tmp_path: Path) -> None:
    method = registry.method("densefuse")
    card = {"method": "densefuse", "variant": None, "data": [{"name": "roadscene/all"}]}
    path = export(method.build().state_dict(), card, tmp_path / "mine")
    found = weights.resolve(method, tmp_path / "none", chosen=path)
    assert (found.name, found.track, found.trained_on) == ("mine", "suite", ("roadscene/all",))
    assert found.sha256 == weights.sha256_of(path)


def test_a_track_alone_never_takes_the_other_ones_file(tmp_path: Path) -> None:
    method = registry.method("densefuse")
    assert weights.resolve(method, tmp_path).track == "suite"
    assert weights.resolve(method, tmp_path, track="suite").name == "suite"
    with pytest.raises(weights.MissingWeightsError, match=r"densefuse_gray\.model"):
        weights.resolve(method, tmp_path, track="official")
    with pytest.raises(weights.MissingWeightsError, match="no suite weights"):
        weights.resolve(registry.method("densefuse-tf"), tmp_path, track="suite")
