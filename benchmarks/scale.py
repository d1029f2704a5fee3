"""What an index of many issues costs: 1,000 to 1,000,000 of them, beside exact FAISS search and hnswlib.

    python benchmarks/scale.py FILE... [--cache DIR] [--sizes 1000,10000,100000,1000000] [--work DIR]

FILEs hold issues, whose texts are embedded by the shipped encoder, up to `--real` of them; the cache keeps vectors.
Where they do not reach, vectors are made: a + s (b - c) of real ones, s from 0.3 to 0.5, at unit length. `HELD` real
vectors, and as many made ones, are held out as queries, each searched alone. Every step is a process of its own
(`scale_steps.py`); with `--work` the figures of steps that are done are kept there, so that a run can go on. Peers:
`IndexFlatIP` over the same vectors, which is what a flat index of sentence-transformers vectors is, whatever model
made them, and hnswlib (M 16, ef_construction 100), searched with the least `ef` that finds our target. A cold start is
a process from its start to the labels of one query's neighbours; peers tell rows only. Writes a table and a picture.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scale_indexes import kinds as kinds_of
from serve import HERE, run
from shared import table_head

from triage.figures import blank

KINDS = {
    "triage": "triage",
    "own": "triage, nothing shared",
    "flat": "IndexFlatIP",
    "hnsw": "hnswlib",
    "exact": "triage, one by one",
    "lists": "triage, compressed",
}
COLUMNS = (
    ("build, s", "build", "{:.1f}"),
    ("of processor", "processor", "{:.1f}"),
    ("peak MiB, building", "peak", "{:.0f}"),
    ("bundle, MB", "megabytes", "{:.1f}"),
    ("bytes a vector", "each", "{:.0f}"),
    ("cold start, s", "cold", "{:.2f}"),
    ("of processor", "cold_processor", "{:.2f}"),
    ("of it loading and searching, ms", "loading", "{:.0f}"),
    ("peak MiB, cold", "cold_peak", "{:.0f}"),
    ("read, MB", "read", "{:.1f}"),
    ("median search, ms", "search", "{:.3f}"),
    ("of processor", "search_processor", "{:.3f}"),
    ("recall@25, real queries", "recall", "{:.4f}"),
    ("recall@25, made queries", "recall_made", "{:.4f}"),
)
# What a cold start is told by, and the column of it.
COLD = dict(wall="cold", used="cold_processor", loading="loading", peak="cold_peak", read="read")
Figures = dict[str, Any]


@dataclass(frozen=True)
class Desk:
    """Where the steps are carried out, and what is known of them already."""

    work: Path

    def step(self, name: str, *arguments: object) -> Figures:
        """The figures of a step, from an earlier run of it where there was one."""
        done = self.work / f"{'-'.join(map(str, (name, *arguments)))}.json"
        if not done.is_file():
            found = self.now(name, *arguments)
            done.write_text(json.dumps(found))
        kept: Figures = json.loads(done.read_text())
        return kept

    def now(self, name: str, *arguments: object) -> Figures:
        """The figures of a step that is carried out now, `wall` and `peak` (MiB) of its process among them."""
        command = [sys.executable, str(HERE / "scale_steps.py"), name, str(self.work), *map(str, arguments)]
        done = run(command)
        return {"wall": done.wall, "used": done.processor, "peak": done.memory, **json.loads(done.out)}


def measured(desk: Desk, kind: str, size: int) -> Figures:
    """All figures of one kind of index at one size; cold starts follow in `cold_starts`."""
    built = desk.step("build", kind, size)
    found = desk.step("search", kind, size)
    size_of = sum(built["files"].values())
    return {
        **built,
        **found,
        "peak": built["peak"],
        "kind": kind,
        "size": size,
        "megabytes": size_of / 1e6,
        "each": size_of / size,
    }


def cold_starts(desk: Desk, rows: Sequence[Figures], runs: int) -> None:
    """Add the medians of cold starts, A B A B, to the figures; a first round warms the disk and is dropped."""
    rounds = [[desk.now("cold", row["kind"], row["size"]) for row in rows] for _ in range(runs + 1)]
    for row, found in zip(rows, zip(*rounds[1:], strict=True), strict=True):
        for key, name in COLD.items():
            row[name] = statistics.median(one[key] for one in found)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows by size, in Markdown."""
    head = ["issues", "of them real", "index", "how", *(title for title, _, _ in COLUMNS)]
    lines = [table_head(*head)]
    for row in rows:
        cells = [f"{row['size']:,}", f"{row['real']:,}", KINDS[row["kind"]], row["how"]]
        cells += [form.format(row[key]) if key in row else "-" for _, key, form in COLUMNS]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Six pictures in one: each figure against the number of issues."""
    figure = blank(13, 7)
    axes = figure.subplots(2, 3)
    shown = ("build", "peak", "megabytes", "cold", "search", "recall")
    titles = {key: title for title, key, _ in COLUMNS}
    for place, key in zip(axes.flat, shown, strict=True):
        for kind, name in KINDS.items():
            mine = [row for row in rows if row["kind"] == kind]
            if mine:
                place.plot([row["size"] for row in mine], [row[key] for row in mine], "o-", label=name)
        place.set(xscale="log", xlabel="issues", title=titles[key])
        if key != "recall":
            place.set(yscale="log")
    axes.flat[0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


def measure(given: argparse.Namespace, work: Path) -> None:
    """Print the table, and write the figures and the picture."""
    sizes = sorted(int(size) for size in given.sizes.split(","))
    desk, kinds = Desk(work), given.kinds.split(",")
    (work / "sources.json").write_text(
        json.dumps({"files": [str(p.resolve()) for p in given.files], "cache": str(given.cache or "")})
    )
    made = desk.step("vectors", sizes[-1], given.real, given.seed)
    missing = "hnsw" in kinds and find_spec("hnswlib") is None
    if missing:
        kinds.remove("hnsw")
    start, rows = time.perf_counter(), []
    for size in sizes:
        for kind in kinds:
            desk.step("truth", kinds_of()[kind].searched(size))
            rows.append({**measured(desk, kind, size), "real": min(size, made["real"])})
    cold_starts(desk, rows, given.runs)
    print(
        f"{made['real']:,} real vectors, seed {given.seed}, {made['queries']} queries of either sort, cold starts: "
        f"medians of {given.runs}; cores {len(os.sched_getaffinity(0))}, threads {made['threads']}, "
        f"load {os.getloadavg()[0]:.1f}, {time.perf_counter() - start:.0f} s\n"
    )
    print(table(rows))
    if missing:
        print("\nhnswlib: not installed")
    real = desk.step("alone")
    print(
        f"\nThe real vectors alone, compressed though they are {real['rows']:,}: recall@25 {real['recall']:.4f} of "
        f"held-out real queries, {real['probes']} of {real['lists']} lists read."
    )
    given.out.with_suffix(".json").write_text(json.dumps(rows, indent=1))
    draw(given.out, rows)
    print(f"\n{given.out}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="What an index of many issues costs.")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="issues, JSON a line")
    parser.add_argument("--cache", type=Path, help="a folder that keeps vectors between runs")
    parser.add_argument("--real", type=int, default=20_000, help="texts embedded at most (default: 20000)")
    parser.add_argument("--sizes", default="1000,10000,100000,1000000", help="numbers of issues, with commas")
    parser.add_argument(
        "--kinds",
        default="triage,own,flat,hnsw",
        help="indexes, with commas: triage (by the rule), own (nothing shared, 5,000 issues a repository), "
        "exact, lists (triage's, whatever the rule), flat, hnsw",
    )
    parser.add_argument("--runs", type=int, default=7, help="cold starts of each (default: 7)")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (default: 0)")
    parser.add_argument("--work", type=Path, help="a folder that keeps what is done, so that a run can go on")
    picture = Path("benchmarks/pictures/scale.png")
    parser.add_argument("--out", type=Path, default=picture, help=f"default: {picture}")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = (given.work or Path(folder)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        measure(given, work)


if __name__ == "__main__":
    main()
