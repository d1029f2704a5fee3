"""Sweeps agree with doing it the slow way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.metrics import macro_f1, micro_f1
from triage.study.analysis import paired
from triage.study.methods.neighbours import Near
from triage.study.run import choose
from triage.study.sweeps import neighbour_sweep, threshold_sweep, top_k_sweep

SEEDS = st.integers(0, 10_000)


def random_near(rng: np.random.Generator, queries: int, known: int, depth: int) -> Near:
    """Neighbours in falling similarity; the last of some queries are missing."""
    similarities = -np.sort(-rng.uniform(-0.2, 1, (queries, depth)).astype(np.float32), axis=1)
    rows = np.array([rng.permutation(known)[:depth] for _ in range(queries)])
    missing = np.arange(depth) >= rng.integers(1, depth + 1, queries)[:, None]
    similarities[missing], rows[missing] = -np.inf, -1
    return Near(similarities, rows)


@given(SEEDS)
def test_the_grid_is_that_of_counting_votes_one_setting_at_a_time(seed: int) -> None:
    """Every k, m and least similarity: micro- and macro-F1 as from the labels that m of k neighbours carry."""
    rng = np.random.default_rng(seed)
    targets, truth = rng.random((20, 4)) < 0.3, rng.random((9, 4)) < 0.3
    near, floors = random_near(rng, 9, 20, 6), (-1.0, 0.4)
    grid = neighbour_sweep(near, targets, truth, floors)
    for t, floor in enumerate(floors):
        for k in range(1, 7):
            votes = [
                sum(targets[row] for s, row in zip(ss[:k], rows[:k], strict=True) if row >= 0 and s >= floor)
                for ss, rows in zip(near.similarities, near.rows, strict=True)
            ]
            counted = np.array([vote + np.zeros(4, int) for vote in votes])
            for m in range(1, 7):
                here = grid.micro[k - 1, m - 1, t], grid.macro[k - 1, m - 1, t]
                if m > k:
                    assert np.isnan(here).all()
                else:
                    assert here == pytest.approx(
                        (micro_f1(truth, counted >= m), macro_f1(truth, counted >= m))
                    )


def test_the_best_of_equals_has_the_fewest_neighbours() -> None:
    """And then the fewest votes."""
    near = Near(np.array([[0.9, 0.8]], np.float32), np.array([[0, 1]]))
    grid = neighbour_sweep(near, np.array([[True], [True]]), np.array([[True]]))
    assert grid.best(grid.micro) == (1, 1, -1.0)


@given(SEEDS)
def test_threshold_and_top_k_sweeps_are_those_of_single_settings(seed: int) -> None:
    """Micro- and macro-F1 of the labels at a threshold, and of the best k labels."""
    rng = np.random.default_rng(seed)
    truth, scores = rng.random((15, 5)) < 0.3, rng.random((15, 5))
    line = threshold_sweep(truth, scores)
    assert (line.at[0], line.at[-1], len(line.at)) == (0.01, 1.0, 100)
    assert line.micro[29] == round(micro_f1(truth, scores >= 0.3), 4)
    top = top_k_sweep(truth, scores)
    best = np.zeros_like(truth)
    for row, issue in zip(best, scores, strict=True):
        row[np.argsort(-issue)[:2]] = True
    assert (top.micro_at(2), top.macro[1]) == (
        round(micro_f1(truth, best), 4),
        round(macro_f1(truth, best), 4),
    )
    assert top.micro_at(5) == round(micro_f1(truth, np.ones_like(truth)), 4)


@given(SEEDS)
def test_no_other_single_threshold_is_better_than_the_chosen_one(seed: int) -> None:
    """In micro-F1 on what it is chosen on; and no other threshold of a label for that label."""
    rng = np.random.default_rng(seed)
    truth, scores = rng.random((25, 3)) < 0.3, rng.random((25, 3)).round(2)
    thresholds, reached = choose(truth, scores)
    assert micro_f1(truth, thresholds.one(scores)) == pytest.approx(reached)
    for cut in np.unique(scores[scores > 0]):
        assert micro_f1(truth, scores >= cut) <= reached + 1e-12
        for j in np.flatnonzero(truth.any(axis=0)):
            own, other = thresholds.each(scores)[:, [j]], scores[:, [j]] >= cut
            assert micro_f1(truth[:, [j]], other) <= micro_f1(truth[:, [j]], own) + 1e-12


def test_the_bootstrap_is_sure_of_what_is_plain_and_not_of_chance() -> None:
    """A method that is right everywhere beats a coin surely; two coins do not beat each other."""
    rng = np.random.default_rng(0)
    truth = rng.random((200, 4)) < 0.3
    coin, other = rng.random((200, 4)) < 0.3, rng.random((200, 4)) < 0.3
    plain = paired(truth, truth, coin)
    assert plain.sure
    assert plain.low <= plain.gain <= plain.high
    close = paired(truth, coin, other)
    assert close.low < 0 < close.high
    assert paired(truth, coin, coin).gain == 0
