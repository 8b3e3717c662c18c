"""Wall time of the fuse stage beside a plain loop, the networks alone, and the files alone.

    python benchmarks/fuse.py [--methods average,seafusion,dsifuse] [--data MSRS/test]
                              [--size 640x480] [--pairs 60] [--rounds 3] [--threads N]
                              [--device cpu]

--data is a folder with vi/ and ir/ (without it: synthetic pairs of --size). All four columns take
the same pairs in the same process, in turn, `--rounds` times; medians are printed, in milliseconds
a pair:

network  forward passes alone, on tensors that are in memory
files    reading both images and writing the fused one, with as many threads as the stage uses
stage    `bench.stages.fuse.run`, as `bench run` calls it
plain    what most repositories do: pair by pair PIL opens, torch converts, the network, PIL saves

"of bound" is stage / max(network, files), "speed-up" is plain / stage. Weights are random: the
time does not depend on them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# As `bench` does before it imports torch: threads that spin would take the cores from the files.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.allocator import keep_freed_memory
from bench.data.images import read_pair, write_png
from bench.data.pairs import Pair
from bench.data.synthetic import generate
from bench.methods import registry, weights
from bench.methods.contract import Method
from bench.methods.protocol import fuse, luma, network_input, pad_to_multiple
from bench.stages.fuse import FuseTask, run, workers


def find_pairs(
    data: Path | None, count: int, size: tuple[int, int], folder: Path
) -> tuple[Pair, ...]:
    """The first `count` pairs of `data`, or as many synthetic ones of this (width, height)."""
    if data is None:
        generate(folder, seed=0, pairs=(count, 0, 0), size=size)
        data, names = folder / "train", ("visible", "infrared")
    else:
        names = ("vi", "ir")
    files = sorted((data / names[0]).iterdir())[:count]
    return tuple(Pair(file.stem, file, data / names[1] / file.name) for file in files)


def network_alone(method: Method, pairs: tuple[Pair, ...], device: torch.device) -> float:
    """Seconds of all forward passes; tensors of eight pairs are prepared at a time, unmeasured."""
    network = build(method, device)
    spent = 0.0
    for start in range(0, len(pairs), 8):
        ready = []
        for pair in pairs[start : start + 8]:
            source, thermal = network_input(method.protocol, *tensors(pair, device))
            ready.append(
                (
                    pad_to_multiple(method.protocol, source),
                    pad_to_multiple(method.protocol, thermal),
                )
            )
        wait(device)
        begun = time.perf_counter()
        with torch.inference_mode():
            for source, thermal in ready:
                network(source, thermal)
        wait(device)
        spent += time.perf_counter() - begun
    return spent


def files_alone(pairs: tuple[Pair, ...], folder: Path, fused: Path) -> float:
    """Seconds to read all pairs and to write all fused images, with the stage's threads."""
    ahead = 4
    results = [np.asarray(Image.open(fused / f"{pair.id}.png")) for pair in pairs]
    begun = time.perf_counter()
    with ThreadPoolExecutor(workers()) as reader, ThreadPoolExecutor(workers()) as writer:
        writing = []
        reading = [reader.submit(read_pair, pair) for pair in pairs[:ahead]]
        for index, pair in enumerate(pairs):
            reading.pop(0).result()
            if index + ahead < len(pairs):
                reading.append(reader.submit(read_pair, pairs[index + ahead]))
            writing.append(writer.submit(write_png, folder / f"{pair.id}.png", results[index]))
        for pending in writing:
            pending.result()
    return time.perf_counter() - begun


def stage(method: Method, pairs: tuple[Pair, ...], folder: Path, device: torch.device) -> float:
    """Seconds of the fuse stage, building the network included."""
    chosen = weights.resolve(method, Path(), random=True)
    task = FuseTask(pairs, method.name, chosen, "clip", str(device), 0)
    begun = time.perf_counter()
    run(task, folder, lambda done, total: None)
    return time.perf_counter() - begun


