"""The page of `bench report`: complete, escaped, and pointing at nothing that isn't there."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from bench.cli import main
from bench.report.frame import read_jobs, read_results
from bench.report.page import gallery
from bench.report.page.embed import link, reduced, script_json
from bench.report.page.figures import embedded
from bench.report.page.gallery import galleries
from bench.report.page.plots import quality_and_cost
from bench.report.page.summary import summarise
from bench.report.tables import all_tables
from tests.report.page_run import IDS, LEVELS, PRINTED, page_run, picture


def quiet(done: int, total: int) -> None:
    """The progress that tests don't look at."""


class Reader(HTMLParser):
    """What a browser would see: tags with attributes, and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self.words = ""
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.inside = str(dict(attrs).get("id") or tag)

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.scripts[self.inside] = self.scripts.get(self.inside, "") + data
        else:
            self.words += data


@pytest.fixture(scope="module")
def odd(page: Path) -> tuple[Path, Reader]:
    return page, Reader(page.read_text(encoding="utf-8"))


def test_json_in_a_script_element_can_end_neither_the_element_nor_a_line() -> None:
    value = {"a": ["</script><!--", "\u2028&", float("nan"), 1.5, "ü"], "b": {"c": (None, True)}}
    text = script_json(value)
    assert not re.search(r"[<>&\u2028]", text)
    expected = {"a": ["</script><!--", "\u2028&", None, 1.5, "ü"], "b": {"c": [None, True]}}
    assert json.loads(text) == expected


def test_links_lead_to_the_file_whatever_its_name(tmp_path: Path) -> None:
    target = tmp_path / "run & co" / "ü%41?#'.png"
    address = link(target, tmp_path / "pages")
    assert address == "../run%20%26%20co/%C3%BC%2541%3F%23%27.png"
    assert (tmp_path / "pages" / unquote(address)).resolve() == target


def test_reduced_copies_keep_colours_and_the_longer_side(tmp_path: Path) -> None:
    samples = np.zeros((60, 120, 3), np.uint8)
    samples[:] = (200, 40, 10)
    Image.fromarray(samples).save(tmp_path / "red.png")
    copy = reduced(tmp_path / "red.png", 40, 80)
    assert copy is not None
    with Image.open(io.BytesIO(base64.b64decode(copy))) as image:
        assert (image.format, image.size) == ("WEBP", (40, 20))
        assert np.abs(np.asarray(image.convert("RGB"), int) - (200, 40, 10)).max() < 12
    assert reduced(tmp_path / "absent.png", 40, 80) is None


def test_the_page_is_whole_and_no_name_becomes_markup(odd: tuple[Path, Reader]) -> None:
    _, reader = odd
    ids = {attributes.get("id") for _, attributes in reader.tags}
    for section in ("summary", "tables", "charts", "viewer", "methods", "manifest"):
        assert section in ids
    assert PRINTED in reader.words and "demo & <more>" in reader.words
    assert "R&D_100% {#1} ~^\\ $α$ <Müller>" in reader.words
    assert not {tag for tag, _ in reader.tags} & {"müller", "b><", "nowhere"}
    # Two scripts of ours and the data blocks: no name has opened another.
    kinds = [a.get("type") for tag, a in reader.tags if tag == "script"]
    assert kinds.count(None) == 2 and set(kinds) == {None, "application/json"}
    assert "alert(1)" not in reader.scripts["script"]
    assert "OSError: disk quota exceeded" in reader.words
    assert "bench weights fetch cddfuse" in reader.words
    assert (b"seafusion".hex() * 8)[:64] in reader.words


def test_nothing_is_fetched_from_elsewhere_and_no_path_of_the_machine_is_told(
    odd: tuple[Path, Reader],
) -> None:
    page, reader = odd
    for tag, attributes in reader.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            address = attributes.get(name) or ""
            if tag == "a" or not address:
                continue
            assert address.startswith("data:"), (tag, name, address[:80])
    style = reader.scripts["style"]
    assert "url(" not in style and "@import" not in style
    policy = next(a["content"] for t, a in reader.tags if a.get("http-equiv"))
    assert policy and policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "/home/somebody" not in page.read_text(encoding="utf-8")


def test_the_viewer_points_at_images_that_are_there(odd: tuple[Path, Reader]) -> None:
    page, reader = odd
    first, second = json.loads(reader.scripts["viewer-data"])
    assert tuple(first["ids"]) == tuple(sorted(IDS)) and tuple(second["ids"]) == IDS
    assert second["notes"] == ["night", "", "", ""]
    for data in (first, second):
        for layer in data["layers"]:
            for place, id_ in zip(layer["where"], data["ids"], strict=True):
                if place.isdigit():
                    folder = page.parent / unquote(layer["folders"][int(place)])
                    assert (folder / f"{id_}.png").is_file()
    by_key = {layer["key"]: layer for layer in second["layers"]}
    assert list(by_key) == ["visible", "infrared", "average", "odd one&<b>", "last"]
    assert by_key["last"]["where"] == "-000"
    assert by_key["odd one&<b>"]["label"] == PRINTED
    assert by_key["odd one&<b>"]["scores"]["EN"] == list(LEVELS["odd one&<b>"])
    assert by_key["visible"]["where"] == "oooo"
    originals = [page.parent / unquote(address) for address in by_key["visible"]["originals"]]
    assert all(path.is_file() for path in originals)
    # No browser shows TIFF: these are seen as their copies.
    assert by_key["infrared"]["originals"] == [None] * 4
    copies = json.loads(reader.scripts["copies-1"])
    assert all(copies["visible"]) and all(copies["infrared"])


def test_copies_stop_where_the_page_would_grow_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, pairs = page_run(tmp_path)
    monkeypatch.setattr(gallery, "MOST_EMBEDDED", 1)
    made = galleries(run, run, read_results(run), read_jobs(run), pairs, quiet)
    copies = [copy for each in made for source in each.copies.values() for copy in source]
    assert sum(copy is not None for copy in copies) == 1
    assert [each.complete for each in made] == [False, False]


def test_figures_come_in_the_order_of_the_paper_with_their_files(tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    for name in ("own & odd", "curves-msrs", "panel-tno", "panel-msrs"):
        picture(folder / f"{name}.png", 3)
    (folder / "panel-msrs.csv").write_text("id\n")
    (folder / "damaged.png").write_bytes(b"no image")
    found = embedded(folder, tmp_path, ("msrs", "tno"))
    assert [figure.name for figure in found] == [
        "panel-msrs", "panel-tno", "curves-msrs", "own & odd",
    ]  # fmt: skip
    assert found[0].title == "Fused images, two parts enlarged: MSRS"
    assert found[0].files == (("PNG", "figures/panel-msrs.png"), ("CSV", "figures/panel-msrs.csv"))
    assert found[3].files == (("PNG", "figures/own%20%26%20odd.png"),)
    assert embedded(tmp_path / "absent", tmp_path, ("msrs",)) == ()


def test_charts_have_the_numbers_of_the_tables(run: Path) -> None:
    tables = all_tables(read_results(run), read_jobs(run))
    charts = quality_and_cost(tables)
    detection = next(table for table in tables if table.name == "detection-m3fd-detection")
    place = [column.name for column in detection.columns].index("mAP50")
    shown = charts["quality"][0]
    assert (shown["name"], shown["higher"]) == ("mAP50", True)
    expected = {r.key: r.cells[place].value for r in detection.rows if r.cells[place].value}
    assert shown["values"] == pytest.approx(expected, rel=1e-4)
    macs = next(axis for axis in charts["cost"] if axis["name"] == "macs@480x640")
    assert macs["values"]["dsifuse"] == pytest.approx(87984.0 * 307200 * 7 / 3 / 1e9, rel=1e-4)
    assert charts["size"]["dsifuse"] == pytest.approx(74193 * 7 / 1e6, rel=1e-4)


def test_the_summary_counts_every_job_and_gives_the_reasons(run: Path) -> None:
    summary = summarise(read_jobs(run), {"provenance": {"dirty": True}}, {"msrs": "gone."})
    counts = {words: number for words, number, _ in summary.counts}
    grid = [cell for _, _, cells in summary.grid for cell in cells]
    assert sum(counts.values()) == len(grid)
    assert counts["failed"] == 1 and counts["no weights"] == 2 and counts["skipped"] == 2
    reasons = {(label, stage): reason for label, _, stage, _, reason in summary.unfinished}
    assert reasons["Average", "score"] == "OSError: disk quota exceeded"
    assert summary.sets[1].split == "m3fd-public (sha256 abababababab)"
    text = "\n".join(summary.warnings)
    assert "trained on a part of the same data set: SeAFusion, DSIFuse" in text
    assert "MSRS: gone." in text and "not in its commit" in text


def test_the_command_makes_a_page_of_a_run_without_any_flag(
    tmp_path: Path,
    make_pairs: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    make_pairs(tmp_path / "own" / "TNO" / "vi", tmp_path / "own" / "TNO" / "ir", 2, (96, 80))
    line = ["--methods", "average", "--datasets", "tno", "--data-root", "own"]
    assert main(["run", *line, "--stages", "fuse,score", "--no-tables"]) == 0
    capsys.readouterr()
    # The sources are found where the run found them.
    assert main(["report", "--run", "results/demo"]) == 0
    page = Path("results/demo/report.html")
    assert "results/demo/report.html" in capsys.readouterr().out
    reader = Reader(page.read_text(encoding="utf-8"))
    (data,) = json.loads(reader.scripts["viewer-data"])
    assert [layer["key"] for layer in data["layers"]] == ["visible", "infrared", "average"]
    assert "bench run --methods average --datasets tno --stages fuse,score" in reader.words
    assert main(["report", "--run", "results/demo", "--out", "elsewhere/page.html"]) == 0
    moved = Reader(Path("elsewhere/page.html").read_text(encoding="utf-8"))
    (data,) = json.loads(moved.scripts["viewer-data"])
    folder = unquote(data["layers"][2]["folders"][0])
    assert (Path("elsewhere") / folder / "01.png").is_file()
    capsys.readouterr()
    assert main(["report", "--run", "results/demo", "--out", "elsewhere"]) == 2
    assert "elsewhere is a folder" in capsys.readouterr().err
