"""The training log for TensorBoard, where the optional package `tensorboard` is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

Watch = Callable[[str, Mapping[str, float], int], None]


def _ignore(group: str, values: Mapping[str, float], iteration: int) -> None:
    """Without the package there is nothing to write; the CSV files hold the same numbers."""


@contextmanager
def board(out: Path, report: Callable[[str], None]) -> Iterator[Watch]:
    """A `watch` for `train` that writes event files into `out`/tensorboard; says so once where the
    package is missing."""
    if find_spec("tensorboard") is None:
        report(
            "No TensorBoard log: pip install 'ivif-bench[board]' for one (the CSV logs are kept)."
        )
        yield _ignore
        return
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(out / "tensorboard"))

    def watch(group: str, values: Mapping[str, float], iteration: int) -> None:
        for name, value in values.items():
            writer.add_scalar(f"{group}/{name}", value, iteration)

    try:
        yield watch
    finally:
        writer.close()
