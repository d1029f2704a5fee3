"""`decide(issues, model, policy) -> [Decision]`: the heart, with three callers.

The action passes one issue, backfill passes thousands, evaluation passes a held-out set: what is measured is
what runs. Nothing in this package does any input or output.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Protocol

from triage.decide.decision import Decision, Evidence, Neighbour
from triage.decide.policy import Policy
from triage.decide.rules import Rules, elect, votes
from triage.issue import Issue

__all__ = ["Decision", "Evidence", "Model", "Neighbour", "Policy", "Rules", "decide", "judge"]


class Model(Protocol):
    """What finds the evidence, and the rules by which it is judged."""

    @property
    def rules(self) -> Rules: ...

    @property
    def name(self) -> str:
        """The bundle's name, or what stands in for one."""
        ...

    def evidence(self, issues: Iterable[Issue]) -> Iterator[Evidence]:
        """The evidence on each issue, in order; on each one as if it were alone."""
        ...


def decide(issues: Iterable[Issue], model: Model, policy: Policy) -> Iterator[Decision]:
    """A decision for each issue, in order. Labels that the issues carry already play no part."""
    for evidence in model.evidence(issues):
        yield judge(evidence, model.rules, policy, bundle=model.name)


def judge(
    evidence: Evidence,
    rules: Rules,
    policy: Policy,
    *,
    bundle: str,
    existing: Collection[str] = (),
    barred: Mapping[str, str] = MappingProxyType({}),
) -> Decision:
    """The decision that `rules` and `policy` make of the evidence; asks no model. See `Policy.apply`."""
    sources, scores = elect(rules, evidence)
    labels, held = policy.apply(sources, scores, existing, barred)
    return Decision(
        key=evidence.key,
        labels=labels,
        sources=sources,
        held_back=held,
        scores=scores,
        votes=votes(rules, evidence),
        needed={rule.name: rule.votes for rule in rules.voted},
        evidence=evidence,
        k=rules.k,
        bundle=bundle,
    )
