"""CrossFuse against the authors' network and losses, and what the suite adds to it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.crossfuse import METHOD, RECIPE
from baselines.crossfuse.attention import SelfPair, from_tokens, mirrored, to_tokens
from baselines.crossfuse.loss import (
    TwoStages,
    fusion_loss,
    fusion_terms,
    infrared_reconstruction,
    multi_scale_similarity,
    pixel_target,
    visible_reconstruction,
)
from baselines.crossfuse.network import (
    CONSTANT_KERNELS,
    CrossFuse,
    box_of_sum,
    detail,
    from_authors,
    shares,
)
from bench.methods.contract import TrainingBatch
from bench.methods.protocol import fuse
from bench.stages.profile import macs
from bench.training.updates import iterate, make_optimisers
from tests.baselines.rule_weights import apply_rule, rule, waves

CASES = ("tno18_136x144", "gen_141x277")


def authors_state(shared: Path) -> dict[str, Tensor]:
    """The authors' three files joined, with rule-made weights and the constants they keep."""
    keys = json.loads((shared / "oracles" / "crossfuse" / "keys.json").read_text())
    state = {}
    for key, facts in keys.items():
        empty = torch.zeros(facts["shape"], dtype=getattr(torch, facts["dtype"]))
        constant = facts["rule"] == "constant_one_ninth"
        state[key] = torch.full_like(empty, 1 / 9) if constant else rule(key, empty)
    return state


@pytest.fixture(scope="module")
def official(shared: Path) -> CrossFuse:
    network = CrossFuse()
    network.load_state_dict(from_authors(authors_state(shared)), strict=True)
    return network.eval()


@pytest.fixture(scope="module")
def ruled() -> nn.Module:
    return apply_rule(CrossFuse())


def golden_case(shared: Path, case: str) -> tuple[dict[str, np.ndarray], Tensor, Tensor]:
    golden = dict(np.load(shared / "oracles" / "crossfuse" / f"{case}.npz"))
    visible, infrared = (
        torch.from_numpy(golden[f"{kind}_u8"])[None, None] for kind in ("vi", "ir")
    )
    return golden, visible, infrared


@pytest.mark.parametrize("case", CASES)
def test_output_equals_the_authors_network(shared: Path, official: CrossFuse, case: str) -> None:
    """`out255` was made with the rolled windows, the other one without: rolling does nothing."""
    golden, visible, infrared = golden_case(shared, case)
    with torch.inference_mode():
        fused = official(visible.float(), infrared.float()).numpy()
    assert np.abs(fused - golden["out255"]).max() < 5e-4
    assert np.abs(fused[..., ::2, ::2] - golden["out255_noshift"]).max() < 5e-4


@pytest.mark.parametrize("case", CASES)
def test_inner_tensors_equal_the_authors(shared: Path, official: CrossFuse, case: str) -> None:
    golden, visible, infrared = golden_case(shared, case)
    cam = official.fuse.cross_atten_block
    with torch.inference_mode():
        shallow_ir, deep_ir = official.ae_ir["fea_encoder1"](infrared.float())
        shallow_vi, deep_vi = official.ae_vi["fea_encoder1"](visible.float())
        attended = cam.self_atten_block1(to_tokens(deep_ir), to_tokens(deep_vi))
        first_ir, first_vi = (from_tokens(tokens[:1], 32, 32) for tokens in attended)
        deep_share, _ = shares(box_of_sum(deep_ir), box_of_sum(deep_vi))
        shallow_share, _ = shares(detail(shallow_ir), detail(shallow_vi))
        ours = {
            "ir_shallow_sub": shallow_ir[:, ::8, ::6, ::6],
            "vi_shallow_sub": shallow_vi[:, ::8, ::6, ::6],
            "ir_deep_sub": deep_ir[:, ::16],
            "vi_deep_sub": deep_vi[:, ::16],
            "cam_self_ir_patch0_sub": first_ir[:, ::16],
            "cam_self_vi_patch0_sub": first_vi[:, ::16],
            "cam_fused_sub": cam(deep_ir, deep_vi)[:, ::16],
            "wd_ir_sub": deep_share.expand(-1, 8, -1, -1),
            "ws_ir_sub": shallow_share[:, ::8, ::6, ::6],
            "dec_raw": official.fuse((shallow_ir, shallow_vi), (deep_ir, deep_vi)),
        }
    worst = {name: np.abs(value.numpy() - golden[name]).max() for name, value in ours.items()}
    assert max(worst.values()) < 1e-5, worst


