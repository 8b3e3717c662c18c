"""The profile stage: MACs against hand formulas, and what a job leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.methods.contract import Card, Method, Protocol
from bench.stages import profile, values

ROOT = Path(__file__).resolve().parents[2]


class DenseLayout(nn.Module):
    """The convolutions of DenseFuse (grey): two shared dense encoders, one decoder, all 3×3."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(nn.Conv2d(c, 16, 3, padding=1) for c in (1, 16, 32, 48))
        widths = (64, 64, 32, 16, 1)
        self.decoder = nn.Sequential(*(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths)))

    def encode(self, image: Tensor) -> Tensor:
        features = self.encoder[0](image)
        for layer in self.encoder[1:]:
            features = torch.cat((features, layer(features)), dim=1)
        return features

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return self.decoder((self.encode(visible) + self.encode(infrared)) / 2)


class Attention(nn.Module):
    """Visible positions attend to infrared ones; four heads of width 8 over 4×4 patches."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, 32, 4, stride=4)
        self.back = nn.ConvTranspose2d(32, 1, 4, stride=4)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        query, key = self.patch(visible), self.patch(infrared)
        heads = [x.flatten(2).unflatten(1, (4, 8)).transpose(2, 3) for x in (query, key, key)]
        attended = functional.scaled_dot_product_attention(*heads)
        return self.back(attended.transpose(2, 3).reshape(query.shape))


class Peeking(nn.Module):
    """Looks at its values, which the meta device does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Attention()

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return self.inner(visible, infrared) * (1.0 if visible.mean().item() > 0 else 2.0)


