"""`bench report`: a run as one HTML page that needs no server, no network and no other script.

Everything is derived from the results frame, the job records, and the images beside them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.data.pairs import PairSet
from bench.errors import UserError
from bench.report.frame import read_jobs, read_results
from bench.report.html_table import html_table
from bench.report.latex import latex
from bench.report.page.cards import method_cards
from bench.report.page.embed import link, script_json, text_uri
from bench.report.page.figures import embedded
from bench.report.page.gallery import Progress, galleries
from bench.report.page.plots import quality_and_cost
from bench.report.page.summary import summarise
from bench.report.publish import command, without_paths
from bench.report.render import markdown, to_csv
from bench.report.table import Table
from bench.report.tables import all_tables

STYLES = ("page.css", "viewer.css", "charts.css")
SCRIPTS = ("tables.js", "stage.js", "viewer.js", "charts.js")


def write_page(
    run: Path,
    out: Path,
    pair_sets: Mapping[str, PairSet],
    unfound: Mapping[str, str],
    progress: Progress,
) -> Path:
    """Write the page of `run` to the file `out`; returns it.

    pair_sets: the data sets whose sources are on this machine; unfound: the others, and why.
    """
    frame, jobs = read_results(run), read_jobs(run)
    asked = _asked(run / "run.json")
    folder = out.resolve().parent
    tables = all_tables(frame, jobs)
    shown = galleries(run, folder, frame, jobs, pair_sets, progress)
    head, body = _script("theme.js"), Markup("\n").join(_script(name) for name in SCRIPTS)
    environment = Environment(
        loader=PackageLoader("bench.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("page.html").render(
        name=str(asked.get("name") or run.resolve().name),
        policy=_policy(head, body),
        style=Markup("\n").join(Markup(_static(name)) for name in STYLES),
        head_script=head,
        body_script=body,
        summary=summarise(jobs, asked, unfound),
        tables=[
            (table, Markup(html_table(table, intervals=True)), _files(table)) for table in tables
        ],
        charts=script_json(quality_and_cost(tables)),
        chartable=bool(quality_and_cost(tables)["cost"]),
        scored=any(gallery.data["metrics"] for gallery in shown),
        figures=embedded(run / "figures", folder, jobs.datasets),
        galleries=shown,
        viewer=script_json([gallery.data for gallery in shown]),
        copies=[script_json(gallery.copies) for gallery in shown],
        unembedded=not all(gallery.complete for gallery in shown),
        cards=method_cards(jobs),
        command=_command(asked),
        manifest=json.dumps(without_paths(asked), indent=1, ensure_ascii=False),
        manifest_link=link(run / "run.json", folder),
        provenance=asked.get("provenance") or {},
    )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UserError(f"{out} can't be written: {error.strerror}; name another --out.") from None
    return out


def _asked(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} is no record of a run ({error}): run it again.") from None


def _static(name: str) -> str:
    folder = resources.files("bench.report.page") / "static"
    return (folder / name).read_text(encoding="utf-8").replace("\r\n", "\n")


def _script(name: str) -> Markup:
    return Markup(_static(name))


def _policy(*scripts: str) -> str:
    """The page may run these scripts and no others, and may fetch nothing but images beside it."""
    hashes = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src 'self' data: file:; base-uri 'none'; form-action 'none'"
    )


def _files(table: Table) -> list[tuple[str, str, str]]:
    """(format, file name, data: address) of what people paste into their paper."""
    return [
        ("CSV", f"{table.name}.csv", text_uri(to_csv(table), "text/csv")),
        ("LaTeX", f"{table.name}.tex", text_uri(latex(table), "text/plain")),
        ("Markdown", f"{table.name}.md", text_uri(markdown(table), "text/markdown")),
    ]


def _command(asked: Mapping[str, Any]) -> str:
    try:
        return command(asked["config"])
    except (KeyError, TypeError):
        # A run.json that another version wrote.
        return ""
