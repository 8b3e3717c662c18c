"""The commands on data sets: check one, write the synthetic one."""

from __future__ import annotations

import argparse
import functools
from pathlib import Path

from rich.console import Console

from bench.argument_types import words
from bench.commands.settings import absolute, configuration
from bench.console import advance, progress_bar
from bench.errors import counted


def check(args: argparse.Namespace) -> int:
    """Decode and compare every pair; exit code 1 for a problem."""
    from bench.data import check as checking
    from bench.data.registry import expand
    from bench.jobs.data import load_data

    failed = False
    config = configuration(args)
    for name in expand(words(args.dataset)):
        pairs = load_data(config, name)
        with progress_bar(Console(stderr=True)) as bar:
            task = bar.add_task(name, total=None)
            report = checking.check(pairs, functools.partial(advance, bar, task))
        sizes = ", ".join(f"{size} ({count})" for size, count in report.sizes.items())
        print(f"{name}: {counted(report.pairs, 'pair')}; sizes {sizes}")
        if pairs.split is not None:
            parts = (len(pairs.split.train), len(pairs.split.val), len(pairs.split.test))
            print(f"  split {pairs.split.name}: {parts[0]} train, {parts[1]} val, {parts[2]} test")
        if report.boxes:
            print("  boxes " + ", ".join(f"{cls} {count}" for cls, count in report.boxes.items()))
        if report.deep:
            deep = counted(len(report.deep), "file")
            print(f"  {deep} of 16 bits, scaled by round(x / 257)")
        for problem in report.problems:
            print(f"  problem: {problem}")
        failed |= bool(report.problems)
    return 1 if failed else 0


def synth(args: argparse.Namespace) -> int:
    """Write the synthetic set in the layout of a real one."""
    from bench.data.synthetic import generate

    with progress_bar(Console(stderr=True)) as bar:
        task = bar.add_task("rendering", total=None)
        generate(
            Path(args.dest),
            seed=args.seed or 0,
            pairs=args.pairs,
            size=args.size,
            layout=args.layout,
            progress=functools.partial(advance, bar, task),
        )
    print(f"{counted(sum(args.pairs), 'pair')} of {args.size[0]}x{args.size[1]} in {args.dest}")
    return 0


def split(args: argparse.Namespace) -> int:
    """Make a split of a set, or check one, and measure what it leaks."""
    from bench.commands.split import SplitWish
    from bench.commands.split import split as make_or_check

    # A name of the package, or a file of the current folder.
    check = args.check or ""
    if check and Path(check).exists():
        check = absolute(check)
    wish = SplitWish(
        make=args.make or "",
        check=check,
        annotations=args.annotations or "",
        out=args.out or "",
        name=args.split_name or "",
        seed=args.split_seed,
        share=args.share,
        guard=args.guard,
    )
    return make_or_check(configuration(args), args.dataset, wish)
