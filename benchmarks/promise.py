"""Precision promised and precision kept, and how far scores can be believed.

    python benchmarks/promise.py FILE... [--target 0.8,0.9,0.95] [--adapt head] [--leave-out 0] [--cache DIR]
        [--plot PNG]

Issues with a label of at least 20 uses in the whole FILE, as in `quality.py`. For each `vote.precision_target`, all
is tuned on the window before the newest 20 % of the issues, and these are then labelled: how many of the labels set
were right, with the 95 % interval of a bootstrap over issues, and how many issues still got one. The first row of
each file is without a target. Reliability is that of all scores, in 10 bins; and that of each issue's best score
alone, since most of the others are near 0, where it is easy to be right.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from keeping import Kept, Remembering, kept
from shared import add_data_options, described, embedded, labelled, shipped_engines

from triage.arrays import Array, Mask
from triage.config import Config
from triage.figures import blank
from triage.learn.dataset import prepare, split
from triage.learn.head import ADAPTATIONS
from triage.metrics import Bin, reliability

TARGETS = "0.8,0.9,0.95"
# Bins of fewer pairs are not drawn: their share is mostly luck.
FEW = 10


def best_scores(truth: Mask, scores: Array) -> tuple[Mask, Array]:
    """Each issue's best score and whether that label was right, [n, 1]."""
    best = scores.argmax(axis=1)[:, None]
    return np.take_along_axis(truth, best, axis=1), np.take_along_axis(scores, best, axis=1)


def calibration_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error: |promised - reached|, averaged over pairs (Guo et al., 2017)."""
    return sum(b.pairs * abs(b.promised - b.reached) for b in bins) / sum(b.pairs for b in bins)


@dataclass(frozen=True)
class Measured:
    """A file's rows and reliability."""

    name: str
    rows: list[Kept]
    all_scores: list[Bin]
    best: list[Bin]


def measure(path: Path, given: argparse.Namespace) -> Measured:
    """Print a file's rows as they come."""
    data = labelled(path, given.least)
    data = prepare(data.issues[: round(len(data) * (1 - given.leave_out))], Config())
    engines = shipped_engines()
    vectors = embedded(engines.encoder, data.issues, given.cache)
    recipe = Remembering(data, vectors, split(data, None), Config(), engines, given.adapt)
    name, rows = described(data), []
    for target in (None, *given.target):
        rows.append(kept(recipe, target))
        print(line(name, rows[-1], len(recipe.result.truth)), flush=True)
    truth, scores = recipe.result.truth, recipe.result.scores
    return Measured(name, rows, reliability(truth, scores), reliability(*best_scores(truth, scores)))


def line(name: str, row: Kept, issues: int) -> str:
    """A row of the table."""
    target = "none" if row.target is None else f"{row.target:g}"
    broken = "" if row.target is None else str(row.broken)
    reached = "" if row.precision is None else f"{row.precision:.3f} ({row.low:.3f} to {row.high:.3f})"
    cells = (name, target, reached, row.applied, f"{row.coverage:.3f} of {issues}")
    return f"| {' | '.join(map(str, cells))} | {row.able} of {row.labels} | {broken} |"


def together(measured: Sequence[Measured]) -> Iterator[str]:
    """Lines on the labels of all files together, by target."""
    yield "\nAll files together:\n\n| target | precision kept | labels set |\n|---|---|---|"
    for rows in zip(*(each.rows for each in measured), strict=True):
        applied = sum(row.applied for row in rows)
        right = sum(round(row.applied * (row.precision or 0)) for row in rows)
        target = "none" if rows[0].target is None else f"{rows[0].target:g}"
        yield f"| {target} | {f'{right / applied:.3f}' if applied else ''} | {applied} |"


