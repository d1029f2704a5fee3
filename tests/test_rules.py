"""How labels are elected and scored from the evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.decide import Evidence, Neighbour
from triage.decide.rules import (
    Calibration,
    LabelRule,
    Rules,
    ZeroShotRule,
    asks_zero_shot,
    elect,
    elect_by_description,
    elect_by_vote,
    gather,
    kernel,
    rarity,
    sigmoid,
    tally,
    vote_scores,
    zero_shot_scores,
)

BUG, DOCS, WEB = (
    LabelRule("bug", 40, 0.4, 2.0),
    LabelRule("docs", 20, 0.2, 2.0),
    LabelRule("web", 3, 0.03, None),
)
RULES = Rules(k=4, weighting="uniform", labels=(BUG, DOCS, WEB), zero_shot=ZeroShotRule(1.0, 0.0, 0.5, None))


def near(*labels: str, similarity: float = 0.5) -> tuple[Neighbour, ...]:
    """Neighbours numbered from 1, each with the labels named in one string."""
    return tuple(
        Neighbour("o/r", i, similarity, tuple(names.split())) for i, names in enumerate(labels, start=1)
    )


def weigh(
    rules: Rules, neighbours: tuple[Neighbour, ...] = (), zero_shot: Mapping[str, float] | None = None
) -> Evidence:
    """The evidence under the rules."""
    return replace(gather(rules, ("o/r", 9), neighbours), zero_shot=zero_shot or {})


def voted(rules: Rules, neighbours: tuple[Neighbour, ...] = ()) -> list[str]:
    """The labels that the neighbours elect under the rules."""
    return elect_by_vote(rules, weigh(rules, neighbours).votes)


def test_equal_votes_are_counted() -> None:
    """With uniform weights a label has as many votes as neighbours among the k that carry it."""
    evidence = weigh(RULES, near("bug", "bug docs", "web", "docs", "bug"))
    assert evidence.votes == {"bug": 2.0, "docs": 2.0}


def test_nearer_neighbours_count_more_and_votes_still_sum_to_k() -> None:
    """With similarity weights a neighbour 0.1 less near has 1/e of the vote, and all of them make k votes."""
    neighbours = (Neighbour("o/r", 1, 0.9, ("bug",)), Neighbour("o/r", 2, 0.8, ("docs",)))
    counted = weigh(replace(RULES, k=2), neighbours).similarity_votes
    assert counted["bug"] / counted["docs"] == pytest.approx(math.e)
    assert sum(counted.values()) == pytest.approx(2)
    assert weigh(replace(RULES, weighting="similarity", k=2), neighbours).votes == counted


def test_votes_of_fewer_neighbours_sum_to_their_number() -> None:
    """A small index cannot give more votes than it has neighbours."""
    for weighting in ("uniform", "similarity"):
        weights = kernel(np.array([0.9, 0.2, -np.inf, -np.inf]), weighting)
        assert tally(weights, np.ones((4, 1), dtype=bool), 4) == pytest.approx([2.0])


def test_without_neighbours_nothing_is_elected_and_scores_are_the_priors() -> None:
    """An empty index elects nothing by vote and still scores every label, by how usual it is."""
    rules = replace(RULES, calibration=Calibration(vote=1.0, recent=0.0, intercept=0.0))
    scores = vote_scores(rules, weigh(rules))
    assert voted(rules) == []
    assert scores == pytest.approx({"bug": 0.4 / 5, "docs": 0.2 / 5})


def test_a_label_needs_its_own_votes() -> None:
    """Each label is elected from its own m on; one without an m never is."""
    neighbours = near("bug docs", "bug docs", "bug docs", "web")
    assert voted(RULES, neighbours) == ["bug", "docs"]
    strict = replace(RULES, labels=(replace(BUG, votes=3.5), replace(DOCS, votes=None)))
    assert voted(strict, neighbours) == []


def test_votes_equal_on_paper_are_reached() -> None:
    """A sum of floats just below m by rounding counts as m."""
    neighbours = tuple(Neighbour("o/r", i, s, ("bug",)) for i, s in enumerate((0.71, 0.52, 0.33), start=1))
    rules = Rules(k=3, labels=(replace(BUG, votes=3.0),))
    assert voted(rules, neighbours) == ["bug"]


def test_votes_elect_a_label_that_is_likely_enough() -> None:
    """Its probability must be enough besides, to the last bit; the score itself stays."""
    evidence = weigh(RULES, near("bug", "bug"))
    likely = vote_scores(RULES, evidence)["bug"]
    for enough, sources in ((likely, {"bug": "neighbours"}), (np.nextafter(likely, 1), {})):
        rules = replace(RULES, labels=(replace(BUG, enough=float(enough)), DOCS, WEB))
        assert elect(rules, evidence) == (sources, elect(RULES, evidence)[1])


def test_a_rare_label_is_elected_by_its_description() -> None:
    """Labels with few examples and labels only described are left to zero-shot; every known one has a score."""
    evidence = weigh(RULES, near("bug", "bug"), {"web": 9.0, "security": -9.0})
    sources, scores = elect(RULES, evidence)
    assert sources == {"bug": "neighbours", "web": "zero-shot"}
    assert set(scores) == {"bug", "docs", "web", "security"}


def test_the_fallback_asks_about_labels_with_examples_only_where_the_vote_is_silent() -> None:
    """Zero-shot elects a label with examples only where the vote elects none, and its score stays the vote's."""
    rules = replace(RULES, zero_shot=ZeroShotRule(1.0, 0.0, 0.5, 0.5))
    silent, loud = (weigh(rules, near(*names), {"docs": 9.0}) for names in (("bug",), ("bug", "bug")))
    assert elect(rules, silent)[0] == {"docs": "zero-shot"}
    assert elect(rules, silent)[1]["docs"] == vote_scores(rules, silent)["docs"]
    assert elect(rules, loud)[0] == {"bug": "neighbours"}
    assert elect(RULES, silent)[0] == {}


