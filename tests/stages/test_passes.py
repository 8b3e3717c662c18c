"""Several pairs in one pass: the same pixels, and smaller passes where memory ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from bench.cli import main
from bench.jobs.store import read_record
from bench.stages.passes import PassSize, grouped

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Image:
    name: str
    size: tuple[int, int]


def test_only_neighbours_of_equal_size_are_grouped_and_the_order_stays() -> None:
    small, large = (2, 3), (4, 5)
    sizes = [small, small, small, large, small, small]
    images = [Image(str(number), size) for number, size in enumerate(sizes)]
    groups = list(grouped(images, PassSize(2, CPU)))
    assert [[one.name for one in group] for group in groups] == [
        ["0", "1"], ["2"], ["3"], ["4", "5"],
    ]  # fmt: skip
    assert [len(group) for group in grouped(images, PassSize(0, CPU))] == [1] * 6


def memory_for(pairs: int, asked: list[int]) -> Callable[[Tensor, Tensor], Tensor]:
    """A sum of both images on a device whose memory ends after `pairs` pairs."""

    def fuse(visible: Tensor, infrared: Tensor) -> Tensor:
        asked.append(len(visible))
        if len(visible) > pairs:
            raise torch.OutOfMemoryError("no memory for that many")
        return visible[:, :1] + infrared

    return fuse


def test_a_pass_that_does_not_fit_is_made_smaller_and_later_ones_stay_so() -> None:
    visible = torch.arange(7 * 3 * 4, dtype=torch.uint8).view(7, 3, 2, 2)
    infrared = torch.arange(7 * 4, dtype=torch.uint8).view(7, 1, 2, 2)
    passes = PassSize(8, CPU)
    asked: list[int] = []
    fused = passes.run(memory_for(3, asked), visible, infrared)
    assert torch.equal(fused, visible[:, :1] + infrared)
    assert asked == [7, 3, 3, 1]
    assert passes.pairs((2, 2)) == 3


def test_one_pair_that_does_not_fit_is_the_callers_to_tell() -> None:
    passes = PassSize(2, CPU)
    with pytest.raises(torch.OutOfMemoryError):
        passes.run(memory_for(0, []), torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 4, 4))


def test_batches_move_no_pixel_by_more_than_a_rounding_and_are_a_row_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bench.toml").write_text(
        'methods = ["dsifuse", "gff"]\nstages = ["fuse"]\ndevice = "cpu"\n'
        "[data.synthetic]\npairs = [1, 1, 7]\nsize = [96, 64]\n"
    )
    pixels, identities = {}, set()
    for batch in (0, 3):
        assert main(["run", "--name", f"by{batch}", "--set", f"fuse.batch={batch}"]) == 0
        rows = tmp_path / "results" / f"by{batch}" / "synthetic"
        for method in ("dsifuse", "gff"):
            images = [cv2.imread(str(path)) for path in sorted((rows / method).rglob("*.png"))]
            pixels[method, batch] = np.stack(images).astype(int)
            identities.add(read_record(rows / method / "fuse")["identity"])
    assert len(identities) == 4
    moved = np.abs(pixels["dsifuse", 3] - pixels["dsifuse", 0])
    assert moved.shape == (7, 64, 96, 3)
    assert moved.max() <= 1 and moved.mean() < 1e-3
    assert np.array_equal(pixels["gff", 3], pixels["gff", 0])


def test_a_negative_batch_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--set", "fuse.batch=-1"]) == 2
    assert "fuse.batch is -1: use 0 for automatic, or 1 or more." in capsys.readouterr().err


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_size_of_a_pass_follows_the_memory() -> None:
    passes = PassSize(0, torch.device("cuda"))
    size = (64, 96)
    assert passes.pairs(size) == 1
    passes.run(
        lambda visible, infrared: visible.float().mean(1, keepdim=True) + infrared,
        torch.zeros(1, 3, *size, device="cuda"),
        torch.zeros(1, 1, *size, device="cuda"),
    )
    assert passes.pairs(size) == passes.limit
    assert passes.pairs((10**6, 10**6)) == 1
