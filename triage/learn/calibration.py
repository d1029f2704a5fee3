"""One probability for each label on each issue, and what each precision target would have achieved.

A logistic regression on the votes, the head, and how often the label was set lately. Each label has an offset, which
is shrunk towards zero, so that a label with few examples behaves like all labels (Platt, 1999; Gelman et al., Bayesian
Data Analysis, 2013, on shrinkage). It is fitted on issues newer than those that their evidence comes from. The newest
weigh most, because labels drift. It is measured one step later: each block of issues is judged by the regression on
the blocks before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from triage.arrays import Array, Floats, Ints, Mask
from triage.decide import Evidence, Policy
from triage.decide.rules import (
    BEST_F1,
    EPSILON,
    FLOOR,
    NEVER,
    UNMEASURED,
    WITH_HEAD,
    Calibration,
    OperatingPoint,
    Rules,
    features,
    kernel,
    tally,
    vote_scores,
)
from triage.engine.head import Propensity, sigmoid
from triage.issue import Names, fold, folded
from triage.learn.dataset import Reviewed
from triage.learn.tune import Window, last
from triage.metrics import Cuts, coverage

# An issue counts half as much as one that is this many labelled issues newer; below LIGHTEST it does not count.
HALF_LIFE, LIGHTEST = 240.0, 0.01
# Older ones than these newest hardly count, and would take long.
NEWEST = 2_400
# Issues judged by one logistic, and the fewest blocks. Where there are as many issues, those of the first EARLY blocks,
# judged by what little was known before, are not measured.
BLOCK, BLOCKS, EARLY = 80, 6, 2
# How many labelled issues, older than all others, the calibration of other repositories counts as
# (`benchmarks/growing.py`).
TYPICAL_ISSUES = 120
# How many labels the probabilities themselves count as when a target is measured.
TYPICAL_LABELS = 10
# The newest issues, and how many more with the share of all.
RECENT, PULL = 200, 20
# The prior deviation of a label's offset, in log-odds.
SPREAD = 0.5
# Labelled and unlabelled issues to tell apart, and how strongly to believe what tells them apart.
ENOUGH, STRENGTHS = 10, (0.1, 1.0, 10.0)
TARGETS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
# The probability that the true precision reaches the target (Jeffreys prior).
CONFIDENCE = 0.75
# The newest issues that a label's own record counts, the fewest that make one, and how sure it must be that the record
# is below the target.
LATELY, RECORD, BROKEN = 60, 5, 0.95
# How many issues with a label make what people did count as much as the probabilities when its F1 is judged, and how
# often all labels are gone through.
SEEN_ENOUGH, ROUNDS = 160, 10
# The targets to choose from, the share of issues that must get a label, and the number of labels that must be measured
# before a target below UNMEASURED is chosen.
RECOMMENDABLE, WORTHWHILE, TRUSTED = (0.9, 0.8, 0.7, 0.6), 1 / 3, 20


@dataclass(frozen=True)
class Judged:
    """Issues to learn from, oldest first: `known` [q, L, f] of `triage.decide.rules.features` and `truth` [q, L].

    `eligible` [q, L] says which labels could have been set: with the votes, and allowed by the policy. `propensity` [q]
    is the probability that people label an issue like this at all.
    """

    known: Array
    truth: Mask
    eligible: Mask
    propensity: Array

    def __len__(self) -> int:
        return len(self.truth)

    def followed_by(self, other: Judged) -> Judged:
        """Both, in this order."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return Judged(*map(np.concatenate, pairs))

    def part(self, rows: slice) -> Judged:
        return Judged(self.known[rows], self.truth[rows], self.eligible[rows], self.propensity[rows])


@dataclass(frozen=True)
class Logistic:
    """The fitted curve; `offsets` [L] by label."""

    calibration: Calibration
    offsets: Array

    def probabilities(self, known: Array) -> Array:
        """[q, L] of `known` [q, L, f]."""
        c = self.calibration
        odds = known @ np.array([c.vote, c.head, c.recent, c.mass]) + c.intercept + self.offsets
        return sigmoid(odds)


