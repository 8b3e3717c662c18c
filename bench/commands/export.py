"""`bench export`: a method with its weights as a file for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.commands.settings import configuration
from bench.errors import UserError


def export(args: argparse.Namespace) -> int:
    """Write the ONNX file and say what it takes and gives."""
    target = Path(args.onnx)
    if target.suffix != ".onnx":
        raise UserError(f"--onnx {target}: name the file FILE.onnx.")
    from bench.methods import registry, weights
    from bench.methods.deployment import export_onnx

    config = configuration(args)
    method = registry.method(args.method)
    chosen = config.weights.use.get(method.name)
    found = weights.resolve(
        method,
        config.path(config.weights.folder),
        chosen=config.path(chosen) if chosen else None,
        random=config.fuse.random_weights and not chosen,
        track=config.weights.track,
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    checked = export_onnx(method, weights.build(method, found, seed=config.seed), found, target)
    verdict = (
        "Run with onnxruntime at three sizes: at most 1 grey level from torch."
        if checked
        else "Not run: pip install 'ivif-bench[export]' to have it compared with torch."
    )
    print(
        f"Written: {target} ({target.stat().st_size:,} bytes, weights: {found.name or 'none'})\n"
        "  visible   uint8 1×3×height×width, RGB\n"
        "  infrared  uint8 1×1×height×width\n"
        "  fused     uint8 1×3×height×width, RGB; height and width are free\n"
        f"{verdict}"
    )
    return 0
