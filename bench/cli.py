"""The commands: parse, call one function, print.

Exit codes: 0 all well, 1 ran but some rows failed, 2 you must change something, 130 interrupted
with everything finished kept.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.allocator import keep_freed_memory
from bench.arguments import CONFIG, parser, words
from bench.errors import UserError, named

if TYPE_CHECKING:
    pass


def _toml_value(text: str) -> Any:
    from bench.config import toml_value

    return toml_value(text)


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
        "track": "weights.track",
        "jobs": "run.jobs",
        "executor": "run.executor",
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
    ready_made: dict[str, str] = {}
    for name, folder in getattr(args, "ready_made", None) or ():
        if name in ready_made:
            raise UserError(f"--fused {name} is given twice: every row needs a name of its own.")
        ready_made[name] = _absolute(folder)
    if ready_made:
        chosen["fused"] = ready_made
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
    from bench.commands import runs

    if args.repeat:
        if args.config:
            raise UserError("--from has the configuration of its run: leave out --config.")
        return runs.repeat(
            Path(args.repeat), _flags(args), dry=args.dry_run, tables=not args.no_tables
        )
    return runs.run(_config(args), dry=args.dry_run, tables=not args.no_tables)


def _verify(args: argparse.Namespace) -> int:
    from bench.commands import runs

    return runs.verify(Path(args.results), as_json=args.json)


def _run_folder(args: argparse.Namespace) -> Path:
    if args.run and any(getattr(args, flag, None) for flag in ("results", "name")):
        raise UserError("--run names the folder itself: leave out --results and --name.")
    folder = Path(args.run) if args.run else _config(args).run_folder
    if not (folder / "run.json").is_file():
        raise UserError(f"{folder} is no run (it has no run.json): give the folder of a bench run.")
    return Path(folder)


def _tables(args: argparse.Namespace) -> int:
    from bench.commands import report

    run = _run_folder(args)
    report.tables(run, args.numbers, intervals=args.intervals)
    print(f"Written as CSV, LaTeX, Markdown and HTML to {run / 'tables'}")
    return 0


def _compare(args: argparse.Namespace) -> int:
    from bench.commands import report

    named = [argparse.Namespace(**{**vars(args), "run": run}) for run in args.run or (None,)]
    return report.compare([_run_folder(one) for one in named], args.out)


def _publish(args: argparse.Namespace) -> int:
    from bench.report.publish import publish

    for path in publish(_run_folder(args), Path(args.to)):
        print(path)
    return 0


def _figures(args: argparse.Namespace) -> int:
    from bench.commands import report
    from bench.jobs.data import load_data

    run, config = _run_folder(args), _config(args)
    return report.figures(run, functools.partial(load_data, config), args)


def _report(args: argparse.Namespace) -> int:
    from bench.commands.page import report

    return report(_run_folder(args), _config(args), args.out)


def _advance(bar: Any, task: Any, done: int, total: int) -> None:
    bar.update(task, completed=done, total=total)


def _score(args: argparse.Namespace) -> int:
    from rich.console import Console

    from bench.data.fused import is_lossy
    from bench.report.folder_scores import match
    from bench.report.score_files import check_target, write_scores

    if args.config or args.set:
        raise UserError("bench score reads no configuration: give --metrics and --convention.")
    if args.metrics == ():
        raise UserError("--metrics is empty: give names such as EN,VIF, or all.")
    folders = [Path(folder) for folder in (args.fused, *(args.against or ()))]
    if args.out:
        check_target(Path(args.out))
    if args.plot:
        from bench.report import convention_ranks

        convention_ranks.check_plot(Path(args.plot), len(folders), args.convention)
    matches = match(folders, Path(args.visible), Path(args.infrared))

    # Heavy imports only now, so that what is wrong with the folders is said at once.
    from bench.console import progress_bar
    from bench.metrics.conventions import CONVENTIONS
    from bench.report import folder_tables
    from bench.report.folder_scores import score_folders

    console, errors = Console(), Console(stderr=True)
    every = args.convention == "all"
    with progress_bar(errors) as bar:
        task = bar.add_task("scoring", total=None)
        scores = score_folders(
            matches,
            metrics=args.metrics,
            conventions=tuple(CONVENTIONS) if every else (args.convention or "standard",),
            progress=functools.partial(_advance, bar, task),
        )
    if args.out:
        write_scores(Path(args.out), scores)
        print(f"Per-image values: {args.out}")
    if every:
        console.print(folder_tables.conventions_table(scores))
        console.print(folder_tables.agreement_table(scores[0]))
        if args.plot:
            convention_ranks.draw(convention_ranks.means_of(scores), Path(args.plot))
            print(f"Ranks by convention: {args.plot}")
    else:
        convention = args.convention or "standard"
        console.print(folder_tables.summary(scores[0], convention))
        for other in scores[1:]:
            console.print(folder_tables.comparison(scores[0], other, convention))
    for folder in scores:
        if folder.missing:
            print(
                f"{folder.folder} lacks {len(folder.missing)} of {len(matches)} pairs: "
                f"{named(folder.missing)}",
                file=sys.stderr,
            )
        for problem in folder.failed.values():
            print(f"not scored: {problem}", file=sys.stderr)
    lossy = [path.name for found in matches for path in found.fused.values() if is_lossy(path)]
    if lossy:
        print(f"lossy files, their compression is scored too: {named(lossy)}", file=sys.stderr)
    return 1 if any(folder.missing or folder.failed for folder in scores) else 0


def _listing(
    args: argparse.Namespace,
    title: str,
    rows: list[dict[str, Any]],
    shown: Mapping[str, Callable[[Any], str]] | None = None,
) -> int:
    """Print the rows as they are with --json, else as a table; `shown` shortens columns there."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if args.json:
        print(json.dumps(rows, indent=1))
        return 0
    for column, short in (shown or {}).items():
        rows = [{**row, column: short(row[column])} if column in row else row for row in rows]
    console = Console()
    widths = [max(len(key), *(len(str(row[key])) for row in rows)) for key in rows[0]]
    if sum(widths) + 3 * len(widths) + 1 > console.width:
        # A squeezed table cuts the names and paths that people want to copy.
        for row in rows:
            print("\n".join(f"{key}: {value}" for key, value in row.items() if value != ""), "\n")
        return 0
    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row.values()))
    console.print(table)
    return 0


