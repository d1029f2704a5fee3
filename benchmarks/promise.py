"""Precision promised and precision kept, and how far probabilities can be believed.

    python benchmarks/promise.py FILE... [--target 0.8,0.9,0.95] [--block 80] [--adapt head] [--cache DIR] [--plot PNG]

Issues with a label of at least 20 uses in the whole FILE, as in `quality.py`. The newest 20% come in blocks; before
each block everything older is learnt by the program that `triage retrain` runs, and the block is then labelled at each
precision target, as well as at the recommended one. *Kept* is the share of the labels set that were right, with the 95%
interval of a bootstrap over issues. *Learnt once* are the same issues, labelled by the bundle of the first block.
*With hindsight* is the share of issues that the best single threshold on the same probabilities would have labelled at
that precision, and *each label as likely* the share of this that is left if every label has to be right as often as the
target, not only all labels on average, by probabilities fitted to the same issues. The second table is for the
probabilities: of pairs of issue and label with a similar one, how many were right. Labels with few examples do not
occur in these data, so the zero-shot model is the quick one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from replay import Period, Replay
from shared import add_data_options, described, embedded, labelled, table_head
from sklearn.isotonic import IsotonicRegression

from triage.arrays import Array, Mask
from triage.bundle.model import ServingModel
from triage.bundle.open import open_engines
from triage.config import Config, ZeroShotConfig
from triage.decide import Policy, case_of, decide
from triage.figures import blank
from triage.learn.dataset import TEST_FROM
from triage.learn.head import ADAPTATIONS
from triage.learn.recipe import Engines
from triage.metrics import Cuts, bootstrap, coverage

TARGETS = "0.8,0.9,0.95"
EDGES = (0.05, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
# Bins of fewer pairs say little.
FEW = 50
CONFIG = Config(zero_shot=ZeroShotConfig(model="embedding"))


@dataclass
class Kept:
    """What a target set on the issues so far: `predicted` and `truth` by block, [n, L] each; None: recommended."""

    target: float | None
    predicted: list[Mask] = field(default_factory=list)
    once: list[Mask] = field(default_factory=list)


@dataclass
class Measured:
    """A file: the truth and the probabilities of its blocks, what each target kept, and the targets recommended."""

    name: str
    kept: list[Kept]
    truth: list[Mask] = field(default_factory=list)
    scores: list[Array] = field(default_factory=list)
    recommended: list[float | None] = field(default_factory=list)


def measure(path: Path, given: argparse.Namespace, engines: Engines) -> Measured:
    """Learn and label block by block."""
    data = labelled(path, given.least)
    if not data.dated:
        sys.exit(f"{path}: blocks need the dates of all issues")
    vectors = embedded(engines.encoder, data.issues, given.cache)
    replay = Replay(data, vectors, engines, given.adapt, CONFIG)
    measured = Measured(described(data), [Kept(target) for target in (None, *given.target)])
    first: ServingModel | None = None
    for start in range(round(len(data) * TEST_FROM), len(data), given.block):
        period = Period("", start, min(start + given.block, len(data)))
        model = replay.learnt(start)
        first = first or model
        rows = slice(period.start, period.stop)
        measured.truth.append(data.targets[rows])
        measured.recommended.append(model.rules.recommended)
        for is_first, served in ((False, model), (True, first)):
            recorded = served.recorded(data.issues[rows], vectors[rows])
            for kept in measured.kept:
                policy = Policy(target=kept.target)
                decisions = list(decide(map(case_of, data.issues[rows]), recorded, policy))
                predicted = np.array([[name in d.labels for name in data.names] for d in decisions])
                (kept.once if is_first else kept.predicted).append(predicted)
            if not is_first:
                scores = [[d.scores.get(name, 0.0) for name in data.names] for d in decisions]
                measured.scores.append(np.array(scores))
        print(f"{measured.name}: {period.stop} of {len(data)}", file=sys.stderr, flush=True)
    return measured


def precision(truth: Mask, predicted: Mask) -> float:
    """The share of the labels set that were right; NaN where there is none."""
    return float(truth[predicted].mean()) if predicted.any() else float("nan")


def interval(truth: Mask, predicted: Mask) -> tuple[float, float]:
    """The 95% interval of the precision, issues resampled."""
    drawn = bootstrap(len(truth))
    hits, count = (truth & predicted).sum(axis=1)[drawn].sum(axis=1), predicted.sum(axis=1)[drawn].sum(axis=1)
    some = count > 0
    if not some.any():
        return 0.0, 1.0
    low, high = np.quantile(hits[some] / count[some], (0.025, 0.975))
    return float(low), float(high)


def with_hindsight(truth: Mask, scores: Array, target: float) -> float:
    """The share of issues labelled by the lowest single threshold at which the precision is the target."""
    cuts = Cuts.of(scores, truth)
    reached = np.flatnonzero(cuts.distinct & (cuts.hits >= target * cuts.predicted))
    return coverage(scores >= cuts.values[reached[-1]]) if len(reached) else 0.0


def each_as_likely(truth: Mask, scores: Array, target: float) -> float:
    """The share of issues with a label that is right as often as the target by an isotonic fit to these same issues."""
    fit = IsotonicRegression(out_of_bounds="clip").fit(scores.ravel(), truth.ravel())
    return coverage(fit.predict(scores.ravel()).reshape(scores.shape) >= target)


def rows_of(measured: Measured) -> Iterator[str]:
    """A file's rows."""
    truth, scores = np.concatenate(measured.truth), np.concatenate(measured.scores)
    chosen = [target for target in measured.recommended if target is not None]
    for kept in measured.kept:
        predicted, once = np.concatenate(kept.predicted), np.concatenate(kept.once)
        low, high = interval(truth, predicted)
        target = kept.target or (float(np.mean(chosen)) if chosen else 0.0)
        name = f"{kept.target:g}" if kept.target else f"recommended (mean {target:.2f})"
        covered, best = coverage(predicted), with_hindsight(truth, scores, target)
        cells = (
            measured.name,
            name,
            f"{precision(truth, predicted):.3f} ({low:.3f} to {high:.3f})",
            f"{predicted.sum()}",
            f"{covered:.3f} of {len(truth)}",
            f"{best:.3f}",
            f"{precision(truth, once):.3f}",
            f"{coverage(once):.3f}",
        )
        yield f"| {' | '.join(cells)} |"


