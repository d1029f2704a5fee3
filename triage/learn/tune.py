"""Choose k, the votes each label needs, the calibration and the zero-shot thresholds on the tuning window.

Neighbours are searched once, K_MAX deep; every k is a slice of that list and every m a cut through its votes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from triage.arrays import AnyFloats, Array, Floats, Ints, Mask
from triage.config import VoteConfig
from triage.config import ZeroShotConfig as Settings
from triage.decide.rules import (
    K_MAX,
    LabelRule,
    Rules,
    ZeroShotRule,
    kernel,
    sigmoid,
    tally,
    zero_shot_odds,
)
from triage.metrics import Cuts

KS = (3, 5, 8, 10, 12, 15, 20, 25, 30, 40, 50)
# Pseudo-counts that pull a label's own votes towards the common ones: with few positives in the tuning window its own
# optimum is mostly luck.
SHRINK = 20
# Where the vote alone decides, a label's threshold stays within this factor of the common one.
REACH = 3.0
HIGHEST_SHARE = 0.95
# Where the head decides too, the share of a label's issues that may have too few votes.
MISSED = 0.01
MIN_QUERIES = 20
MIN_POSITIVES = 10


@dataclass(frozen=True)
class Window:
    """The tuning window: the neighbours of its issues, and the labels of both.

    `similarities` and `rows` are [q, K_MAX] (-inf and -1: none), `targets` [n, L] over all rows that can be
    neighbours, `truth` [q, L]. Columns are the labels that are voted on; k is chosen for those that are `settable` [L].
    `speaks` [q, K_MAX, L], or one that broadcasts to it: whether that neighbour's label counts (None: always).
    `head` [q, L] are the head's probabilities (NaN: none), `mass` [q] their sums over all labels; `priors` and `recent`
    [q, L] are the labels' shares of the issues known to the query and of the newest of these. `propensity` [q] is the
    probability that people label an issue like this at all.
    """

    names: Sequence[str]
    similarities: Floats
    rows: Ints
    targets: Mask
    truth: Mask
    settable: Mask
    head: Array
    mass: Array
    priors: Array
    recent: Array
    propensity: Array
    speaks: Mask | None = None

    def carries(self) -> Mask:
        """Which neighbour votes for which label, [q, K_MAX, L]."""
        carries: Mask = self.targets[np.maximum(self.rows, 0)] & (self.rows >= 0)[..., None]
        return carries if self.speaks is None else carries & self.speaks


# What a window holds for each query.
BY_QUERY = ("similarities", "rows", "truth", "head", "mass", "priors", "recent", "propensity")


def joined(windows: Sequence[Window]) -> Window:
    """The queries of all windows, which have the same labels."""
    parts: dict[str, Any] = {
        name: np.concatenate([getattr(window, name) for window in windows]) for name in BY_QUERY
    }
    speaks = [window.speaks for window in windows if window.speaks is not None]
    return replace(windows[0], **parts, speaks=np.concatenate(speaks) if speaks else None)


def last(window: Window, most: int) -> Window:
    """The window with its last `most` queries."""
    parts: dict[str, Any] = {name: getattr(window, name)[-most:] for name in BY_QUERY}
    return replace(window, **parts, speaks=None if window.speaks is None else window.speaks[-most:])


@dataclass(frozen=True)
class Setting:
    """One point of the sweep: micro-F1 with the same votes for every label."""

    k: int
    votes: float
    micro_f1: float


def sweep(window: Window, vote: VoteConfig) -> list[Setting]:
    """The best common m for each k that the configuration leaves open."""
    carries, weights = window.carries(), kernel(window.similarities, vote.weighting)
    settable = window.settable
    truth = window.truth[:, settable].ravel()
    settings = []
    for k in (vote.k,) if vote.k else KS:
        counted = tally(weights, carries, k)[:, settable].ravel()
        cut, f1 = (vote.m, f1_at(counted, truth, vote.m)) if vote.m else best_cut(counted, truth)
        settings.append(Setting(k, float(cut), f1))
    return settings


def f1_at(counted: Array, truth: Mask, cut: float) -> float:
    """F1 of predicting where `counted >= cut`."""
    predicted = counted >= cut
    return float(2 * (predicted & truth).sum() / max(1, predicted.sum() + truth.sum()))


def best_cut(counted: Array, truth: Mask) -> tuple[float, float]:
    """(cut, F1): predicting where `counted >= cut` gives the best F1; the cut lies between two values."""
    cuts = Cuts.of(counted, truth)
    allowed = cuts.distinct & (cuts.values > 0)
    if not allowed.any():
        return 1.0, 0.0
    f1 = cuts.f1(true=max(1, truth.sum()))
    best = int(np.where(allowed, f1, -1).argmax())
    return cuts.below(best), float(f1[best])


def label_cut(counted: Array, truth: Mask, common: float, f1: float, k: int) -> float:
    """The votes [q] at which one label's F1 is best, pulled towards the `common` cut and its `f1`."""
    cuts = Cuts.of(counted, truth)
    pulled = (2 * cuts.hits + 2 * SHRINK * f1) / (cuts.predicted + truth.sum() + 2 * SHRINK)
    allowed = (
        cuts.distinct
        & (cuts.values >= common / REACH)
        & (cuts.values <= min(common * REACH, HIGHEST_SHARE * k))
    )
    if not allowed.any():
        return common
    best = int(np.where(allowed, pulled, -1).argmax())
    at_common = int(np.searchsorted(-cuts.values, -common, side="right")) - 1
    if at_common >= 0 and pulled[at_common] >= pulled[best]:
        return common
    return cuts.below(best)


