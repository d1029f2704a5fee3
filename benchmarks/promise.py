"""Precision promised and precision kept, and how far scores can be believed.

    python benchmarks/promise.py FILE... [--target 0.8,0.9,0.95] [--adapt head] [--cache DIR] [--plot PNG]

Issues with a label of at least 20 uses in the whole FILE, as in `quality.py`. For each `vote.precision_target`, all
is tuned on the window before the newest 20 % of the issues, and these are then labelled: how many of the labels set
were right, with the 95 % interval of a bootstrap over issues, and how many issues still got one. The first row of
each file is without a target. Reliability is that of all scores, in 10 bins; and that of each issue's best score
alone, since most of the others are near 0, where it is easy to be right.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from labelled import described, embedded, labelled

from triage.bundle.model import Projection
from triage.commands.opening import open_engines
from triage.config import Config, Vote
from triage.decide.rules import NEIGHBOURS
from triage.evaluate.metrics import coverage
from triage.evaluate.reliability import Bin, reliability
from triage.learn.adapt import ADAPTATIONS
from triage.learn.split import split
from triage.learn.study import Engines, Study

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
RowIds = npt.NDArray[np.int64]
DRAWS, SEED = 1000, 0
TARGETS = "0.8,0.9,0.95"


@dataclass(frozen=True)
class Remembering(Study):
    """A study that fits the adaptation to the same rows once, also for copies with another target."""

    fitted: dict[bytes, tuple[Projection | None, Floats]] = field(default_factory=dict)

    def adapted(self, rows: RowIds) -> tuple[Projection | None, Floats]:
        """See `Study`."""
        key = rows.tobytes()
        if key not in self.fitted:
            self.fitted[key] = super().adapted(rows)
        return self.fitted[key]


@dataclass(frozen=True)
class Kept:
    """What became of one target on the newest issues.

    `precision` is None where no label was set; `low` and `high` bound it. `by_vote` is the precision of the labels
    that neighbours elected. `able` of `labels` may be set by vote; `broken` of them surely miss the target.
    """

    target: float | None
    applied: int
    precision: float | None
    low: float
    high: float
    by_vote: float | None
    coverage: float
    able: int
    labels: int
    broken: int


def kept(study: Study, target: float | None) -> Kept:
    """The study with that target, judged."""
    aimed = replace(study, config=Config(vote=Vote(precision_target=target)))
    verdict = aimed.verdict
    truth, predicted = verdict.truth, verdict.predicted
    elected = [[d.sources.get(name) == NEIGHBOURS for name in verdict.names] for d in aimed.newest]
    low, high = interval(truth, predicted)
    voted = aimed.rules.voted
    return Kept(
        target=target,
        applied=int(predicted.sum()),
        precision=precision(truth, predicted),
        low=low,
        high=high,
        by_vote=precision(truth, predicted & np.array(elected)),
        coverage=coverage(predicted),
        able=sum(rule.votes is not None for rule in voted),
        labels=len(voted),
        broken=surely_broken(truth, predicted, target or 0.0),
    )


def precision(truth: Mask, predicted: Mask) -> float | None:
    """The share of the labels set that were right; None where there is none."""
    return float(truth[predicted].mean()) if predicted.any() else None


def interval(truth: Mask, predicted: Mask) -> tuple[float, float]:
    """The 95 % interval of the precision, issues resampled."""
    drawn = np.random.default_rng(SEED).integers(len(truth), size=(DRAWS, len(truth)))
    hits, count = (truth & predicted).sum(axis=1)[drawn].sum(axis=1), predicted.sum(axis=1)[drawn].sum(axis=1)
    some = count > 0
    if not some.any():
        return 0.0, 1.0
    low, high = np.quantile(hits[some] / count[some], (0.025, 0.975))
    return float(low), float(high)


def surely_broken(truth: Mask, predicted: Mask, target: float) -> int:
    """How many labels were right so rarely that a label of the promised precision would be with under 5 %."""
    from scipy.stats import binom

    hits, count = (truth & predicted).sum(axis=0), predicted.sum(axis=0)
    return int(((count > 0) & (binom.cdf(hits, count, target) < 0.05)).sum())


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
    encoder, zero_shot = open_engines(Config())
    vectors, engines = embedded(encoder, data.issues, given.cache), Engines(encoder, zero_shot)
    study = Remembering(data, vectors, split(data, None), Config(), engines, given.adapt)
    name, rows = described(data), []
    for target in (None, *given.target):
        rows.append(kept(study, target))
        print(line(name, rows[-1], len(study.verdict.truth)), flush=True)
    verdict = study.verdict
    best = reliability(*best_scores(verdict.truth, verdict.scores))
    return Measured(name, rows, reliability(verdict.truth, verdict.scores), best)


def line(name: str, row: Kept, issues: int) -> str:
    """A row of the table."""
    target = "none" if row.target is None else f"{row.target:g}"
    broken = "" if row.target is None else str(row.broken)
    reached = "" if row.precision is None else f"{row.precision:.3f} ({row.low:.3f} to {row.high:.3f})"
    by_vote = "" if row.by_vote is None else f"{row.by_vote:.3f}"
    cells = (name, target, reached, by_vote, row.applied, f"{row.coverage:.3f} of {issues}")
    return f"| {' | '.join(map(str, cells))} | {row.able} of {row.labels} | {broken} |"


def tables(measured: Sequence[Measured]) -> Iterator[str]:
    """The lines on reliability: errors by file, then the bins of each issue's best score."""
    yield "\nExpected calibration error of the scores on the same issues (0: they mean what they say):\n"
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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    keeping, covering, believing = figure.subplots(1, 3)
    for i, each in enumerate(measured):
        rows = [row for row in each.rows if row.target is not None and row.precision is not None]
        # Side by side, or the bars would hide each other.
        targets = [(row.target or 0) + (i - (len(measured) - 1) / 2) * 0.004 for row in rows]
        reached = np.array([row.precision for row in rows], dtype=float)
        bars = np.abs(np.array([[row.low, row.high] for row in rows]).reshape(-1, 2).T - reached)
        keeping.errorbar(targets, reached, yerr=bars, marker="o", capsize=3, color=f"C{i}")
        covering.plot(targets, [row.coverage for row in rows], marker="o", color=f"C{i}")
        promised = [b.promised for b in each.best]
        believing.plot(promised, [b.reached for b in each.best], marker="o", color=f"C{i}", label=each.name)
    for axes, start in ((keeping, 0.7), (believing, 0.0)):
        axes.plot([start, 1], [start, 1], color="0.6", linestyle="--", label="as promised")
    keeping.set(xlabel="precision promised", ylabel="precision kept (95 % interval)", title="The promise")
    covering.set(xlabel="precision promised", ylabel="share", title="Issues that get a label", ylim=(0, 1))
    believing.set(
        xlabel="best score of an issue", ylabel="share right", title="Scores", xlim=(0, 1), ylim=(0, 1)
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
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="labelled issues")
    parser.add_argument(
        "--target", type=targets, default=TARGETS, metavar="P,…", help=f"precisions (default: {TARGETS})"
    )
    parser.add_argument("--adapt", choices=ADAPTATIONS, default="head", help="(default: head)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="a folder that keeps vectors between runs")
    parser.add_argument(
        "--least", type=int, default=20, metavar="N", help="the uses a label needs (default: 20)"
    )
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the tables")
    given = parser.parse_args()
    print(
        "| data | target | precision kept (95 %) | of labels elected by vote | labels set | issues that got one | "
        "labels that vote may set | labels that surely miss |\n|---|---|---|---|---|---|---|---|",
        flush=True,
    )
    measured = [measure(path, given) for path in given.files]
    print("\n".join(tables(measured)))
    if given.plot:
        draw(measured, given.plot)


if __name__ == "__main__":
    main()
