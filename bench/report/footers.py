"""The sentences under a table: what must be known before two of its rows are compared.

They follow the suite's rules of comparability; the numbers come from the facts that jobs recorded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.errors import counted
from bench.report.frame import COST, Job, Jobs
from bench.report.table import Row, Table

CONTAMINATED, RANDOM, AUTHORS, READY_MADE, APART = "†", "‡", "§", "¶", "◊"
SOURCES = ("visible", "infrared")
FOLDER = "folder"
_COLOURS = {
    "luma": "in luma (BT.601 Y; chroma of the visible image)",
    "luma8": "in luma rounded to 8 bits first (chroma of the visible image)",
    "rgb": "in RGB",
}
_TRACKS = {
    "official": "the authors' ({})",
    "suite": "trained by this suite ({})",
    "none": "none needed ({})",
}


def fusion_job(jobs: Jobs, dataset: str, method: str) -> Job:
    """The job that fused this row's images, finished or not."""
    fuse, rest = (jobs.get(dataset, method, stage) for stage in ("fuse", "fuse-rest"))
    return rest if fuse.status == "not run" else fuse


def printed_name(jobs: Jobs, dataset: str, method: str) -> str:
    """As the method calls itself, also in a row whose own fusion failed."""
    for other in (dataset, *jobs.datasets):
        name = fusion_job(jobs, other, method).facts.get("printed_name")
        if name:
            return str(name)
    return str(jobs.get(COST, method, "profile").facts.get("printed_name") or method)


def is_source(jobs: Jobs, dataset: str, method: str) -> bool:
    """Whether the row is one source image alone, which is no fusion."""
    kind = fusion_job(jobs, dataset, method).facts.get("kind")
    return kind == "source" or method in SOURCES


def family(name: str) -> str:
    """The data set behind a set's or a part's name: "m3fd-fusion" and "m3fd/train" are "m3fd"."""
    return name.split("/")[0].split("-")[0]


def trained_on_same(facts: Mapping[str, Any], dataset: str) -> tuple[str, ...]:
    """The parts of the same data set that the row's weights were trained on."""
    parts = (facts.get("weights") or {}).get("trained_on") or ()
    return tuple(part for part in parts if family(part) == family(dataset))


def _trained_on_folder(facts: Mapping[str, Any]) -> bool:
    return any(
        family(part) == FOLDER for part in (facts.get("weights") or {}).get("trained_on", ())
    )


def _is_ready_made(facts: Mapping[str, Any]) -> bool:
    return facts.get("kind") == "folder"


def marks(jobs: Jobs, dataset: str, method: str) -> str:
    """The footnote signs of the row."""
    facts = fusion_job(jobs, dataset, method).facts
    signs = (
        (CONTAMINATED, bool(trained_on_same(facts, dataset))),
        (RANDOM, bool(facts.get("random_weights"))),
        (AUTHORS, facts.get("output") == "authors"),
        (READY_MADE, _is_ready_made(facts)),
    )
    return "".join(sign for sign, holds in signs if holds)


def of_rows(jobs: Jobs, dataset: str, rows: Sequence[Row]) -> list[str]:
    """How the rows were fused: colour, output, weights, marks. Rows not fused are left out."""
    facts = {
        row.label: job.facts
        for row in rows
        if (job := fusion_job(jobs, dataset, row.key)).finished
        and not is_source(jobs, dataset, row.key)
    }
    lines = []
    sources = [row.label for row in rows if is_source(jobs, dataset, row.key)]
    if sources:
        lines.append(f"{_join(sources)}: a single source, not ranked.")
    ours = {label: f for label, f in facts.items() if not _is_ready_made(f)}
    by_colour = _grouped((str(f.get("colour", "")), label) for label, f in ours.items())
    colours = [f"{_COLOURS[c]}: {_join(by_colour[c])}" for c in _COLOURS if c in by_colour]
    if colours:
        lines.append(f"Fused {'; '.join(colours)}.")
    if ours or not facts:
        lines.append(
            "Output clamped to 0..255 and rounded to nearest; scored as stored, 8-bit PNG."
        )
    tiled = _grouped(
        (f"{f['tile']} pixels with {f['overlap']} in common", label)
        for label, f in ours.items()
        if f.get("tile")
    )
    lines += [f"Fused in tiles of {how}: {_join(labels)}." for how, labels in tiled.items()]
    moved = [f"{label}: {f['deviation']}" for label, f in ours.items() if f.get("deviation")]
    if moved:
        lines.append(
            "In faster arithmetic (fuse.bfloat16, fuse.compile); deviation from float32 on the "
            f"first pair: {'; '.join(moved)}."
        )
    by_track = _grouped(
        (str((f.get("weights") or {}).get("track", "none")), _weights(label, f))
        for label, f in ours.items()
        if not f.get("random_weights")
    )
    tracks = [text.format(_join(by_track[t])) for t, text in _TRACKS.items() if t in by_track]
    if tracks:
        lines.append(f"Weights: {'; '.join(tracks)}.")
    return lines + _of_marks(dataset, facts)


