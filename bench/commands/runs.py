"""The commands that make results and vouch for them: a run, its repetition, its verification."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.commands import report
from bench.commands.settings import configuration, flags
from bench.config import RunConfig
from bench.errors import UserError, counted, named
from bench.jobs.execute import Outcome


def run(args: argparse.Namespace) -> int:
    """Plan and execute; exit code 1 where a row is missing, or a repeated number differs."""
    if not args.repeat:
        return _once(configuration(args), dry=args.dry_run, tables=not args.no_tables)
    if args.config:
        raise UserError("--from has the configuration of its run: leave out --config.")
    manifest, tables = Path(args.repeat), not args.no_tables
    return _again(manifest, flags(args), dry=args.dry_run, tables=tables)


def verify(args: argparse.Namespace) -> int:
    """Hash the files of a run, or of all runs in a folder, again; exit code 1 for a difference."""
    from bench import verify as verification

    folders = verification.runs_in(Path(args.results))
    verdicts = {str(one): verification.verify(one) for one in folders}
    if args.json:
        print(json.dumps({name: found.record() for name, found in verdicts.items()}, indent=1))
    else:
        for name, found in verdicts.items():
            lines = found.lines()
            print("\n".join([*lines[:-1], f"{name}: {lines[-1]}"]))
    return 1 if any(found.differences for found in verdicts.values()) else 0


def _once(config: RunConfig, *, dry: bool, tables: bool) -> int:
    from bench.console import display
    from bench.jobs import run as runner

    if dry:
        return _print_plan(config)
    outcome = runner.run(config, display())
    total, theirs = len(outcome.statuses), outcome.elsewhere
    before = outcome.count("cached") - theirs
    if before == total:
        every = f"all {total} jobs" if total > 1 else "the only job"
        state = "are" if total > 1 else "is"
        print(f"Nothing to do: {every} of '{config.name}' {state} done and unchanged.")
    elif before:
        print(f"{before} of {counted(total, 'job')} done already, not run again.")
    if theirs:
        print(f"{theirs} of {counted(total, 'job')} done by another launcher meanwhile.")
    problem = _new_tables(config.run_folder, outcome) if tables else ""
    print(f"Results: {config.run_folder}")
    return 1 if problem or outcome.some_failed else 0


def _again(manifest_file: Path, changes: Mapping[str, Any], *, dry: bool, tables: bool) -> int:
    from bench import again
    from bench.console import display
    from bench.jobs import run as runner
    from bench.jobs.provenance import provenance

    manifest = again.read_manifest(manifest_file)
    config = again.configuration(manifest, changes)
    again.check_beside(manifest)
    for line in again.circumstances(manifest, provenance()):
        print(f"not as in the first run: {line}", file=sys.stderr)
    if dry:
        return _print_plan(config)
    outcome = runner.run(config, display())
    others = again.other_identities(manifest, config.run_folder)
    if others:
        print(f"other code, weights, options or data than in the first run: {named(others)}")
    problem = _new_tables(config.run_folder, outcome) if tables else ""
    found = again.compare(manifest, config.run_folder)
    for line in found.lines:
        print(line)
    print(f"Compared with {manifest.folder}: {found.verdict}\nResults: {config.run_folder}")
    return 1 if problem or outcome.some_failed or not found.same else 0


def _print_plan(config: RunConfig) -> int:
    from bench.jobs.run import dry_run

    for line in dry_run(config):
        print(line)
    return 0


def _new_tables(folder: Path, outcome: Outcome) -> str:
    """Print and write the tables where anything is new; returns why they could not be written."""
    from bench.jobs.disk import disk_problem
    from bench.report.derived import tables_are_current

    if outcome.count("cached") == len(outcome.statuses) and tables_are_current(folder):
        return ""
    try:
        report.print_tables(folder)
    except (OSError, UserError) as error:
        # Jobs that this run did not ask for may be changed, and then stand in no table.
        problem = str(error) if isinstance(error, UserError) else disk_problem(error, folder)
        if problem is None:
            raise
        print(f"bench: the tables are not written: {problem}", file=sys.stderr)
        return problem
    return ""
