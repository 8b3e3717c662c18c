"""The profile stage: what fusing one pair costs in parameters, MACs, time, memory and energy.

MACs are half the FLOPs that `torch.utils.flop_counter` counts: convolutions, transposed
convolutions, linear layers and both products of attention, at the padded size. 1 MAC = 2 FLOPs.
"""

from __future__ import annotations

import copy
import gc
import importlib.util
import math
import platform
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bench.allocator import nothing_kept
from bench.methods.contract import Method, Protocol
from bench.stages import values

Progress = Callable[[int, int], None]

WARM_UP = 2
LEAST_REPEATS = 3
MOST_REPEATS = 50


@dataclass(frozen=True)
class ProfileTask:
    """What one profile job needs to know; cost does not depend on weights, so none are loaded.

    resolutions: (height, width) of the table, each with every one of `batches` (pairs in a pass,
    1 among them). scaling: further resolutions, one pair a pass. seconds: bound on the timing of
    one of them, though at least three passes are timed. threads: of torch, on the CPU.
    """

    method: Method
    resolutions: tuple[tuple[int, int], ...] = ((480, 640), (768, 1024))
    batches: tuple[int, ...] = (1,)
    scaling: tuple[tuple[int, int], ...] = ()
    device: str = "cpu"
    seconds: float = 20.0
    threads: int = 1

    def passes(self) -> dict[str, tuple[int, int, int]]:
        """(pairs, height, width) of every measured pass by its name: 480x640, or 480x640@8."""
        found = {_name(size): (1, *size) for size in self.resolutions}
        for batch in self.batches:
            for size in self.resolutions if batch > 1 else ():
                found[f"{_name(size)}@{batch}"] = (batch, *size)
        return found | {_name(size): (1, *size) for size in self.scaling}


