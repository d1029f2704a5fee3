"""Measures of label sets agree with scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import f1_score, precision_score, recall_score

from triage.arrays import Mask
from triage.metrics import (
    coverage,
    f1_per_label,
    macro_f1,
    micro_f1,
    precision_at_coverage,
    precision_recall,
    summary,
)

SHAPES = st.tuples(st.integers(1, 12), st.integers(2, 6))
PAIRS = SHAPES.flatmap(lambda s: st.tuples(arrays.arrays(bool, s), arrays.arrays(bool, s)))


@given(PAIRS)
def test_the_f1_measures_agree_with_scikit_learn(pair: tuple[Mask, Mask]) -> None:
    """Micro-F1, per-label F1 and macro-F1 over the labels that occur are those of scikit-learn."""
    truth, predicted = pair
    occurs = np.flatnonzero(truth.any(axis=0))
    assert micro_f1(truth, predicted) == pytest.approx(
        f1_score(truth, predicted, average="micro", zero_division=0)
    )
    each = f1_score(truth, predicted, average=None, zero_division=0)
    assert f1_per_label(truth, predicted) == pytest.approx(each)
    assert macro_f1(truth, predicted) == pytest.approx(each[occurs].mean() if len(occurs) else 0.0)


@given(PAIRS)
def test_precision_and_recall_agree_with_scikit_learn(pair: tuple[Mask, Mask]) -> None:
    """Micro-averaged precision and recall are those of scikit-learn, 0 where nothing is predicted or true."""
    truth, predicted = pair
    assert precision_recall(truth, predicted) == pytest.approx(
        (
            precision_score(truth, predicted, average="micro", zero_division=0),
            recall_score(truth, predicted, average="micro", zero_division=0),
        )
    )


def test_coverage_is_the_share_of_issues_with_a_label() -> None:
    """Coverage counts issues that get any label; of no issues it is 0."""
    assert coverage(np.array([[True, True], [False, False], [False, True], [False, False]])) == 0.5
    assert coverage(np.zeros((0, 2), dtype=bool)) == 0.0


def test_precision_at_coverage_takes_the_surest_issues() -> None:
    """The best label of the surest issues is judged; with more of them, less sure ones join."""
    truth = np.array([[True, False], [False, True], [True, False], [False, False]])
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.5]])
    assert [precision_at_coverage(truth, scores, share) for share in (0.01, 0.25, 0.5, 0.75, 1.0)] == [
        pytest.approx(p) for p in (1, 1, 1, 2 / 3, 1 / 2)
    ]


@pytest.mark.parametrize("shape", [(3, 0), (0, 3), (0, 0)])
def test_nothing_to_measure_gives_zeros(shape: tuple[int, int]) -> None:
    """Without an issue or without a label every figure is 0 rather than an error."""
    nothing = np.zeros(shape, dtype=bool)
    figures = summary(nothing, nothing, np.zeros(shape))
    assert figures.pop("issues") == shape[0]
    assert set(figures.values()) == {0.0}


def test_the_summary_holds_the_figures_reported_everywhere() -> None:
    """The summary names each figure and rounds it to four digits."""
    truth = np.array([[True, False], [True, True], [False, False]])
    predicted = np.array([[True, False], [False, True], [True, False]])
    assert summary(truth, predicted, np.array([[0.9, 0.1], [0.5, 0.6], [0.7, 0.2]])) == {
        "issues": 3.0,
        "labels": 2.0,
        "micro_f1": 0.6667,
        "macro_f1": 0.75,
        "precision": 0.6667,
        "recall": 0.6667,
        "coverage": 1.0,
        "precision_at_25%_coverage": 1.0,
        "precision_at_50%_coverage": 0.5,
        "precision_at_75%_coverage": 0.5,
    }
