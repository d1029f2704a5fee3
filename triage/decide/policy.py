"""Which of the elected labels may be set: applied after the vote, never changes a score."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING

from triage.config import Config
from triage.issue import CATEGORY, TYPE, Issue, Names, fold, folded, matches, matching, native

if TYPE_CHECKING:
    from triage.decide.rules import Evidence, Neighbour

CARRIED = "the issue already has it"
# The similarity of likely duplicates under the shipped encoder: the lowest threshold of benchmarks/duplicates.py at
# which most of what is reported was judged to be a duplicate.
DUPLICATE = 0.94
MOST_DUPLICATES = 3
# More would be a list to work through.
MOST_SUGGESTIONS = 3
NONE_BARRED = Names[str]({})
ONE_OF = {TYPE: "an issue has one type", CATEGORY: "a discussion has one category"}


def switched_off(issue: Issue, config: Config) -> str | None:
    """The reason to leave an issue alone that has the label which keeps the bot away; None without this label."""
    name = config.act.off_label
    there = fold(name) in folded(issue.labels)
    return f"triage is switched off here by the label {name} (act.off_label)" if there else None


def unsorted(categories: Iterable[str]) -> Names[None]:
    """The labels of these categories, out of which discussions are moved: as if those had none."""
    return Names({f"{CATEGORY}{name}": None for name in categories})


def followed(config: Config, renamed: Mapping[str, str], here: Iterable[str]) -> Config:
    """The configuration with the new names of labels that it names by their old ones; `renamed` maps old to new.

    What is forbidden, or demanded, of an old name by a pattern holds for the new one too. `here` are the labels that
    there are now: where one of them took an old name, it is the one that is meant otherwise.
    """
    if not renamed:
        return config
    labels, there = config.labels, folded(here)
    new = Names({old: name for old, name in renamed.items() if fold(old) not in there})
    targets = Names({new.get(name, name): target for name, target in labels.targets.items()})
    policy = Policy.of(replace(config, vote=replace(config.vote, precision_target=None)))
    demanded = {name: policy.target_of(old) for old, name in renamed.items() if name not in targets}

    def also(patterns: tuple[str, ...], names: Mapping[str, str]) -> tuple[str, ...]:
        return (*patterns, *(name for old, name in names.items() if matches(old, patterns)))

    return replace(
        config,
        labels=replace(
            labels,
            allow=also(labels.allow, new),
            deny=also(labels.deny, renamed),
            descriptions={new.get(name, name): text for name, text in labels.descriptions.items()},
            targets={**targets, **{name: target for name, target in demanded.items() if target is not None}},
            exclusive=tuple(tuple(new.get(name, name) for name in group) for group in labels.exclusive),
            abstain=new.get(labels.abstain or "", labels.abstain),
        ),
        rules=tuple(
            replace(
                rule,
                set=tuple(new.get(name, name) for name in rule.set),
                bar=tuple(new.get(name, name) for name in rule.bar),
                require=tuple(new.get(name, name) for name in rule.require),
            )
            for rule in config.rules
        ),
        learn=replace(config.learn, ignore=also(config.learn.ignore, renamed)),
        owners={new.get(name, name): owners for name, owners in config.owners.items()},
        act=replace(config.act, off_label=new.get(config.act.off_label, config.act.off_label)),
    )


def named(config: Config) -> frozenset[str]:
    """The labels that the configuration names, other than by patterns."""
    labels = config.labels
    groups = (name for group in labels.exclusive for name in group)
    ruled = (name for rule in config.rules for name in (*rule.set, *rule.bar, *rule.require))
    return frozenset(
        (
            *labels.descriptions,
            *labels.targets,
            *config.owners,
            *groups,
            *ruled,
            *([labels.abstain] if labels.abstain else ()),
        )
    )


@dataclass(frozen=True)
class Policy:
    """The maintainers' rules about labels; see `triage.config.LabelsConfig` for each field.

    `duplicate` is the similarity of likely duplicates under the encoder alone (None: not looked for). `suggest` is the
    probability from which labels that are not set are suggested (None: never). Issue types, and the categories
    of discussions, are an exclusive group by themselves, which `most` does not count; `categories` are the names of
    those out of which discussions are moved.
    """

    allow: tuple[str, ...] = ("*",)
    deny: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    exclusive: Sequence[Sequence[str]] = ()
    most: int = 5
    abstain: str | None = None
    target: float | None = None
    targets: Mapping[str, float] = field(default_factory=dict)
    off: str | None = None
    duplicate: float | None = None
    suggest: float | None = None
    types: bool = False
    categories: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Config) -> Policy:
        labels, duplicate = config.labels, config.act.duplicates
        if duplicate is None and config.has_shipped_encoder:
            duplicate = DUPLICATE
        return cls(
            labels.allow,
            labels.deny,
            config.learn.ignore,
            labels.exclusive,
            labels.max,
            labels.abstain,
            config.vote.precision_target,
            labels.targets,
            config.act.off_label,
            duplicate,
            config.act.suggest,
            config.act.types,
            config.act.categories,
        )

    def duplicates(self, evidence: Evidence) -> tuple[Neighbour, ...]:
        """The issues of the same repository that the issue likely repeats, nearest first."""
        repo, least = fold(evidence.key[0]), self.duplicate
        if least is None:
            return ()
        similarities = ((n.encoder_similarity or 0.0, n) for n in evidence.neighbours)
        near = [(-s, n.number, n) for s, n in similarities if s >= least and fold(n.repo) == repo]
        return tuple(n for *_, n in sorted(near, key=itemgetter(0, 1))[:MOST_DUPLICATES])

    def may_set(self, name: str, *, ruled: bool = False) -> str | None:
        """Why the label may not be set, or None if it may.

        `ruled`: a fixed rule sets it. Such a label may belong to a process, which a vote could not predict.
        """
        here = fold(name)
        if self.abstain is not None and here == fold(self.abstain):
            return "it marks issues on which the bot abstained"
        if self.off is not None and here == fold(self.off):
            return "it keeps the bot away (act.off_label)"
        if reason := self._switched_off(name):
            return reason
        if matching(self.deny).match(here):
            return "only people set it (labels.deny)"
        if native(name):
            return None
        if not matching(self.allow).match(here):
            return "it is not allowed (labels.allow)"
        if not ruled and matching(self.ignore).match(here):
            return "it belongs to a process (learn.ignore)"
        return None

    def _switched_off(self, name: str) -> str | None:
        group = native(name)
        if group == TYPE and not self.types:
            return "issue types are not set (act.types)"
        if group == CATEGORY and not self.categories:
            return "discussions stay in their category (act.categories)"
        is_left = group == CATEGORY and name in unsorted(self.categories)
        return "discussions are moved out of it, not into it (act.categories)" if is_left else None

    def settable(self, names: Iterable[str], *, ruled: bool = False) -> tuple[str, ...]:
        """The given labels that may be set; see `may_set`."""
        return tuple(name for name in names if self.may_set(name, ruled=ruled) is None)

    def target_of(self, name: str) -> float | None:
        """The label's precision target: its own, else that of the first pattern that matches, else the common one."""
        exact = (target for own, target in self.targets.items() if fold(own) == fold(name))
        alike = (target for pattern, target in self.targets.items() if matches(name, [pattern]))
        return next(exact, next(alike, self.target))

    def apply(
        self,
        elected: Collection[str],
        scores: Mapping[str, float],
        existing: Collection[str] = (),
        barred: Names[str] = NONE_BARRED,
        own: Collection[str] = (),
        needed: Mapping[str, float] = MappingProxyType({}),
        ruled: Collection[str] = (),
    ) -> tuple[tuple[str, ...], dict[str, str]]:
        """(labels to set, best first; label → the reason why it is held back).

        `existing` are the labels that the issue has: they are not proposed again, and they exclude the other labels of
        an exclusive group. `barred` maps each label that this issue must not get to the reason. `own` are the existing
        labels that the bot set earlier, because `labels.max` counts over all runs. `needed` is the probability that
        each label must have, see `Rules.threshold`. `ruled` are labels that fixed rules set: they come first, in this
        order, and need no probability.
        """
        held_back: dict[str, str] = {}
        accepted: list[str] = []
        carried = {fold(name): name for name in sorted(existing, key=fold)}
        # Elected labels that are there count, or deciding twice would set the next best ones too.
        by_rule = folded(ruled)
        there = folded(self.settable(own, ruled=True))
        counted = there | (carried.keys() & (folded(elected) | by_rule))
        room = self.most - len([name for name in counted if not native(name)])
        rest = sorted(
            (name for name in elected if fold(name) not in by_rule),
            key=lambda name: (-scores[name], fold(name)),
        )
        for name in (*ruled, *rest):
            is_ruled = fold(name) in by_rule
            reason = self._objection(name, accepted, carried, room, ruled=is_ruled) or barred.get(name)
            if reason is None and not is_ruled:
                reason = _shortfall(scores[name], needed.get(name, 0.0))
            if reason is None:
                accepted.append(name)
            else:
                held_back[name] = reason
        return tuple(accepted), held_back

    def suggestions(
        self,
        scores: Mapping[str, float],
        labels: Sequence[str],
        existing: Collection[str] = (),
        barred: Names[str] = NONE_BARRED,
    ) -> tuple[str, ...]:
        """The labels to suggest, best first, where `labels` are set; see `apply` for the others.

        A label that only `labels.max` keeps out may be suggested: whoever accepts it decides about the number.
        """
        if self.suggest is None:
            return ()
        carried, there = {fold(name): name for name in sorted(existing, key=fold)}, folded(labels)
        near = [
            name
            for name in sorted(scores, key=lambda name: (-scores[name], fold(name)))
            if scores[name] >= self.suggest
            and not native(name)
            and fold(name) not in there
            and name not in barred
            and self._objection(name, labels, carried, len(labels) + 1, ruled=False) is None
        ]
        return tuple(near[:MOST_SUGGESTIONS])

    def _objection(
        self, name: str, accepted: Sequence[str], carried: Mapping[str, str], room: int, *, ruled: bool
    ) -> str | None:
        """Why an elected label is not set; `carried` are the issue's labels by their folded names, in this order."""
        if fold(name) in carried:
            return CARRIED
        if reason := self.may_set(name, ruled=ruled):
            return reason
        there = (*carried.values(), *accepted)
        if own := native(name):
            rivals = [other for other in there if native(other) == own]
            return f"{ONE_OF[own]}, and {rivals[0]} stays" if rivals else None
        for group in self.exclusive:
            members = folded(group)
            if fold(name) in members:
                rivals = [other for other in there if fold(other) in members]
                if rivals:
                    return f"at most one of {', '.join(group)}, and {rivals[0]} stays"
        if len([other for other in accepted if not native(other)]) >= room:
            return f"at most {self.most} label{'s' * (self.most != 1)} on one issue (labels.max)"
        return None


def _shortfall(probability: float, needed: float) -> str | None:
    if probability >= needed:
        return None
    if needed > 1:
        return "no probability reaches its precision target yet"
    closely = ", by less than 0.01" if look_alike(probability, needed) else ""
    return f"its probability is below {needed:.2f}, which its precision target needs{closely}"


def look_alike(probability: float, needed: float) -> bool:
    """Whether both are the same in the two digits that are shown."""
    return f"{probability:.2f}" == f"{needed:.2f}"
