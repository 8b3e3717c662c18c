"""Freed memory is used again: counted in page faults of a process that takes large blocks."""

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


def faults(mode: str, **environment: str) -> tuple[bool, int]:
    """(whether the allocator was changed, page faults of ten blocks of 64 MiB)."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, mode],
        cwd=ROOT,
        env={**plain, **environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    kept, count = done.stdout.split()
    return bool(int(kept)), int(count)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_large_blocks_are_taken_from_what_was_freed() -> None:
    _, mapped = faults("leave")
    kept, reused = faults("keep")
    assert kept
    assert reused < mapped / 5


def test_options_of_the_user_are_respected() -> None:
    kept, _ = faults("keep", MALLOC_ARENA_MAX="2")
    assert not kept
