"""The choice of k, of each label's votes and of the calibration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import f1_score

from triage.config import VoteConfig
from triage.decide.rules import K_MAX, ZeroShotRule
from triage.learn.tune import (
    KS,
    Window,
    best_cut,
    calibrate_odds,
    f1_at,
    label_cut,
    least_votes,
    sweep,
    tune,
)

UNTAUGHT = ZeroShotRule(2.0, 0.0, 0.4, None)
COUNTED = st.integers(1, 30).flatmap(
    lambda n: st.tuples(
        arrays.arrays(np.float64, n, elements=st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 3.0])),
        arrays.arrays(bool, n),
    )
)


def window(queries: int = 60, rows: int = 200, seed: int = 0, *, noise: float = 0.15) -> Window:
    """Queries whose neighbours mostly carry the query's one label of three, the less near the less."""
    rng = np.random.default_rng(seed)
    kind, asked = rng.integers(0, 3, rows), rng.integers(0, 3, queries)
    near = np.empty((queries, K_MAX), dtype=np.int64)
    for q, label in enumerate(asked):
        liking = (kind == label) + rng.normal(0, 1 + noise, rows)
        near[q] = np.argsort(-liking)[:K_MAX]
    similarities = np.sort(rng.uniform(0.2, 0.9, (queries, K_MAX)).astype(np.float32), axis=1)[:, ::-1]
    return Window(
        names=["a", "b", "c"],
        similarities=similarities,
        rows=near,
        targets=np.eye(3, dtype=bool)[kind],
        truth=np.eye(3, dtype=bool)[asked],
        settable=np.ones(3, dtype=bool),
        head=np.full((queries, 3), np.nan),
        mass=np.zeros(queries),
        priors=np.full((queries, 3), 1 / 3),
        recent=np.full((queries, 3), 1 / 3),
        propensity=np.ones(queries),
    )


EXAMPLES = {"a": 60, "b": 70, "c": 70}


def by_hand(w: Window, k: int, m: int) -> float:
    """Micro-F1 of electing every label that at least m of the k nearest neighbours carry."""
    predicted = np.array([[w.targets[near[:k], j].sum() >= m for j in range(3)] for near in w.rows])
    return float(f1_score(w.truth, predicted, average="micro", zero_division=0))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_sweep_finds_what_trying_everything_finds(seed: int) -> None:
    """For every k, the best m over all labels is that of brute force with scikit-learn's F1."""
    w = window(seed=seed)
    settings = sweep(w, VoteConfig(weighting="uniform"))
    assert [s.k for s in settings] == list(KS)
    for s in settings:
        assert s.micro_f1 == pytest.approx(max(by_hand(w, s.k, m) for m in range(1, s.k + 1)))
        assert s.micro_f1 == pytest.approx(by_hand(w, s.k, int(np.ceil(s.votes))))


def test_the_chosen_k_is_the_best_of_the_sweep() -> None:
    """Of all k the one with the best micro-F1 is chosen, of equal ones the smallest."""
    w = window()
    best = max(sweep(w, VoteConfig()), key=lambda s: (round(s.micro_f1, 4), -s.k))
    assert tune(w, VoteConfig(), EXAMPLES, 200, UNTAUGHT).k == best.k


def test_what_the_configuration_fixes_is_not_tuned() -> None:
    """A k and an m that are given stay as they are."""
    rules = tune(window(), VoteConfig(k=7, m=4, weighting="uniform", min_examples=3), EXAMPLES, 200, UNTAUGHT)
    assert (rules.k, rules.weighting, rules.min_examples) == (7, "uniform", 3)
    assert {rule.votes for rule in rules.labels} == {4.0}
    assert sweep(window(), VoteConfig(k=7, m=4, weighting="uniform"))[0].micro_f1 == pytest.approx(
        by_hand(window(), 7, 4)
    )


def test_only_labels_that_may_be_set_choose_k() -> None:
    """A label that only people set has no say in the sweep."""
    w = window()
    alone = replace(w, names=["a"], targets=w.targets[:, :1], truth=w.truth[:, :1], settable=w.settable[:1])
    assert sweep(replace(w, settable=np.array([True, False, False])), VoteConfig()) == sweep(
        alone, VoteConfig()
    )


@given(COUNTED)
def test_the_best_cut_is_the_best_of_all_cuts(pair: tuple[np.ndarray, np.ndarray]) -> None:
    """No other cut above zero gives a better F1, and the F1 told is the one that the cut gives."""
    counted, truth = pair
    cut, f1 = best_cut(counted, truth)
    assert cut > 0
    assert f1 == pytest.approx(f1_at(counted, truth, cut))
    assert f1 == pytest.approx(max(f1_at(counted, truth, c) for c in (0.25, 0.75, 1.25, 1.75, 2.5, 4)))


