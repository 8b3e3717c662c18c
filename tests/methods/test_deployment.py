"""The ONNX file gives the pixels of `fuse`, at every size, with nothing to do outside the graph."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from baselines.classical import AVERAGE
from bench.cli import main
from bench.errors import UserError
from bench.methods import registry
from bench.methods.contract import Method, Pad, Protocol
from bench.methods.deployment import Deployed, export_onnx
from bench.methods.protocol import fuse
from bench.methods.weights import NO_WEIGHTS, build, resolve

SIZES = ((64, 96), (70, 101), (33, 45), (20, 50), (150, 203))


def pair(height: int, width: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(height)
    both = torch.randint(0, 256, (1, 4, height, width), generator=generator, dtype=torch.uint8)
    return both[:, :3].contiguous(), both[:, 3:].contiguous()


class Blur(nn.Module):
    """Sees its padding: a wide mean of both images."""

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return nn.functional.avg_pool2d((visible + infrared) / 2, 9, 1, 4)


@pytest.mark.parametrize("pad", ["reflect", "replicate", "zero"])
@pytest.mark.parametrize("size", SIZES)
def test_the_graph_pads_as_the_protocol(pad: Pad, size: tuple[int, int]) -> None:
    protocol = Protocol("luma", multiple=16, pad=pad)
    method = replace(AVERAGE, protocol=protocol)
    images = pair(*size)
    assert torch.equal(Deployed(method, Blur())(*images), fuse(Blur(), protocol, *images))


def method_in(range_: str, colour: str) -> Method:
    protocol = Protocol(colour, range=range_)  # type: ignore[arg-type]
    return replace(AVERAGE, protocol=protocol)


@pytest.mark.parametrize("range_", ["unit", "signed", "byte"])
@pytest.mark.parametrize("colour", ["luma", "luma8", "rgb"])
def test_ranges_and_colours(range_: str, colour: str) -> None:
    method, images = method_in(range_, colour), pair(24, 40)
    network = method.build()
    assert torch.equal(Deployed(method, network)(*images), fuse(network, method.protocol, *images))


def test_the_file_equals_torch_at_every_size(tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package, reason=f"{package} is not installed (extra 'export')")
    runtime = pytest.importorskip("onnxruntime", reason="no onnxruntime (extra 'export')")
    method = registry.method("dsifuse")
    found = resolve(method, tmp_path)
    network = build(method, found)
    path = tmp_path / "dsifuse.onnx"
    assert export_onnx(method, network, found, path)
    session = runtime.InferenceSession(str(path))
    for size in SIZES:
        visible, infrared = pair(*size)
        given = {"visible": visible.numpy(), "infrared": infrared.numpy()}
        (fused,) = session.run(["fused"], given)
        expected = fuse(network, method.protocol, visible, infrared)
        assert fused.shape == tuple(expected.shape)
        assert (torch.from_numpy(fused).int() - expected.int()).abs().max() <= 1
    facts = json.loads(session.get_modelmeta().custom_metadata_map["bench"])
    assert facts["weights"]["sha256"] == found.sha256
    assert facts["protocol"]["multiple"] == 32


class LooksAtValues(nn.Module):
    """Branches on a pixel, which no graph can."""

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return visible if float(infrared.sum()) > 3 else infrared


class DependsOnSize(nn.Module):
    """Another network for small images: a graph holds only one of them."""

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return visible if visible.shape[-1] > 100 else infrared


def test_a_graph_with_other_pixels_is_not_written(tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is not installed (extra 'export')")
    with pytest.raises(UserError, match="can't be written as ONNX"):
        export_onnx(AVERAGE, DependsOnSize(), NO_WEIGHTS, tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_can_not_be_exported_says_so(tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package, reason=f"{package} is not installed (extra 'export')")
    with pytest.raises(UserError, match="average can't be written as ONNX"):
        export_onnx(AVERAGE, LooksAtValues(), NO_WEIGHTS, tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []


def test_wrong_names_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "average", "--onnx", "average.pt"]) == 2
    assert "name the file FILE.onnx" in capsys.readouterr().err


def test_missing_packages_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.methods.deployment.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'ivif-bench\[export\]'"):
        export_onnx(AVERAGE, AVERAGE.build(), NO_WEIGHTS, tmp_path / "x.onnx")