def _of_marks(dataset: str, facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = []
    seen = _grouped(
        (part, label) for label, f in facts.items() for part in trained_on_same(f, dataset)
    )
    if seen:
        parts = _join(f"{part}: {_join(labels)}" for part, labels in seen.items())
        lines.append(f"{CONTAMINATED} Weights trained on a part of the same data set ({parts}).")
    unknown = [label for label, f in facts.items() if _trained_on_folder(f)]
    if unknown and family(dataset) != FOLDER:
        lines.append(
            f"Weights trained on somebody's folder of pairs: {_join(unknown)}; whether it holds "
            "images of this set, nothing here can know."
        )
    if any(f.get("random_weights") for f in facts.values()):
        lines.append(f"{RANDOM} Random weights: not a result, not ranked.")
    if any(f.get("output") == "authors" for f in facts.values()):
        lines.append(
            f"{AUTHORS} Output as the authors' script writes it (stretch or truncation), "
            "not comparable with clamped rows."
        )
    ready_made = {label: f for label, f in facts.items() if _is_ready_made(f)}
    if ready_made:
        lines.append(
            f"{READY_MADE} Ready-made images, fused elsewhere: colour, output rule, weights and "
            f"training data are not known here ({_join(ready_made)})."
        )
    lossy = [
        f"{label} {count} of {counted(f['images'], 'image')}"
        for label, f in ready_made.items()
        if (count := f.get("lossy_images"))
    ]
    if lossy:
        lines.append(f"Their JPEG compression is scored too: {_join(lossy)}.")
    return lines


def of_apart(differences: Mapping[str, str]) -> list[str]:
    """Why rows stand outside the ranking. differences: per row what is not as in the others."""
    if not differences:
        return []
    rows = "; ".join(f"{label}: {words}" for label, words in differences.items())
    return [
        f"{APART} Not made under the conditions of the ranked rows, so not compared with them and "
        f"not ranked ({rows})."
    ]


def of_images(jobs: Jobs, dataset: str, rows: Sequence[Row]) -> list[str]:
    """What is special about the images: notes of the data set, a limit."""
    facts = {row.key: fusion_job(jobs, dataset, row.key).facts for row in rows}
    notes = [str(n) for f in facts.values() for n in f.get("dataset_footnotes") or ()]
    ranked = (facts[row.key] for row in rows if APART not in row.marks)
    limits = sorted({int(f["limit"]) for f in ranked if f.get("limit")})
    cut = [f"Only the first {counted(limits[-1], 'pair')} (limit)."] if limits else []
    return [*dict.fromkeys(notes), *cut]


def of_convention(jobs: Jobs, dataset: str, methods: Sequence[str]) -> list[str]:
    """Which convention the metrics of these rows follow."""
    scored = (jobs.get(dataset, method, "score") for method in methods)
    names = {str(j.facts.get("convention")) for j in scored if j.finished}
    if not names:
        return []
    both = "; MI, VIF and SSIM are sums over the two sources, whose terms are columns of the CSV"
    return [f"Metric convention: {_join(sorted(names))}{both if names == {'standard'} else ''}."]


def of_intervals(table_name: str, unit: str, widths: Mapping[str, str]) -> list[str]:
    """The intervals, and their width per column at most. unit: what they are over."""
    lines = []
    if widths:
        most = ", ".join(f"{label} {width}" for label, width in widths.items())
        lines.append(
            f"95 % bootstrap intervals over {unit}s are in {table_name}.csv; "
            f"largest half-widths: {most}."
        )
    return lines


def of_test(unit: str, tied: bool, needed: int) -> list[str]:
    """What "=" means, and where there is none since no result could have been significant.

    needed: so many images (seeds) a test would have needed; 0 where every column was tested.
    """
    lines = []
    if tied:
        lines.append(
            "= Not significantly different from the best of its column "
            f"(paired Wilcoxon over {unit}s; Holm over the rows of a column, 5 %)."
        )
    if needed:
        lines.append(
            f"Too few {unit}s for a test of the differences between rows: with fewer than {needed} "
            "the paired Wilcoxon test (Holm over the rows of a column) can't reach 5 %."
        )
    return lines


def of_counts(table: Table) -> list[str]:
    """Undefined values that a mean left out, and rows that rest on fewer values than others."""
    lines = []
    left = [
        f"{row.label} {table.columns[i].label} {row.cells[i].left_out}"
        for row in table.rows
        for i in table.printed()
        if row.cells[i].left_out
    ]
    if left:
        lines.append(f"Undefined values left out of means: {_join(left)}.")
    counts = {
        row.label: max(row.cells[i].n + row.cells[i].left_out for i in table.printed())
        for row in table.rows
        if APART not in row.marks and any(row.cells[i].value is not None for i in table.printed())
    }
    if len(set(counts.values())) > 1:
        fewer = [f"{name} {n}" for name, n in counts.items() if n < max(counts.values())]
        lines.append(f"Fewer than {max(counts.values())} values: {_join(fewer)}.")
    return lines


def of_missing(reasons: Mapping[str, str]) -> list[str]:
    """Why rows have no numbers. reasons: the job's sentence per row."""
    texts = [f"{name}: {reason.splitlines()[0]}" for name, reason in reasons.items() if reason]
    return [f"No number: {' '.join(text.rstrip('.') + '.' for text in texts)}"] if texts else []


BUNDLED = (
    "The bundled initialisation was trained on other synthetic scenes, as visible, infrared, "
    "average and maximum images, which favours rows like these: a demonstration, no ranking."
)


def of_detection(jobs: Sequence[Job], seeds: Sequence[int]) -> list[str]:
    """The split, the recipe and the seeds; every variant in use, should there be several."""
    lines = []
    splits = _grouped((_split(job.facts), "") for job in jobs)
    lines += [f"Split {text}." for text in splits if text]
    lines += dict.fromkeys(
        str(note) for job in jobs for note in job.facts.get("box_footnotes") or ()
    )
    recipes = _grouped((_recipe(job.facts.get("recipe")), "") for job in jobs)
    lines += [f"Detector, the same for all rows: {text}." for text in recipes if len(recipes) == 1]
    lines += [f"Detector, one of {len(recipes)}: {text}." for text in recipes if len(recipes) > 1]
    if any((job.facts.get("recipe") or {}).get("init") == "bundled" for job in jobs):
        lines.append(BUNDLED)
    lines += sorted({str(text) for job in jobs if (text := job.facts.get("recipe_open"))})
    halved = [
        f"{job.method} (seed {seed}: {batch})"
        for job in jobs
        for seed, batch in (job.facts.get("halved_batch") or {}).items()
    ]
    if halved:
        lines.append(f"Batch halved, since the recipe's did not fit into memory: {_join(halved)}.")
    scorer = {str(f) for job in jobs if (f := job.facts.get("average_precision"))}
    lines += [f"AP by {text}." for text in sorted(scorer)]
    if seeds:
        word = "seed" if len(seeds) == 1 else "mean over seeds"
        lines.append(f"Trained once per seed; {word} {_join(map(str, seeds))}.")
    return lines


def _split(facts: Mapping[str, Any]) -> str:
    if not facts.get("split"):
        return ""
    images = facts.get("images") if isinstance(facts.get("images"), Mapping) else {}
    train, test = (facts.get(part, (images or {}).get(part)) for part in ("train", "test"))
    sha = str(facts.get("split_sha256") or "")[:12]
    leakage = f"; {facts['split_leakage']}" if facts.get("split_leakage") else ""
    return f"{facts['split']} (sha256 {sha}…): {train} training and {test} test images{leakage}"


def _recipe(recipe: object) -> str:
    if not isinstance(recipe, Mapping):
        return "recipe not recorded"
    return ", ".join(
        f"{key} {value if isinstance(value, str) else json.dumps(value)}"
        for key, value in recipe.items()
    )


def _weights(label: str, facts: Mapping[str, Any]) -> str:
    weights = facts.get("weights") or {}
    sha = str(weights.get("sha256") or "")
    return f"{label}, sha256 {sha[:12]}…" if sha else label


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def _join(words: Iterable[str]) -> str:
    return ", ".join(words)
