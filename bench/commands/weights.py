"""The commands that bring weight files of others: import one that is here, fetch a known one."""

from __future__ import annotations

import argparse
import functools
from pathlib import Path

from bench.commands.settings import configuration


def import_(args: argparse.Namespace) -> int:
    """Check a file that the user has, and keep it as safetensors."""
    from bench.methods import registry, weights

    config = configuration(args)
    target = weights.import_file(
        registry.method(args.method), Path(args.file), config.path(config.weights.folder)
    )
    print(f"Imported: {target}")
    return 0


def fetch(args: argparse.Namespace) -> int:
    """Download a known file, check it, keep it."""
    from rich.console import Console

    from bench.console import advance, progress_bar
    from bench.methods import download, registry, weights

    config = configuration(args)
    folder = config.path(config.weights.folder)
    method = registry.method(args.method)
    known = download.choose(method, args.file)
    status = weights.status(folder, method, known)
    if status != "missing" and not weights.problem(folder, method, known):
        print(f"{method.name} {known.name} is here already ({status}): nothing to download.")
        return 0
    if known.url:
        print(
            f"Downloading {known.file}, {known.bytes:,} bytes, sha256 {known.sha256[:12]}…\n"
            f"  from: {known.url}\n  origin: {known.origin}\n  licence: {known.licence}",
            flush=True,
        )
    with progress_bar(Console(stderr=True)) as bar:
        task = bar.add_task(known.file, total=None)
        target = download.fetch(
            method, known, folder, progress=functools.partial(advance, bar, task)
        )
    print(f"Imported: {target}")
    return 0
