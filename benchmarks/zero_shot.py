"""How well labels are found by their names alone, and what each part of the method is worth.

    python benchmarks/zero_shot.py FILE [--encoder FOLDER] [--cache DIR]

FILE holds labelled issues of many repositories, one JSON object a line, of which those are taken that no shipped
model was trained on (`triage/training/held_out.py`). The labels of a repository are those
with at least 15 uses once process labels and those that people set are dropped; of the issues that carry one
of them, at most 75 are drawn (seed 20) from each repository with at least two such labels. The repositories
are cut into halves: calibration, threshold and background vectors come from one, the figures from the other,
and both ways are averaged. The last lines hold the constants of `triage/engine/zero_shot.py`, from all
repositories. With `--three`, FILE holds issues with exactly one of the labels bug, feature and question, and
the figure is the macro-F1 of the best label of each.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from shared import embedded, sampled
from sklearn.metrics import average_precision_score, f1_score

from triage.arrays import Array
from triage.engine.encoder import Encoder
from triage.engine.model_folder import BUILTIN
from triage.engine.zero_shot import SimilarityZeroShot, calibrated
from triage.learn.tune import logistic
from triage.sources.issue_file import iter_issues
from triage.text import LabelText
from triage.training.background import SEED, by_repository, choose
from triage.training.held_out import kept_aside

LEAST_USES = 15
CORRECTIONS = ("none", "background", "own mean")
THREE = (
    LabelText("bug", "something does not work as expected"),
    LabelText("feature", "a wish for something new or better"),
    LabelText("question", "how to do something, a request for help"),
)


@dataclass(frozen=True)
class Sample:
    """Issues of one repository: unit `vectors` [n, d], unit label vectors `named` [L, d], `truth` [n, L]."""

    repo: str
    vectors: Array
    named: Array
    truth: Array


@dataclass(frozen=True)
class Fit:
    """slope, intercept and threshold (on the raw score) that a half of the repositories gives."""

    slope: float
    intercept: float
    threshold: float


def raw(sample: Sample, background: Array, correction: str, divide: bool) -> Array:
    """Raw scores [n, L]; `own mean` leaves the issue itself out, as an index would not hold it yet."""
    x = sample.vectors
    usual: Array = np.zeros(x.shape[1])
    if correction == "background":
        usual = background.mean(axis=0)
    elif correction == "own mean":
        usual = (x.sum(axis=0) - x) / (len(x) - 1)
    scores: Array = (x - usual) @ sample.named.T
    return scores / (background @ sample.named.T).std(axis=0) if divide else scores


def fit(scores: Sequence[Array], truths: Sequence[Array]) -> Fit:
    """The logistic fit of all pairs and the threshold of best micro-F1, each repository weighing the same."""
    x, y = np.concatenate([s.ravel() for s in scores]), np.concatenate([t.ravel() for t in truths])
    pairs = np.concatenate([np.full(s.size, 1 / s.size) for s in scores])
    (slope,), intercept = logistic(x[:, None], y > 0, pairs)
    order = np.argsort(-x)
    rows = np.concatenate([np.full(s.size, 1 / len(s)) for s in scores])
    f1 = 2 * np.cumsum((rows * y)[order]) / (np.cumsum(rows[order]) + (rows * y).sum())
    return Fit(slope, intercept, float(x[order][f1.argmax()]))


def figures(scores: Sequence[Array], truths: Sequence[Array], fitted: Fit) -> Array:
    """micro-F1, macro-F1, mean average precision, precision, log loss.

    micro-F1 and precision are of all issues together, the others are averaged over repositories.
    """
    chosen = [s >= fitted.threshold for s in scores]
    hits = sum(float((c * t).sum()) for c, t in zip(chosen, truths, strict=True))
    set_, wanted = sum(c.sum() for c in chosen), sum(t.sum() for t in truths)
    rows = []
    for s, t, c in zip(scores, truths, chosen, strict=True):
        used = t.sum(axis=0) > 0
        p = 1 / (1 + np.exp(-(fitted.slope * s + fitted.intercept)))
        macro = f1_score(t[:, used], c[:, used], average="macro", zero_division=0)
        precision = np.mean([average_precision_score(t[:, j], s[:, j]) for j in np.flatnonzero(used)])
        rows.append((macro, precision, -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p))))
    macro, mean_precision, loss = np.mean(rows, axis=0)
    return np.array([2 * hits / (set_ + wanted), macro, mean_precision, hits / set_, loss])


def many(path: Path, encoder: Encoder, cache: Path | None) -> None:
    """Print the table for a file of many repositories, then the constants."""
    groups = by_repository(iter_issues(path))
    # The shipped encoder was trained on the others.
    drawn = {
        repo: sample
        for repo, issues in groups.items()
        if kept_aside(repo) and (sample := sampled(issues, repo, LEAST_USES))
    }
    behind = choose(groups)
    texts = [*behind, *(issue for issues, _, _ in drawn.values() for issue in issues)]
    known = dict(zip((issue.digest for issue in texts), embedded(encoder, texts, cache), strict=True))
    samples = []
    for repo, (issues, names, carried) in drawn.items():
        truth = carried.astype(np.float64)
        named = encoder.encode([LabelText(name).phrase for name in names]).astype(np.float64)
        samples.append(Sample(repo, np.array([known[i.digest] for i in issues], np.float64), named, truth))
    order = np.random.default_rng(SEED).permutation(len(samples))
    halves = [[samples[i] for i in order[::2]], [samples[i] for i in order[1::2]]]
    print(f"{len(samples)} repositories, {sum(len(s.truth) for s in samples)} issues, seed {SEED}")
    print("correction   divided  micro-F1  macro-F1  mAP    precision  log loss")
    for correction in CORRECTIONS:
        for divide in (False, True):
            rows = []
            for fitting, testing in (halves, halves[::-1]):
                away = {s.repo for s in testing}
                shown = np.array([known[i.digest] for i in behind if i.repo not in away], np.float64)
                a, b = ([raw(s, shown, correction, divide) for s in half] for half in (fitting, testing))
                rows.append(figures(b, [s.truth for s in testing], fit(a, [s.truth for s in fitting])))
            micro, macro, mean_precision, precision, loss = np.mean(rows, axis=0)
            print(
                f"{correction:12} {'yes' if divide else 'no':8} {micro:.3f}     {macro:.3f}     "
                f"{mean_precision:.3f}  {precision:.3f}      {loss:.3f}"
            )
    everything = np.array([known[i.digest] for i in behind], np.float64)
    for correction in CORRECTIONS[1:]:
        found = fit([raw(s, everything, correction, False) for s in samples], [s.truth for s in samples])
        least = calibrated(np.array([found.threshold], dtype=np.float32), found.slope, found.intercept)[0]
        print(
            f"{correction}: slope {found.slope:.2f}, intercept {found.intercept:.3f}, threshold {least:.3f}"
        )


def three(path: Path, encoder: Encoder, cache: Path | None) -> None:
    """Print the macro-F1 of the best of three described labels, by correction."""
    issues = list(iter_issues(path))
    vectors = embedded(encoder, issues, cache)
    truth = [[label.name for label in THREE].index(issue.labels[0]) for issue in issues]
    method = SimilarityZeroShot.load(encoder)
    nothing = np.zeros(encoder.dimension, dtype=np.float32)
    for correction, prior in zip(CORRECTIONS, (nothing, None, vectors.mean(axis=0)), strict=True):
        best = method.raw([], vectors, THREE, prior).argmax(axis=1)
        print(f"{correction:12} macro-F1 {f1_score(truth, best, average='macro'):.3f}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Zero-shot classification by label names, measured.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--cache", type=Path, help="a folder that keeps vectors between runs")
    parser.add_argument("--encoder", default=BUILTIN, help="a model folder (default: the shipped encoder)")
    parser.add_argument("--three", action="store_true", help="bug, feature or question, one each")
    given = parser.parse_args()
    (three if given.three else many)(given.file, Encoder.load(given.encoder), given.cache)


if __name__ == "__main__":
    main()