def least_votes(counted: Array, truth: Mask, common: float | None = None) -> float:
    """The votes that all but few of the issues with a label have, of those with any vote for it.

    `counted` and `truth` are [q] of one label, pulled towards the `common` votes, or [q, L] of all labels. The vote
    only says which labels come into question: whether one is set is for its probability to say.
    """
    found = counted[truth & (counted > 0)]
    pulled = found if common is None else np.append(found, np.full(SHRINK, common))
    return float(np.quantile(pulled, MISSED, method="lower")) if len(pulled) else 0.0


def calibrate_odds(odds: AnyFloats, truth: Mask) -> tuple[float, float]:
    """(slope, intercept) of the logistic from log-odds, or any raw scores, to probabilities."""
    if truth.all() or not truth.any():
        return 1.0, 0.0
    (slope,), intercept = logistic(odds.reshape(-1, 1), truth)
    # A falling curve, a sign of too little data, would rank labels with fewer votes first.
    return (slope, intercept) if slope > 0 else (1.0, 0.0)


def logistic(
    evidence: AnyFloats, truth: Mask, weights: Array | None = None
) -> tuple[tuple[float, ...], float]:
    """(slopes [d], intercept) of the logistic regression of `truth` [n] on `evidence` [n, d] (Platt, 1999)."""
    from sklearn.linear_model import LogisticRegression

    if weights is not None:
        weights = weights * len(truth) / weights.sum()
    fitted = LogisticRegression(C=1e6).fit(evidence, truth, sample_weight=weights)
    return tuple(map(float, fitted.coef_[0])), float(fitted.intercept_[0])


def tune(
    window: Window, vote: VoteConfig, examples: dict[str, int], total: int, zero_shot: ZeroShotRule
) -> Rules:
    """The rules for the labels of the window; `examples` of `total` indexed issues carry each known label.

    The k with the best micro-F1, then each label's own m, shrunk towards the common one: by its F1, or where there is a
    head the `least_votes`, since probabilities then tell more than votes do.
    """
    known = {name: (count, count / max(1, total)) for name, count in examples.items()}
    if len(window.truth) < MIN_QUERIES or not any(window.settable):
        return _untuned(vote, known, zero_shot)
    best = max(sweep(window, vote), key=lambda s: (round(s.micro_f1, 4), -s.k))
    counted = tally(kernel(window.similarities, vote.weighting), window.carries(), best.k)
    settable = window.settable
    headed = bool(np.isfinite(window.head).any())
    common = least_votes(counted[:, settable], window.truth[:, settable]) if headed else best.votes
    common = float(vote.m or common)
    own = [
        least_votes(counts, truth, common)
        if headed
        else label_cut(counts, truth, common, best.micro_f1, best.k)
        for counts, truth in zip(counted.T, window.truth.T, strict=True)
    ]
    whole = math.ceil if vote.weighting == "uniform" else float
    rules = {
        name: LabelRule(name, *known[name], votes=float(vote.m or whole(m)))
        for name, m in zip(window.names, own, strict=True)
    }
    # A label that reaches `min_examples` only with the rows held out here has no m of its own yet.
    others = (LabelRule(n, e, p, common) for n, (e, p) in known.items() if n not in rules)
    return Rules(
        k=best.k,
        weighting=vote.weighting,
        votes=common,
        min_examples=vote.min_examples,
        labels=tuple(sorted((*rules.values(), *others), key=lambda rule: rule.name)),
        zero_shot=zero_shot,
    )


