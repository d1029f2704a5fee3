"""Whose word the events of an issue's labels are, and which text the issue had when. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from triage.config import Config
from triage.issue import TEAM, Issue, LabelEvent, Names, fold, folded, matches
from triage.text import render

# Labels of an issue form are set in the second of the opening, or a few later.
OPENING = timedelta(seconds=5)
# The actor of events whose account is unknown or deleted.
NO_ACTOR = {"", "ghost"}
BOT = "[bot]"

REMOVED = "a person removed it from this issue"
TAKEN_OFF = "it was removed from this issue"

Voice = Literal["person", "bot", "me", "opening"]


@dataclass(frozen=True)
class Attribution:
    """Whose labels count: the logins under which this bot labels, `me`, in lower case, and patterns of logins.

    `trusted` bots act for people; `bots` are other accounts of this bot, and ordinary accounts run by bots.
    """

    me: frozenset[str] = frozenset()
    trusted: Sequence[str] = ()
    bots: Sequence[str] = ()

    @classmethod
    def of(cls, config: Config, me: Iterable[str] = ()) -> Attribution:
        return cls(folded(filter(None, me)), config.learn.trusted_bots, config.learn.bots)

    def of_event(self, event: LabelEvent, issue: Issue) -> Voice:
        """Who is behind the event. What this bot did never counts as a person's, trusted or not."""
        if fold(event.actor) in self.me:
            return "me"
        if _at_opening(event, issue):
            return "opening"
        if matches(event.actor, self.trusted):
            return "person"
        return "bot" if event.actor_is_bot or self._is_bot(event.actor) else "person"

    def handled(self, issue: Issue) -> bool | None:
        """Whether a person dealt with the issue, apart from labels; None where that is not known.

        Where it is not known who did, it was a person.
        """
        by_people = [login for login in issue.handled_by if not self._is_me_or_bot(login)]
        return issue.handled and (bool(by_people) or not issue.handled_by)

    def _is_me_or_bot(self, login: str) -> bool:
        return fold(login) in self.me or (not matches(login, self.trusted) and self._is_bot(login))

    def _is_bot(self, login: str) -> bool:
        return login.endswith(BOT) or matches(login, self.bots)

    def is_own(self, login: str) -> bool:
        """Whether this bot labels, or has labelled, under the login: it is recorded, or named in `learn.bots`."""
        named = matches(login, self.bots) and not matches(login, self.trusted)
        return fold(login) in self.me or named

    def by_people(self, issue: Issue) -> list[LabelEvent]:
        """The events that are a person's word."""
        return [event for event in issue.events or () if self.of_event(event, issue) == "person"]

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

    Whoever did it: bots and workflows carry out what people say, some under this bot's own login. This bot itself
    removes its abstain label, and in `undo`, on a person's word, what it set.
    """
    gone = [(event, who.of_event(event, issue)) for event in issue.events or () if not event.added]
    return Names({event.label: REMOVED if voice == "person" else TAKEN_OFF for event, voice in gone})


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
    """Whether the issue's author is a person who can label it while opening it; else the labels are those of a form."""
    owner, _, _ = issue.repo.partition("/")
    is_owner = bool(issue.author) and fold(issue.author) == fold(owner)
    return is_owner or (issue.association in TEAM and not issue.author.endswith(BOT))


def text_judged(issue: Issue, who: Attribution) -> str | None:
    """The text that was judged last, or None where it is not known.

    It is the one that stood when this bot last set or removed a label, or else the one that the issue was opened with.
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
