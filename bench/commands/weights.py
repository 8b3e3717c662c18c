"""The commands that bring weights: import a file, fetch a known one, train."""

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


def train_(args: argparse.Namespace) -> int:
    """Train a fusion network by its own recipe."""
    from bench.data.registry import expand
    from bench.jobs.data import load_data
    from bench.jobs.plan import resolve_device
    from bench.methods import registry
    from bench.training.parts import training_group
    from bench.training.trainer import train

    config = configuration(args)
    out = Path(args.out) if args.out else config.path(config.results) / f"train-{args.method}"
    weights = train(
        registry.method(args.method),
        [training_group(load_data(config, name)) for name in expand(args.train_data)],
        out=out,
        seed=config.seed,
        iterations=args.iterations,
        budget_seconds=args.budget,
        device=resolve_device(config.device),
        crop=args.crop,
        batch=args.batch,
        variant=args.variant,
        report=lambda line: print(line, flush=True),
    )
    print(f"Weights: {weights}\nRun them: bench run --weights {args.method}={weights}")
    return 0