def together(measured: Sequence[Measured]) -> Iterator[str]:
    """All files as one, by target."""
    yield "\nAll files together:\n"
    yield table_head(
        "target",
        "precision kept",
        "labels set",
        "share of the coverage with hindsight",
        "each label as likely",
    )
    for i, first in enumerate(measured[0].kept):
        right = applied = 0
        shares = []
        for each in measured:
            truth, predicted = np.concatenate(each.truth), np.concatenate(each.kept[i].predicted)
            right, applied = right + int((truth & predicted).sum()), applied + int(predicted.sum())
            scores, target = np.concatenate(each.scores), first.target
            best = with_hindsight(truth, scores, target) if target else 0.0
            likely = each_as_likely(truth, scores, target) if target else 0.0
            shares.append(np.array([coverage(predicted), likely, best]) * len(truth))
        covered, likely, best = np.sum(shares, axis=0)
        name = f"{first.target:g}" if first.target else "recommended"
        share, possible = (f"{x / best:.2f}" if best else "" for x in (covered, likely))
        yield f"| {name} | {right / max(1, applied):.3f} | {applied} | {share} | {possible} |"


@dataclass(frozen=True)
class Pairs:
    """Pairs of issue and label with a similar probability: its mean, and how many of `count` were right."""

    promised: float
    right: float
    count: int


def pairs(each: Measured) -> list[Pairs]:
    """The pairs between two edges, lowest first."""
    truth, scores = np.concatenate(each.truth), np.concatenate(each.scores)
    place = np.digitize(scores, EDGES[:-1])
    members = [place == i for i in range(1, len(EDGES))]
    return [Pairs(float(scores[m].mean()), float(truth[m].mean()), int(m.sum())) for m in members if m.any()]


def believed(measured: Sequence[Measured]) -> Iterator[str]:
    """The table of probabilities, where there are enough pairs."""
    yield "\nProbabilities, and how many of the pairs of issue and label were right:\n"
    yield table_head("data", "promised", "right", "pairs", "within the 95% interval of what was promised")
    for each in measured:
        for one in pairs(each):
            if one.count >= FEW:
                spread = 1.96 * (one.promised * (1 - one.promised) / one.count) ** 0.5
                within = "yes" if abs(one.right - one.promised) <= spread else "no"
                yield f"| {each.name} | {one.promised:.3f} | {one.right:.3f} | {one.count} | {within} |"


def draw(measured: Sequence[Measured], path: Path) -> None:
    """Kept against promised, the share of issues labelled, and reliability."""
    figure = blank(13, 4.6)
    kept_axes, covering, believing = figure.subplots(1, 3)
    for i, each in enumerate(measured):
        # Side by side, or the bars would hide each other.
        shift = (i - (len(measured) - 1) / 2) * 0.004
        truth = np.concatenate(each.truth)
        rows = [(kept.target, np.concatenate(kept.predicted)) for kept in each.kept if kept.target]
        covering.plot([t for t, _ in rows], [coverage(found) for _, found in rows], marker="o", color=f"C{i}")
        bars = [
            (t + shift, precision(truth, found), interval(truth, found)) for t, found in rows if found.any()
        ]
        kept_axes.errorbar(
            [at for at, _, _ in bars],
            [reached for _, reached, _ in bars],
            yerr=np.array([(p - low, high - p) for _, p, (low, high) in bars]).reshape(-1, 2).T,
            marker="o",
            capsize=3,
            color=f"C{i}",
        )
        shown = [one for one in pairs(each) if one.count >= FEW]
        believing.plot(
            [one.promised for one in shown],
            [one.right for one in shown],
            marker="o",
            color=f"C{i}",
            label=each.name,
        )
    for axes, start in ((kept_axes, 0.7), (believing, 0.0)):
        axes.plot([start, 1], [start, 1], color="0.6", linestyle="--", label="as promised")
    kept_axes.set(xlabel="precision promised", ylabel="precision kept (95% interval)", title="The promise")
    covering.set(xlabel="precision promised", ylabel="share", title="Issues that get a label", ylim=(0, 1))
    believing.set(
        xlabel="probability of a label", ylabel="share right", title="Probabilities", xlim=(0, 1), ylim=(0, 1)
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
    parser.add_argument(
        "--block", type=int, default=80, metavar="N", help="issues between retrainings (default: 80)"
    )
    parser.add_argument("--adapt", choices=ADAPTATIONS, default="head", help="(default: head)")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the tables")
    given = parser.parse_args()
    engines = Engines(*open_engines(CONFIG))
    print(
        table_head(
            "data",
            "target",
            "precision kept (95%)",
            "labels set",
            "issues that got one",
            "with hindsight",
            "learnt once: kept",
            "issues that got one",
        )
    )
    measured = []
    for path in given.files:
        measured.append(measure(path, given, engines))
        print("\n".join(rows_of(measured[-1])), flush=True)
    print("\n".join(together(measured)))
    print("\n".join(believed(measured)))
    if given.plot:
        draw(measured, given.plot)


if __name__ == "__main__":
    main()
