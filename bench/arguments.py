"""The command line of `bench`: every command with its flags and an example."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from bench.argument_types import assignment, counts, crop, seconds, seed_list, size, words

CONFIG = "bench.toml"
Handlers = Mapping[str, Callable[[argparse.Namespace], int]]


def _add(commands: Any, handlers: Handlers, key: str, help_: str, example: str) -> Any:
    parser = commands.add_parser(
        key.rpartition("_")[2],
        help=help_,
        description=help_,
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(function=handlers[key])
    parser.add_argument("--config", help=f"configuration file (default: {CONFIG} where it exists)")
    parser.add_argument(
        "--set",
        action="append",
        type=assignment,
        metavar="KEY=VALUE",
        help="any key of bench.toml",
    )
    return parser


def _add_run_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", help="folder of a run (default: the configured one)")
    parser.add_argument("--name", help="name of the run, as in 'bench run'")
    parser.add_argument("--results", help="folder of all runs, as in 'bench run'")


def _add_run_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--methods", type=words, help="names, or all")
    parser.add_argument(
        "--ablation",
        nargs="?",
        const="dsifuse",
        metavar="METHOD",
        help="the method's variants without one block each, then itself (default: dsifuse)",
    )
    parser.add_argument("--datasets", type=words)
    parser.add_argument(
        "--fused",
        dest="ready_made",
        action="append",
        type=assignment,
        metavar="NAME=DIR",
        help="a row of ready-made fused images: in DIR, or in DIR/SET for several data sets",
    )
    parser.add_argument("--stages", type=words, help="of fuse,score,detect,profile")
    parser.add_argument("--name", help="name of the run: its folder under the results")
    parser.add_argument("--results", help="folder of all runs")
    parser.add_argument("--limit", type=int, help="only the first N pairs of each set")
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1 ...")
    parser.add_argument("--threads", type=int, help="CPU threads (0: all)")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--data-root", help="folder that holds MSRS, M3FD, TNO ...")
    parser.add_argument("--data", action="append", type=assignment, metavar="SET=FOLDER")
    parser.add_argument("--weights", action="append", type=assignment, metavar="METHOD=FILE")
    parser.add_argument("--weights-folder", help="folder of imported checkpoints")
    parser.add_argument(
        "--track", help="official or suite weights alone; any: the authors' where imported"
    )
    parser.add_argument("--output", help="clip (the rule) or authors")
    parser.add_argument("--random-weights", action="store_true", help="for tests; the row says so")
    parser.add_argument("--convention", help="metric convention")
    parser.add_argument("--preset", help="detection recipe: quick or standard")
    parser.add_argument("--seeds", type=seed_list, help="detection seeds, such as 0,1,2")
    parser.add_argument("--jobs", type=int, help="local worker processes (1: in this one)")
    parser.add_argument("--executor", help="local, slurm or dask; see docs/cluster.md")
    parser.add_argument(
        "--from",
        dest="repeat",
        metavar="MANIFEST",
        help="repeat the run of this run.json (or published manifest.json) as NAME-again, and say "
        "which numbers differ",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would run and why")
    parser.add_argument("--no-tables", action="store_true")


def parser(handlers: Handlers) -> argparse.ArgumentParser:
    """The whole command line; `handlers` has a function for every command."""
    top = argparse.ArgumentParser(
        prog="bench", description="The reference benchmark for visible-infrared image fusion."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    run = _add(
        commands,
        handlers,
        "run",
        "fuse, score, detect and profile, then print the tables",
        "bench run --methods average,dsifuse --stages fuse,score",
    )
    _add_run_flags(run)
    tables = _add(
        commands,
        handlers,
        "tables",
        "write a run's tables as CSV, LaTeX, Markdown and HTML",
        "bench tables 1-5 --run results/demo",
    )
    tables.add_argument(
        "numbers", nargs="*", help="such as 1-5, 2, detection-synthetic; default all"
    )
    tables.add_argument(
        "--intervals", action="store_true", help="95 %% bootstrap intervals behind the means"
    )
    _add_run_choice(tables)
    compare = _add(
        commands,
        handlers,
        "compare",
        "measured beside published: differences, ranks, statements, and an audit of the tables",
        "bench compare --run results/msrs --run results/tno --out results/compare",
    )
    compare.add_argument(
        "--run",
        action="append",
        help="folder of a run; may be repeated: the first with a table is shown, others with "
        "the same rows must agree with it for a statement to hold",
    )
    compare.add_argument("--out", help="folder for compare.md and the numbers as CSV")
    publish = _add(
        commands,
        handlers,
        "publish",
        "write a run's tables, figures and manifest into a folder that can be committed",
        "bench publish --run results/demo --to results/reference/demo",
    )
    _add_run_choice(publish)
    publish.add_argument("--to", required=True)
    figures = _add(
        commands,
        handlers,
        "figures",
        "draw a run's figures 5-11 as PDF, PNG and the CSV they are drawn from",
        "bench figures 5-11 --run results/demo --dataset synthetic",
    )
    figures.add_argument(
        "numbers", nargs="*", help="such as 5-11 or 9 10; default: all that the run has data for"
    )
    _add_run_choice(figures)
    figures.add_argument("--dataset", help="default: every set of the run")
    figures.add_argument("--data-root")
    figures.add_argument("--data", action="append", type=assignment, metavar="SET=FOLDER")
    figures.add_argument("--pairs", type=words, help="ids; default: where methods differ most")
    figures.add_argument("--methods", type=words, help="the rows to show, in this order")
    figures.add_argument(
        "--crop",
        action="append",
        type=crop,
        metavar="ID:X,Y,WIDTH,HEIGHT",
        help="an enlarged part of a pair, in pixels; twice for two (default: chosen)",
    )
    report = _add(
        commands,
        handlers,
        "report",
        "write a run as one HTML page: tables, charts, figures, image viewer, method cards",
        "bench report --run results/demo",
    )
    report.add_argument("--run", help="folder of a run (default: the configured one)")
    report.add_argument("--name", help="name of the run: its folder under the results")
    report.add_argument("--results", help="folder of all runs")
    report.add_argument("--out", metavar="FILE", help="default: report.html in the run's folder")
    report.add_argument("--data-root", help="folder that holds MSRS, M3FD, TNO ...")
    report.add_argument("--data", action="append", type=assignment, metavar="SET=FOLDER")
    score = _add(
        commands,
        handlers,
        "score",
        "score anyone's fused images against their sources",
        "bench score --fused OUT --visible VIS --infrared IR --out scores.csv",
    )
    for folder in ("fused", "visible", "infrared"):
        score.add_argument(f"--{folder}", required=True, help=f"folder of {folder} images")
    score.add_argument(
        "--against",
        action="append",
        metavar="DIR",
        help="another folder of fused images for a paired comparison; may be repeated",
    )
    score.add_argument(
        "--metrics", type=words, help="names such as EN,VIF,Qabf, or all (default: the six)"
    )
    score.add_argument(
        "--convention",
        help="whose definitions (default: standard), or all to compare them",
    )
    score.add_argument("--out", help="per-image values: FILE.csv, FILE.json or FILE.parquet")
    score.add_argument(
        "--plot",
        metavar="FILE",
        help="with --convention all: how the folders' ranks move, as .pdf, .png or .svg",
    )
    for key, help_ in (
        ("methods", "list the methods"),
        ("datasets", "list the data sets"),
        ("metrics", "list the metrics"),
        ("doctor", "versions, device, data and weights found, and what is missing"),
    ):
        listing = _add(commands, handlers, key, help_, f"bench {key} --json")
        listing.add_argument("--json", action="store_true")
        listing.add_argument("--data-root")
        listing.add_argument("--weights-folder")
        if key == "methods":
            listing.add_argument(
                "--macs", action="store_true", help="count multiply-accumulates at 480x640 too"
            )
    status = _add(
        commands, handlers, "status", "the jobs of a run", "bench status --run results/demo"
    )
    _add_run_choice(status)
    status.add_argument("--json", action="store_true")
    status.add_argument("--watch", action="store_true", help="follow them to the end")
    verify = _add(
        commands,
        handlers,
        "verify",
        "hash every file of a run again and name what is changed, missing or foreign",
        "bench verify results/demo",
    )
    verify.add_argument("results", help="folder of a run, of runs, or of a published run")
    verify.add_argument("--json", action="store_true")
    data = commands.add_parser("data", help="check or split a data set, or write the synthetic one")
    data_commands = data.add_subparsers(required=True, metavar="COMMAND")
    check = _add(
        data_commands,
        handlers,
        "data_check",
        "decode and compare every pair of a set",
        "bench data check synthetic",
    )
    check.add_argument("dataset")
    check.add_argument("--data-root")
    check.add_argument("--data", action="append", type=assignment, metavar="SET=FOLDER")
    split = _add(
        data_commands,
        handlers,
        "data_split",
        "make or check a detection split, and measure how many test images train knows already",
        "bench data split synthetic --make scene --out my-split.json",
    )
    split.add_argument("dataset")
    split.add_argument("--make", choices=("random", "scene"), help="default: the set's own split")
    split.add_argument("--check", metavar="FILE", help="a split file or folder, or a packaged name")
    split.add_argument("--out", metavar="FILE", help="write it with its leakage to this JSON file")
    split.add_argument("--seed", dest="split_seed", type=int, default=0)
    split.add_argument("--share", type=float, default=0.2, help="test images (default: 0.2)")
    split.add_argument(
        "--guard",
        type=int,
        default=0,
        metavar="N",
        help="leave out training frames whose number is at most N from a test frame's",
    )
    split.add_argument(
        "--annotations",
        metavar="COCO",
        help="divide by the scenes and sizes in COCO files instead of by images",
    )
    split.add_argument("--split-name", help="default: the name of the file")
    split.add_argument("--data-root")
    split.add_argument("--data", action="append", type=assignment, metavar="SET=FOLDER")
    synth = _add(
        data_commands,
        handlers,
        "data_synth",
        "write the synthetic world to disk",
        "bench data synth data/toy --layout m3fd --pairs 20,5,5",
    )
    synth.add_argument("dest")
    synth.add_argument("--layout", choices=("folder", "m3fd", "msrs"), default="folder")
    synth.add_argument("--pairs", type=counts, default=(96, 32, 32), metavar="TRAIN,VAL,TEST")
    synth.add_argument("--size", type=size, default=(384, 288), metavar="WIDTHxHEIGHT")
    synth.add_argument("--seed", type=int, default=0)
    weights = commands.add_parser("weights", help="list, check, import or fetch weight files")
    weights_commands = weights.add_subparsers(required=True, metavar="COMMAND")
    for key, help_ in (
        ("list", "every known weight file: shipped, imported or missing"),
        ("check", "check the sha256 of shipped files, and that every file here loads"),
    ):
        listed = _add(
            weights_commands, handlers, f"weights_{key}", help_, f"bench weights {key} --json"
        )
        listed.add_argument("--json", action="store_true")
        listed.add_argument("--weights-folder")
    imported = _add(
        weights_commands,
        handlers,
        "weights_import",
        "check and keep an official file",
        "bench weights import seafusion SeAFusion.pth",
    )
    imported.add_argument("method")
    imported.add_argument("file")
    imported.add_argument("--weights-folder")
    fetched = _add(
        weights_commands,
        handlers,
        "weights_fetch",
        "download a known file over https, check it and import it",
        "bench weights fetch seafusion",
    )
    fetched.add_argument("method")
    fetched.add_argument(
        "file", metavar="name", nargs="?", help="of several files (default: the first with a url)"
    )
    fetched.add_argument("--weights-folder")
    _add_train(commands, handlers)
    export = _add(
        commands,
        handlers,
        "export",
        "write a method with its weights as an ONNX file: 8-bit images in, 8-bit images out",
        "bench export dsifuse --onnx dsifuse.onnx",
    )
    export.add_argument("method")
    export.add_argument("--onnx", required=True, metavar="FILE")
    export.add_argument("--weights", action="append", type=assignment, metavar="METHOD=FILE")
    export.add_argument("--weights-folder")
    export.add_argument("--track", help="official, suite or any, as in 'bench run'")
    export.add_argument("--random-weights", action="store_true", help="for tests")
    return top


def _add_train(commands: Any, handlers: Handlers) -> None:
    train = _add(
        commands,
        handlers,
        "train",
        "train a fusion network",
        "bench train dsifuse --train-data synthetic --budget 2m",
    )
    train.add_argument("method")
    train.add_argument(
        "--train-data",
        type=words,
        default=("synthetic",),
        help="data sets, and folders with visible/ and infrared/ (with a slash: ./pairs)",
    )
    train.add_argument("--preset", help="a named training of the method, such as paper or fast")
    train.add_argument(
        "--option",
        action="append",
        type=assignment,
        metavar="NAME=VALUE",
        help="a setting of network, loss or recipe",
    )
    train.add_argument(
        "--experiments", metavar="FILE", help="the trainings of a TOML file, within --budget"
    )
    train.add_argument("--budget", type=seconds, help="time, such as 90s, 30m, 2h (default: 30m)")
    train.add_argument("--iterations", type=int)
    train.add_argument("--variant")
    train.add_argument("--crop", type=int)
    train.add_argument("--batch", type=int)
    train.add_argument(
        "--criterion",
        default="loss",
        help="which validation's weights are the best: loss, six (all metrics), last, or a metric",
    )
    train.add_argument("--validate-every", type=int, default=500, metavar="N", help="iterations")
    train.add_argument(
        "--mixed", action=argparse.BooleanOptionalAction, help="bfloat16 on a GPU that has it"
    )
    train.add_argument("--half", action="store_true", help="write the weights as 16-bit floats")
    train.add_argument("--out", help="folder (default: results/train-METHOD)")
    for flag in ("--seed", "--threads"):
        train.add_argument(flag, type=int)
    train.add_argument("--device")
    train.add_argument("--data-root")
    train.add_argument("--data", action="append", type=assignment, metavar="SET=FOLDER")
