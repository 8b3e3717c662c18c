"""What a result was made with: versions, machine, commit."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import subprocess
import sys
import time
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = (
    "torch",
    "torchvision",
    "ultralytics",
    "pycocotools",
    "numpy",
    "pandas",
    "opencv-python",
    "pillow",
    "scipy",
    "safetensors",
)


def _commit() -> dict[str, Any]:
    root = Path(__file__).resolve().parents[2]

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except OSError:
        return {"commit": "", "dirty": None}


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        return platform.processor()
    return platform.processor()


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _driver() -> str:
    """The version of NVIDIA's driver, or "" where it does not tell."""
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.partition("\n")[0].strip() if done.returncode == 0 else ""


def start_measuring() -> float:
    """The time now, with the peak of this process's memory set back to what it uses (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return time.time()


def measured(started: float) -> dict[str, Any]:
    """Wall time since `start_measuring`, and the peak of this process's memory since then; where
    the system can't set it back, the peak since the process began.
    """
    return {
        "started": started,
        "seconds": time.time() - started,
        "peak_rss_bytes": _peak_memory(),
    }


def _peak_memory() -> int:
    try:
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


@lru_cache(maxsize=1)
def provenance() -> dict[str, Any]:
    """Versions, commit, processor, memory, GPU with its driver, and threads of this process."""
    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""
    return {
        "bench": _version("ivif-bench"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": _memory(),
        "gpu": gpu,
        "cuda": torch.version.cuda or "",
        "driver": _driver() if gpu else "",
        "threads": torch.get_num_threads(),
        "packages": {name: _version(name) for name in _PACKAGES},
        **_commit(),
    }
