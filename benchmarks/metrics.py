"""Median times of the six metrics for one 1024×768 pair, beside other programs, in one run.

    python benchmarks/metrics.py [--threads N] [--repeat K] [--cpu]
    python benchmarks/metrics.py --folder FUSED VISIBLE INFRARED [--threads N]

--folder scores a whole folder as `bench score` does and decodes the same files, with as many
workers. --cpu counts CPU time instead, for a machine that is busy with other work. Prints
milliseconds, the ratio to decoding the three PNG files, and how many times faster ours is. `piq`
and `torchmetrics` are measured for what they have where they are installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# As `bench` does before it imports torch: threads that spin would take the cores from the files.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter1d, uniform_filter
from scipy.signal import convolve2d

from bench.allocator import keep_freed_memory
from bench.data.images import decode, read_pair
from bench.metrics import evaluate
from bench.report.folder_scores import Match, match, score_folders

WIDTH, HEIGHT = 1024, 768
Images = tuple[np.ndarray, np.ndarray, np.ndarray]


def scene() -> Images:
    """(fused, visible, infrared), uint8 H×W: smooth shapes, edges, and noise of a few levels."""
    random = np.random.default_rng(0)

    def texture(scale: float) -> np.ndarray:
        field = random.normal(size=(HEIGHT, WIDTH))
        for axis in (0, 1):
            field = gaussian_filter1d(field, scale, axis=axis, mode="wrap")
        return field / field.std()

    edges = (texture(40) > 0.3).astype(float)
    visible = 110 + 35 * texture(6) + 30 * edges + 2 * random.normal(size=(HEIGHT, WIDTH))
    infrared = 90 + 20 * texture(15) + 70 * (texture(25) > 1.2) + random.normal(size=edges.shape)
    fused = (visible + infrared) / 2
    return tuple(x.clip(0, 255).astype(np.uint8) for x in (fused, visible, infrared))  # type: ignore[return-value]


def gaussian(size: int, sigma: float) -> np.ndarray:
    offset = np.arange(size) - (size - 1) / 2
    taps = np.exp(-(offset**2) / (2 * sigma**2))
    return taps / taps.sum()


def entropies(counts: np.ndarray) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())


def vif(reference: np.ndarray, distorted: np.ndarray, valid: Callable[..., np.ndarray]) -> float:
    """VIFp with any filter `valid(image, size)`."""
    drawn = there = 0.0
    for size in (17, 9, 5, 3):
        if size != 17:
            reference, distorted = (valid(x, size)[::2, ::2] for x in (reference, distorted))
        m1, m2 = valid(reference, size), valid(distorted, size)
        v1 = np.maximum(valid(reference * reference, size) - m1 * m1, 0)
        v2 = np.maximum(valid(distorted * distorted, size) - m2 * m2, 0)
        covariance = valid(reference * distorted, size) - m1 * m2
        gain = covariance / (v1 + 1e-10)
        rest = v2 - gain * covariance
        low, silent = v1 < 1e-10, v2 < 1e-10
        gain[low | silent] = 0
        rest[low], v1[low], rest[silent] = v2[low], 0, 0
        opposed = gain < 0
        rest[opposed], gain[opposed] = v2[opposed], 0
        drawn += np.log10(1 + gain * gain * v1 / (np.maximum(rest, 1e-10) + 2)).sum()
        there += np.log10(1 + v1 / 2).sum()
    return float(drawn / there)


def evaluator(images: Images, valid: Callable[..., np.ndarray], fast_histogram: bool) -> None:
    """The six metrics, each source on its own, as the common Python evaluators are built."""
    fused, visible, infrared = (image.astype(np.float64) for image in images)
    entropies(np.bincount(images[0].ravel(), minlength=256))
    down, right = np.gradient(fused)
    np.sqrt((down**2 + right**2) / 2).mean()
    fused.std()
    for source, levels in ((visible, images[1]), (infrared, images[2])):
        if fast_histogram:
            pairs = images[0].astype(np.int64) * 256 + levels
            joint = np.bincount(pairs.ravel(), minlength=65536).reshape(256, 256)
        else:
            joint, _, _ = np.histogram2d(images[0].ravel(), levels.ravel(), 256, [[0, 256]] * 2)
        entropies(joint.sum(0)) + entropies(joint.sum(1)) - entropies(joint)
        vif(source, fused, valid)
        box = [uniform_filter(x, 7) for x in (source, fused)]
        square = [uniform_filter(x * x, 7) for x in (source, fused)]
        cross = uniform_filter(source * fused, 7) - box[0] * box[1]
        spread = square[0] - box[0] ** 2 + square[1] - box[1] ** 2
        ((2 * box[0] * box[1] + 6.5) * (2 * cross + 58.5)).mean() / (spread + 58.5).mean()


def separable(image: np.ndarray, size: int) -> np.ndarray:
    half = size // 2
    for axis in (0, 1):
        image = gaussian_filter1d(image, size / 5, axis=axis, radius=half)
    return image[half:-half, half:-half]


def direct(image: np.ndarray, size: int) -> np.ndarray:
    taps = gaussian(size, size / 5)
    return convolve2d(image, np.outer(taps, taps), mode="valid")


def median(action: Callable[[], object], repeat: int, clock: Callable[[], float]) -> float:
    """Milliseconds of `clock`; one call beforehand."""
    action()
    times = []
    for _ in range(repeat):
        begun = clock()
        action()
        times.append(clock() - begun)
    return 1000 * statistics.median(times)


def others(images: Images) -> dict[str, tuple[Callable[[], object], tuple[str, ...]]]:
    """Name -> (the call for both sources, the metrics of ours that it has)."""
    found: dict[str, tuple[Callable[[], object], tuple[str, ...]]] = {}
    for dtype in (torch.float64, torch.float32):
        fused, visible, infrared = (torch.from_numpy(x)[None, None].to(dtype) for x in images)
        precision = str(dtype).removeprefix("torch.")

        def both(
            function: Callable[..., object],
            *,
            fused: torch.Tensor = fused,
            sources: tuple[torch.Tensor, ...] = (visible, infrared),
            **options: object,
        ) -> Callable[[], object]:
            return lambda: [function(fused, source, **options) for source in sources]

        if importlib.util.find_spec("piq"):
            import piq

            found[f"piq vif_p, {precision}"] = both(piq.vif_p, data_range=255.0), ("VIF",)
            ssim = both(piq.ssim, data_range=255.0, downsample=False)
            found[f"piq ssim, {precision}"] = ssim, ("SSIM",)
        if importlib.util.find_spec("torchmetrics"):
            from torchmetrics.functional import image as theirs

            vif = both(theirs.visual_information_fidelity)
            found[f"torchmetrics VIF, {precision}"] = vif, ("VIF",)
            ssim = both(theirs.structural_similarity_index_measure, data_range=255.0)
            found[f"torchmetrics SSIM, {precision}"] = ssim, ("SSIM",)
    return found


def whole_folder(
    fused: Path, visible: Path, infrared: Path, workers: int, clock: Callable[[], float]
) -> None:
    """Print what decoding all files of a folder takes, and what scoring them does."""
    matches = [found for found in match([fused], visible, infrared) if found.fused]
    score_folders(matches[:2])

    def decode_all() -> None:
        def one(found: Match) -> None:
            decode(found.fused[fused])
            read_pair(found.pair)

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(one, matches))

    begun = clock()
    decode_all()
    decoded = clock()
    score_folders(matches)
    scored = clock()
    each = [1000 * seconds / len(matches) for seconds in (decoded - begun, scored - decoded)]
    print(f"{len(matches)} pairs, {workers} worker(s), ms a pair")
    print(f"decode {each[0]:.1f}, decode and score {each[1]:.1f}: {each[1] / each[0]:.2f} times")


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--threads", type=int, default=2, help="of torch, or workers")
    arguments.add_argument("--folder", nargs=3, type=Path, help="of fused, visible, infrared")
    arguments.add_argument("--repeat", type=int, default=9)
    arguments.add_argument("--cpu", action="store_true", help="CPU time instead of wall time")
    chosen = arguments.parse_args()
    # As the command line does.
    keep_freed_memory()
    clock = time.process_time if chosen.cpu else time.perf_counter
    torch.set_num_threads(chosen.threads)
    if chosen.folder:
        whole_folder(*chosen.folder, chosen.threads, clock)
        return
    images = scene()
    files = []
    for image in images:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "PNG")
        files.append(stream.getvalue())

    def decode() -> None:
        for data in files:
            np.asarray(Image.open(io.BytesIO(data)))

    def six(*metrics: str) -> Callable[[], object]:
        return lambda: evaluate(*images, metrics=metrics or None)

    few = max(3, chosen.repeat // 3)
    decoding = median(decode, chosen.repeat, clock)
    ours = median(six(), chosen.repeat, clock)
    rows = [("decode three PNG", decoding, 0.0), ("ours, six metrics", ours, 0.0)]
    for name in ("EN", "MI", "AG", "SD", "VIF", "SSIM"):
        rows.append((f"ours, {name} only", median(six(name), chosen.repeat, clock), 0.0))
    plain = median(lambda: evaluator(images, separable, True), few, clock)
    common = median(lambda: evaluator(images, direct, False), 3, clock)
    rows.append(("scipy, separable filters, six", plain, plain / ours))
    rows.append(("scipy, convolve2d evaluator, six", common, common / ours))
    for name, (call, metrics) in others(images).items():
        theirs = median(call, 3, clock)
        rows.append((name, theirs, theirs / median(six(*metrics), few, clock)))
    kind = "CPU" if chosen.cpu else "wall"
    print(f"{WIDTH}×{HEIGHT}, {chosen.threads} thread(s), median {kind} time")
    print(f"{'':34}{'ms':>9}{'/ decode':>10}{'ours faster':>13}")
    for label, milliseconds, faster in rows:
        times = f"{faster:.1f}×" if faster else ""
        print(f"{label:34}{milliseconds:9.1f}{milliseconds / decoding:10.2f}{times:>13}")


if __name__ == "__main__":
    main()
