"""What a torch file or an .npz holds, read without ever running what it holds: no code in a pickle
is called, and no archive is unpacked that grows beyond reason.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from bench.errors import UserError

MOST_GROWTH = 20
SMALL = 64 << 20
"""Bytes that an archive may always hold, so that weights of zeros may be stored compressed."""


def refuse_bomb(path: Path) -> None:
    """UserError for a zip archive whose members announce far more bytes than the file has.

    Weights hardly compress: members may take `MOST_GROWTH` times the file's size, or `SMALL` bytes.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is a damaged archive ({error}): get it again.") from None
    size = path.stat().st_size
    if unpacked > max(SMALL, MOST_GROWTH * size):
        raise UserError(
            f"{path} has {size:,} bytes but would unpack to {unpacked:,}: it is no weight file."
        )


def read_torch_file(path: Path) -> Any:
    """The content of a torch file that holds only tensors and plain values.

    Raises UserError for an object that needs code to be built, and for anything that is no such
    file.
    """
    refuse_bomb(path)
    try:
        with warnings.catch_warnings():
            # Of pickle versions: whatever fails is told below.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"{path} holds more than tensors (a pickled object can run code): save its state_dict "
            "in the environment that made it."
        ) from None
    except Exception as error:
        # On arbitrary bytes the restricted unpickler fails with whatever it trips over.
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"{path} is not a torch checkpoint ({reason}).") from None
