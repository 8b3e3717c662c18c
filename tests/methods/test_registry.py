"""Plug-in packages that are broken say so in one sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.methods import registry
from bench.methods.contract import Protocol
from bench.methods.protocol import fuse


def install(folder: Path, module: str, entry: str) -> None:
    """A package as pip leaves it: its module, and a record of its entry point."""
    (folder / "their_fusion.py").write_text(module)
    record = folder / "their_fusion-1.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: their-fusion\nVersion: 1\n")
    (record / "entry_points.txt").write_text(f"[bench.methods]\ntheirs = {entry}\n")


@pytest.mark.parametrize(
    ("module", "entry", "complaint"),
    [
        ("import no_such_package_of_theirs", "their_fusion:METHOD", "no_such_package_of_theirs"),
        ("OTHER = 1", "their_fusion:METHOD", "METHOD"),
        ("METHOD = 1", "their_fusion:METHOD", "not a Method"),
    ],
)
def test_a_broken_plug_in_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, entry: str, complaint: str
) -> None:
    install(tmp_path, module, entry)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "their_fusion", raising=False)
    assert "theirs" in registry.names()
    with pytest.raises(UserError, match="theirs") as caught:
        registry.method("theirs")
    assert complaint in str(caught.value)


class ThreeOfOne(nn.Module):
    """Claims to fuse luma and returns three channels."""

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return torch.cat([visible, infrared, infrared], dim=1)


def test_an_output_of_another_shape_is_refused() -> None:
    visible = torch.zeros(1, 3, 8, 9, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"\(1, 3, 8, 9\) of \(1, 1, 8, 9\)"):
        fuse(ThreeOfOne(), Protocol(colour="luma"), visible, visible[:, :1])
