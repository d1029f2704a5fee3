"""What a retraining tells maintainers besides its figures: reliability, and which issues to label next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.learning import Material
from triage.config import Config
from triage.decide import Decision, Evidence
from triage.decide.case import Attribution
from triage.figures import save_calibration
from triage.issue import Issue
from triage.learn.retrain import RetrainAdvice, advise, unsure
from triage.metrics import Bin, reliability


def decision(number: int, **scores: float) -> Decision:
    """Of an issue with these scores, and nothing else."""
    return Decision(("o/r", number), (), {}, {}, scores, {}, Evidence(("o/r", number)), 5, "")


def test_the_issues_with_the_most_open_questions_come_first() -> None:
    """Two labels in doubt tell more than one; what is certain is not asked; other labels do not count."""
    decisions = [
        decision(1, bug=0.5, docs=0.01, stale=0.5),
        decision(2, bug=0.5, docs=0.5),
        decision(3, bug=1.0, docs=0.0),
        decision(4, bug=0.9, docs=0.9),
    ]
    assert unsure(decisions, ["bug", "docs"]) == (("o/r", 2), ("o/r", 1), ("o/r", 4))
    assert unsure(decisions, ["bug", "docs"], most=1) == (("o/r", 2),)


def test_scores_are_binned_by_what_they_promise() -> None:
    """A bin without a pair is left out; a score of 1 belongs to the last."""
    truth = np.array([[True, False], [True, True], [False, False]])
    scores = np.array([[0.95, 0.15], [1.0, 0.05], [0.91, 0.15]])
    found = reliability(truth, scores)
    assert [(round(b.promised, 6), round(b.reached, 6), b.pairs) for b in found] == [
        (0.05, 1.0, 1),
        (0.15, 0.0, 2),
        (0.953333, 0.666667, 3),
    ]
    assert reliability(truth[:0], scores[:0]) == []


def test_reliability_is_drawn(tmp_path: Path) -> None:
    """As a picture of some hundred pixels."""
    from matplotlib.image import imread

    save_calibration([Bin(0.1, 0.2, 5), Bin(0.8, 0.75, 9)], tmp_path / "plot.png")
    height, width, _ = imread(tmp_path / "plot.png").shape
    assert (height, width) == (675, 675)


def test_advice_comes_from_the_newest_issues(material: Material, new_issues: list[Issue]) -> None:
    """Drift over the newest window and the unlabelled ones; without an active bundle nothing happened yet."""
    study = material.study(Config(), unlabelled=new_issues)
    advice = advise(study, [*material.data.issues, *new_issues], Attribution(), None)
    assert advice.live == {}
    assert advice.drift is not None
    assert (advice.drift.issues, advice.drift.floor) == (
        len(study.split.test.query) + 12,
        study.rules.closest,
    )
    assert len(advice.unsure) == 8
    assert {number for _, number in advice.unsure} <= {issue.number for issue in new_issues}


def test_too_few_issues_give_no_advice(material: Material, new_issues: list[Issue]) -> None:
    """Nothing was tuned, so that no score means anything."""
    data = replace(material.data, issues=material.data.issues[:12], targets=material.data.targets[:12])
    study = replace(material, data=data, vectors=material.vectors[:12]).study(Config(), unlabelled=new_issues)
    assert advise(study, new_issues, Attribution(), None) == RetrainAdvice()
