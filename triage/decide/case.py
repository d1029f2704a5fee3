"""A case: an issue together with what its history on GitHub allows. Pure: works on label events and texts.

The history says who is behind each label event, and which text the issue had at which time.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal

from triage.config import Config, RuleConfig
from triage.decide.fixed_rules import NO_RULING, FixedRules
from triage.decide.policy import switched_off, unsorted
from triage.issue import (
    CATEGORY,
    TEAM,
    TYPE,
    Issue,
    LabelEvent,
    Names,
    TextBeforeEdit,
    fold,
    folded,
    is_category,
    is_type,
    matches,
    matching,
    native,
)
from triage.text import NOTHING, language, render, says_nothing

# An edit that changes a smaller share of the words only corrects typing mistakes.
MATERIAL = 0.1
UNKNOWN = "which the encoder does not know, and too few issues in that language were learnt"
NO_LABEL = "the repository has no such label"
# By the group of the label, see `native`.
NOT_THERE = {
    "": f"{NO_LABEL} (labels.create)",
    TYPE: "the repository has no such issue type",
    CATEGORY: "the repository has no such category of discussions",
}
UNTYPED, UNCATEGORISED = "only issues have a type", "only discussions have a category"
TOUCHED = "a person has set or removed labels on it"
# Labels of an issue form are set in the second of the opening, or a few later.
OPENING = timedelta(seconds=5)
# The actor of events whose account is unknown or deleted.
NO_ACTOR = {"", "ghost"}
BOT = "[bot]"
REMOVED = "a person removed it from this issue"
TAKEN_OFF = "it was removed from this issue"

Voice = Literal["person", "bot", "me", "opening"]


@dataclass(frozen=True)
class Case:
    """An issue to decide.

    `existing` are the labels that it has, without the abstain label and the category that it may be moved out of; they
    are not proposed again. `own` are the existing labels that this bot set. `barred` maps each label that it must not
    get to the reason. `left_alone` is the reason not to look at the issue at all, or empty. `ruled` maps each label
    that a fixed rule sets to the name of the rule; `alone` is the reason why the issue gets no other labels, or empty.
    """

    issue: Issue
    existing: tuple[str, ...] = ()
    barred: Names[str] = field(default_factory=lambda: Names({}))
    left_alone: str = ""
    own: tuple[str, ...] = ()
    ruled: Mapping[str, str] = field(default_factory=dict)
    alone: str = ""

    def unjudgeable(self, languages: Collection[str], *, by_files: bool = False) -> str:
        """Why no label can be judged by the text, or empty; `languages` are known besides English ("*": all).

        `by_files`: labels can be judged by the changed files too.
        """
        if self.alone:
            return self.alone
        if not (by_files and self.issue.files) and says_nothing(self.issue.title, self.issue.body):
            return NOTHING
        written_in = "" if "*" in languages else language(self.issue.text)
        return f"it is in {written_in}, {UNKNOWN}" if written_in and written_in not in languages else ""


def case_of(
    issue: Issue,
    config: Config | None = None,
    *,
    proposed: Iterable[str] = (),
    available: Collection[str] | None = None,
    who: Attribution | None = None,
    before: TextBeforeEdit | None = None,
    unasked: bool = False,
) -> Case:
    """The case of an issue under a configuration; without a configuration, the case depends on its text alone.

    `proposed` are the labels that can be elected, `available` the labels of the repository (None: unknown). `who` knows
    the logins under which this bot labels (None: only those in `learn.bots`). For an edit, `before` is the text before
    it. `unasked`: no person chose the issue, so it is left alone if people have handled it or the edit was small.
    """
    if config is None:
        return Case(issue)
    who = who or Attribution.of(config)
    ruling = FixedRules(config.rules).on(issue) if config.rules else NO_RULING
    reason = _reason_to_skip(issue, config)
    if reason is None and (unasked or before is not None):
        reason = reason_of_people(issue, config, who)
    missing: dict[str, str] = {}
    if available is not None:
        there = folded(available)
        missing = {
            name: NOT_THERE[native(name)]
            for name in (*proposed, *ruling.set)
            if fold(name) not in there and (native(name) or not config.labels.create)
        }
    if issue.kind != "issue":
        missing |= {name: UNTYPED for name in (*proposed, *ruling.set) if is_type(name)}
    if issue.kind != "discussion":
        missing |= {name: UNCATEGORISED for name in (*proposed, *ruling.set) if is_category(name)}
    barred = Names({**ruling.barred, **missing, **removed(issue, who)})
    alone = None
    if reason is None and before is not None:
        reason = _reason_to_leave_edited(issue, before, who)
        if folded(ruling.set) - folded((*issue.labels, *barred)):
            # A word is enough for a rule.
            reason, alone = None, reason
    set_by_rule = ruling.set
    if set_by_rule and available is not None:
        spelling = Names(dict.fromkeys(available))
        set_by_rule = {spelling.spelt(name): rule for name, rule in set_by_rule.items()}
    mark, left = fold(config.labels.abstain or ""), unsorted(config.act.categories)
    existing = tuple(name for name in issue.labels if fold(name) != mark and name not in left)
    return Case(
        issue,
        existing,
        barred,
        reason or "",
        tuple(name for name in who.own_labels(issue) if name in existing),
        set_by_rule,
        alone or "",
    )


def with_rules(case: Case, rules: Sequence[RuleConfig]) -> Case:
    """The case with the fixed rules applied, for an issue of a file, of which no history is known."""
    ruling = FixedRules(rules).on(case.issue)
    return replace(case, barred=ruling.barred, ruled=ruling.set)


def _reason_to_skip(issue: Issue, config: Config) -> str | None:
    act = config.act
    if reason := switched_off(issue, config):
        return reason
    if issue.kind not in act.kinds:
        return f"it is a {issue.kind} (act.{issue.kind.replace(' ', '_')}s)"
    if issue.kind == "discussion" and not all(map(is_category, issue.labels)):
        return "it has labels, and GitHub keeps no history of a discussion's labels"
    if act.skip_bots and issue.author.endswith(BOT):
        return "a bot opened it (act.skip_bots)"
    if matches(issue.author, act.skip_authors):
        return "its author is skipped (act.skip_authors)"
    return None


def reason_of_people(issue: Issue, config: Config, who: Attribution) -> str | None:
    """Why an issue counts as handled by people: its label events, or labels older than these, as after a transfer.

    Setting the abstain label does not count: it asks for labels. Neither does the label that keeps the bot away, once
    it is removed.
    """
    if reason := switched_off(issue, config):
        return reason
    mark, off = fold(config.labels.abstain or ""), fold(config.act.off_label)
    # A type may come from the form of the issue, and it is left alone by itself.
    touched = (e for e in who.by_people(issue) if fold(e.label) != off and not is_type(e.label))
    if any(fold(event.label) != mark or not event.added for event in touched):
        return TOUCHED
    told = {mark, *(fold(event.label) for event in issue.events or ())}
    ignored = (*config.learn.ignore, f"{TYPE}*", f"{CATEGORY}*")
    came = [n for n in issue.labels if fold(n) not in told and not matches(n, ignored)]
    return "it came with labels from elsewhere" if came and issue.events is not None else None


def _reason_to_leave_edited(issue: Issue, before: TextBeforeEdit, who: Attribution) -> str | None:
    """Why an edited issue is not decided again: its text is very similar to the text that was judged last.

    The text before the edit need not have been judged, since runs are cancelled and skipped; but it may have been.
    """
    judged = {text_judged(issue, who)}
    if before.known:
        title = issue.title if before.title is None else before.title
        judged.add(render(title, issue.body if before.body is None else before.body))
    changed = any(old is None or is_material_change(old, issue.text) for old in judged)
    return None if changed else "its text changed only a little"


def is_material_change(old: str, new: str) -> bool:
    """Whether more than MATERIAL of the words of both texts are in only one of them."""
    before, after = set(old.casefold().split()), set(new.casefold().split())
    return len(before ^ after) > MATERIAL * max(1, len(before | after))


@dataclass(frozen=True)
class Attribution:
    """Whose labels count: the logins under which this bot labels, `me`, in lower case, and patterns of logins.

    `trusted` bots act for people; `bots` are other accounts of this bot, and user accounts that are bots.
    """

    me: frozenset[str] = frozenset()
    trusted: Sequence[str] = ()
    bots: Sequence[str] = ()

    @classmethod
    def of(cls, config: Config, me: Iterable[str] = ()) -> Attribution:
        return cls(folded(filter(None, me)), config.learn.trusted_bots, config.learn.bots)

    def voices(self, issue: Issue) -> list[tuple[LabelEvent, Voice]]:
        """The events of the issue's labels in order of time, and who is behind each."""
        events = sorted(issue.events or (), key=lambda event: event.at)
        return [(event, self._voice(event, issue)) for event in events]

    def _voice(self, event: LabelEvent, issue: Issue) -> Voice:
        """Who is behind the event. What this bot did never counts as a person's, trusted or not."""
        if fold(event.actor) in self.me:
            return "me"
        if _at_opening(event, issue):
            return "opening"
        if self._is_trusted(event.actor):
            return "person"
        return "bot" if event.actor_is_bot or self._is_bot(event.actor) else "person"

    def handled(self, issue: Issue) -> bool | None:
        """Whether a person dealt with the issue, apart from labels; None where that is not known.

        If it is not known who did, it counts as a person.
        """
        by_people = [login for login in issue.handled_by if not self._is_me_or_bot(login)]
        return issue.handled and (bool(by_people) or not issue.handled_by)

    def _is_me_or_bot(self, login: str) -> bool:
        return fold(login) in self.me or (not self._is_trusted(login) and self._is_bot(login))

    def _is_bot(self, login: str) -> bool:
        return login.endswith(BOT) or self._is_listed(login)

    def _is_trusted(self, login: str) -> bool:
        return self._trusted.match(fold(login)) is not None

    def _is_listed(self, login: str) -> bool:
        return self._listed.match(fold(login)) is not None

    # A retraining asks them of every event.
    @cached_property
    def _trusted(self) -> re.Pattern[str]:
        return matching(tuple(self.trusted))

    @cached_property
    def _listed(self) -> re.Pattern[str]:
        return matching(tuple(self.bots))

    def is_own(self, login: str) -> bool:
        """Whether this bot labels, or has labelled, under the login: it is recorded, or named in `learn.bots`."""
        return fold(login) in self.me or (self._is_listed(login) and not self._is_trusted(login))

    def by_people(self, issue: Issue) -> list[LabelEvent]:
        """The events that count as a person's."""
        return [event for event, voice in self.voices(issue) if voice == "person"]

    def own_labels(self, issue: Issue) -> tuple[str, ...]:
        """The labels that the issue carries and this bot has set at some time."""
        mine = folded(event.label for event in issue.events or () if event.added and self.is_own(event.actor))
        return tuple(name for name in issue.labels if fold(name) in mine)

    def was_last_to_set(self, label: str, issue: Issue) -> bool:
        """Whether the label's last event is this bot setting it."""
        last = [event for event in issue.events or () if fold(event.label) == fold(label)][-1:]
        return bool(last) and last[0].added and self.is_own(last[0].actor)