def test_zero_shot_is_asked_only_for_what_may_count() -> None:
    """Described labels without enough examples are asked for, each once; those of the vote for the fallback."""
    described = ("web", "bug", "security")
    assert asks_zero_shot(RULES, described, elected=()) == ["web", "security"]
    assert asks_zero_shot(RULES, (), elected=()) == ["web"]
    rules = replace(RULES, zero_shot=ZeroShotRule(1.0, 0.0, 0.5, 0.5))
    assert asks_zero_shot(rules, described, elected=()) == ["web", "security", "bug", "docs"]
    assert asks_zero_shot(rules, described, elected=["bug"]) == ["web", "security"]


def test_evidence_holds_the_zero_shot_scores_of_the_labels_asked_for() -> None:
    """The engine is asked once, and not at all where no label needs it."""
    asked: list[list[str]] = []

    def ask(names: Sequence[str]) -> dict[str, float]:
        asked.append([*names])
        return dict.fromkeys(names, 1.0)

    assert gather(RULES, ("o/r", 9), near("bug"), (), ask).zero_shot == {"web": 1.0}
    assert gather(replace(RULES, labels=(BUG,)), ("o/r", 9), near("bug"), (), ask).zero_shot == {}
    assert asked == [["web"]]


@pytest.mark.parametrize(
    ("threshold", "top_k", "elected"),
    [(0.5, None, ["b", "a", "c"]), (0.5, 2, ["b", "a"]), (0.6, None, ["b"]), (0.0, 1, ["b"]), (None, 3, [])],
)
def test_descriptions_elect_by_threshold_and_by_rank(
    threshold: float | None, top_k: int | None, elected: list[str]
) -> None:
    """Scores at or above the threshold elect, the best first and at most top_k; no threshold elects nothing."""
    assert elect_by_description({"c": 0.5, "a": 0.5, "b": 0.9, "d": 0.1}, threshold, top_k) == elected


def test_a_rarer_label_scores_lower_on_the_same_words() -> None:
    """One raw score means less for a rarer label; without history there is no correction."""
    scores = zero_shot_scores(RULES, {"bug": 0.0, "web": 0.0, "unseen": 0.0})
    assert scores["bug"] > scores["web"] > scores["unseen"] > 0
    many = [replace(RULES, labels=(replace(WEB, examples=n, prior=0.5),)) for n in (1_000, 100_000)]
    assert rarity(many[0], "unseen") == rarity(many[1], "unseen") < rarity(RULES, "unseen")
    assert zero_shot_scores(replace(RULES, labels=()), {"web": 0.0}) == {"web": 0.5}


@given(st.floats(-1e6, 1e6))
def test_the_logistic_never_overflows(x: float) -> None:
    """The logistic is between 0 and 1 for any number, and symmetric."""
    assert 0 <= sigmoid(x) <= 1
    assert sigmoid(x) + sigmoid(-x) == pytest.approx(1)
