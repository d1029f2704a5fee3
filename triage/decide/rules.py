"""What learning leaves behind for deciding: k, the votes each label needs, and the calibration of scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from triage.decide.decision import Evidence
from triage.decide.vote import WEIGHTINGS, kernel, tally
from triage.parse import option

NEIGHBOURS, ZERO_SHOT = "neighbours", "zero-shot"
# Votes are sums of floats; what is equal on paper counts as reached.
EPSILON = 1e-9


@dataclass(frozen=True)
class LabelRule:
    """How one label is elected.

    `votes` is the m of this label (None: never by vote), `examples` the labelled issues in the index, `prior`
    their share. `precision` is what tuning measured at this m, over `predicted` issues, where it did.
    """

    name: str
    examples: int
    prior: float
    votes: float | None
    precision: float | None = None
    predicted: int = 0


@dataclass(frozen=True)
class ZeroShotRule:
    """When zero-shot classification sets a label; scores are sigmoid(slope * raw + intercept).

    `rare` is the least score for a label without enough examples, `fallback` that for any label where the vote
    elects nothing; None switches it off there. `top_k` keeps that many best ones.
    """

    slope: float
    intercept: float
    rare: float | None
    fallback: float | None
    top_k: int | None = None


@dataclass(frozen=True)
class Rules:
    """The settings of one bundle.

    `votes` is the m of labels that have none of their own; `slope` and `intercept` calibrate the vote (see
    `vote_scores`).
    """

    k: int = option(10, "", low=1)
    weighting: str = option("similarity", "", choices=WEIGHTINGS)
    votes: float | None = None
    min_examples: int = 10
    slope: float = 1.0
    intercept: float = 0.0
    labels: tuple[LabelRule, ...] = ()
    zero_shot: ZeroShotRule = field(default=ZeroShotRule(1.0, 0.0, 0.5, 0.5))

    @cached_property
    def by_name(self) -> Mapping[str, LabelRule]:
        return {rule.name: rule for rule in self.labels}

    @cached_property
    def voted(self) -> tuple[LabelRule, ...]:
        """The labels with enough examples to be left to the vote."""
        return tuple(rule for rule in self.labels if rule.examples >= self.min_examples)

    @cached_property
    def rare(self) -> tuple[str, ...]:
        return tuple(rule.name for rule in self.labels if rule.examples < self.min_examples)


def votes(rules: Rules, evidence: Evidence) -> dict[str, float]:
    """The (weighted) votes of each label with enough examples, 0..k."""
    near = evidence.neighbours[: rules.k]
    names = [rule.name for rule in rules.voted]
    weights = kernel(np.array([n.similarity for n in near]), rules.weighting)
    carries = np.array([[name in n.labels for name in names] for n in near], dtype=bool)
    counted = tally(weights, carries.reshape(len(near), len(names)), rules.k)
    return dict(zip(names, map(float, counted), strict=True))


def vote_scores(rules: Rules, counted: Mapping[str, float]) -> dict[str, float]:
    """Calibrated probabilities: a logistic of the log-odds of the share of votes, smoothed by the prior.

    The prior counts as one more neighbour, which keeps labels without a vote apart and ties rare.
    """
    scores = {}
    for name, count in counted.items():
        share = smoothed(count, rules.by_name[name].prior, rules.k)
        scores[name] = sigmoid(rules.slope * math.log(share / (1 - share)) + rules.intercept)
    return scores


def smoothed(count: float, prior: float, k: int) -> float:
    """The share of votes with the prior as one more neighbour, kept within (0, 1)."""
    return min(max((count + prior) / (k + 1), 1e-6), 1 - 1e-6)


def sigmoid(x: float) -> float:
    """The logistic function, without overflow."""
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    return math.exp(x) / (1 + math.exp(x))


def elect_by_vote(rules: Rules, counted: Mapping[str, float]) -> list[str]:
    """The labels that have the votes they need. Raising any `votes` never adds a label."""
    return [
        name
        for name, count in counted.items()
        if (need := rules.by_name[name].votes) is not None and count > 0 and count >= need - EPSILON
    ]


def zero_shot_scores(rule: ZeroShotRule, raw: Mapping[str, float]) -> dict[str, float]:
    return {name: sigmoid(rule.slope * value + rule.intercept) for name, value in raw.items()}


def elect_by_description(
    scores: Mapping[str, float], threshold: float | None, top_k: int | None
) -> list[str]:
    """The labels whose zero-shot score reaches the threshold, the `top_k` best of them at most."""
    if threshold is None:
        return []
    reached = [name for name, score in scores.items() if score >= threshold - EPSILON]
    return sorted(reached, key=lambda name: (-scores[name], name))[:top_k]


def elect(rules: Rules, evidence: Evidence) -> tuple[dict[str, str], dict[str, float]]:
    """(label → which source elected it, label → calibrated score for every label known)."""
    counted = votes(rules, evidence)
    by_vote = elect_by_vote(rules, counted)
    scores = vote_scores(rules, counted)
    described = zero_shot_scores(rules.zero_shot, evidence.zero_shot)
    rare = {name: score for name, score in described.items() if name not in scores}
    rule = rules.zero_shot
    found = elect_by_description(rare, rule.rare, rule.top_k)
    if not by_vote and rule.fallback is not None:
        others = {name: score for name, score in described.items() if name in scores}
        found += elect_by_description(others, rule.fallback, rule.top_k)
    sources = dict.fromkeys(by_vote, NEIGHBOURS) | dict.fromkeys(found, ZERO_SHOT)
    return sources, scores | rare


def asks_zero_shot(rules: Rules, neighbours: Evidence, described: Sequence[str]) -> list[str]:
    """Which labels zero-shot classification must be asked for, given what the vote says."""
    known = rules.by_name
    wanted = [name for name in described if name not in known or known[name].examples < rules.min_examples]
    wanted += [name for name in rules.rare if name not in wanted]
    if rules.zero_shot.fallback is not None and not elect_by_vote(rules, votes(rules, neighbours)):
        wanted += [rule.name for rule in rules.voted]
    return wanted
