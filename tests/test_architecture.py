"""The house keeps its shape: imports point down the table of rooms only."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Which rooms of bench/ each room may import; the command line may import all.
MAY = {
    "data": {"data", "errors"},
    "metrics": {"metrics", "errors"},
    "methods": {"methods", "data", "errors"},
    "training": {"training", "methods", "metrics", "data", "errors"},
    "stages": {"stages", "training", "methods", "metrics", "data", "allocator", "errors"},
    "jobs": {"jobs", "stages", "methods", "metrics", "data", "config", "allocator", "errors"},
    "report": {"report", "stages", "metrics", "methods", "data", "errors"},
    "config": {"config", "data", "errors"},
    "allocator": set(),
    "errors": set(),
}
METHODS_MAY = {"bench.methods", "bench.errors"}


def imported(path: Path) -> set[str]:
    """Full names of all modules that a file imports, at any depth of its code."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def test_rooms_import_downwards_only() -> None:
    wrong = []
    for path in sorted((ROOT / "bench").rglob("*.py")):
        room = path.relative_to(ROOT / "bench").parts[0].removesuffix(".py")
        if room not in MAY:
            continue
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == "bench" and len(parts) > 1 and parts[1] not in MAY[room]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_no_room_knows_a_concrete_method() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / "bench").rglob("*.py"))
        for name in imported(path)
        if name.split(".")[0] in ("baselines", "models")
    ]
    assert wrong == []


def test_methods_know_only_the_contract_and_never_each_other() -> None:
    wrong = []
    for path in sorted((ROOT / "baselines").rglob("*.py")):
        package = path.parent.name
        for name in imported(path):
            other = name.startswith(("baselines", "models"))
            if package != "baselines" and name.startswith(f"baselines.{package}."):
                other = False
            foreign = name.startswith("bench.") and not name.startswith(tuple(METHODS_MAY))
            if other or foreign:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_data_never_imports_torch() -> None:
    for path in sorted((ROOT / "bench" / "data").rglob("*.py")):
        assert not any(name.split(".")[0] == "torch" for name in imported(path)), path


def test_every_file_says_what_it_is_for() -> None:
    for folder in ("bench", "baselines", "models"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            assert not text.strip() or ast.get_docstring(ast.parse(text)), path
