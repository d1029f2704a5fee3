"""What a backfill promises and what it keeps: the labels of the newest third are hidden, planned, and compared.

    python benchmarks/backfill.py FILE... [--cache DIR]

Of each FILE, the issues that carry a label to learn, by time: the oldest two thirds are learnt as `triage retrain`
learns them, the newest third is planned for as `triage backfill` does it. Promised is what stands in the plan's
report: the measured precision of each planned label. Reached is how many of the same labels the issues carry.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from shared import add_data_options, embedded, shipped_engines

from triage.arrays import Floats
from triage.backfill.plan import Header, fingerprint, promises
from triage.backfill.planner import Planner
from triage.backfill.selection import PastIssue
from triage.bundle.bundle import Bundle
from triage.bundle.model import ServingModel, open_model
from triage.config import Config, from_dict
from triage.decide import Policy
from triage.issue import Issue
from triage.learn.dataset import prepare
from triage.learn.recipe import Engines
from triage.learn.retrain import RetrainContext, learn
from triage.reports.plan_report import expected, totals
from triage.sources.issue_file import read_issues
from triage.text import digest

# 0 asks for the best F1; None: the target that learning recommends.
TARGETS = (0.0, None, 0.9)
NAMES = {0.0: "none", None: "recommended"}
HEAD = (
    "| data | precision target | planned for | get a label | labels set | promised right | are right "
    "| too little measured: set | are right | labels there, found |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
)


@dataclass(frozen=True)
class Kept:
    """Stands in for an encoder: gives vectors computed before, by the digest of the text."""

    vectors: dict[str, Floats]

    def encode(self, texts: Sequence[str], *, threads: int | None = None) -> Floats:  # noqa: ARG002
        return np.array([self.vectors[digest(text)] for text in texts], dtype=np.float32)


def measure(path: Path, cache: Path | None) -> None:
    """Print a row for each precision target."""
    known = prepare(read_issues(path), Config()).issues
    dated = sorted(known, key=lambda issue: (issue.created_at is not None, issue.created_at, issue.number))
    cut = len(dated) * 2 // 3
    engines = shipped_engines()
    vectors = dict(zip((i.digest for i in dated), embedded(engines.encoder, dated, cache), strict=True))
    for target in TARGETS:
        config = from_dict({"vote": {"precision_target": target}})
        data = prepare(dated[:cut], config)
        points = np.array([vectors[issue.digest] for issue in data.issues])
        bundle = learn(data, points, config, engines, RetrainContext("2026-01-01T00:00:00Z")).bundle
        model = opened(bundle, engines, vectors)
        row(path.name.partition(".")[0], target, dated[cut:], Planner(model, config), bundle)


def opened(bundle: Bundle, engines: Engines, vectors: dict[str, Floats]) -> ServingModel:
    """The bundle's model over kept vectors."""
    model = open_model(bundle, "benchmark", engines.encoder, engines.zero_shot, {})
    return replace(model, encoder=Kept(vectors))  # type: ignore[arg-type]  # only `encode` is used


def row(name: str, target: float | None, truth: Sequence[Issue], planner: Planner, bundle: Bundle) -> None:
    """Plan for the issues without their labels, and print what was promised and what was reached."""
    hidden = [PastIssue(replace(issue, labels=(), events=None)) for issue in truth]
    entries = planner.entries(hidden)
    measured = promises(bundle.rules, planner.names)
    point = bundle.rules.point(planner.config.vote.precision_target)
    header = Header(
        truth[0].repo,
        "",
        "",
        fingerprint(planner.config),
        promises=measured,
        figures=bundle.manifest.figures,
        measured=point.labels if point else 0,
        right=point.right if point else 0,
    )
    found = totals(header, entries)
    promised = expected(header, found)
    words = promised.describe() if promised else "unknown"
    known = {label for label, promise in measured.items() if promise.reliable is not None}
    hits = [
        (label in issue.labels, label in known)
        for entry, issue in zip(entries, truth, strict=True)
        for label in entry.labels
    ]
    kept = [hit for hit, was_measured in hits if was_measured]
    other = [hit for hit, was_measured in hits if not was_measured]
    may_set = Policy.of(planner.config).may_set
    there = sum(may_set(label) is None for issue in truth for label in issue.labels)
    print(
        f"| {name} | {NAMES.get(target, target)} | {len(truth)} | {share(found.labelled, len(truth))} | {len(hits)} "
        f"| {words} | {share(sum(kept), len(kept))} | {len(other)} | {share(sum(other), len(other))} "
        f"| {share(sum(kept) + sum(other), there)} |",
        flush=True,
    )


def share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else "none"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="What a backfill promises, and what it keeps.")
    add_data_options(parser, least=False)
    given = parser.parse_args()
    print(HEAD)
    for path in given.files:
        measure(path, given.cache)


if __name__ == "__main__":
    sys.exit(main())
