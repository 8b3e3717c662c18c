"""Freed memory is used again, counted in page faults, and given back where it only grows."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import resource, sys
import numpy as np
from bench.allocator import keep_freed_memory
kept = sys.argv[1] == "keep" and keep_freed_memory()
np.ones(1 << 23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(1 << 23)  # 64 MiB, written and freed
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

# Each work takes blocks that the holes of the work before are too small for.
GROWING = """
import sys
import numpy as np
from bench import allocator
from bench.allocator import Bounded, keep_freed_memory, resident_bytes
allocator.PAUSE = 0
keep_freed_memory()
bound, pins, most = Bounded(), [], 0
for work in range(40):
    blocks = []
    for _ in range(3):
        blocks.append(np.ones((1 << 22) + (work << 16)))  # 32 MiB, half a MiB more each time
        pins += [bytearray(1 << 16) for _ in range(4)]
    del blocks
    most = max(most, resident_bytes() >> 20)
    if sys.argv[1] == "bounded":
        bound.after(1)
print(most, resident_bytes() >> 20)
"""


def run(program: str, mode: str, **environment: str) -> tuple[int, int]:
    """The two numbers that a program prints in a process of its own."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", program, mode],
        cwd=ROOT,
        env={**plain, **environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = done.stdout.split()
    return int(first), int(second)


def faults(mode: str, **environment: str) -> tuple[bool, int]:
    """(whether the allocator was changed, page faults of ten blocks of 64 MiB)."""
    kept, count = run(PROGRAM, mode, **environment)
    return bool(kept), count


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_large_blocks_are_taken_from_what_was_freed() -> None:
    _, mapped = faults("leave")
    kept, reused = faults("keep")
    assert kept
    assert reused < mapped / 5


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_memory_that_only_grows_is_given_back() -> None:
    most, left = run(GROWING, "free")
    bounded, bounded_left = run(GROWING, "bounded")
    assert bounded < most
    assert bounded_left < 0.5 * left


def test_options_of_the_user_are_respected() -> None:
    kept, _ = faults("keep", MALLOC_ARENA_MAX="2")
    assert not kept