def judged(rules: Rules, window: Window) -> Judged:
    """What the calibration learns from the newest queries of a window, under rules that were tuned on it."""
    window = last(window, NEWEST)
    carries = window.carries()
    by_similarity = tally(kernel(window.similarities, "similarity"), carries, rules.k)
    votes = tally(kernel(window.similarities, rules.weighting), carries, rules.k)
    own = (rules.by_name[name].votes for name in window.names)
    needed = np.array([np.inf if m is None else m for m in own])
    return Judged(
        known=features(
            votes=by_similarity,
            k=rules.k,
            priors=window.priors,
            recent=window.recent,
            head=window.head,
            mass=window.mass,
        ),
        truth=window.truth,
        eligible=(votes > 0) & (votes >= needed - EPSILON) & window.settable,
        propensity=window.propensity,
    )


def elected(rules: Rules, window: Window) -> Mask:
    """[q, L]: which labels the rules elect on the newest queries of the window that they were calibrated on."""
    past = judged(rules, window)
    offsets, enough = np.array([(rules.by_name[n].offset, rules.by_name[n].enough) for n in window.names]).T
    likely = Logistic(rules.calibration, offsets).probabilities(past.known) * past.propensity[:, None]
    return np.asarray(past.eligible & (likely >= enough))


def _seen(
    rules: Rules, names: Sequence[str], reviewed: Sequence[tuple[Evidence, Reviewed]]
) -> tuple[Judged, Array]:
    """The issues that the bot labelled, and their probabilities; only the labels that it set count."""
    shape = len(reviewed), len(names)
    truth, eligible = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    probabilities = np.zeros(shape)
    for i, (evidence, one) in enumerate(reviewed):
        kept, removed = folded(one.kept), folded(one.removed)
        scores = Names(vote_scores(rules, evidence))
        for j, name in enumerate(names):
            truth[i, j], eligible[i, j] = fold(name) in kept, fold(name) in kept | removed
            probabilities[i, j] = scores.get(name, 0.0)
    return Judged(np.zeros((*shape, 4)), truth, eligible, np.ones(len(reviewed))), probabilities


def recent_shares(targets: Mask) -> Array:
    """[L]: each label's share of the newest RECENT issues of `targets` [n, L], pulled towards its share of all."""
    newest = targets[-RECENT:]
    shares: Array = (newest.sum(axis=0) + PULL * targets.mean(axis=0)) / (len(newest) + PULL)
    return shares