@given(COUNTED, st.floats(0.3, 3), st.floats(0, 1))
def test_a_labels_own_cut_stays_near_the_common_one(
    pair: tuple[np.ndarray, np.ndarray], common: float, f1: float
) -> None:
    """However few examples say otherwise, the votes a label needs lie within reach of the common ones."""
    cut = label_cut(*pair, common=common, f1=f1, k=5)
    assert common / 6 <= cut <= common * 3


def test_clear_evidence_moves_a_labels_cut() -> None:
    """A hundred issues that agree pull the cut to where they are; three do not."""
    counted, truth = np.array([4.0, 2.0, 1.0]), np.array([True, False, False])
    assert label_cut(np.repeat(counted, 100), np.repeat(truth, 100), 1.5, 0.5, 10) == 3.0
    assert label_cut(np.zeros(5), np.zeros(5, dtype=bool), 1.5, 0.5, 10) == 1.5


@given(COUNTED, st.floats(0.3, 3))
def test_next_to_no_issue_of_a_label_has_fewer_votes_than_the_label_needs(
    pair: tuple[np.ndarray, np.ndarray], common: float
) -> None:
    """Those without any vote aside, which no m could elect; a few issues of its own hardly move a label's m."""
    counted, truth = pair
    found = counted[truth & (counted > 0)]
    needed = least_votes(counted, truth)
    assert (found < needed).sum() <= 0.01 * len(found)
    assert needed == 0.0 or found.min() <= needed <= np.median(found)
    own = least_votes(counted, truth, common)
    assert min(common, *found) <= own <= common if len(found) else own == pytest.approx(common)


def test_many_issues_move_the_votes_that_a_label_needs() -> None:
    """A hundred that have fewer votes than others lower its m to theirs; those of other labels say nothing."""
    counted, truth = np.repeat([3.0, 1.0, 0.5], 100), np.repeat([True, True, False], 100)
    assert least_votes(counted, truth, 2.0) == 1.0
    assert least_votes(counted[:100], truth[:100], 2.0) == 2.0
    assert least_votes(np.zeros(5), np.ones(5, dtype=bool)) == 0.0


@pytest.mark.parametrize("weighting", ["uniform", "similarity"])
def test_with_a_head_votes_only_say_which_labels_come_into_question(weighting: str) -> None:
    """Where probabilities tell more than votes, a label needs fewer of them, in a vote that counts a whole number."""
    alone = window(noise=1.0)
    headed = replace(alone, head=np.full(alone.truth.shape, 0.3))
    rules, fewer = (
        tune(w, VoteConfig(weighting=weighting), EXAMPLES, 200, UNTAUGHT) for w in (alone, headed)
    )
    assert fewer.k == rules.k
    needed = [(rule.votes or 0, fewer.by_name[rule.name].votes or 0) for rule in rules.labels]
    assert all(0 < few <= many for many, few in needed)
    assert any(few < many for many, few in needed)
    assert weighting != "uniform" or all(few == int(few) for _, few in needed)
    fixed = tune(headed, VoteConfig(m=4), EXAMPLES, 200, UNTAUGHT)
    assert {fixed.votes, *(rule.votes for rule in fixed.labels)} == {4.0}


def test_too_little_to_tune_on_gives_a_majority() -> None:
    """With a few queries, or none that may be set, a majority among five neighbours elects."""
    few = tune(window(queries=10), VoteConfig(), EXAMPLES, 200, UNTAUGHT)
    denied = tune(replace(window(), settable=np.zeros(3, dtype=bool)), VoteConfig(), EXAMPLES, 200, UNTAUGHT)
    for rules in (few, denied):
        assert (rules.k, {rule.votes for rule in rules.labels}) == (5, {3.0})
    fixed = tune(window(queries=10), VoteConfig(m=7), EXAMPLES, 200, UNTAUGHT)
    assert (fixed.k, {rule.votes for rule in fixed.labels}) == (7, {7.0})


def test_calibration_recovers_the_curve() -> None:
    """Outcomes drawn by a logistic curve give its slope and intercept back; a falling or empty one, none."""
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 2, 50_000)
    truth = rng.random(50_000) < 1 / (1 + np.exp(-(0.7 * odds - 1)))
    assert calibrate_odds(odds, truth) == pytest.approx((0.7, -1), abs=0.05)
    assert calibrate_odds(-odds, truth) == (1.0, 0.0)
    assert calibrate_odds(odds, np.zeros(50_000, dtype=bool)) == (1.0, 0.0)
