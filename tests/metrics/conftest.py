"""Metrics are compared bit for bit with one thread, as the score stage computes them: with more,
torch splits one long sum among them and the last digits follow their number.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
