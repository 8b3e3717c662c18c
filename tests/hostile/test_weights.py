"""Weight files that hold code, that are damaged, or that are another file; and archives.

The program unpacks no archive to disk. What it reads from inside one are the tensors of torch files
(zip, and the old tar and pickle forms) and of .npz.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bench.errors import UserError
from bench.methods import registry, weights
from tests.hostile.corpus import RUN, Case, judge

# The record of this file states no sha256, so that the file is opened and not only hashed.
OPENED = "CDDFuse_IVF.pth"
IMPORT = ("weights", "import", "cddfuse", OPENED)
GIVEN = (*RUN, "--methods", "average,densefuse", "--weights", "densefuse=w.safetensors")
MARKER = Path("executed")


class Command:
    """A pickle that runs a program when it is loaded without care."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {MARKER}",)


def file(name: str, make: Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda project: (project / name).write_bytes(make())


def saved(content: object, **how: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **how)
    return stream.getvalue()


def zipped(compression: int, **members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/"), data)
    return stream.getvalue()


def torch_bomb() -> bytes:
    """A torch file of 256 KB whose pickle unpacks to 256 MiB."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("archive/data.pkl", "w") as member,
    ):
        for _ in range(256):
            member.write(bytes(1 << 20))
    return stream.getvalue()


def climbing_tar() -> bytes:
    """A tar with a member above its folder, as old torch files are tar archives."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in ("../executed", "/tmp/executed", "storages", "tensors", "pickle"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    return stream.getvalue()


def cut_network() -> bytes:
    whole = saved(registry.method("cddfuse").build().state_dict())
    return whole[: len(whole) // 2]


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    """w.safetensors holds densefuse's tensors, changed."""

    def spoil(project: Path) -> None:
        state = registry.method("densefuse").build().state_dict()
        change(state)
        save_file(state, project / "w.safetensors")

    return spoil


def described(**facts: str) -> Callable[[Path], object]:
    """w.safetensors describes itself by these facts."""

    def spoil(project: Path) -> None:
        state = registry.method("densefuse").build().state_dict()
        save_file(state, project / "w.safetensors", facts)

    return spoil


def header(length: int, text: bytes = b"{}") -> Callable[[Path], object]:
    return file("w.safetensors", lambda: struct.pack("<Q", length) + text)


def cut(project: Path) -> None:
    tensors(lambda state: None)(project)
    path = project / "w.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


HTML = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
BEYOND = {"a": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}}
FIRST = "encoder.conv1.conv2d.weight"

OPENED_CASES = (
    ("a pickle that runs a program", lambda: pickle.dumps(Command()), "holds more than tensors"),
    ("one inside a torch file", lambda: saved({"w": Command()}), "holds more than tensors"),
    (
        "one inside an old torch file",
        lambda: saved({"w": Command()}, _use_new_zipfile_serialization=False),
        "holds more than tensors",
    ),
    ("a whole model", lambda: saved(torch.nn.Linear(2, 2)), "holds more than tensors"),
    ("one inside a state_dict", lambda: saved({"state_dict": {"w": Command()}}), "holds more than"),
    ("a list", lambda: saved([1, 2]), "is not a state_dict"),
    ("numbers for tensors", lambda: saved({"w": 1}), "is not a state_dict"),
    ("tensors of another network", lambda: saved({"w": torch.zeros(2)}), "does not fit"),
    ("no bytes", lambda: b"", "is not a torch checkpoint"),
    ("a page of a web server", lambda: HTML, OPENED),
    ("a zip of something else", lambda: zipped(0, readme=b"hello"), "is not a torch checkpoint"),
    ("half a torch file", cut_network, "is not a torch checkpoint"),
    ("a zip bomb", torch_bomb, "would unpack to 268,435,456"),
    (
        "a zip whose member climbs",
        lambda: zipped(0, **{"..__executed": b"x", "archive__data.pkl": b"x"}),
        "is not a torch checkpoint",
    ),
    ("a tar whose members climb", climbing_tar, "is not a torch checkpoint"),
)

CASES = (
    *(Case(name, file(OPENED, make), (OPENED, says), IMPORT) for name, make, says in OPENED_CASES),
    Case(
        "another file than the known one",
        file("SeAFusion.pth", lambda: saved({"w": torch.zeros(2)})),
        ("SeAFusion.pth (sha256 ", "is no known file of seafusion"),
        ("weights", "import", "seafusion", "SeAFusion.pth"),
    ),
    Case(
        "code in another file than the known one",
        file("SeAFusion.pth", lambda: pickle.dumps(Command())),
        ("SeAFusion.pth (sha256 ", "is no known file of seafusion"),
        ("weights", "import", "seafusion", "SeAFusion.pth"),
    ),
    Case(
        "a folder as weights",
        lambda project: (project / OPENED).mkdir(),
        (OPENED, "does not exist"),
        IMPORT,
    ),
    Case(
        "a FIFO as weights",
        lambda project: os.mkfifo(project / OPENED),
        (OPENED, "does not exist"),
        IMPORT,
    ),
    Case("no file", lambda project: None, ("w.safetensors", "does not exist"), GIVEN),
    Case(
        "a pickle instead of safetensors",
        file("w.pth", lambda: pickle.dumps(Command())),
        ("w.pth is not a safetensors file",),
        (*RUN, "--methods", "densefuse", "--weights", "densefuse=w.pth"),
    ),
    Case(
        "a pickle under a safetensors' name",
        file("w.safetensors", lambda: pickle.dumps(Command())),
        ("w.safetensors is not a safetensors file",),
        GIVEN,
    ),
    Case("an empty safetensors", header(0, b""), ("is not a safetensors file",), GIVEN),
    Case("a header bomb", header(2**63), ("w.safetensors is not a safetensors file",), GIVEN),
    Case("a header that is no JSON", header(4, b"nope"), ("is not a safetensors file",), GIVEN),
    Case(
        "a tensor beyond the file",
        header(len(json.dumps(BEYOND)), json.dumps(BEYOND).encode()),
        ("w.safetensors is not a safetensors file",),
        GIVEN,
    ),
    Case("a truncated safetensors", cut, ("w.safetensors is not a safetensors file",), GIVEN),
    Case(
        "a missing tensor",
        tensors(lambda state: state.popitem()),
        ("failed tno/densefuse/fuse", "w.safetensors does not fit the network: Missing key"),
        GIVEN,
        code=1,
    ),
    Case(
        "a tensor too many",
        tensors(lambda state: state.update(extra=torch.zeros(2))),
        ("failed tno/densefuse/fuse", "w.safetensors does not fit the network: Unexpected key"),
        GIVEN,
        code=1,
    ),
    Case(
        "tensors of other shapes",
        tensors(lambda state: state.update({k: torch.zeros(7) for k in list(state)[:1]})),
        ("failed tno/densefuse/fuse", "w.safetensors does not fit the network: size mismatch"),
        GIVEN,
        code=1,
    ),
    Case("a broken self-description", described(row="{"), ("describes itself",), GIVEN),
    Case("a description of another kind", described(row="[1]"), ("describes itself",), GIVEN),
    Case("training data of another kind", described(trained_on="7"), ("describes itself",), GIVEN),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_weights(case: Case, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judge(case, project, capsys)
    assert not MARKER.exists(), "code in a weight file was run"
    assert not (project.parent / MARKER).exists(), "an archive was unpacked"
    assert not (project / "weights").exists(), "a refused file was imported"


def test_the_marker_shows_code_that_runs(project: Path) -> None:
    # The proof that the cases above would notice: loading without care does run the program.
    pickle.loads(pickle.dumps(Command()))
    assert MARKER.exists()


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("objects", lambda path: np.savez(path, w=np.array([Command()], dtype=object))),
        ("a bomb", lambda path: np.savez_compressed(path, w=np.zeros(1 << 27, np.uint8))),
        ("text", lambda path: path.write_bytes(b"hello")),
        ("a zip of text", lambda path: path.write_bytes(zipped(0, **{"w.npy": b"hello"}))),
        (
            "an array beyond the file",
            lambda path: path.write_bytes(zipped(0, **{"w.npy": endless_array()})),
        ),
    ],
)
def test_npz(name: str, make: Callable[[Path], object], project: Path) -> None:
    path = project / "w.npz"
    make(path)
    with pytest.raises(UserError, match=r"w\.npz"):
        weights.read_checkpoint(path)
    assert not MARKER.exists()


def endless_array() -> bytes:
    """The header of an array of 8 TB without its numbers."""
    text = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def test_compressed_weights_of_a_sane_size_are_read(project: Path) -> None:
    np.savez_compressed(project / "w.npz", w=np.zeros(1 << 20, np.float32))
    assert weights.read_checkpoint(project / "w.npz")["w"].shape == (1 << 20,)


def test_a_training_does_not_unpickle_its_checkpoint(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = project / "out"
    words = (
        "train", "densefuse", "--train-data", "tno", "--crop", "32", "--batch", "1",
        "--iterations", "1", "--out", str(out),
    )  # fmt: skip
    from bench.cli import main

    assert main(words) == 0
    checkpoints = [path for path in out.rglob("*.pt*") if path.is_file()]
    assert checkpoints
    for path in checkpoints:
        path.write_bytes(pickle.dumps(Command()))
    for path in out.rglob("*.safetensors"):
        path.unlink()
    capsys.readouterr()
    assert main(words) == 2
    assert "holds more than tensors" in capsys.readouterr().err
    assert not MARKER.exists()