def removed(issue: Issue, who: Attribution) -> Names[str]:
    """The labels that were ever removed from the issue, with the reason not to set them again.

    Who removed them does not matter: bots and workflows act for people, some under this bot's own login. This bot
    itself removes only its abstain label and, when a person runs `undo`, the labels that it set.
    """
    gone = [(event.label, voice) for event, voice in who.voices(issue) if not event.added]
    return Names({label: REMOVED if voice == "person" else TAKEN_OFF for label, voice in gone})


def _at_opening(event: LabelEvent, issue: Issue) -> bool:
    by_opener = event.actor in NO_ACTOR or fold(event.actor) == fold(issue.author)
    return (
        event.added
        and by_opener
        and not _may_label(issue)
        and issue.created_at is not None
        and abs(event.at - issue.created_at) <= OPENING
    )


def _may_label(issue: Issue) -> bool:
    """Whether the issue's author can label it while opening it; if not, an issue form set the first labels."""
    owner, _, _ = issue.repo.partition("/")
    is_owner = bool(issue.author) and fold(issue.author) == fold(owner)
    return is_owner or (issue.association in TEAM and not issue.author.endswith(BOT))


def text_judged(issue: Issue, who: Attribution) -> str | None:
    """The text that was judged last, or None where it is not known.

    This is the text when this bot last set or removed a label, or else the text that the issue was opened with.
    """
    return text_at(issue, _last_act(issue, who) or issue.created_at)


def text_at(issue: Issue, at: datetime | None) -> str | None:
    """The rendered text as it was before a moment (None: before all edits), or None where an edit hides it."""
    title, body = issue.title, issue.body
    for edit in sorted(issue.edits, key=lambda edit: edit.at, reverse=True):
        if at is not None and edit.at < at:
            break
        if not edit.before.known:
            return None
        title = title if edit.before.title is None else edit.before.title
        body = body if edit.before.body is None else edit.before.body
    return render(title, body)


def is_judged(issue: Issue, who: Attribution) -> bool | None:
    """Whether this bot has set or removed a label since the text was last edited; None: it never has."""
    at = _last_act(issue, who)
    return None if at is None else all(edit.at < at for edit in issue.edits)


def _last_act(issue: Issue, who: Attribution) -> datetime | None:
    return max((event.at for event in issue.events or () if who.is_own(event.actor)), default=None)