def tables(measured: Sequence[Measured]) -> Iterator[str]:
    """The lines on reliability: errors by file, then the bins of each issue's best score."""
    yield "\nExpected calibration error of the scores on the same issues (0: as promised):\n"
    yield "| data | all scores | each issue's best |\n|---|---|---|"
    for each in measured:
        error, at_best = calibration_error(each.all_scores), calibration_error(each.best)
        yield f"| {each.name} | {error:.3f} | {at_best:.3f} |"
    yield "\nThe scores between 0.7 and 0.9, so about 0.8 promised:\n"
    yield "| data | promised | right | pairs of issue and label |\n|---|---|---|---|"
    for each in measured:
        yield about(each, 0.7, 0.9)


def about(each: Measured, low: float, high: float) -> str:
    """A row for the bins of all scores between two bounds."""
    bins = [b for b in each.all_scores if low <= b.promised < high]
    pairs = sum(b.pairs for b in bins)
    if not pairs:
        return f"| {each.name} | | | 0 |"
    promised, reached = (
        sum(b.pairs * x for b, x in zip(bins, xs, strict=True)) / pairs
        for xs in ([b.promised for b in bins], [b.reached for b in bins])
    )
    return f"| {each.name} | {promised:.3f} | {reached:.3f} | {pairs} |"


def draw(measured: Sequence[Measured], path: Path) -> None:
    """Kept against promised, the share of issues labelled, and reliability."""
    figure = blank(13, 4.6)
    keeping, covering, believing = figure.subplots(1, 3)
    for i, each in enumerate(measured):
        # Side by side, or the bars would hide each other.
        shift = (i - (len(measured) - 1) / 2) * 0.004
        rows = [row for row in each.rows if row.target is not None]
        covering.plot([row.target for row in rows], [row.coverage for row in rows], marker="o", color=f"C{i}")
        bars = [(row.target + shift, row.precision, row) for row in rows if row.target and row.precision]
        keeping.errorbar(
            [at for at, _, _ in bars],
            [reached for _, reached, _ in bars],
            yerr=np.array([(reached - row.low, row.high - reached) for _, reached, row in bars])
            .reshape(-1, 2)
            .T,
            marker="o",
            capsize=3,
            color=f"C{i}",
        )
        bins = [b for b in each.all_scores if b.pairs >= FEW]
        promised, reached = [b.promised for b in bins], [b.reached for b in bins]
        label = f"{each.name} (calibration error {calibration_error(each.all_scores):.3f})"
        believing.plot(promised, reached, marker="o", color=f"C{i}", label=label)
    for axes, start in ((keeping, 0.7), (believing, 0.0)):
        axes.plot([start, 1], [start, 1], color="0.6", linestyle="--", label="as promised")
    keeping.set(xlabel="precision promised", ylabel="precision kept (95 % interval)", title="The promise")
    covering.set(xlabel="precision promised", ylabel="share", title="Issues that get a label", ylim=(0, 1))
    covering.set_xticks([row.target for row in measured[0].rows if row.target is not None])
    believing.set(
        xlabel="score of a label for an issue", ylabel="share right", title="Scores", xlim=(0, 1), ylim=(0, 1)
    )
    for axes in figure.axes:
        axes.grid(alpha=0.3)
    figure.legend(*believing.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=110)


def targets(text: str) -> list[float]:
    """The value of --target."""
    found = [float(part) for part in text.split(",")]
    if not all(0 < target < 1 for target in found):
        raise argparse.ArgumentTypeError("a target lies between 0 and 1")
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Precision promised, precision kept.")
    add_data_options(parser)
    parser.add_argument(
        "--target", type=targets, default=TARGETS, metavar="P,…", help=f"precisions (default: {TARGETS})"
    )
    parser.add_argument("--adapt", choices=ADAPTATIONS, default="head", help="(default: head)")
    parser.add_argument(
        "--leave-out",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="leave out this share of the newest, to judge on an earlier window (default: 0)",
    )
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the tables")
    given = parser.parse_args()
    print(
        "| data | target | precision kept (95 %) | labels set | issues that got one | labels that vote may set | "
        "labels that surely miss |\n|---|---|---|---|---|---|---|",
        flush=True,
    )
    measured = [measure(path, given) for path in given.files]
    print("\n".join(together(measured)))
    print("\n".join(tables(measured)))
    if given.plot:
        draw(measured, given.plot)


if __name__ == "__main__":
    main()
