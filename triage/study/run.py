"""One run: fitted on a task, thresholds and setting chosen on validation, judged on test.

How scores become labels, the same way for every method: the thresholds of best F1 on the validation part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triage.arrays import Array, Mask
from triage.learn.tune import best_cut
from triage.metrics import macro_f1, micro_f1, summary
from triage.study.protocol import DecidingMethod, Fitted, GradedMethod, LabellingTask, Method, Texts
from triage.study.resources import metered
from triage.study.results import Answers, StudyRun


@dataclass(frozen=True)
class LabelledTexts:
    """Issues that a method is asked about, and what they carry, [q, L]; only this module sees both."""

    texts: Texts
    truth: Mask


def measure(
    method: Method, task: LabellingTask, validation: LabelledTexts, test: LabelledTexts
) -> tuple[StudyRun, Answers]:
    """The run of a method on a task; raises what its `fit` raises."""
    with metered() as learning:
        fitted = method.fit(task)
    with metered() as asking:
        setting, on_validation, on_test = _scores(fitted, validation, test.texts)
    own = fitted.decided(test.texts) if isinstance(fitted, DecidingMethod) else None
    thresholds, reached = choose(validation.truth, on_validation)
    known = [cost.memory for cost in (learning, asking) if cost.memory is not None]
    run = StudyRun(
        method=method.name,
        size=len(task.labelled),
        seed=task.seed,
        setting=setting,
        validation=round(reached, 4),
        common=thresholds.common,
        per_label=tuple(map(float, thresholds.per_label)),
        one=summary(test.truth, thresholds.one(on_test), on_test),
        each=summary(test.truth, thresholds.each(on_test), on_test),
        own={} if own is None else summary(test.truth, own, on_test),
        fit_seconds=round(learning.seconds, 4),
        score_seconds=round(asking.seconds, 4),
        fit_cpu=round(learning.cpu, 4),
        score_cpu=round(asking.cpu, 4),
        queries=len(validation.texts) + len(test.texts),
        memory=round(max(known), 1) if known else None,
        remarks=getattr(method, "remarks", ""),
    )
    return run, Answers(on_validation, on_test, own)


def _scores(fitted: Fitted, validation: LabelledTexts, test: Texts) -> tuple[str, Array, Array]:
    """(setting, scores on validation, scores on test); a setting is chosen by validation micro-F1."""
    if not isinstance(fitted, GradedMethod):
        return "", _checked_scores(fitted.scores(validation.texts)), _checked_scores(fitted.scores(test))
    choices = {
        setting: _checked_scores(scores) for setting, scores in fitted.choices(validation.texts).items()
    }
    best = max(choices, key=lambda setting: round(choose(validation.truth, choices[setting])[1], 4))
    return best, choices[best], _checked_scores(fitted.choices(test)[best])


def _checked_scores(scores: Array) -> Array:
    """Rounded, so that what is kept and what is fresh compare alike; not a number counts as least likely."""
    return np.asarray(np.round(np.nan_to_num(scores, nan=0.0), 7), dtype=np.float64)


@dataclass(frozen=True)
class Thresholds:
    """One for all labels, and one for each, [L]; a label is set where its score reaches it."""

    common: float
    per_label: Array

    def one(self, scores: Array) -> Mask:
        """Labels by the common threshold."""
        found: Mask = scores >= self.common
        return found

    def each(self, scores: Array) -> Mask:
        """Labels by their own thresholds."""
        found: Mask = scores >= self.per_label
        return found


def choose(truth: Mask, scores: Array) -> tuple[Thresholds, float]:
    """The thresholds, and the micro-F1 that the common one reaches; a label that never occurs gets the common one."""
    common, f1 = best_cut(scores.ravel(), truth.ravel())
    own = [
        best_cut(scores[:, j], truth[:, j])[0] if truth[:, j].any() else common for j in range(truth.shape[1])
    ]
    return Thresholds(float(common), np.array(own)), float(f1)


def both(truth: Mask, predicted: Mask) -> tuple[float, float]:
    """(micro-F1, macro-F1)."""
    return micro_f1(truth, predicted), macro_f1(truth, predicted)
