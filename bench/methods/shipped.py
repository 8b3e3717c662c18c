"""The records of weight files that ship with the package, read from the cards of their training."""

from __future__ import annotations

import json
from pathlib import Path

from bench.methods.contract import Weights

_REPOSITORY = Path(__file__).resolve().parents[2]


def shipped_weights(module: str, method: str) -> tuple[Weights, ...]:
    """Records of what `bench train METHOD` exported into the folder `weights` beside a module's
    file, given as `__file__`; the method's own first.

    A weight file lies beside its card under the same name; variants are named after the variant.
    A card without a file beside it (too large to ship) gives no record.
    """
    records = []
    for path in sorted((Path(module).resolve().parent / "weights").glob("*.json")):
        card = json.loads(path.read_text(encoding="utf-8"))
        file = path.with_suffix(".safetensors")
        if card["method"] != method or not file.is_file():
            continue
        records.append(
            Weights(
                name="suite" if card["variant"] is None else card["variant"],
                track="suite",
                file=file.name,
                sha256=card["sha256"],
                bytes=card["bytes"],
                origin=f"trained by `bench train {method}`, see the card beside the file",
                licence="AGPL-3.0-or-later",
                trained_on=tuple(item["name"] for item in card["data"]),
                packaged=file.relative_to(_REPOSITORY).as_posix(),
            )
        )
    return tuple(sorted(records, key=lambda record: record.name != "suite"))
