"""One run: fitted on a task, thresholds and setting chosen on validation, judged on test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triage.evaluate.cost import metered
from triage.evaluate.method import Array, Deciding, Fitted, Graded, Mask, Method, Task, Texts
from triage.evaluate.metrics import summary
from triage.evaluate.results import Answers, Run
from triage.evaluate.thresholds import choose


@dataclass(frozen=True)
class Asked:
    """Issues that a method is asked about, and what they carry, [q, L]; only this module sees both."""

    texts: Texts
    truth: Mask


def measure(method: Method, task: Task, validation: Asked, test: Asked) -> tuple[Run, Answers]:
    """The run of a method on a task; raises what its `fit` raises."""
    with metered() as learning:
        fitted = method.fit(task)
    with metered() as asking:
        setting, on_validation, on_test = _scores(fitted, validation, test.texts)
    own = fitted.decided(test.texts) if isinstance(fitted, Deciding) else None
    thresholds, reached = choose(validation.truth, on_validation)
    known = [cost.memory for cost in (learning, asking) if cost.memory is not None]
    run = Run(
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


def _scores(fitted: Fitted, validation: Asked, test: Texts) -> tuple[str, Array, Array]:
    """(setting, scores on validation, scores on test); a setting is chosen by validation micro-F1."""
    if not isinstance(fitted, Graded):
        return "", _sane(fitted.scores(validation.texts)), _sane(fitted.scores(test))
    choices = {setting: _sane(scores) for setting, scores in fitted.choices(validation.texts).items()}
    best = max(choices, key=lambda setting: round(choose(validation.truth, choices[setting])[1], 4))
    return best, choices[best], _sane(fitted.choices(test)[best])


def _sane(scores: Array) -> Array:
    """Rounded, so that what is kept and what is fresh compare alike; not a number counts as least likely."""
    return np.asarray(np.round(np.nan_to_num(scores, nan=0.0), 7), dtype=np.float64)