def _name(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def run(task: ProfileTask, folder: Path, progress: Progress) -> dict[str, Any]:
    """Measure all passes and write values.csv; returns the facts of the row.

    Times and energy are those of one pair, memory is that of the whole pass.
    """
    device = torch.device(task.device)
    threads = torch.get_num_threads()
    torch.set_num_threads(task.threads)
    rows: list[values.Value] = []
    repeats: dict[str, int] = {}
    passes = task.passes()
    try:
        network = task.method.build().eval().to(device)
        progress(0, len(passes))
        for done, (name, (batch, height, width)) in enumerate(passes.items(), start=1):
            single = inputs(task.method.protocol, height, width)
            visible, infrared = (x.expand(batch, -1, -1, -1).contiguous() for x in single)
            pair = visible.to(device), infrared.to(device)
            measured: dict[str, float] = {}
            if batch == 1:
                measured |= {"params": parameters(network), "macs": macs(network, *pair)}
            # Before the timing: its passes would leave memory behind that hides the growth.
            measured["peak_bytes"] = peak_bytes(network, *pair)
            with Energy(device) as energy:
                times = pass_times(network, *pair, seconds=task.seconds)
            repeats[name] = len(times)
            quarter, median, three_quarters = (
                time / batch for time in quantiles(times, n=4, method="inclusive")
            )
            measured |= {"ms_median": median, "ms_q25": quarter, "ms_q75": three_quarters}
            if energy.joules is not None:
                # The warm-up's passes cost energy as well; their share is that of the time.
                share = sum(times) / (1000 * energy.seconds)
                measured["joules"] = share * energy.joules / len(times) / batch
            rows += [values.Value(name, key, number) for key, number in measured.items()]
            progress(done, len(passes))
    finally:
        torch.set_num_threads(threads)
    values.write(folder, rows)
    return {
        "printed_name": task.method.card.title,
        "device": device_name(device),
        "threads": task.threads,
        "torch": torch.__version__,
        "resolutions": [_name(size) for size in task.resolutions],
        "batches": list(task.batches),
        "multiple": task.method.protocol.multiple,
        "repeats": repeats,
        "memory": memory_meaning(device),
    }


class Energy:
    """Joules that a CUDA device takes while the context is open, by NVML's counter.

    joules is None where there is no such device, no counter, or no `nvidia-ml-py`.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.joules: float | None = None
        self.seconds = 0.0

    def __enter__(self) -> Energy:
        self._start = self._read()
        self._begun = perf_counter()
        return self

    def __exit__(self, *_error: object) -> None:
        self.seconds = perf_counter() - self._begun
        end = self._read()
        if self._start is not None and end is not None:
            self.joules = end - self._start

    def _read(self) -> float | None:
        if self.device.type != "cuda" or importlib.util.find_spec("pynvml") is None:
            return None
        import pynvml

        try:
            pynvml.nvmlInit()
            uuid = f"GPU-{torch.cuda.get_device_properties(self.device).uuid}"
            handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
        except pynvml.NVMLError:
            return None


def inputs(protocol: Protocol, height: int, width: int) -> tuple[Tensor, Tensor]:
    """A random pair as the network gets it: 1×C×H×W and 1×1×H×W in the protocol's range, with
    both sides rounded up to the protocol's multiple.
    """
    low, high = {"unit": (0.0, 1.0), "signed": (-1.0, 1.0), "byte": (0.0, 255.0)}[protocol.range]
    generator = torch.Generator().manual_seed(0)
    height, width = (side + -side % protocol.multiple for side in (height, width))
    channels = 3 if protocol.colour == "rgb" else 1
    pair = torch.rand(1, channels + 1, height, width, generator=generator) * (high - low) + low
    return pair[:, :channels].contiguous(), pair[:, channels:].contiguous()


def parameters(network: nn.Module) -> int:
    """The number of parameters, shared ones once; buffers are not parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def macs(network: nn.Module, visible: Tensor, infrared: Tensor) -> int:
    """Multiply-accumulates of one forward pass.

    Counted on the meta device, which computes nothing; a network that looks at its values is run
    where it is instead.
    """
    try:
        twin = copy.deepcopy(network).to("meta")
        return _count(twin, visible.to("meta"), infrared.to("meta"))
    except (RuntimeError, TypeError):
        return _count(network, visible, infrared)


def _count(network: nn.Module, visible: Tensor, infrared: Tensor) -> int:
    # Some versions of torch count no attention on the CPU: its operator has no formula there.
    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    counter = FlopCounterMode(display=False, custom_mapping={attention: _attention_flops})
    with _no_fast_path(), counter, torch.no_grad():
        network(visible, infrared)
    return int(counter.get_total_flops()) // 2


def _attention_flops(
    query: Any, key: Any, value: Any, *_args: Any, out_shape: Any = None, **_kwargs: Any
) -> int:
    """2·N·heads·L·S·(d_k + d_v) FLOPs of the two products; torch hands over shapes."""
    *batch, length, width = query
    return int(2 * math.prod(batch) * length * key[-2] * (width + value[-1]))


@contextmanager
def _no_fast_path() -> Iterator[None]:
    """The fused operators of nn.MultiheadAttention and nn.TransformerEncoder are not counted."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def pass_times(
    network: nn.Module, visible: Tensor, infrared: Tensor, *, seconds: float
) -> list[float]:
    """Milliseconds of repeated forward passes after warm-up, on the device of the tensors.

    As many passes as fit into `seconds`, between `LEAST_REPEATS` and `MOST_REPEATS`.
    """
    timed = _timed_on_cuda if visible.is_cuda else _timed_on_cpu
    begun = perf_counter()
    for _ in range(WARM_UP):
        timed(network, visible, infrared)
        if perf_counter() - begun > seconds / LEAST_REPEATS:
            break
    times: list[float] = []
    while len(times) < LEAST_REPEATS or (
        len(times) < MOST_REPEATS and perf_counter() - begun < seconds
    ):
        times.append(timed(network, visible, infrared))
    return times


def _timed_on_cpu(network: nn.Module, visible: Tensor, infrared: Tensor) -> float:
    with torch.inference_mode():
        begun = perf_counter()
        network(visible, infrared)
        return 1000 * (perf_counter() - begun)


def _timed_on_cuda(network: nn.Module, visible: Tensor, infrared: Tensor) -> float:
    # torch's events have no types of their own.
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        begin.record()
        network(visible, infrared)
        end.record()
    end.synchronize()
    return float(begin.elapsed_time(end))


def peak_bytes(network: nn.Module, visible: Tensor, infrared: Tensor) -> int:
    """Memory of one forward pass beyond network and inputs, in bytes; see `memory_meaning`."""
    gc.collect()
    if visible.is_cuda:
        torch.cuda.synchronize(visible.device)
        torch.cuda.reset_peak_memory_stats(visible.device)
        before = torch.cuda.memory_allocated(visible.device)
        _timed_on_cuda(network, visible, infrared)
        return int(torch.cuda.max_memory_allocated(visible.device)) - before
    with nothing_kept(), ThreadPoolExecutor(1) as thread:
        reset = _reset_high_water()
        before = _proc_status("VmRSS") if reset else _highest_resident()
        thread.submit(_timed_on_cpu, network, visible, infrared).result()
        after = _proc_status("VmHWM") if reset else _highest_resident()
        return max(0, after - before)


def memory_meaning(device: torch.device) -> str:
    """How `peak_bytes` was measured on this device and system, for the table's footer."""
    if device.type == "cuda":
        return "peak of torch's CUDA allocations during one pass, beyond network and inputs"
    if _reset_high_water():
        return "growth of the process's resident set during one pass, at its peak"
    return "growth of the process's highest resident set (a lower bound)"


def _reset_high_water() -> bool:
    """Set this process's VmHWM (Linux) back to its present size; False where that can't be done."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _proc_status("VmHWM") > 0
    except OSError:
        return False


def _proc_status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    return 0


def _highest_resident() -> int:
    if sys.platform == "win32":
        return 0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def device_name(device: torch.device) -> str:
    """The name of the GPU or of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine() or "CPU"
