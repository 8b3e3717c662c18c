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

    # A refused training leaves no folder behind: the files are opened with the first values.
    writers: list[SummaryWriter] = []

    def watch(group: str, values: Mapping[str, float], iteration: int) -> None:
        if not writers:
            writers.append(SummaryWriter(str(out / "tensorboard"), purge_step=iteration))
        for name, value in values.items():
            writers[0].add_scalar(f"{group}/{name}", value, iteration)

    try:
        yield watch
    finally:
        for writer in writers:
            writer.close()