def test_only_what_fusing_uses_is_taken_from_the_authors(shared: Path) -> None:
    state = authors_state(shared)
    taken = from_authors(state)
    with torch.device("meta"):
        assert set(taken) == set(CrossFuse().state_dict())
    dropped = sum(state[key].numel() for key in set(state) - set(taken))
    # Stage-1 decoders, norms of self attention, joint qkv of cross attention, gradient kernel,
    # averaging kernels.
    assert dropped == 2 * 129_217 + 4 * 1_024 + 2 * 787_968 + 9_216 + 156_672


def test_a_checkpoint_with_other_averaging_kernels_is_refused() -> None:
    kernel = torch.full((4, 4, 3, 3), 1 / 9)
    assert from_authors({CONSTANT_KERNELS[0]: kernel}) == {}
    kernel[1, 2, 0, 0] = 0.2
    with pytest.raises(ValueError, match="1/9 everywhere"):
        from_authors({CONSTANT_KERNELS[0]: kernel})


def test_channel_sum_and_box_equal_the_constant_kernel() -> None:
    features = torch.randn(2, 6, 9, 11, generator=torch.Generator().manual_seed(1))
    direct = functional.conv2d(features, torch.full((6, 6, 3, 3), 1 / 9), padding=1)
    assert torch.allclose(box_of_sum(features).expand_as(direct), direct, atol=1e-6)


def test_rolling_by_half_a_window_changes_nothing() -> None:
    maps = [torch.randn(1, 16, 32, 32, generator=torch.Generator().manual_seed(s)) for s in (1, 2)]
    pair = apply_rule(SelfPair(64))
    with torch.inference_mode():
        plain = pair(*map(to_tokens, maps))
        rolled = pair(*(to_tokens(x.roll((-16, -16), (2, 3))) for x in maps))
    for tokens, others in zip(plain, rolled, strict=True):
        back = from_tokens(others, 32, 32).roll((16, 16), (2, 3))
        assert torch.allclose(from_tokens(tokens, 32, 32), back, atol=1e-5)


@pytest.mark.parametrize(("size", "to"), [(17, 32), (35, 64), (4, 32), (2, 32)])
def test_the_border_is_mirrored_as_often_as_it_takes(size: int, to: int) -> None:
    index = np.pad(np.arange(size), (0, to - size), mode="reflect")
    assert mirrored(size, to, torch.device("cpu")).tolist() == index.tolist()
    assert mirrored(1, 5, torch.device("cpu")).tolist() == [0] * 5


def test_tokens_are_windows_then_blocks_in_raster_order() -> None:
    x = torch.arange(2 * 64 * 96).reshape(1, 2, 64, 96).float()
    tokens = to_tokens(x)
    assert tokens.shape == (6, 256, 8)
    # Window 4 is row 1, column 1; its token 17 is block row 1, block column 1.
    assert torch.equal(tokens[4, 17], x[0, :, 34:36, 34:36].flatten())
    assert torch.equal(from_tokens(tokens, 64, 96), x)


def test_a_batch_equals_its_single_pairs() -> None:
    """40×264 has two windows, so that windows of two images meet in one batch."""
    ruled = apply_rule(METHOD.variants["small"]())
    visible, infrared = waves(40, 264)
    visible = torch.cat([visible, infrared.flip(3)]) * 255
    infrared = torch.cat([infrared, visible[:1] / 400]) * 255
    with torch.inference_mode():
        together = ruled(visible, infrared)
        alone = torch.cat([ruled(visible[i : i + 1], infrared[i : i + 1]) for i in (0, 1)])
    assert (together - alone).abs().max() < 1e-2
    assert (together[0] - together[1]).abs().max() > 10