def _untuned(vote: VoteConfig, known: dict[str, tuple[int, float]], zero_shot: ZeroShotRule) -> Rules:
    """Rules without tuning: the chapter's rule of thumb, a majority among a few neighbours."""
    k = vote.k or max(5, vote.m or 0)
    m = float(vote.m or (k + 1) // 2)
    return Rules(
        k=min(k, K_MAX),
        votes=m,
        weighting=vote.weighting,
        min_examples=vote.min_examples,
        labels=tuple(LabelRule(name, e, p, m) for name, (e, p) in sorted(known.items())),
        zero_shot=zero_shot,
    )


# An entailment model runs once for each pair of issue and label; at most this many are affordable.
PAIRS = 20_000
FEWEST, MOST = 50, 5_000


@dataclass(frozen=True)
class Trial:
    """Raw zero-shot scores in the tuning window: `raw` and `truth` [q, L], `elected` [q, V] by the vote.

    `rare` [L] are the labels with too few examples to vote on, `rarity` [L] are log-odds; `voted_truth` [q, V] goes
    with `elected`. All columns are labels that may be set; `types` [L] or [1] are issue types.
    """

    raw: Floats
    truth: Mask
    rare: Mask
    rarity: Array
    elected: Mask
    voted_truth: Mask
    groups: Sequence[str] = ("",)


def affordable(queries: int, labels: int, *, costly: bool) -> int:
    """How many of the newest queries are tried."""
    return min(queries, max(FEWEST, PAIRS // max(1, labels)) if costly else MOST)


def tune_zero_shot(rules: Rules, trial: Trial, settings: Settings) -> Rules:
    """`rules` with the thresholds that are best for the micro-F1 of the whole decision.

    Rare labels share one threshold, tuned where they occur MIN_POSITIVES times in the window; else the default stays.
    Labels with examples are scored only where the vote elected nothing, and only if that improves on no label.
    Thresholds that the configuration sets stay as they are.
    """
    rule = rules.zero_shot
    seen = trial.truth & trial.rare
    if seen.sum() >= MIN_POSITIVES:
        odds = _log_odds(rule, trial)[:, trial.rare]
        a, b = calibrate_odds(odds.ravel(), trial.truth[:, trial.rare].ravel())
        rule = replace(rule, slope=a * rule.slope, intercept=a * rule.intercept + b, shift=a * rule.shift)
    scores = _log_odds(rule, trial)
    hits = int((trial.elected & trial.voted_truth).sum())
    standing = (hits, int(trial.elected.sum()), int(trial.truth.sum()))
    rare, fallback = rule.rare, None

    def threshold(pairs: Mask) -> float | None:
        return best_threshold(scores[pairs], trial.truth[pairs], standing)

    anywhere = np.ones((len(scores), 1), dtype=bool)
    if settings.threshold is None and settings.top_k is None and seen.sum() >= MIN_POSITIVES:
        rare = threshold(anywhere & trial.rare)
    silent = ~trial.elected.any(axis=1, keepdims=True)
    if silent.any() and not trial.rare.all():
        fallback = threshold(silent & ~trial.rare)
    return replace(rules, zero_shot=replace(rule, rare=rare, fallback=fallback))


def _log_odds(rule: ZeroShotRule, trial: Trial) -> Array:
    return zero_shot_odds(rule, trial.raw, trial.rarity, trial.rare, trial.groups)


def best_threshold(odds: Array, truth: Mask, standing: tuple[int, int, int]) -> float | None:
    """The probability above which additions to the `standing` (hits, predicted, true) raise micro-F1 most.

    `odds` and `truth` have one shape. None where no threshold is better than adding nothing.
    """
    cuts = Cuts.of(odds, truth)
    had, predicted, true = standing
    f1 = cuts.f1(had, predicted, true)
    best = int(np.where(cuts.distinct, f1, -1).argmax())
    before = 2 * had / max(1, predicted + true)
    # Too few hits may be luck.
    if f1[best] <= before or cuts.hits[best] < MIN_POSITIVES // 2:
        return None
    return sigmoid(cuts.below(best, smallest=float(cuts.values[best]) - 1))
