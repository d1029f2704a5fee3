"""How similar two issues must be to be called likely duplicates: precision by similarity under the encoder alone.

    python benchmarks/duplicates.py FILE... [--cache DIR] [--judged CSV] [--sample N --out CSV]

FILE holds issues, labelled or not; those that say nothing, such as empty forms, are left out, as triage does. Each
issue is compared with all older ones of its repository, as a new one is with those that a bundle holds. The first
table counts, for each threshold, the issues with an older one at least so similar, and how many of them people
labelled as duplicates: a lower bound of the precision, since most projects close duplicates without a label. The
second is the precision on judged pairs: CSV has the columns `repo`, `number`, `other` and `duplicate` (1: both are
about the same defect or the same wish, 0: they are not), which a reader filled in. --sample writes such a CSV for N
pairs of the most similar issues, drawn evenly over the similarities (seed 0), without the last column. The last table
is for issues whose text names the original, as in "duplicate of #12": how many of the originals are found.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from shared import add_data_options, embedded, table_head

from triage.arrays import Array, Ints
from triage.engine.encoder import Encoder
from triage.issue import Issue, Key
from triage.metrics import wilson
from triage.sources.issue_file import read_issues
from triage.text import says_nothing

THRESHOLDS = (0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.94, 0.96, 0.98)
# Issues that could be a duplicate of something: of fewer, the nearest says little.
LEAST = 100
LABELLED = re.compile(r"duplicate", re.IGNORECASE)
NAMED = re.compile(
    r"(?<!not a )\b(?:duplicates?|dupe?) of (?:#|https://github\.com/[\w.-]+/[\w.-]+/issues/)(\d+)",
    re.IGNORECASE,
)
# Rows compared at a time.
BATCH = 512


@dataclass(frozen=True)
class Nearest:
    """The issues of one repository, each with the older one that is nearest to it: `similarities` [n], `rows` [n].

    Without an older one, the similarity is -1.
    """

    issues: Sequence[Issue]
    similarities: Array
    rows: Ints


def nearest_older(issues: Sequence[Issue], vectors: Array) -> Nearest:
    """The most similar older issue of each; `issues` are in the order of their numbers, vectors [n, d] of length 1."""
    similarities, rows = np.full(len(issues), -1.0), np.full(len(issues), -1, dtype=np.int64)
    for start in range(0, len(issues), BATCH):
        stop = min(start + BATCH, len(issues))
        cosines = (vectors[start:stop] @ vectors[:stop].T).astype(np.float64)
        cosines[np.arange(stop)[None, :] >= np.arange(start, stop)[:, None]] = -1.0
        rows[start:stop] = cosines.argmax(axis=1)
        similarities[start:stop] = cosines.max(axis=1)
    return Nearest(issues, similarities, rows)


def by_repository(paths: Iterable[Path], encoder: Encoder, cache: Path | None) -> list[Nearest]:
    """The issues of each repository with at least LEAST of them, repeated numbers left out."""
    groups: dict[str, dict[int, Issue]] = defaultdict(dict)
    for path in paths:
        for issue in read_issues(path):
            if issue.kind == "issue" and not says_nothing(issue.title, issue.body):
                groups[issue.repo][issue.number] = issue
    found = []
    for issues in (sorted(group.values(), key=lambda i: i.number) for group in groups.values()):
        if len(issues) >= LEAST:
            found.append(nearest_older(issues, embedded(encoder, issues, cache)))
    return found


def is_labelled(issue: Issue) -> bool:
    """Whether people labelled the issue as a duplicate."""
    return any(LABELLED.search(name) for name in issue.labels)


def counted(found: Sequence[Nearest]) -> Iterator[str]:
    """The rows of the first table."""
    for nearest in found:
        labelled = np.array([is_labelled(issue) for issue in nearest.issues])
        dates = [issue.created_at for issue in nearest.issues if issue.created_at]
        span = f", {min(dates):%Y-%m} to {max(dates):%Y-%m}" if dates else ""
        for threshold in THRESHOLDS:
            reported = nearest.similarities >= threshold
            hits = (reported & labelled).sum()
            share = f"{hits / max(1, reported.sum()):.3f}"
            yield (
                f"| {nearest.issues[0].repo}{span} | {threshold:g} | {reported.sum()} of {len(reported)} "
                f"| {hits} of {labelled.sum()} | {share} | {labelled.mean():.3f} |"
            )


def judged(path: Path) -> dict[tuple[Key, int], bool]:
    """(issue, the other's number) → whether it is a duplicate, from a CSV."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        ((row["repo"], int(row["number"])), int(row["other"])): row["duplicate"] == "1"
        for row in rows
        if row["duplicate"] in ("0", "1")
    }


