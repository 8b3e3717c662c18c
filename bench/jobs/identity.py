"""The identity of a job: a hash over everything that can change its result."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any


@cache
def code_hash(module: str) -> str:
    """Hex hash over the source of a module, or of all modules of a package."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{module} has no source file to hash")
    origin = Path(spec.origin)
    files = sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(origin.parent).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def code_hashes(modules: Iterable[str]) -> dict[str, str]:
    """`code_hash` of several modules, by name."""
    return {module: code_hash(module) for module in sorted(modules)}


def identity(record: Mapping[str, Any]) -> str:
    """Hex hash of a JSON-able record, independent of the order of its keys."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