def _methods(args: argparse.Namespace) -> int:
    from bench import listing

    rows = listing.methods(_config(args), macs=args.macs)
    macs = {key: _giga for key in rows[0] if key.startswith("MACs")} if rows else {}
    return _listing(args, "Methods", rows, {"parameters": "{:,}".format, **macs})


def _giga(number: int) -> str:
    return f"{number / 1e9:.2f} G"


def _datasets(args: argparse.Namespace) -> int:
    from bench import listing

    return _listing(args, "Data sets", listing.datasets(_config(args)))


def _metrics(args: argparse.Namespace) -> int:
    from bench import listing

    return _listing(args, "Metrics (unit and range: standard)", listing.metrics())


def _data_check(args: argparse.Namespace) -> int:
    from rich.console import Console

    from bench.console import progress_bar
    from bench.data.check import check
    from bench.data.registry import expand
    from bench.jobs.data import load_data

    failed = False
    config = _config(args)
    for name in expand(words(args.dataset)):
        pairs = load_data(config, name)
        with progress_bar(Console(stderr=True)) as bar:
            task = bar.add_task(name, total=None)
            report = check(pairs, functools.partial(_advance, bar, task))
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
            progress=functools.partial(_advance, bar, task),
        )
    print(f"{sum(args.pairs)} pairs of {args.size[0]}x{args.size[1]} in {args.dest}")
    return 0


