"""Places under each convention, and the figure's labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import UserError
from bench.report.convention_ranks import draw, folder_labels, ranks


def test_places_follow_the_direction_and_ties_share_their_mean() -> None:
    values = {"a": 3.0, "b": 1.0, "c": 3.0, "d": 2.0}
    assert ranks(values, higher=True) == {"a": 1.5, "c": 1.5, "d": 3.0, "b": 4.0}
    assert ranks(values, higher=False) == {"b": 1.0, "d": 2.0, "a": 3.5, "c": 3.5}


def test_labels_are_what_differs_in_the_paths() -> None:
    run = Path("results/x/tno")
    assert folder_labels([run / "average" / "fuse", run / "max" / "fuse"]) == ["average", "max"]
    assert folder_labels([Path("a/b"), Path("c")]) == ["a/b", "c"]


def test_metrics_with_one_convention_are_not_drawn(tmp_path: Path) -> None:
    two = {"standard": {"a": 1.0, "b": 2.0}, "vifb": {"a": 2.0, "b": 1.0}}
    one = {"standard": {"a": 1.0, "b": 2.0}, "vifb": {"a": float("nan"), "b": 1.0}}
    assert draw({"EN": two, "SD": one}, tmp_path / "ranks.png") == ("EN",)
    assert (tmp_path / "ranks.png").stat().st_size > 10_000
    with pytest.raises(UserError, match="no metric"):
        draw({"SD": one}, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
