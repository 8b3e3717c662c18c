"""The commands: parse, call one function, print.

Exit codes: 0 all well, 1 ran but some rows failed, 2 you must change something, 130 interrupted
with everything finished kept.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.errors import UserError

CONFIG = "bench.toml"


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _assignment(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key or not value:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE")
    return key, value


def _toml_value(text: str) -> Any:
    from bench.config import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _absolute(path: str) -> str:
    # A path on the command line belongs to the current folder, one in bench.toml to that file's.
    return str(Path(path).expanduser().absolute())


def _flags(args: argparse.Namespace) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    plain = {
        "name": "name",
        "limit": "limit",
        "device": "device",
        "threads": "threads",
        "seed": "seed",
        "methods": "methods",
        "datasets": "datasets",
        "stages": "stages",
        "output": "fuse.output",
        "convention": "score.convention",
        "preset": "detect.preset",
        "seeds": "detect.seeds",
    }
    for flag, key in plain.items():
        value = getattr(args, flag, None)
        if value is not None:
            chosen[key] = list(value) if isinstance(value, tuple) else value
    for flag, key in {
        "results": "results",
        "data_root": "data.root",
        "weights_folder": "weights.folder",
    }.items():
        value = getattr(args, flag, None)
        if value is not None:
            chosen[key] = _absolute(value)
    if getattr(args, "random_weights", False):
        chosen["fuse.random_weights"] = True
    for name, folder in getattr(args, "data", None) or ():
        chosen[f"data.{name}.root"] = _absolute(folder)
    for name, file in getattr(args, "weights", None) or ():
        chosen[f"weights.use.{name}"] = _absolute(file)
    for key, value in getattr(args, "set", None) or ():
        chosen[key] = _toml_value(value)
    return chosen


def _config(args: argparse.Namespace) -> Any:
    from bench import config

    path = Path(args.config) if args.config else Path(CONFIG)
    if not args.config and not path.is_file():
        return config.read(None, _flags(args))
    return config.read(path, _flags(args))


def _run(args: argparse.Namespace) -> int:
    from rich.console import Console

    from bench.console import display
    from bench.jobs.run import dry_run, run

    config = _config(args)
    console = Console()
    if args.dry_run:
        for line in dry_run(config):
            print(line)
        return 0
    outcome = run(config, display())
    cached = outcome.count("cached")
    if cached == len(outcome.statuses):
        print(f"Nothing to do: all {cached} jobs of '{config.name}' are done and unchanged.")
    elif cached:
        print(f"{cached} of {len(outcome.statuses)} jobs were done already and were not run again.")
    if not args.no_tables and cached < len(outcome.statuses):
        _print_tables(console, config.run_folder, ())
    print(f"Results: {config.run_folder}")
    return 1 if outcome.some_failed else 0


def _print_tables(console: Any, run: Path, wanted: Sequence[str]) -> None:
    from bench.report.write import write_tables

    for table in write_tables(run, wanted):
        console.print(table)


def _run_folder(args: argparse.Namespace) -> Path:
    folder = Path(args.run) if args.run else _config(args).run_folder
    if not (folder / "run.json").is_file():
        raise UserError(f"{folder} is no run (it has no run.json): give the folder of a bench run.")
    return Path(folder)


def _tables(args: argparse.Namespace) -> int:
    from rich.console import Console

    run = _run_folder(args)
    _print_tables(Console(), run, args.numbers)
    print(f"Written as CSV, LaTeX and Markdown to {run / 'tables'}")
    return 0


def _figures(args: argparse.Namespace) -> int:
    from bench.report.write import write_panels

    for path in write_panels(_run_folder(args), _config(args), args.dataset, args.pairs or ()):
        print(path)
    return 0


def _score(args: argparse.Namespace) -> int:
    from rich.console import Console

    from bench.console import progress_bar
    from bench.report.folder_scores import score_folders, summary

    console = Console()
    with progress_bar(Console(stderr=True)) as bar:
        task = bar.add_task("scoring", total=None)
        frame = score_folders(
            Path(args.fused),
            Path(args.visible),
            Path(args.infrared),
            metrics=args.metrics,
            convention=args.convention or "standard",
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if args.out:
        frame.to_csv(args.out, index=False, lineterminator="\n")
        print(f"Per-image values: {args.out}")
    console.print(summary(frame, args.convention or "standard"))
    return 0


def _listing(args: argparse.Namespace, title: str, rows: list[dict[str, Any]]) -> int:
    from rich.console import Console
    from rich.table import Table

    if args.json:
        print(json.dumps(rows, indent=1))
        return 0
    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
    return 0


def _methods(args: argparse.Namespace) -> int:
    from bench import listing

    return _listing(args, "Methods", listing.methods(_config(args)))


def _datasets(args: argparse.Namespace) -> int:
    from bench import listing

    return _listing(args, "Data sets", listing.datasets(_config(args)))


def _metrics(args: argparse.Namespace) -> int:
    from bench import listing

    return _listing(args, "Metrics (convention: standard)", listing.metrics())


def _data_check(args: argparse.Namespace) -> int:
    from rich.console import Console

    from bench.console import progress_bar
    from bench.data.check import check
    from bench.data.registry import expand
    from bench.jobs.plan import load_data

    failed = False
    config = _config(args)
    for name in expand(_words(args.dataset)):
        pairs = load_data(config, name)
        with progress_bar(Console(stderr=True)) as bar:
            task = bar.add_task(name, total=None)
            report = check(pairs, lambda d, t, task=task: bar.update(task, completed=d, total=t))
        sizes = ", ".join(f"{size} ({count})" for size, count in report.sizes.items())
        print(f"{name}: {report.pairs} pairs; sizes {sizes}")
        if pairs.split is not None:
            parts = (len(pairs.split.train), len(pairs.split.val), len(pairs.split.test))
            print(f"  split {pairs.split.name}: {parts[0]} train, {parts[1]} val, {parts[2]} test")
        if report.boxes:
            print("  boxes " + ", ".join(f"{cls} {count}" for cls, count in report.boxes.items()))
        if report.deep:
            print(f"  {len(report.deep)} files have 16 bits and are scaled by round(x / 257)")
        for problem in report.problems:
            print(f"  problem: {problem}")
        failed |= bool(report.problems)
    return 1 if failed else 0


def _data_synth(args: argparse.Namespace) -> int:
    from rich.console import Console

    from bench.console import progress_bar
    from bench.data.synthetic import generate

    with progress_bar(Console(stderr=True)) as bar:
        task = bar.add_task("rendering", total=None)
        generate(
            Path(args.dest),
            seed=args.seed or 0,
            pairs=args.pairs,
            size=args.size,
            layout=args.layout,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    print(f"{sum(args.pairs)} pairs of {args.size[0]}x{args.size[1]} in {args.dest}")
    return 0


def _weights_list(args: argparse.Namespace) -> int:
    from bench import listing

    return _listing(args, "Weights", listing.weights(_config(args)))


def _weights_import(args: argparse.Namespace) -> int:
    from bench.methods import registry, weights

    config = _config(args)
    target = weights.import_file(
        registry.method(args.method), Path(args.file), config.path(config.weights.folder)
    )
    print(f"Imported: {target}")
    return 0


def _train(args: argparse.Namespace) -> int:
    from bench.training.command import train_command

    print(train_command(_config(args), args))
    return 0


def _status(args: argparse.Namespace) -> int:
    from bench import listing

    return _listing(args, "Jobs", listing.jobs(_run_folder(args)))


def _doctor(args: argparse.Namespace) -> int:
    from bench import listing

    return _listing(args, "This machine", listing.doctor(_config(args)))


def _counts(text: str) -> tuple[int, int, int]:
    parts = text.split(",")
    if len(parts) != 3 or not all(p.isdigit() for p in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is not TRAIN,VAL,TEST")
    return int(parts[0]), int(parts[1]), int(parts[2])


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) >= 32 and int(height) >= 32):
        raise argparse.ArgumentTypeError(f"'{text}' is not WIDTHxHEIGHT of at least 32x32")
    return int(width), int(height)


def _seed_list(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in _words(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of integers") from None


def _add(commands: Any, name: str, function: Any, help_: str, example: str) -> Any:
    parser = commands.add_parser(
        name,
        help=help_,
        description=help_,
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(function=function)
    parser.add_argument("--config", help=f"configuration file (default: {CONFIG} where it exists)")
    parser.add_argument(
        "--set", action="append", type=_assignment, metavar="KEY=VALUE", help="any key of bench.toml"
    )
    return parser


def _add_run_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--methods", type=_words, help="names, or all")
    parser.add_argument("--datasets", type=_words)
    parser.add_argument("--stages", type=_words, help="of fuse,score,detect,profile")
    parser.add_argument("--name", help="name of the run: its folder under the results")
    parser.add_argument("--results", help="folder of all runs")
    parser.add_argument("--limit", type=int, help="only the first N pairs of each set")
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1 ...")
    parser.add_argument("--threads", type=int, help="CPU threads (0: all)")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--data-root", help="folder that holds MSRS, M3FD, TNO ...")
    parser.add_argument("--data", action="append", type=_assignment, metavar="SET=FOLDER")
    parser.add_argument("--weights", action="append", type=_assignment, metavar="METHOD=FILE")
    parser.add_argument("--weights-folder", help="folder of imported checkpoints")
    parser.add_argument("--output", help="clip (the rule) or authors")
    parser.add_argument("--random-weights", action="store_true", help="for tests; the row says so")
    parser.add_argument("--convention", help="metric convention")
    parser.add_argument("--preset", help="detection recipe: quick or standard")
    parser.add_argument("--seeds", type=_seed_list, help="detection seeds, such as 0,1,2")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    parser.add_argument("--no-tables", action="store_true")


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="bench", description="The reference benchmark for visible-infrared image fusion."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    run = _add(commands, "run", _run, "fuse, score, detect and profile, then print the tables",
               "bench run --methods average,dsifuse --stages fuse,score")  # fmt: skip
    _add_run_flags(run)
    tables = _add(commands, "tables", _tables, "write a run's tables as CSV, LaTeX and Markdown",
                  "bench tables 1-4 --run results/demo")  # fmt: skip
    tables.add_argument("numbers", nargs="*", help="such as 1-4, 2, detection-synthetic; default all")
    tables.add_argument("--run", help="folder of a run (default: the configured one)")
    figures = _add(commands, "figures", _figures, "draw a run's qualitative panels",
                   "bench figures --run results/demo --dataset synthetic")  # fmt: skip
    figures.add_argument("--run")
    figures.add_argument("--dataset", help="default: every set of the run")
    figures.add_argument("--pairs", type=_words, help="ids; default: where methods differ most")
    score = _add(commands, "score", _score, "score anyone's fused images against their sources",
                 "bench score --fused OUT --visible VIS --infrared IR --out scores.csv")  # fmt: skip
    for folder in ("fused", "visible", "infrared"):
        score.add_argument(f"--{folder}", required=True, help=f"folder of {folder} images")
    score.add_argument("--metrics", type=_words)
    score.add_argument("--convention")
    score.add_argument("--out", help="CSV of per-image values")
    for name, function, help_ in (
        ("methods", _methods, "list the methods"),
        ("datasets", _datasets, "list the data sets"),
        ("metrics", _metrics, "list the metrics"),
        ("doctor", _doctor, "versions, device, data and weights found, and what is missing"),
    ):
        _add(commands, name, function, help_, f"bench {name} --json").add_argument(
            "--json", action="store_true"
        )
    status = _add(commands, "status", _status, "the jobs of a run", "bench status --run results/demo")
    status.add_argument("--run")
    status.add_argument("--json", action="store_true")
    data = commands.add_parser("data", help="check a data set or write the synthetic one")
    data_commands = data.add_subparsers(required=True, metavar="COMMAND")
    check = _add(data_commands, "check", _data_check, "decode and compare every pair of a set",
                 "bench data check synthetic")  # fmt: skip
    check.add_argument("dataset")
    check.add_argument("--data-root")
    check.add_argument("--data", action="append", type=_assignment, metavar="SET=FOLDER")
    synth = _add(data_commands, "synth", _data_synth, "write the synthetic world to disk",
                 "bench data synth data/toy --layout m3fd --pairs 20,5,5")  # fmt: skip
    synth.add_argument("dest")
    synth.add_argument("--layout", choices=("folder", "m3fd", "msrs"), default="folder")
    synth.add_argument("--pairs", type=_counts, default=(96, 32, 32), metavar="TRAIN,VAL,TEST")
    synth.add_argument("--size", type=_size, default=(384, 288), metavar="WIDTHxHEIGHT")
    synth.add_argument("--seed", type=int, default=0)
    weights = commands.add_parser("weights", help="list or import weight files")
    weights_commands = weights.add_subparsers(required=True, metavar="COMMAND")
    listed = _add(weights_commands, "list", _weights_list, "every known weight file and its status",
                  "bench weights list --json")  # fmt: skip
    listed.add_argument("--json", action="store_true")
    listed.add_argument("--weights-folder")
    imported = _add(weights_commands, "import", _weights_import, "check and keep an official file",
                    "bench weights import seafusion SeAFusion.pth")  # fmt: skip
    imported.add_argument("method")
    imported.add_argument("file")
    imported.add_argument("--weights-folder")
    train = _add(commands, "train", _train, "train a fusion network",
                 "bench train dsifuse --train-data synthetic --budget 2m")  # fmt: skip
    train.add_argument("method")
    train.add_argument("--train-data", type=_words, default=("synthetic",), help="data sets")
    train.add_argument("--budget", default="30m", help="time, such as 90s, 30m, 2h")
    train.add_argument("--iterations", type=int)
    train.add_argument("--variant")
    train.add_argument("--crop", type=int)
    train.add_argument("--batch", type=int)
    train.add_argument("--out", help="folder (default: results/train-METHOD)")
    for flag in ("--seed", "--threads"):
        train.add_argument(flag, type=int)
    train.add_argument("--device")
    train.add_argument("--data-root")
    train.add_argument("--data", action="append", type=_assignment, metavar="SET=FOLDER")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `bench`; returns the exit code."""
    try:
        args = parser().parse_args(argv)
        return int(args.function(args))
    except UserError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench: interrupted; what is finished is kept, run again to continue", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
