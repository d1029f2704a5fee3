"""`decide(cases, model, policy)`: the one way from an issue to its labels.

Labelling one issue, backfill, the gate and the study all call it: what is measured is what runs. Nothing in this
package does input or output.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Protocol

from triage.decide.case import Case, case_of
from triage.decide.policy import CARRIED, Policy
from triage.decide.rules import Evidence, Neighbour, Rules, elect, unfamiliar
from triage.issue import Issue, Key, fold, folded
from triage.text import TEXT_VERSION

__all__ = [
    "Case",
    "Decision",
    "Evidence",
    "Model",
    "Neighbour",
    "Policy",
    "Recorded",
    "Rules",
    "case_of",
    "decide",
    "ranked",
]

# What sets a label, in `sources`, where it is a fixed rule.
RULE = "rule"
# Cases whose evidence is gathered together, so that memory does not grow with their number.
BATCH = 256


@dataclass(frozen=True)
class Decision:
    """The labels for one issue, the reasons, and the alternatives.

    `sources` maps each elected label to what elected it, and `held_back` each elected label that is not set to the
    reason. `ruled` maps each label that a fixed rule sets to the rule's name; it may have no score.
    `scores` are probabilities of all known labels. `needed` are the votes without which the vote does not elect a label
    (None: it never does), and `enough` the probability that it needs as well.
    `left_alone` is the reason why the issue was not looked at, or empty. `unjudged` is the reason why it could not be
    judged although it was looked at, or empty. `duplicates` are issues of the same repository that it probably
    repeats, nearest first: a hint for people. `suggested` are labels that are not set, but that a person may want to
    set.
    """

    key: Key
    labels: tuple[str, ...]
    sources: Mapping[str, str]
    held_back: Mapping[str, str]
    scores: Mapping[str, float]
    needed: Mapping[str, float | None]
    evidence: Evidence
    k: int
    bundle: str
    left_alone: str = ""
    unjudged: str = ""
    duplicates: tuple[Neighbour, ...] = ()
    ruled: Mapping[str, str] = field(default_factory=dict)
    suggested: tuple[str, ...] = ()
    enough: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def carried(self) -> tuple[str, ...]:
        """The elected labels that the issue has already."""
        return tuple(name for name, reason in self.held_back.items() if reason == CARRIED)

    @property
    def abstained(self) -> bool:
        """Whether the issue gets no label and already has none of the elected ones."""
        return not self.labels and not self.carried

    @cached_property
    def votes(self) -> Mapping[str, float]:
        return self.evidence.votes

    @cached_property
    def voters(self) -> tuple[Neighbour, ...]:
        return self.evidence.neighbours[: self.k]

    def to_dict(self) -> dict[str, object]:
        """The decision as a JSON object: numbers and label names, no text of the issue."""
        return {
            "repo": self.key[0],
            # A row without number is known by its place, counted downwards from -1.
            "number": abs(self.key[1]),
            "labels": list(self.labels),
            "sources": {name: self.sources[name] for name in self.labels},
            "abstained": self.abstained,
            "reason": self.left_alone or self.unjudged,
            "held_back": dict(self.held_back),
            "scores": {name: round(score, 6) for name, score in ranked(self.scores)},
            "neighbours": [
                {"repo": n.repo, "number": n.number, "similarity": n.similarity, "labels": list(n.labels)}
                for n in self.voters
            ],
            "duplicates": self.duplicate_rows(),
            "suggested": list(self.suggested),
            "text_version": TEXT_VERSION,
            "bundle": self.bundle,
        }

    def duplicate_rows(self) -> list[dict[str, object]]:
        """The likely duplicates as JSON objects."""
        return [{"number": n.number, "similarity": n.encoder_similarity} for n in self.duplicates]


def ranked(scores: Mapping[str, float]) -> list[tuple[str, float]]:
    """(label, score) pairs, best first, ties by name."""
    return sorted(scores.items(), key=lambda pair: (-pair[1], fold(pair[0])))


class Model(Protocol):
    """Gathers evidence, and knows the rules that judge it."""

    @property
    def rules(self) -> Rules: ...

    @property
    def name(self) -> str:
        """The bundle's name; "none" without a bundle."""
        ...

    def evidence(self, issues: Sequence[Issue], /) -> Iterable[Evidence]:
        """The evidence on each issue, in order; it does not depend on the other issues."""
        ...


@dataclass(frozen=True)
class Recorded:
    """A model that repeats recorded evidence, so that other thresholds or policies ask no engine.

    The rules must have the same k, weighting and labels as the rules under which the evidence was gathered.
    """

    rules: Rules
    recorded: Mapping[Key, Evidence]
    name: str = "none"

    def evidence(self, issues: Sequence[Issue]) -> Iterator[Evidence]:
        """See `Model`. Raises KeyError for an issue without a record."""
        return (self.recorded[issue.key] for issue in issues)


def decide(cases: Iterable[Case], model: Model, policy: Policy, batch: int = BATCH) -> Iterator[Decision]:
    """A decision for each case, in order; cases are taken `batch` at a time, as decisions are asked for.

    The model is not asked about a case that is left alone or cannot be judged by its text.
    """
    rest = iter(cases)
    while taken := list(islice(rest, batch)):
        without = [_without_evidence(case, model, policy) for case in taken]
        evidence = iter(model.evidence([c.issue for c, d in zip(taken, without, strict=True) if d is None]))
        for case, decision in zip(taken, without, strict=True):
            yield decision or _judge(case, next(evidence), model, policy)


def _judge(case: Case, evidence: Evidence, model: Model, policy: Policy) -> Decision:
    rules = model.rules
    sources, scores = elect(rules, evidence)
    by_rule = folded(case.ruled)
    sources = {name: source for name, source in sources.items() if fold(name) not in by_rule}
    needed = {name: rules.threshold_of(name, policy.target_of(name)) for name in sources}
    labels, held_back = policy.apply(
        sources, scores, case.existing, case.barred, case.own, needed, tuple(case.ruled)
    )
    unjudged = "" if sources else unfamiliar(rules, evidence)
    return Decision(
        key=case.issue.key,
        labels=labels,
        sources=sources | dict.fromkeys(case.ruled, RULE),
        held_back=held_back,
        scores=scores,
        needed=rules.needed,
        evidence=evidence,
        k=rules.k,
        bundle=model.name,
        unjudged=unjudged,
        # Titles of pull requests repeat, and the encoder does not know what they change.
        duplicates=() if case.issue.kind == "pull request" else policy.duplicates(evidence),
        ruled=case.ruled,
        # Nobody could accept one on a discussion: ticks are read in comments on issues and pull requests only.
        suggested=()
        if unjudged or case.issue.kind == "discussion"
        else policy.suggestions(scores, labels, case.existing, case.barred),
        enough=rules.enough,
    )


def _without_evidence(case: Case, model: Model, policy: Policy) -> Decision | None:
    """The decision on a case that needs no evidence, or None."""
    rules, key = model.rules, case.issue.key
    unjudged = "" if case.left_alone else case.unjudgeable(rules.languages, by_files=rules.files > 0)
    if not case.left_alone and not unjudged:
        return None
    ruled = {} if case.left_alone else case.ruled
    labels, held_back = policy.apply((), {}, case.existing, case.barred, case.own, ruled=tuple(ruled))
    return Decision(
        key=key,
        labels=labels,
        sources=dict.fromkeys(ruled, RULE),
        held_back=held_back,
        scores={},
        needed={},
        evidence=Evidence(key),
        k=rules.k,
        bundle=model.name,
        left_alone=case.left_alone,
        unjudged=unjudged,
        ruled=ruled,
    )
