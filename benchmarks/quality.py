"""How well labels are found: the product beside simple methods, on the same rows and windows.

    python benchmarks/quality.py FILE... [--adapt none,head] [--cache DIR] [--least 20]

Of each FILE, issues with a label of at least 20 uses, once process labels and labels that only people set are
dropped. Windows are the product's own: by time, the newest 20 % for the figures; stratified (seed 0) where
issues have no dates. Everything is tuned on the window before. Where each issue carries exactly one label and
none has a date, macro-F1 within each repository follows, by stratified cross-validation.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from baselines import METHODS, Material, answer
from labelled import described, embedded, labelled
from within import within_repositories

from triage.commands.opening import open_engines
from triage.config import Config
from triage.evaluate.metrics import summary
from triage.learn.split import Split, split
from triage.learn.study import Engines, Study

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
RIVAL = "TF-IDF logistic regression"
RESAMPLES, SEED = 1000, 0
SHOWN = ("micro_f1", "macro_f1", "precision", "coverage", "precision_at_50%_coverage")
HEAD = (
    "| data | method | micro-F1 | macro-F1 | precision | coverage | precision at 50 % coverage | issues | labels |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Row:
    """A method's answers for the test window: [n, L]."""

    method: str
    predicted: Mask
    scores: Array


def rows_of(material: Material, windows: Split, engines: Engines, adapt: Sequence[str]) -> list[Row]:
    """What each method answers; logistic regressions with one threshold and with one for each label."""
    rows = []
    for name, method in METHODS.items():
        found = answer(method, material, windows)
        rows.append(Row(name, found.predicted, found.scores))
        if "regression" in name:
            rows.append(Row(f"{name}, a threshold per label", found.by_label, found.scores))
    for adaptation in adapt:
        verdict = Study(material.data, material.vectors, windows, Config(), engines, adaptation).verdict
        rows.append(Row(product(adaptation), verdict.predicted, verdict.scores))
    return rows


def product(adaptation: str) -> str:
    """The product's row."""
    return f"**triage, `--adapt {adaptation}`**"


def interval(truth: Mask, ours: Mask, theirs: Mask) -> tuple[float, float, float]:
    """The difference in micro-F1 and its 95 % interval: test issues resampled, the same for both."""
    drawn = np.random.default_rng(SEED).integers(len(truth), size=(RESAMPLES, len(truth)))
    whole = np.arange(len(truth))[None, :]
    low, high = np.quantile(_f1(truth, ours, drawn) - _f1(truth, theirs, drawn), (0.025, 0.975))
    return float(_f1(truth, ours, whole)[0] - _f1(truth, theirs, whole)[0]), float(low), float(high)


def _f1(truth: Mask, predicted: Mask, drawn: npt.NDArray[np.int64]) -> Array:
    hits, total = (truth & predicted).sum(axis=1), truth.sum(axis=1) + predicted.sum(axis=1)
    f1: Array = 2 * hits[drawn].sum(axis=1) / np.maximum(1, total[drawn].sum(axis=1))
    return f1


def measure(path: Path, least: int, adapt: Sequence[str], cache: Path | None) -> list[str]:
    """Print the rows of a file; what follows the table is returned."""
    data = labelled(path, least)
    encoder, zero_shot = open_engines(Config())
    engines = Engines(encoder, zero_shot)
    material = Material(data, embedded(encoder, data.issues, cache))
    windows = split(data, None)
    truth, name = data.targets[windows.test.query], described(data)
    rows = rows_of(material, windows, engines, adapt)
    for row in rows:
        figures = summary(truth, row.predicted, row.scores)
        cells = " | ".join(f"{figures[key]:.3f}" for key in SHOWN)
        print(f"| {name} | {row.method} | {cells} | {len(truth)} | {len(data.names)} |", flush=True)
    by_name = {row.method: row for row in rows}
    notes = []
    for adaptation in adapt:
        difference = interval(truth, by_name[product(adaptation)].predicted, by_name[RIVAL].predicted)
        notes.append(
            f"| {name} | `{adaptation}` | {difference[0]:+.3f} | {difference[1]:+.3f} to {difference[2]:+.3f} |"
        )
    if not data.dated and (data.targets.sum(axis=1) == 1).all():
        notes.append(within_repositories(material, engines, adapt))
    return notes


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="How well labels are found, beside simple methods.")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="labelled issues")
    parser.add_argument(
        "--adapt", default="none,head", help="adaptations of the product (default: none,head)"
    )
    parser.add_argument("--cache", type=Path, help="a folder that keeps vectors between runs")
    parser.add_argument("--least", type=int, default=20, help="the uses a label needs (default: 20)")
    given = parser.parse_args()
    print(HEAD)
    notes = [
        note for f in given.files for note in measure(f, given.least, given.adapt.split(","), given.cache)
    ]
    print(
        f"\nmicro-F1 of triage minus that of {RIVAL}, and its 95 % interval over {RESAMPLES} resamples of the"
    )
    print(
        f"test issues, seed {SEED}:\n\n| data | `--adapt` | difference | 95 % interval |\n|---|---|---|---|"
    )
    print("\n".join(notes))


if __name__ == "__main__":
    main()
