"""Fixed rules tried on past issues: how often each applies, and how often people labelled as it would."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from triage.config import RuleConfig
from triage.decide.fixed_rules import FixedRules, applies, concerns
from triage.decide.history import Attribution
from triage.issue import Issue, folded
from triage.learn.provenance import provenance_of


@dataclass
class RuleTrial:
    """Counts of issues that a rule is about.

    It `fires` on some; of these people labelled `labelled`, and `agreed` have all labels that it sets and none that it
    bars. `missed`: people gave a label that it requires to an issue on which it does not apply.
    """

    name: str
    rule: RuleConfig
    tried: int = 0
    fires: int = 0
    labelled: int = 0
    agreed: int = 0
    missed: int = 0

    @property
    def is_doubtful(self) -> bool:
        """Whether it never fires, or people mostly label otherwise."""
        return not self.fires or (self.labelled >= 5 and self.agreed * 2 < self.labelled) or self.missed > 0

    def describe(self) -> str:
        """The result in a sentence."""
        if not self.tried:
            return f"the rule {self.name!r} was not tried: there are no pull requests"
        parts = [f"the rule {self.name!r} fires on {self.fires} of the newest {self.tried} {self.items}"]
        if self.fires and (self.rule.set or self.rule.bar):
            parts.append(f"people labelled {self.labelled} of these, and agreed on {self.agreed}")
        if self.missed:
            labels = ", ".join(self.rule.require)
            parts.append(f"people set {labels} on {self.missed} where it does not apply")
        return "; ".join(parts)

    @property
    def items(self) -> str:
        about_pulls = self.rule.when.files or self.rule.when.all_files
        return "pull requests" if about_pulls else "issues"

    def count(self, issue: Issue, people: frozenset[str]) -> None:
        """Count an issue, to which people gave these labels, in lower case."""
        if not concerns(self.rule, issue):
            return
        self.tried += 1
        if applies(self.rule.when, issue):
            self.fires += 1
            self.labelled += bool(people)
            self.agreed += bool(people) and (
                folded(self.rule.set) <= people and people.isdisjoint(folded(self.rule.bar))
            )
        else:
            self.missed += not people.isdisjoint(folded(self.rule.require))


def try_rules(
    rules: Sequence[RuleConfig], issues: Iterable[Issue], attribution: Attribution
) -> list[RuleTrial]:
    """What each rule would have done on these issues."""
    trials = [RuleTrial(name, rule) for name, rule in FixedRules(rules).named]
    for issue in issues:
        people = folded(provenance_of(issue, attribution).positive)
        for trial in trials:
            trial.count(issue, people)
    return trials