def precision(found: Sequence[Nearest], truth: dict[tuple[Key, int], bool]) -> Iterator[str]:
    """The rows of the second table: between two thresholds, and from each on.

    Pairs are drawn evenly over similarities and not as often as they occur, so that the precision from a threshold on
    weighs each step by the number of issues in it.
    """
    pairs = [
        (float(s), truth[issue.key, nearest.issues[row].number])
        for nearest in found
        for issue, s, row in zip(nearest.issues, nearest.similarities, nearest.rows, strict=True)
        if row >= 0 and (issue.key, nearest.issues[row].number) in truth
    ]
    edges = [*THRESHOLDS, 1.01]
    issues = np.concatenate([nearest.similarities for nearest in found])
    steps = []
    for low, high in pairwise(edges):
        right = [is_right for s, is_right in pairs if low <= s < high]
        steps.append((len(right), sum(right), int(((issues >= low) & (issues < high)).sum())))
    for i, threshold in enumerate(THRESHOLDS):
        count, hits, there = steps[i]
        if not count:
            continue
        low, high = wilson(hits, count)
        above = [(right / n, issues) for n, right, issues in steps[i:] if n]
        together = sum(share * n for share, n in above) / max(1, sum(n for _, n in above))
        yield (
            f"| {threshold:g} to {min(edges[i + 1], 1):g} | {there} | {hits} of {count} "
            f"| {hits / count:.2f} ({low:.2f} to {high:.2f}) | {together:.2f} |"
        )


def named(found: Sequence[Nearest], encoder: Encoder, cache: Path | None) -> Iterator[tuple[float, int]]:
    """(similarity to the original, its rank among all older ones) of issues whose text names it."""
    for nearest in found:
        at = {issue.number: i for i, issue in enumerate(nearest.issues)}
        vectors = embedded(encoder, nearest.issues, cache)
        for i, issue in enumerate(nearest.issues):
            match = NAMED.search(f"{issue.title}\n{issue.body}")
            original = at.get(int(match[1])) if match else None
            if original is not None and original < i:
                cosines = vectors[:i] @ vectors[i]
                yield float(cosines[original]), int((cosines > cosines[original]).sum()) + 1


def drawn(found: Sequence[Nearest], count: int) -> list[tuple[float, Key, int]]:
    """(similarity, issue, the other's number) of `count` pairs from the lowest threshold on, evenly over the steps."""
    edges = [*THRESHOLDS, 1.01]
    generator = np.random.default_rng(0)
    pairs = [
        (float(s), issue.key, nearest.issues[row].number)
        for nearest in found
        for issue, s, row in zip(nearest.issues, nearest.similarities, nearest.rows, strict=True)
        if s >= THRESHOLDS[0]
    ]
    chosen: list[tuple[float, Key, int]] = []
    for low, high in pairwise(edges):
        within = [pair for pair in pairs if low <= pair[0] < high]
        most = min(len(within), -(-count // len(THRESHOLDS)))
        chosen += [within[i] for i in sorted(generator.choice(len(within), most, replace=False))]
    return chosen


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Precision of likely duplicates by similarity.")
    add_data_options(parser, least=False)
    parser.add_argument("--judged", type=Path, metavar="CSV", help="pairs that a person judged")
    parser.add_argument("--sample", type=int, metavar="N", help="write N pairs to judge to --out")
    parser.add_argument(
        "--out", type=Path, default=Path("pairs.csv"), metavar="CSV", help="default: pairs.csv"
    )
    given = parser.parse_args()
    encoder = Encoder.load()
    found = by_repository(given.files, encoder, given.cache)
    if given.sample:
        with given.out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("repo", "number", "other", "similarity", "duplicate"))
            for similarity, (repo, number), other in drawn(found, given.sample):
                writer.writerow((repo, number, other, f"{similarity:.3f}", ""))
        print(given.out)
        return
    print(
        table_head(
            "data", "threshold", "issues reported", "of those labelled duplicate", "share", "share of all"
        )
    )
    print(*counted(found), sep="\n")
    if given.judged:
        print(
            "\n"
            + table_head("similarity", "issues", "duplicates", "precision (95%)", "precision from here on")
        )
        print(*precision(found, judged(given.judged)), sep="\n")
    originals = list(named(found, encoder, given.cache))
    print("\n" + table_head("threshold", "originals named in the text", "found", "ranked first"))
    for threshold in THRESHOLDS:
        reached = [rank for similarity, rank in originals if similarity >= threshold]
        print(f"| {threshold:g} | {len(originals)} | {len(reached)} | {reached.count(1)} |")


if __name__ == "__main__":
    main()