class Encoder(nn.Module):
    """torch's own transformer layer, whose fused operators a counter does not see."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return self.layer(visible.flatten(2).transpose(1, 2).expand(1, -1, 16))


def attention_macs(height: int, width: int) -> int:
    positions = height * width // 16
    patches = 3 * positions * 32 * 16
    return patches + 2 * positions * positions * 32


@pytest.mark.parametrize(("height", "width", "giga"), [(480, 640, "27.029"), (768, 1024, "69.193")])
def test_convolutions_count_as_by_hand(height: int, width: int, giga: str) -> None:
    # Per pixel: 9·(2·16·(1+16+32+48) + 64·64 + 64·32 + 32·16 + 16·1) = 87,984.
    counted = profile.macs(DenseLayout(), *profile.inputs(Protocol("luma"), height, width))
    assert counted == 87984 * height * width
    assert f"{counted / 1e9:.3f}" == giga
    assert profile.parameters(DenseLayout()) == 74193


@pytest.mark.parametrize("network", [Attention(), Peeking()])
def test_both_attention_products_count(network: nn.Module) -> None:
    counted = profile.macs(network, *profile.inputs(Protocol("luma"), 48, 64))
    assert counted == attention_macs(48, 64)


def test_attention_counts_on_the_cpu_as_on_meta() -> None:
    pair = profile.inputs(Protocol("luma"), 32, 32)
    assert profile._count(Attention(), *pair) == attention_macs(32, 32)


def test_transformer_layer_in_eval_mode_counts() -> None:
    counted = profile.macs(Encoder().eval(), *profile.inputs(Protocol("luma"), 8, 8))
    assert counted == 4 * 64 * 16 * 16 + 2 * 64 * 64 * 16 + 2 * 64 * 16 * 32


def test_inputs_follow_the_protocol() -> None:
    protocol = Protocol("rgb", range="signed", multiple=32)
    visible, infrared = profile.inputs(protocol, 40, 70)
    assert visible.shape == (1, 3, 64, 96)
    assert infrared.shape == (1, 1, 64, 96)
    assert -1 <= float(visible.min()) < -0.9
    assert 0.9 < float(visible.max()) <= 1


def test_job_leaves_every_value(tmp_path: Path) -> None:
    card = Card("dense", "Dense", None, "", "cnn", "", "")
    method = Method(card, Protocol("luma"), DenseLayout)
    task = profile.ProfileTask(method, resolutions=((32, 48), (64, 64)), seconds=0.05)
    seen: list[tuple[int, int]] = []
    facts = profile.run(task, tmp_path, lambda done, total: seen.append((done, total)))
    assert seen == [(0, 2), (1, 2), (2, 2)]
    found = {(v.item, v.name): v.value for v in values.read(tmp_path)}
    names = {"params", "macs", "ms_median", "ms_q25", "ms_q75", "peak_bytes"}
    assert set(found) == {(size, name) for size in ("32x48", "64x64") for name in names}
    assert found["32x48", "macs"] == 87984 * 32 * 48
    assert 0 < found["64x64", "ms_q25"] <= found["64x64", "ms_median"] <= found["64x64", "ms_q75"]
    assert facts["resolutions"] == ["32x48", "64x64"]
    assert all(repeats >= profile.LEAST_REPEATS for repeats in facts["repeats"].values())


def test_batches_at_the_sizes_of_the_table_and_single_pairs_at_more(tmp_path: Path) -> None:
    card = Card("dense", "Dense", None, "", "cnn", "", "")
    method = Method(card, Protocol("luma"), DenseLayout)
    task = profile.ProfileTask(
        method, ((32, 48),), batches=(1, 3), scaling=((16, 16), (32, 48)), seconds=0.05
    )
    assert task.passes() == {"32x48": (1, 32, 48), "32x48@3": (3, 32, 48), "16x16": (1, 16, 16)}
    facts = profile.run(task, tmp_path, lambda done, total: None)
    found = {(v.item, v.name): v.value for v in values.read(tmp_path)}
    assert found["16x16", "macs"] == 87984 * 16 * 16
    assert {name for item, name in found if item == "32x48@3"} == {
        "ms_median", "ms_q25", "ms_q75", "peak_bytes",
    }  # fmt: skip
    assert facts["resolutions"] == ["32x48"] and facts["batches"] == [1, 3]
    assert facts["printed_name"] == "Dense"


def test_the_processor_has_no_energy_counter() -> None:
    with profile.Energy(torch.device("cpu")) as energy:
        pass
    assert energy.joules is None


def test_memory_of_a_pass_is_at_least_what_it_must_hold() -> None:
    class Wide(nn.Module):
        def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
            return (visible + infrared).expand(1, 64, -1, -1).contiguous().sum(1, keepdim=True)

    if profile.memory_meaning(torch.device("cpu")).endswith("(a lower bound)"):
        pytest.skip("this system can't reset the high-water mark of a process")
    held = 64 * 512 * 512 * 4
    grown = profile.peak_bytes(Wide(), *profile.inputs(Protocol("luma"), 512, 512))
    # Linux counts resident pages per thread and adds them up with some delay.
    assert 0.97 * held <= grown < 2 * held


CHURNED = """
import numpy as np
from bench.allocator import keep_freed_memory
from bench.methods import registry
from bench.methods.contract import Protocol
from bench.stages import profile
import sys
import torch
torch.set_num_threads(1)
keep_freed_memory()
network = registry.method("densefuse").build().eval()
pair = profile.inputs(Protocol("luma"), 128, 160)
profile.peak_bytes(network, *pair)
kept = [np.ones(100_000 + 7_000 * k) for k in range(200 * int(sys.argv[1]))][::2]
print(profile.peak_bytes(network, *pair))
"""


def test_memory_of_a_pass_does_not_depend_on_what_the_process_did_before() -> None:
    if profile.memory_meaning(torch.device("cpu")).endswith("(a lower bound)"):
        pytest.skip("this system can't reset the high-water mark of a process")
    calm, churned = (
        int(
            subprocess.run(
                [sys.executable, "-c", CHURNED, churn],
                cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True, text=True, check=True,
            ).stdout
        )
        for churn in ("0", "1")
    )  # fmt: skip
    assert calm > 1 << 20
    assert abs(churned - calm) < 0.1 * calm
