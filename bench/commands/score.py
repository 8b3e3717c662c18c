"""`bench score`: anyone's fused images against their sources, without a run."""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

from bench.errors import UserError, counted, named


def score(args: argparse.Namespace) -> int:
    """Exit code 1 where an image is missing or could not be scored."""
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
    from bench.console import advance, progress_bar
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
            progress=functools.partial(advance, bar, task),
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
                f"{folder.folder} lacks {len(folder.missing)} of {counted(len(matches), 'pair')}: "
                f"{named(folder.missing)}",
                file=sys.stderr,
            )
        for problem in folder.failed.values():
            print(f"not scored: {problem}", file=sys.stderr)
    lossy = [path.name for found in matches for path in found.fused.values() if is_lossy(path)]
    if lossy:
        print(f"lossy files, their compression is scored too: {named(lossy)}", file=sys.stderr)
    return 1 if any(folder.missing or folder.failed for folder in scores) else 0
