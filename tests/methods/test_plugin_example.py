"""docs/example-method as what it is: a method of a package that is not this one."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bench.methods.protocol import fuse

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "example-method"

# Of the 2×2 pixels, `P` and `Q` are orthogonal patterns of mean 0 and variance 1.
P = np.array([[1, 1], [-1, -1]])
Q = np.array([[1, -1], [1, -1]])
FLAT = np.zeros((2, 2), dtype=int)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as pip would fill it: the modules and the metadata that pyproject.toml asks for."""
    site = tmp_path_factory.mktemp("site")
    asked = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))
    for module in asked["tool"]["setuptools"]["py-modules"]:
        shutil.copy(EXAMPLE / f"{module}.py", site)
    project = asked["project"]
    stem = f"{project['name'].replace('-', '_')}-{project['version']}"
    metadata = site / f"{stem}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in points.items()))
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return site


def bench(site: Path, folder: Path, *words: str) -> str:
    """What `bench WORDS` prints in `folder` where `site` is on the path."""
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from bench.cli import main; sys.exit(main())", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_card_is_listed(installed: Path, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = json.loads(bench(installed, tmp_path, "methods", "--json"))
    row = next(row for row in rows if row["name"] == "pca")
    assert (row["title"], row["year"], row["kind"]) == ("PCA", 2008, "classical")
    assert (row["parameters"], row["weights"]) == (0, "none needed")
    assert {"average", "dsifuse"} < {row["name"] for row in rows}


# visible = m + a (3 P) + b Q and infrared = n + a P − b (3 Q) have the covariance
# a² (3, 1)(3, 1)ᵀ + b² (1, −3)(1, −3)ᵀ. For a > b its leading eigenvector is (3, 1), so the weights
# are 3/4 and 1/4, and Q cancels: fused = 3/4 m + 1/4 n + 10/4 a P. Here a = 20, b = 4.
SOURCES = {
    "related": (100 + 60 * P + 4 * Q, 92 + 20 * P - 12 * Q),
    "opposed": (100 + 60 * P + 4 * Q, 92 - 20 * P + 12 * Q),  # eigenvector (3, −1)
    "visible-flat": (100 + FLAT, 92 + 20 * P - 12 * Q),
    "both-flat": (100 + FLAT, 60 + FLAT),
}
FUSED = {
    "related": [[148, 148], [48, 48]],
    "opposed": [[144, 132], [64, 52]],
    "visible-flat": [[100, 124], [60, 84]],
    "both-flat": [[80, 80], [80, 80]],
}


def test_its_images_are_those_computed_by_hand(installed: Path, tmp_path: Path) -> None:
    for stem, images in SOURCES.items():
        for folder, image in zip(("vi", "ir"), images, strict=True):
            path = tmp_path / "data" / "TNO" / folder / f"{stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.astype(np.uint8)).save(path)
    words = "run --methods pca --datasets tno --stages fuse --device cpu --no-tables"
    bench(installed, tmp_path, *words.split())
    fused = tmp_path / "results" / "demo" / "tno" / "pca" / "fuse"
    for stem, expected in FUSED.items():
        with Image.open(fused / f"{stem}.png") as image:
            assert np.asarray(image.convert("L")).tolist() == expected, stem


def test_the_images_of_a_batch_have_their_own_weights() -> None:
    method = runpy.run_path(str(EXAMPLE / "pca_fusion.py"))["METHOD"]
    visible, infrared = (
        torch.stack([torch.from_numpy(pair[k])[None] for pair in SOURCES.values()]).to(torch.uint8)
        for k in range(2)
    )
    fused = fuse(method.build(), method.protocol, visible.expand(-1, 3, -1, -1), infrared)
    assert fused[:, 0].tolist() == list(FUSED.values())
