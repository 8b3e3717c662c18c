"""The command line: each command is a function of its own room, imported when it is called.

Exit codes: 0 all well, 1 ran but some rows failed, 2 you must change something, 130 interrupted
with everything finished kept.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from bench.allocator import keep_freed_memory
from bench.arguments import parser
from bench.errors import UserError

COMMANDS = {
    "run": "runs:run",
    "verify": "runs:verify",
    "tables": "report:tables",
    "compare": "report:compare",
    "figures": "report:figures",
    "publish": "report:publish",
    "report": "page:page",
    "score": "score:score",
    "methods": "listings:methods",
    "datasets": "listings:datasets",
    "metrics": "listings:metrics",
    "doctor": "listings:doctor",
    "status": "listings:status",
    "data_check": "data:check",
    "data_split": "data:split",
    "data_synth": "data:synth",
    "weights_list": "listings:weights_list",
    "weights_check": "listings:weights_check",
    "weights_import": "weights:import_",
    "weights_fetch": "weights:fetch",
    "train": "train:train",
    "export": "export:export",
}


def _lazy(place: str) -> Callable[[argparse.Namespace], int]:
    def command(args: argparse.Namespace) -> int:
        module, _, function = place.partition(":")
        return int(getattr(import_module(f"bench.commands.{module}"), function)(args))

    return command


# A command's room imports what the command needs; `bench --help` needs none of it.
HANDLERS = {key: _lazy(place) for key, place in COMMANDS.items()}


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
