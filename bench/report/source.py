"""What every figure of a run is drawn from, and the sentences for what it lacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from bench.data.pairs import PairSet
from bench.errors import UserError, did_you_mean
from bench.report.figures import Box
from bench.report.footers import SOURCES, printed_name
from bench.report.frame import Jobs, read_jobs, read_results
from bench.report.rows import ordered
from bench.report.table import Table
from bench.report.tables import all_tables


@dataclass(frozen=True)
class Source:
    """run: its folder; load: the pairs of a data set by name.

    methods, pairs, crops: what the user chose; () where the figure shall choose.
    """

    run: Path
    load: Callable[[str], PairSet]
    methods: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    crops: Mapping[str, Sequence[Box]] = field(default_factory=dict)

    def check_choice(self, datasets: Sequence[str]) -> None:
        """Raise UserError for a chosen row that the run lacks, or a pair that no data set has."""
        self._check_rows()
        known = {pair.id for name in datasets if self.pairs for pair in self.load(name).pairs}
        for id_ in self.pairs:
            if id_ not in known:
                raise UserError(f"{' and '.join(datasets)}: no pair '{id_}'.")

    def _check_rows(self) -> None:
        for name in self.methods:
            if name not in self.jobs.methods:
                raise UserError(
                    f"{self.run} has no row '{name}'{did_you_mean(name, self.jobs.methods)}; "
                    f"it has {', '.join(self.jobs.methods)}."
                )

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The tidy values of the run."""
        return read_results(self.run)

    @cached_property
    def jobs(self) -> Jobs:
        """The jobs of the run."""
        return read_jobs(self.run)

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """The run's tables by name."""
        return {table.name: table for table in all_tables(self.frame, self.jobs)}

    def out(self, name: str) -> Path:
        """Where a figure lies, without a suffix."""
        return self.run / "figures" / name

    def name(self, dataset: str, method: str) -> str:
        """The method's printed name, with its key where that alone would be ambiguous."""
        name = printed_name(self.jobs, dataset, method)
        others = (m for m in (*SOURCES, *self.jobs.methods) if m != method)
        taken = name in {printed_name(self.jobs, dataset, other) for other in others}
        return f"{name} ({method})" if taken else name

    def images(self, dataset: str, method: str) -> tuple[Path, ...]:
        """Folders with the method's fused images: of the scored pairs, then the others."""
        stages = ("fuse", "fuse-rest")
        finished = (s for s in stages if self.jobs.get(dataset, method, s).finished)
        return tuple(self.run / dataset / method / stage for stage in finished)

    def fused(self, dataset: str) -> tuple[str, ...]:
        """The chosen methods, else all fusion methods, that have fused images of the data set.

        UserError for a chosen one that the run lacks, or where none has images.
        """
        self._check_rows()
        wanted = self.methods or ordered(self.jobs, dataset)
        found = tuple(m for m in wanted if m not in SOURCES and self.images(dataset, m))
        if not found:
            raise UserError(
                f"{self.run} has no fused images of {dataset}: run the fuse stage first."
            )
        return found