def test_small_odd_images_keep_their_size_and_the_authors_file_ends_at_254(
    ruled: nn.Module,
) -> None:
    visible, infrared = ((x * 255).to(torch.uint8) for x in waves(37, 53))
    stored = fuse(ruled, METHOD.protocol, visible.expand(-1, 3, -1, -1), infrared, output="authors")
    assert stored.shape == (1, 1, 37, 53)
    assert (stored.min(), stored.max()) == (0, 254)


def test_rule_weights_give_the_recorded_numbers(ruled: nn.Module) -> None:
    """Recorded when the network agreed with its authors' one on both golden cases."""
    visible, infrared = waves(37, 53)
    with torch.inference_mode():
        fused = ruled(visible * 255, infrared * 255)[0, 0]
    picked = [fused[y, x].item() for y, x in ((0, 0), (7, 11), (12, 50), (36, 15))]
    assert picked == pytest.approx([80.35684, 117.93941, 135.82684, 236.70812], abs=2e-3)


@pytest.mark.parametrize(
    ("variant", "parameters", "gigamacs"),
    [(None, 21_305_827, 128.914686), ("small", 7_153_891, 106.081419)],
)
def test_size_and_cost(variant: str | None, parameters: int, gigamacs: float) -> None:
    """The authors' network: 135.993 G, of which 7.078 are the averaging kernels."""
    with torch.device("meta"):
        network = (METHOD.variants[variant] if variant else METHOD.build)()
        image = torch.empty(1, 1, 480, 640)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert macs(network, image, image) / 1e9 == pytest.approx(gigamacs, abs=1e-5)


def test_the_small_variant_differs_in_the_attention_module_only() -> None:
    with torch.device("meta"):
        full, small = CrossFuse().state_dict(), METHOD.variants["small"]().state_dict()
    names = {key for key in full if ".cross_atten_block." not in key}
    assert all(full[key].shape == small[key].shape for key in names)
    added = {key.split(".")[1] for key in set(small) - set(full)}
    assert added == {"reduce_ir", "reduce_vi", "expand"}
    assert sum(value.numel() for value in small.values()) * 2 < 16e6


def test_stage_2_loss_equals_the_authors(shared: Path) -> None:
    golden = np.load(shared / "oracles" / "crossfuse" / "losses.npz")
    fused, visible, infrared = (
        torch.from_numpy(golden[f"{kind}255"])[None, None] for kind in ("fused", "vi", "ir")
    )
    assert np.array_equal(pixel_target(visible, infrared).numpy(), golden["pixel_target"])
    terms = {name: value.item() for name, value in fusion_terms(fused, visible, infrared).items()}
    wanted = {"pixel": "pixel_loss", "gradient": "gradient_loss", "total": "total"}
    assert terms == pytest.approx(
        {ours: golden[key].item() for ours, key in wanted.items()}, rel=1e-12
    )


def authors_training_key(key: str) -> str:
    decoders = {"decoder_ir.": "ae_ir.recon_decoder1.", "decoder_vi.": "ae_vi.recon_decoder1."}
    for ours, theirs in decoders.items():
        key = key.replace(ours, theirs) if key.startswith(ours) else key
    return key.removeprefix("fusion.")


def test_stage_1_loss_equals_the_authors(shared: Path) -> None:
    """Their Gaussian window is float32, ours double: 6e-7 of the structure term."""
    golden = np.load(shared / "oracles" / "crossfuse" / "losses.npz")
    image = torch.from_numpy(golden["ae_ir_input_u8"])[None, None].double()
    network = apply_rule(TwoStages(METHOD.variants["small"]()), name_of=authors_training_key)
    with torch.inference_mode():
        batch = TrainingBatch(image, image)
        terms = infrared_reconstruction(network.double(), batch)
    wanted = {"pixel": "ae_mse", "structure": "ae_ssim_term", "total": "ae_total"}
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        {ours: golden[key].item() for ours, key in wanted.items()}, rel=1e-6
    )
    blurred = functional.avg_pool2d(functional.pad(image, (2,) * 4, mode="reflect"), 5, 1)
    assert multi_scale_similarity(image, blurred).item() == pytest.approx(
        golden["msssim_input_vs_box5"].item(), abs=1e-8
    )


