"""Variables of a TensorFlow checkpoint (V2: PREFIX.index and PREFIX.data-*) as arrays.

The one place that uses TensorFlow, an optional extra: only importing such checkpoints needs it.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.errors import UserError


def read_tensorflow_checkpoint(prefix: Path) -> dict[str, npt.NDArray[Any]]:
    """All variables by name. prefix: the path without .index and .data-00000-of-00001.

    Raises UserError where TensorFlow is missing, the files are, or they can't be read.
    """
    index = prefix.with_name(prefix.name + ".index")
    if not index.is_file():
        raise UserError(f"{index} does not exist: give the checkpoint's path without .index.")
    if not any(prefix.parent.glob(f"{prefix.name}.data-*")):
        raise UserError(f"{prefix}.data-00000-of-00001 does not exist: it holds the weights.")
    try:
        tensorflow = importlib.import_module("tensorflow")
    except ImportError:
        raise UserError(
            f"{prefix} is a TensorFlow checkpoint and TensorFlow is not installed: "
            "run pip install 'ivif-bench[tensorflow]'."
        ) from None
    try:
        reader = tensorflow.train.load_checkpoint(str(prefix))
        names = sorted(reader.get_variable_to_shape_map())
        return {name: np.asarray(reader.get_tensor(name)) for name in names}
    except (tensorflow.errors.OpError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{prefix} is not a readable TensorFlow checkpoint: {reason}") from None