def plain_loop(
    method: Method, pairs: tuple[Pair, ...], folder: Path, device: torch.device
) -> float:
    """Seconds of the usual test script, building the network included."""
    begun = time.perf_counter()
    network = method.build().eval().to(device)
    with torch.no_grad():
        for pair in pairs:
            visible, infrared = (
                to_tensor(Image.open(pair.visible).convert("RGB")).to(device),
                to_tensor(Image.open(pair.infrared).convert("L")).to(device),
            )
            colour = method.protocol.colour == "rgb"
            source = visible if colour else luma(visible)
            scaled = [
                scale(method, pad_to_multiple(method.protocol, x)) for x in (source, infrared)
            ]
            height, width = visible.shape[-2:]
            fused = unscale(method, network(*scaled)[..., :height, :width])
            if fused.shape[1] == 1:
                fused = visible + (fused - luma(visible))
            bytes_ = (fused.clamp(0, 1) * 255).round().to(torch.uint8)
            Image.fromarray(bytes_[0].permute(1, 2, 0).cpu().numpy()).save(
                folder / f"{pair.id}.png"
            )
    return time.perf_counter() - begun


def build(method: Method, device: torch.device) -> torch.nn.Module:
    network = weights.build(method, weights.resolve(method, Path(), random=True), seed=0)
    return network.to(device, memory_format=torch.channels_last)


def tensors(pair: Pair, device: torch.device) -> tuple[Tensor, Tensor]:
    visible, infrared = (torch.from_numpy(image) for image in read_pair(pair))
    return visible.permute(2, 0, 1)[None].to(device), infrared[None, None].to(device)


def to_tensor(image: Image.Image) -> Tensor:
    """1×C×H×W in 0..1, as torchvision's ToTensor makes it."""
    samples = np.asarray(image, dtype=np.float32) / 255
    samples = samples[:, :, None] if samples.ndim == 2 else samples
    return torch.from_numpy(np.ascontiguousarray(samples.transpose(2, 0, 1)))[None]


def scale(method: Method, image: Tensor) -> Tensor:
    span = method.protocol.range
    return image if span == "unit" else image * 2 - 1 if span == "signed" else image * 255


def unscale(method: Method, image: Tensor) -> Tensor:
    span = method.protocol.range
    return image if span == "unit" else (image + 1) / 2 if span == "signed" else image / 255


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure(
    method: Method, pairs: tuple[Pair, ...], rounds: int, device: torch.device, place: Path
) -> None:
    """One row of the table."""
    folders = {name: place / name for name in ("stage", "plain", "files")}

    def anew(name: str) -> Path:
        shutil.rmtree(folders[name], ignore_errors=True)
        folders[name].mkdir(parents=True)
        return folders[name]

    columns: dict[str, Callable[[], float]] = {
        "network": lambda: network_alone(method, pairs, device),
        "stage": lambda: stage(method, pairs, anew("stage"), device),
        "files": lambda: files_alone(pairs, anew("files"), folders["stage"]),
        "plain": lambda: plain_loop(method, pairs, anew("plain"), device),
    }
    fuse(build(method, device), method.protocol, *tensors(pairs[0], device))
    times: dict[str, list[float]] = {name: [] for name in columns}
    for _ in range(rounds):
        for name, timed in columns.items():
            times[name].append(1000 * timed() / len(pairs))
    ms = {name: statistics.median(values) for name, values in times.items()}
    bound = statistics.median(
        s / max(n, f)
        for n, s, f in zip(times["network"], times["stage"], times["files"], strict=True)
    )
    faster = statistics.median(p / s for p, s in zip(times["plain"], times["stage"], strict=True))
    print(
        f"{method.name:<14}{ms['network']:>10.1f}{ms['files']:>10.1f}{ms['stage']:>10.1f}"
        f"{ms['plain']:>10.1f}{bound:>10.2f}{faster:>10.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", default="average,seafusion,dsifuse")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    wish = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(wish.threads)
    device = torch.device(wish.device)
    with tempfile.TemporaryDirectory() as temporary:
        width, height = map(int, wish.size.split("x"))
        pairs = find_pairs(wish.data, wish.pairs, (width, height), Path(temporary) / "pairs")
        print(
            f"{len(pairs)} pairs, {wish.threads} threads, {device}, torch {torch.__version__}, "
            f"median of {wish.rounds}; ms a pair"
        )
        heads = ("network", "files", "stage", "plain", "of bound", "speed-up")
        print(f"{'method':<14}" + "".join(f"{head:>10}" for head in heads))
        for name in wish.methods.split(","):
            measure(registry.method(name), pairs, wish.rounds, device, Path(temporary))


if __name__ == "__main__":
    main()
