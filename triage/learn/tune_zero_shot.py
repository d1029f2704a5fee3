"""When zero-shot classification may set a label: its thresholds and calibration, from the tuning window."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from triage.config import ZeroShot as Settings
from triage.decide.rules import Rules, ZeroShotRule, sigmoid
from triage.decide.vote import Array, Mask
from triage.learn.tune import MIN_POSITIVES, calibrate_odds, precise_cut

# An entailment model judges every pair of issue and label by itself; so many are affordable.
PAIRS = 20_000
FEWEST, MOST = 50, 5_000


@dataclass(frozen=True)
class Trial:
    """Raw zero-shot scores in the tuning window: `raw` and `truth` [q, L], `elected` [q, V] by the vote.

    `rare` [L] tells the labels without enough examples from the others, `rarity` [L] is theirs in log-odds;
    `voted_truth` [q, V] goes with `elected`. Columns of either are labels that may be set.
    """

    raw: npt.NDArray[np.float32]
    truth: Mask
    rare: Mask
    rarity: Array
    elected: Mask
    voted_truth: Mask


def affordable(queries: int, labels: int, *, costly: bool) -> int:
    """How many of the newest queries are tried."""
    return min(queries, max(FEWEST, PAIRS // max(1, labels)) if costly else MOST)


def tune_zero_shot(rules: Rules, trial: Trial, settings: Settings, target: float | None = None) -> Rules:
    """`rules` with the thresholds that are best for the micro-F1 of the whole decision.

    Rare labels: one threshold for them all, where they occur MIN_POSITIVES times in the window; else the default
    stays. Labels with examples: asked only where the vote elected nothing, and only if that is better than
    silence. With a precision `target`: the smallest thresholds that reach it, and none where none does. What the
    configuration fixes stays as it is.
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
        if target is not None:
            return precise_cut(_sigmoid(scores[pairs]), trial.truth[pairs], target)
        return best_threshold(scores[pairs], trial.truth[pairs], standing)

    anywhere = np.ones((len(scores), 1), dtype=bool)
    told = seen.sum() >= MIN_POSITIVES or target is not None
    if settings.threshold is None and settings.top_k is None and told:
        rare = threshold(anywhere & trial.rare)
    silent = ~trial.elected.any(axis=1, keepdims=True)
    if silent.any() and not trial.rare.all():
        fallback = threshold(silent & ~trial.rare)
    return replace(rules, zero_shot=replace(rule, rare=rare, fallback=fallback))


def _log_odds(rule: ZeroShotRule, trial: Trial) -> Array:
    odds: Array = rule.slope * trial.raw + rule.intercept + rule.shift * trial.rarity
    return odds


def _sigmoid(odds: Array) -> Array:
    return np.array([sigmoid(x) for x in odds.tolist()])


def best_threshold(odds: Array, truth: Mask, standing: tuple[int, int, int]) -> float | None:
    """The probability above which additions to the `standing` (hits, predicted, true) raise micro-F1 most.

    `odds` and `truth` have one shape. None where no threshold is better than adding nothing.
    """
    order = np.argsort(-odds.ravel(), kind="stable")
    values, hits = odds.ravel()[order], np.cumsum(truth.ravel()[order])
    had, predicted, true = standing
    f1 = 2 * (had + hits) / np.maximum(1, predicted + np.arange(1, len(hits) + 1) + true)
    last_of_value = np.append(values[:-1] > values[1:], True)
    best = int(np.where(last_of_value, f1, -1).argmax())
    before = 2 * had / max(1, predicted + true)
    # Too few right answers are luck, not skill.
    if f1[best] <= before or hits[best] < MIN_POSITIVES // 2:
        return None
    smaller = values[best + 1] if best + 1 < len(values) else values[best] - 1
    return sigmoid(float(values[best] + smaller) / 2)
