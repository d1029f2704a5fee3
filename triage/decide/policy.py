"""Which of the elected labels may be set at all; runs after the vote and never changes a score."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from triage.config import Config


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a label's name matches any pattern, whatever the case; `*` and `?` are wild."""
    low = name.casefold()
    return any(_matches(low, pattern.casefold()) for pattern in patterns)


def _matches(name: str, pattern: str) -> bool:
    # A bracket is a common part of label names, so it is no character class here.
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


@dataclass(frozen=True)
class Policy:
    """The maintainers' say over labels; see `triage.config.Labels` for each field."""

    allow: Sequence[str] = ("*",)
    deny: Sequence[str] = ()
    ignore: Sequence[str] = ()
    exclusive: Sequence[Sequence[str]] = ()
    most: int = 5
    abstain: str | None = None

    @classmethod
    def of(cls, config: Config) -> Policy:
        labels = config.labels
        return cls(
            labels.allow, labels.deny, config.learn.ignore, labels.exclusive, labels.max, labels.abstain
        )

    def may_set(self, name: str) -> str | None:
        """None where the label may be set, else the reason why not."""
        if name == self.abstain:
            return "it marks issues on which the bot abstained"
        if matches(name, self.deny):
            return "only people set it (labels.deny)"
        if not matches(name, self.allow):
            return "it is not allowed (labels.allow)"
        if matches(name, self.ignore):
            return "it belongs to a process (learn.ignore)"
        return None

    def apply(
        self,
        elected: Collection[str],
        scores: Mapping[str, float],
        existing: Collection[str] = (),
        barred: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[tuple[str, ...], dict[str, str]]:
        """(labels to set, best first; label → why it was held back).

        `existing` are labels that the issue carries already: they are never proposed again, and in an exclusive
        group they stay and keep the others out. `barred` are labels that this issue must not get, and why.
        """
        held: dict[str, str] = {}
        kept: list[str] = []
        # What was set before counts, or deciding twice would set the next best ones too.
        room = self.most - sum(name in existing for name in elected)
        for name in sorted(elected, key=lambda name: (-scores[name], name)):
            reason = self._objection(name, kept, existing, room) or barred.get(name)
            if reason is None:
                kept.append(name)
            else:
                held[name] = reason
        return tuple(kept), held

    def _objection(self, name: str, kept: Sequence[str], existing: Collection[str], room: int) -> str | None:
        if name in existing:
            return "the issue carries it already"
        if reason := self.may_set(name):
            return reason
        for group in self.exclusive:
            if name in group:
                rivals = [other for other in (*sorted(existing), *kept) if other in group]
                if rivals:
                    return f"at most one of {', '.join(group)}, and {rivals[0]} stays"
        if len(kept) >= room:
            return f"at most {self.most} label{'s' * (self.most != 1)} on one issue (labels.max)"
        return None
