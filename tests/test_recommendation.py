"""The recommendation says what was measured, and how sure that is."""

from __future__ import annotations

import numpy as np
import pytest

from triage.arrays import Mask
from triage.study.analysis import Curve, PairedDifference, Point, Recommendation, Rival, advise
from triage.study.report import certainty, difference
from triage.study.run import StudyRun

TITLES = {"a": "method A", "b": "method B", "z": "zero-shot"}


def run(method: str, validation: float, size: int = 100) -> StudyRun:
    """A run of which only these matter."""
    return StudyRun(method, size, 0, "", validation, 0.5, (), {}, {}, {}, 1.0, 0.1, 1.0, 0.1, 10)


def curve(method: str, *means: float, learns: bool = True) -> Curve:
    """A curve over 8, 16, … labelled issues."""
    points = tuple(Point(8 << i, mean, mean, mean, 1) for i, mean in enumerate(means))
    return Curve(method, learns, points, points)


def labels(seed: int, right: float, truth: Mask) -> Mask:
    """Predictions of which that share is right."""
    wrong = np.random.default_rng(seed).random(truth.shape) > right
    found: Mask = truth ^ wrong
    return found


@pytest.fixture
def truth() -> Mask:
    found: Mask = np.random.default_rng(0).random((300, 4)) < 0.4
    return found


def test_the_best_on_validation_is_recommended_and_compared_on_test(truth: Mask) -> None:
    """Whatever test says: that is only looked at to tell how sure the choice is."""
    predicted = {"a": labels(1, 0.9, truth), "b": labels(2, 0.7, truth)}
    found = advise(
        [run("b", 0.6), run("a", 0.8)], predicted, truth, [curve("a", 0.5, 0.8), curve("b", 0.4, 0.6)]
    )
    assert (found.best.method, [rival.run.method for rival in found.rivals]) == ("a", ["b"])
    assert found.rivals[0].difference.sure
    assert list(certainty(found.rivals, TITLES)) == [
        f"It is significantly better than every other method measured: {difference(found.rivals[0], TITLES)}."
    ]


def test_a_rival_that_test_puts_ahead_is_named() -> None:
    """The reader must not take the weaker one for the better one."""
    rivals = (
        Rival(run("b", 0.5), PairedDifference(-0.04, -0.06, -0.02)),
        Rival(run("z", 0.4), PairedDifference(0.01, -0.02, 0.04)),
    )
    assert list(certainty(rivals, TITLES)) == [
        "Caution: it was chosen on validation, but on test it is significantly worse: -0.040 micro-F1 against method B "
        "(95% interval -0.060 to -0.020).",
        "It is not significantly better than some others: +0.010 micro-F1 against zero-shot "
        "(95% interval -0.020 to +0.040).",
    ]


def test_how_many_labels_are_enough(truth: Mask) -> None:
    """The first size within two points of everything, the last gain, and until when zero-shot leads."""
    predicted = {name: labels(1, 0.8, truth) for name in ("a", "z")}
    curves = [curve("a", 0.3, 0.5, 0.69, 0.7), curve("z", 0.45, learns=False)]
    found: Recommendation = advise([run("a", 0.7, 64), run("z", 0.4, 64)], predicted, truth, curves)
    assert (found.enough, found.growth, found.cold, found.until) == (32, 0.01, "z", 16)