def fit(past: Judged, *, by_age: bool, typical: Calibration) -> Logistic:
    """The logistic of these issues; `by_age`: the newest weigh most.

    Few issues say little, so what the `typical` calibration makes of the same issues counts as TYPICAL_ISSUES more,
    which are older than all of these.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    n, labels, columns = past.known.shape
    plain = Logistic(typical, np.zeros(labels))
    weights = 0.5 ** (np.arange(n, -1, -1) / HALF_LIFE) if by_age else np.ones(n + 1)
    oldest, weights = weights[0], weights[1:]
    used = weights >= LIGHTEST
    if not used.any() or not labels:
        return plain
    known, truth, weights = past.known[used], past.truth[used], weights[used, None]
    centre, spread = known.mean(axis=(0, 1)), known.std(axis=(0, 1))
    # A column that never varies, such as the head's where there is no head, says nothing.
    scale = np.where(spread > 1e-6, spread, np.inf)
    scaled = (known - centre) / scale
    share = oldest * TYPICAL_ISSUES / len(known)
    wanted = weights * truth + share * plain.probabilities(known)

    def loss(parameters: Array) -> tuple[float, Array]:
        slopes, intercept, offsets = np.split(parameters, [columns, columns + 1])
        odds = scaled @ slopes + intercept + SPREAD * offsets
        missed = (weights + share) * np.logaddexp(0, odds) - wanted * odds
        error = (weights + share) * expit(odds) - wanted
        by_label = error.sum(axis=0)
        gradient = (np.tensordot(error, scaled, 2) + slopes, [error.sum()], SPREAD * by_label + offsets)
        value = float(missed.sum() + (slopes @ slopes + offsets @ offsets) / 2)
        return value, np.concatenate(gradient)

    found = minimize(loss, np.zeros(columns + 1 + labels), jac=True, method="L-BFGS-B").x
    slopes, offsets = found[:columns] / scale, SPREAD * found[columns + 1 :]
    # A falling curve, a sign of too little data, would rank labels with fewer votes first.
    if slopes[0] < 0 and slopes[1] <= 0:
        return plain
    vote, head, recent, mass = map(float, slopes)
    return Logistic(Calibration(vote, head, recent, mass, float(found[columns] - slopes @ centre)), offsets)


def walk(past: Judged, *, by_age: bool, typical: Calibration) -> Array:
    """[q, L]: the probabilities of each block of issues by the blocks before it; of the first, typical ones."""
    size = min(BLOCK, max(1, len(past) // BLOCKS))
    parts = [
        fit(past.part(slice(start)), by_age=by_age, typical=typical).probabilities(
            past.known[start : start + size]
        )
        for start in range(0, len(past), size)
    ]
    return np.concatenate([np.zeros((0, past.truth.shape[1])), *parts]) * past.propensity[:, None]


@dataclass(frozen=True)
class _Ranking:
    """All ways to set a label on the issues where it is likeliest, the first on none, the last on all; all are [c].

    `values` are the lowest probabilities that it is set at, `hits` what those issues are worth, `predicted` how many.
    """

    values: Array
    hits: Array
    predicted: Ints

    @classmethod
    def of(cls, probabilities: Array, worth: Array) -> _Ranking:
        order = np.argsort(-probabilities, kind="stable")
        ranked, gained = probabilities[order], worth[order].cumsum()
        # Issues with the same probability all get the label, or none of them does.
        ends = np.flatnonzero(np.diff(ranked, append=-1.0))
        return cls(np.append(1.0, ranked[ends]), np.append(0.0, gained[ends]), np.append(0, ends + 1))


def best_f1(past: Judged, probabilities: Array) -> Array:
    """[L]: the probability that each label needs for the best sum of micro- and macro-F1, and FLOOR at least.

    It is 0.5 for a label that no issue shows with FLOOR. Each label in turn takes its best cut while the others stay,
    until none changes. The best cut of a label with few issues is luck, so there the probabilities count in place of
    what people did: by them a label's F1 is best where the probability is half of it (Lipton et al., Optimal
    Thresholding of Classifiers to Maximize F1, 2014).
    """
    seen = past.truth.sum(axis=0)
    trust = seen / (seen + SEEN_ENOUGH)
    counts = past.eligible.any(axis=0)
    worth = np.where(counts, trust * past.truth + (1 - trust) * probabilities, 0.0)
    there = worth.sum(axis=0)
    candidates = (past.eligible & (probabilities >= FLOOR)).T
    rankings = [_Ranking.of(probabilities[rows, j], worth[rows, j]) for j, rows in enumerate(candidates)]
    chosen = np.array([len(ranking.values) - 1 for ranking in rankings], dtype=np.int64)
    hits = np.array([ranking.hits[-1] for ranking in rankings])
    taken = np.array([ranking.predicted[-1] for ranking in rankings])
    for _ in range(ROUNDS):
        before = chosen.copy()
        for j, ranking in enumerate(rankings):
            right = hits.sum() - hits[j] + ranking.hits
            total = taken.sum() - taken[j] + ranking.predicted + there.sum()
            own = ranking.hits / np.maximum(ranking.predicted + there[j], EPSILON)
            gain = right / np.maximum(total, EPSILON) + own / max(1, np.count_nonzero(counts))
            chosen[j] = gain.argmax()
            hits[j], taken[j] = ranking.hits[chosen[j]], ranking.predicted[chosen[j]]
        if np.array_equal(chosen, before):
            break
    halfway = [np.append(r.values, 0.0)[i : i + 2].mean() for r, i in zip(rankings, chosen, strict=True)]
    return np.maximum(np.array(halfway, dtype=np.float64), FLOOR).round(6)


def operating_points(
    past: Judged, probabilities: Array, walked: int | None = None
) -> tuple[OperatingPoint, ...]:
    """What each of TARGETS would have achieved on these issues; see `OperatingPoint`.

    The share of issues that get a label is that of the first `walked` (None: all): those that the bot labelled follow.
    """
    eligible = past.eligible
    cuts = Cuts.of(probabilities[eligible], past.truth[eligible])
    return tuple(_point(target, past, probabilities, cuts, walked) for target in TARGETS)


def _point(
    target: float, past: Judged, probabilities: Array, cuts: Cuts, walked: int | None
) -> OperatingPoint:
    at_target = int((cuts.values >= target).sum())
    low = credibly(cuts.hits[:at_target], cuts.predicted[:at_target], cuts.values[:at_target].cumsum())
    if not at_target or low[-1] >= target:
        threshold = target
    else:
        above = np.flatnonzero(cuts.distinct[:at_target] & (low >= target))
        if not len(above):
            return OperatingPoint(target, None)
        threshold = cuts.below(int(above[-1]))
    predicted = past.eligible & (probabilities >= threshold)
    labels, right = int(predicted.sum()), int((predicted & past.truth).sum())
    promised = probabilities[predicted].sum()
    return OperatingPoint(
        target=target,
        threshold=round(threshold, 6),
        coverage=round(coverage(predicted[:walked]), 4),
        labels=labels,
        right=right,
        low=round(float(credibly(*map(np.array, ([right], [labels], [promised])))[0]), 4) if labels else 0.0,
    )


def credibly(hits: Ints, of: Ints, promised: Array) -> Array:
    """The lower bound of a share, with CONFIDENCE, if what was `promised` of these counts as TYPICAL_LABELS more."""
    from scipy.stats import beta

    expected = TYPICAL_LABELS * promised / of
    lowest: Array = beta.ppf(1 - CONFIDENCE, hits + expected, of - hits + TYPICAL_LABELS - expected)
    return lowest


def surely(hits: Ints, of: Ints, chance: float) -> Array:
    """The lower bound of a share with that probability, Jeffreys prior."""
    from scipy.stats import beta

    lowest: Array = beta.ppf(1 - chance, hits + 0.5, of - hits + 0.5)
    return lowest


def least_after(truth: Mask, probabilities: Array, rules: Rules, target: float | None) -> float:
    """The probability that a label needs because its own record is below its target; 0 if that is not certain.

    NEVER if no probability helps. The record covers the newest LATELY issues on which the label would have been set,
    `truth` and `probabilities` [q], oldest first.
    """
    aim, needed = rules.aim(target), rules.threshold(target)
    if aim <= BEST_F1:
        return 0.0
    lately = np.flatnonzero(probabilities >= needed)[-LATELY:]
    right, of = int(truth[lately].sum()), np.array([len(lately)])
    if len(lately) < RECORD or surely(np.array([right]), of, 1 - BROKEN)[0] >= aim:
        return 0.0
    cuts = Cuts.of(probabilities[lately], truth[lately])
    regained = np.flatnonzero(cuts.distinct & (surely(cuts.hits, cuts.predicted, 0.5) >= aim))
    return round(cuts.below(int(regained[-1])), 6) if len(regained) else NEVER


def worthwhile(points: Sequence[OperatingPoint]) -> OperatingPoint | None:
    """The highest of RECOMMENDABLE at which WORTHWHILE of the issues get a label, else the lowest that is reached."""
    reached = [point for point in points if point.labels and point.target in RECOMMENDABLE]
    enough = [point for point in reached if point.coverage >= WORTHWHILE]
    return enough[-1] if enough else next(iter(reached), None)


def recommended(points: Sequence[OperatingPoint]) -> float | None:
    """The target for this repository; None if none is reached, or if too few labels support one below UNMEASURED.

    Labels are right more often than the least likely of them. So it is the lowest target, UNMEASURED or more, at which
    they were as often right, with confidence, as the `worthwhile` one asks.
    """
    best = worthwhile(points)
    if best is None or (best.target < UNMEASURED and best.labels < TRUSTED):
        return None
    as_good = [point.target for point in points if point.target >= UNMEASURED and point.low >= best.target]
    return min([best.target, *as_good])


def calibrated(
    rules: Rules,
    names: Sequence[str],
    past: Judged,
    policy: Policy,
    *,
    by_age: bool,
    reviewed: Sequence[tuple[Evidence, Reviewed]] = (),
) -> Rules:
    """The rules with calibration, thresholds and operating points of these issues; `names` are their L labels.

    The labels that the bot set are not learnt from. But which of them people kept and removed counts for the operating
    points, so that a promise that was not kept is made more carefully.
    """
    typical = WITH_HEAD if rules.scored else Calibration()
    logistic = fit(past, by_age=by_age, typical=typical)
    early = EARLY * BLOCK if len(past) >= BLOCKS * BLOCK else 0
    newer, probabilities = past.part(slice(early, None)), walk(past, by_age=by_age, typical=typical)[early:]
    walked = len(newer)
    # Without a head, one curve from votes to probabilities for all labels tells less of a rare one than its own m does.
    enough = best_f1(newer, probabilities) if rules.scored else np.zeros(len(names))
    newer = replace(newer, eligible=newer.eligible & (probabilities >= enough))
    if reviewed:
        offsets = dict(zip(names, logistic.offsets.tolist(), strict=True))
        labels = tuple(replace(rule, offset=offsets.get(rule.name, 0.0)) for rule in rules.labels)
        interim = replace(rules, calibration=logistic.calibration, labels=labels)
        seen, likely = _seen(interim, names, reviewed)
        newer, probabilities = newer.followed_by(seen), np.concatenate([probabilities, likely])
    points = operating_points(newer, probabilities, walked)
    rules = replace(rules, calibration=logistic.calibration, points=points, recommended=recommended(points))
    targets = [policy.target_of(name) for name in names]
    broken = [
        least_after(
            newer.truth[:, j], np.where(newer.eligible[:, j], probabilities[:, j], 0.0), rules, target
        )
        for j, target in enumerate(targets)
    ]
    needed = np.maximum([rules.threshold(target) for target in targets], broken)
    predicted = newer.eligible & (probabilities >= needed)
    count, right = predicted.sum(axis=0), (predicted & newer.truth).sum(axis=0)
    own: dict[str, dict[str, Any]] = {
        name: {
            "offset": float(logistic.offsets[j]),
            "precision": round(float(right[j] / count[j]), 4) if count[j] else None,
            "predicted": int(count[j]),
            "least": broken[j],
            "enough": float(enough[j]),
        }
        for j, name in enumerate(names)
    }
    labels = tuple(replace(rule, **own.get(rule.name, {})) for rule in rules.labels)
    return replace(rules, labels=labels)


def propensity(labelled: Floats, unlabelled: Floats) -> tuple[Propensity | None, Array]:
    """(what tells issues that people label from those that they leave, both [n, d]; what it gives those labelled).

    None where people leave next to none. The second is by cross-validation, so that no issue speaks for itself.
    How strongly it is believed is chosen by cross-validation: where people label without regard to the text, it
    says next to nothing. Too few labelled issues say nothing of others: what people label is as rare as it looks.
    """
    if len(unlabelled) < ENOUGH:
        return None, np.ones(len(labelled))
    if len(labelled) < ENOUGH:
        share = len(labelled) / (len(labelled) + len(unlabelled))
        parameters = np.zeros(unlabelled.shape[1] + 2, np.float32)
        parameters[-2:] = np.log((share + 1e-6) / (1 - share)), 1.0
        return Propensity(parameters), np.full(len(labelled), share)
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    vectors = np.vstack([labelled, unlabelled]).astype(np.float64)
    is_labelled = np.arange(len(vectors)) < len(labelled)
    centre = vectors.mean(axis=0)
    scale = max(float(np.sqrt(((vectors - centre) ** 2).sum(axis=1).mean())), 1e-9)
    spread = (vectors - centre) / scale
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    tried = {}
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=500)
        tried[strength] = cross_val_predict(model, spread, is_labelled, cv=folds, method="predict_proba")[
            :, 1
        ]
    strength = min(STRENGTHS, key=lambda c: _log_loss(tried[c], is_labelled))
    model = LogisticRegression(C=strength, max_iter=500).fit(spread, is_labelled)
    weights = model.coef_[0] / scale
    intercept = float(model.intercept_[0] - weights @ centre)
    own = tried[strength][is_labelled]
    mean = float(own.mean())
    parameters = np.append(weights, [intercept, mean]).astype(np.float32)
    return Propensity(parameters), np.minimum(1.0, own / mean)


def _log_loss(probabilities: Array, truth: Mask) -> float:
    p = np.clip(probabilities, 1e-9, 1 - 1e-9)
    return float(-np.log(np.where(truth, p, 1 - p)).mean())
