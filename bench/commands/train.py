"""`bench train`: one training, or a list of them with a table of their scores."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.settings import configuration
from bench.config import RunConfig
from bench.config_file import toml_value
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.training import TrainingGroup
    from bench.training.tuning import Wish


def train(args: argparse.Namespace) -> int:
    """Train a fusion network by its own recipe."""
    import torch

    from bench.jobs.plan import cpu_threads, resolve_device
    from bench.methods import registry
    from bench.training.board import board
    from bench.training.curves import draw
    from bench.training.trainer import train
    from bench.training.tuning import arranged

    config = configuration(args)
    name, variant = registry.base_and_variant(args.method)
    if variant and args.variant:
        raise UserError(f"{args.method} is a variant already: leave out --variant {args.variant}.")
    method, wish = registry.method(name), _wish(args, config, variant or args.variant)
    default = config.path(config.results) / f"train-{args.method}"
    out = Path(args.out) if args.out else default
    device = resolve_device(config.device)
    torch.set_num_threads(cpu_threads(config))
    if args.experiments:
        return _experiments(args, config, out, device, wish)
    chosen, settings = arranged(method, wish)
    groups = _groups(config, args.train_data)
    with board(out, _say) as watch:
        weights = train(
            chosen,
            groups,
            out=out,
            device=device,
            validate_every=args.validate_every,
            report=_say,
            watch=watch,
            **settings,
        )
    row = weights.stem
    print(f"Curves: {draw(out)}\nWeights: {weights}")
    print(f"Run them: bench run --methods {row} --weights {row}={weights}")
    return 0


def _experiments(
    args: argparse.Namespace, config: RunConfig, out: Path, device: str, wish: Wish
) -> int:
    from bench.methods import registry
    from bench.training.experiments import read_experiments, run_experiments
    from bench.training.tuning import DEFAULT_SECONDS

    # The budget is that of the whole list.
    listed = read_experiments(Path(args.experiments), replace(wish, seconds=None))
    table = run_experiments(
        registry.method(args.method),
        _groups(config, args.train_data),
        listed,
        out=out,
        budget_seconds=args.budget or DEFAULT_SECONDS,
        device=device,
        report=_say,
        validate_every=args.validate_every,
    )
    print(f"{table.read_text(encoding='utf-8')}\nTable: {table} and {table.with_suffix('.csv')}")
    return 0


def _wish(args: argparse.Namespace, config: RunConfig, variant: str | None) -> Wish:
    from bench.training.tuning import Wish

    return Wish(
        preset=args.preset or "",
        variant=variant,
        seed=config.seed,
        options={key: toml_value(value) for key, value in args.option or ()},
        seconds=args.budget,
        iterations=args.iterations,
        crop=args.crop,
        batch=args.batch,
        criterion=args.criterion,
        mixed=args.mixed,
        half=args.half,
    )


def _groups(config: RunConfig, words: tuple[str, ...]) -> list[TrainingGroup]:
    from bench.data.registry import expand
    from bench.jobs.data import load_data
    from bench.training.parts import folder_groups, is_folder, training_group

    names = [word for word in words if not is_folder(word)]
    try:
        sets = [training_group(load_data(config, name)) for name in expand(names)]
    except UserError as error:
        folders = [f"./{name}" for name in names if Path(name).is_dir()]
        hint = f" A folder is written with a slash: {', '.join(folders)}." if folders else ""
        raise UserError(f"{error}{hint}") from None
    return [
        *sets,
        *folder_groups([word for word in words if is_folder(word)]),
    ]


def _say(line: str) -> None:
    print(line, flush=True)