def test_losses_of_waves_give_the_recorded_numbers() -> None:
    """Recorded when both losses agreed with the authors' ones."""
    visible, infrared = (x.double() * 255 for x in waves(48, 56))
    terms = fusion_terms((visible + infrared) / 2, visible, infrared)
    recorded = {"pixel": 2832.109038, "gradient": 19979.650125, "total": 202628.610286}
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        recorded, rel=1e-8
    )
    assert multi_scale_similarity(visible, infrared).item() == pytest.approx(0.4275945, abs=1e-6)
    assert multi_scale_similarity(visible, visible).item() == pytest.approx(1.0)


@pytest.fixture
def network() -> TwoStages:
    torch.manual_seed(0)
    return TwoStages(METHOD.variants["small"]()).train()


@pytest.mark.parametrize("stage", [0, 1])
def test_a_few_steps_reduce_every_loss(network: TwoStages, stage: int) -> None:
    side = torch.linspace(0, 1, 64)
    visible = (side[:, None] * side * 255)[None, None]
    infrared = 255 * torch.exp(-((side[:, None] - 0.6) ** 2 + (side - 0.3) ** 2) * 8)
    batch = TrainingBatch(visible, infrared[None, None])
    optimisers, done = make_optimisers(network, RECIPE), (0.0, 0.2)[stage]
    steps = [iterate(network, RECIPE.phases[stage], optimisers, done, batch) for _ in range(4)]
    totals = [name for name in steps[0] if name.endswith("total")]
    assert len(totals) == (2, 1)[stage]
    assert all(steps[-1][name] < 0.8 * steps[0][name] for name in totals), steps


def test_training_starts_with_deep_sums_of_one_sign(network: TwoStages) -> None:
    encoders = network.fusion.ae_ir["fea_encoder1"], network.fusion.ae_vi["fea_encoder1"]
    for encoder, image in zip(encoders, waves(64, 96), strict=True):
        with torch.inference_mode():
            assert box_of_sum(encoder(image * 255)[1]).min() > 2


def test_every_parameter_is_trained_by_exactly_one_part_of_one_stage(network: TwoStages) -> None:
    parts = [part for phase in RECIPE.phases for update in phase.updates for part in update.parts]
    for name, _ in network.named_parameters():
        assert sum(name.startswith(part.prefix) for part in parts) == 1, name
    assert {part.weight_decay for part in parts} == {0.9}


def test_stage_losses_reach_their_own_parts(network: TwoStages) -> None:
    """Infrared's loss leaves the visible auto-encoder alone, and the other way round."""
    visible, infrared = waves(32, 32)
    batch = TrainingBatch(visible * 255, infrared * 255)
    for loss, own in (
        (infrared_reconstruction, ("fusion.ae_ir.", "decoder_ir.")),
        (visible_reconstruction, ("fusion.ae_vi.", "decoder_vi.")),
        (fusion_loss, ("fusion.",)),
    ):
        network.zero_grad()
        loss(network, batch)["total"].backward()
        reached = {n for n, p in network.named_parameters() if p.grad is not None}
        assert reached == {n for n, _ in network.named_parameters() if n.startswith(own)}


@pytest.mark.parametrize(
    ("stage", "shares_done"), [(0, (0.0, 0.09, 0.11)), (1, (0.21, 0.24, 0.26))]
)
def test_rates_fall_to_a_tenth_at_the_third_epoch(
    stage: int, shares_done: tuple[float, float, float]
) -> None:
    start = (1e-4, 1e-3)[stage]
    rate = RECIPE.phases[stage].updates[0].parts[0].rate
    assert [rate(done) for done in shares_done] == pytest.approx([start, start, start / 10])
