"""When zero-shot classification may set a label."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from triage.config import ZeroShotConfig as Settings
from triage.decide.rules import LabelRule, Rules, ZeroShotRule
from triage.learn.tune import FEWEST, MOST, Trial, affordable, best_threshold, tune_zero_shot

RULES = Rules(labels=(LabelRule("a", 50, 0.2, 2.0),), zero_shot=ZeroShotRule(1.0, 0.0, 0.4, None, shift=0.0))


def trial(*, rare: bool, skilled: bool, silent: bool) -> Trial:
    """One label over 100 issues, 30 of which carry it; raw scores that tell which, or nothing."""
    truth = (np.arange(100) < 30)[:, None]
    chance = np.random.default_rng(0).normal(size=(100, 1))
    raw = np.where(truth, 2.0, -2.0) + 0.1 * chance if skilled else np.where(truth, -2.0, 2.0) + 0.1 * chance
    elected = np.full((100, 1), not silent)
    return Trial(
        raw=raw.astype(np.float32),
        truth=truth,
        rare=np.array([rare]),
        rarity=np.zeros(1),
        elected=elected,
        voted_truth=elected & truth,
    )


def test_the_best_threshold_is_the_best_of_all() -> None:
    """Trying every threshold by hand finds none that gives a better micro-F1 of the whole."""
    rng = np.random.default_rng(1)
    truth = rng.random((80, 2)) < 0.4
    odds = truth + rng.normal(0, 1, (80, 2))
    had, predicted, true = 20, 30, 90

    def whole(cut: float) -> float:
        chosen = odds >= cut
        return float(2 * (had + (chosen & truth).sum()) / (predicted + chosen.sum() + true))

    found = best_threshold(odds, truth, (had, predicted, true))
    assert found is not None
    assert whole(math.log(found / (1 - found))) == pytest.approx(max(map(whole, odds.ravel())))


def test_no_threshold_where_silence_is_better() -> None:
    """Scores that are mostly wrong, or right only a few times, switch zero-shot off."""
    odds = np.linspace(3, -3, 60)[:, None]
    assert best_threshold(odds, np.arange(60)[:, None] >= 50, (50, 60, 70)) is None
    assert best_threshold(odds, np.arange(60)[:, None] < 4, (50, 60, 70)) is None


def test_the_fallback_is_on_only_where_it_helps() -> None:
    """Labels with examples are described where the vote is silent, if that raises micro-F1 and not otherwise."""
    skilled = trial(rare=False, skilled=True, silent=True)
    tuned = tune_zero_shot(RULES, skilled, Settings()).zero_shot
    assert tuned.rare == 0.4
    assert tuned.fallback == pytest.approx(0.5, abs=0.1)
    # Where the vote found every label, whatever the description adds is wrong.
    found = dataclasses.replace(skilled, elected=skilled.truth, voted_truth=skilled.truth)
    assert tune_zero_shot(RULES, found, Settings()).zero_shot.fallback is None
    never = tune_zero_shot(RULES, trial(rare=False, skilled=True, silent=False), Settings()).zero_shot
    assert never.fallback is None


def test_rare_labels_are_calibrated_and_get_a_threshold() -> None:
    """With enough rare labels in the window their scores are calibrated and the threshold parts right from wrong."""
    tuned = tune_zero_shot(RULES, trial(rare=True, skilled=True, silent=True), Settings()).zero_shot
    assert tuned.rare is not None
    assert 0.01 < tuned.rare < 0.99
    assert tuned.slope > 1
    assert tuned.fallback is None


@pytest.mark.parametrize("settings", [Settings(threshold=0.7), Settings(top_k=2)])
def test_a_fixed_threshold_stays(settings: Settings) -> None:
    """What the configuration says about rare labels is not tuned away."""
    tuned = tune_zero_shot(RULES, trial(rare=True, skilled=True, silent=True), settings).zero_shot
    assert tuned.rare == 0.4


def test_no_label_to_set_changes_nothing() -> None:
    """Where the policy lets no label be set there is nothing to tune."""
    none = np.zeros((5, 0), dtype=bool)
    empty = Trial(none.astype(np.float32), none, np.zeros(0, dtype=bool), np.zeros(0), none, none)
    assert tune_zero_shot(RULES, empty, Settings()) == RULES


def test_costly_models_are_tried_on_fewer_issues() -> None:
    """A model that judges every pair is asked less the more labels there are, and never less than a few times."""
    assert affordable(9_000, 10, costly=False) == MOST
    assert affordable(9_000, 10, costly=True) == 2_000
    assert affordable(9_000, 100_000, costly=True) == FEWEST
    assert affordable(30, 10, costly=True) == 30