def _data_split(args: argparse.Namespace) -> int:
    from bench.commands.split import SplitWish, split

    wish = SplitWish(
        make=args.make or "",
        # A name of the package, or a file of the current folder.
        check=_absolute(args.check)
        if args.check and Path(args.check).exists()
        else args.check or "",
        annotations=args.annotations or "",
        out=args.out or "",
        name=args.split_name or "",
        seed=args.split_seed,
        share=args.share,
        guard=args.guard,
    )
    return split(_config(args), args.dataset, wish)


def _weights_list(args: argparse.Namespace) -> int:
    from bench import listing

    rows = listing.weights(_config(args))
    return _listing(args, "Weights", rows, {"bytes": _count_or_unknown, "sha256": _first_twelve})


def _count_or_unknown(number: int) -> str:
    return f"{number:,}" if number else "unknown"


def _first_twelve(digest: str) -> str:
    return digest[:12] or "unknown"


def _weights_check(args: argparse.Namespace) -> int:
    from bench import listing

    rows = listing.weights_check(_config(args))
    problems = sum(bool(row["problem"]) for row in rows)
    _listing(args, "Weights", rows)
    if not args.json:
        here = sum(row["status"] != "missing" for row in rows)
        print(f"{here} of {len(rows)} files are here, {problems} with a problem.")
    return 1 if problems else 0


def _weights_import(args: argparse.Namespace) -> int:
    from bench.methods import registry, weights

    config = _config(args)
    target = weights.import_file(
        registry.method(args.method), Path(args.file), config.path(config.weights.folder)
    )
    print(f"Imported: {target}")
    return 0


def _weights_fetch(args: argparse.Namespace) -> int:
    from rich.console import Console

    from bench.console import progress_bar
    from bench.methods import download, registry, weights

    config = _config(args)
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
            method, known, folder, progress=functools.partial(_advance, bar, task)
        )
    print(f"Imported: {target}")
    return 0


def _train(args: argparse.Namespace) -> int:
    from bench.data.registry import expand
    from bench.jobs.data import load_data
    from bench.jobs.plan import resolve_device
    from bench.methods import registry
    from bench.training.parts import training_group
    from bench.training.trainer import train

    config = _config(args)
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


def _status(args: argparse.Namespace) -> int:
    from bench import status

    run = _run_folder(args)
    if args.watch:
        status.watch(run)
        return 0
    return _listing(args, "Jobs", status.rows(run))


def _doctor(args: argparse.Namespace) -> int:
    from bench import listing

    return _listing(args, "This machine", listing.doctor(_config(args)))


HANDLERS = {
    "run": _run,
    "tables": _tables,
    "compare": _compare,
    "figures": _figures,
    "publish": _publish,
    "report": _report,
    "score": _score,
    "methods": _methods,
    "datasets": _datasets,
    "metrics": _metrics,
    "doctor": _doctor,
    "verify": _verify,
    "status": _status,
    "data_check": _data_check,
    "data_split": _data_split,
    "data_synth": _data_synth,
    "weights_list": _weights_list,
    "weights_check": _weights_check,
    "weights_import": _weights_import,
    "weights_fetch": _weights_fetch,
    "train": _train,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `bench`; returns the exit code."""
    # Before torch is imported: threads that spin while they wait cost several times their work
    # where other processes want the same cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_freed_memory()
    try:
        args = parser(HANDLERS).parse_args(argv)
        return int(args.function(args))
    except UserError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "bench: interrupted; what is finished is kept, run again to continue", file=sys.stderr
        )
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        from bench.jobs.disk import disk_problem

        # The disk said no, which is nobody's bug: no permission, no space, no such file.
        if error.errno is None:
            raise
        sentence = f"{error.filename or 'A file'} can't be used: {error.strerror}."
        problem = UserError(disk_problem(error, None) or sentence)
        print(f"bench: {problem}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
