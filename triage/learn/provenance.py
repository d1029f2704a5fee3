"""What people said of an issue's labels, told from the history of who set and removed them.

The bot must not learn from its own guesses, nor from those of other bots; and a label that an issue form sets
was chosen before anybody had read the issue.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from triage.config import Config
from triage.decide.policy import matches
from triage.issue import Issue, LabelEvent

# Labels of an issue form are set in the second of the opening, or a few later.
OPENING = timedelta(seconds=5)
NOBODY = {"", "ghost"}
BOT = "[bot]"
# Evidence that a label belongs to a process: more than this share of its history, on at least so many issues.
MOSTLY = 0.5
LEAST = 10

Voice = Literal["person", "bot", "me", "opening"]


@dataclass(frozen=True)
class Attribution:
    """Whose labels count. `me` are the logins under which this bot labels, in lower case; the others
    are patterns of logins.

    `trusted` bots carry out a person's word; `bots` are ordinary accounts that are bots nevertheless.
    """

    me: frozenset[str] = frozenset()
    trusted: Sequence[str] = ()
    bots: Sequence[str] = ()

    @classmethod
    def of(cls, config: Config, me: Iterable[str] = ()) -> Attribution:
        return cls(frozenset(login.casefold() for login in me), config.learn.trusted_bots, config.learn.bots)

    def of_event(self, event: LabelEvent, issue: Issue) -> Voice:
        """Whose word the event is. What this bot did is never a person's word, trusted or not."""
        if event.actor.casefold() in self.me:
            return "me"
        if _at_opening(event, issue):
            return "opening"
        if matches(event.actor, self.trusted):
            return "person"
        is_bot = event.actor_is_bot or event.actor.endswith(BOT) or matches(event.actor, self.bots)
        return "bot" if is_bot else "person"


@dataclass(frozen=True)
class Provenance:
    """What people said of one issue, by label. `unjudged` are labels that it carries without a person's word.

    Those are no counter-examples either: nobody said that they are wrong.
    """

    positive: tuple[str, ...]
    negative: tuple[str, ...]
    unjudged: Mapping[str, Voice]


def provenance_of(issue: Issue, voices: Attribution) -> Provenance:
    """The last word that people had on each label.

    Positive: they set it, and it is there. Negative: they removed it, and did not set it again. Where there is no
    history (of the issue, or of one of its labels), nothing speaks against a person: the label is positive.
    """
    word: dict[str, bool] = {}
    voice: dict[str, Voice] = {}
    for event in _in_order(issue):
        said = voices.of_event(event, issue)
        if said == "person":
            word[event.label] = event.added
        if event.added:
            voice[event.label] = said
    unjudged = {name: voice[name] for name in issue.labels if name in voice and name not in word}
    return Provenance(
        positive=tuple(name for name in issue.labels if name not in unjudged and word.get(name, True)),
        negative=tuple(name for name, added in word.items() if not added),
        unjudged=unjudged,
    )


def with_present_names(issues: Sequence[Issue]) -> list[Issue]:
    """Events of renamed labels under the names that the issues carry, for files that hold no label ids.

    A name that no issue carries any more was renamed where each issue that its events leave it on has exactly one
    label that no event explains, and always the same one.
    """
    carried = {name for issue in issues for name in issue.labels}
    candidates: dict[str, set[str]] = defaultdict(set)
    for issue in issues:
        left = _left(issue)
        unexplained = set(issue.labels) - {event.label for event in issue.events or ()}
        for old in left - carried:
            clear = len(unexplained) == 1 and len(left - set(issue.labels)) == 1
            candidates[old].add(min(unexplained) if clear else "")
    renamed = {old: new for old, found in candidates.items() for new in found if len(found) == 1 and new}
    return [_under(issue, renamed) for issue in issues]


def process_by_evidence(issues: Iterable[Issue], voices: Attribution, least: int = LEAST) -> dict[str, str]:
    """Labels whose history is that of a process, with the reason: bots handle them, or they come and go.

    More than half of what happened to the label was done by bots other than this one; or it was removed for good
    from more than half of the issues on which a person had set it. Told of labels on `least` issues or more.
    """
    handled: dict[str, Counter[Voice]] = defaultdict(Counter)
    issues_with, set_on, removed_from = Counter[str](), Counter[str](), Counter[str]()
    for issue in issues:
        said = [(event, voices.of_event(event, issue)) for event in _in_order(issue)]
        for event, voice in said:
            handled[event.label][voice] += 1
        issues_with.update({event.label for event, _ in said})
        meant = {event.label for event, voice in said if event.added and voice == "person"}
        set_on.update(meant)
        removed_from.update(meant - set(issue.labels))
    found: dict[str, str] = {}
    for name in sorted(name for name, count in issues_with.items() if count >= least):
        by_bots, events = handled[name]["bot"], handled[name].total()
        if by_bots > MOSTLY * events:
            found[name] = f"bots set or removed it {by_bots} of {events} times"
        elif set_on[name] >= least and removed_from[name] > MOSTLY * set_on[name]:
            found[name] = f"removed later from {removed_from[name]} of {set_on[name]} issues"
    return found


def _in_order(issue: Issue) -> list[LabelEvent]:
    return sorted(issue.events or (), key=lambda event: event.at)


def _at_opening(event: LabelEvent, issue: Issue) -> bool:
    by_opener = event.actor in NOBODY or event.actor == issue.author
    return (
        event.added
        and by_opener
        and issue.created_at is not None
        and abs(event.at - issue.created_at) <= OPENING
    )


def _left(issue: Issue) -> set[str]:
    """The labels that the events leave on the issue."""
    last = {event.label: event.added for event in _in_order(issue)}
    return {name for name, added in last.items() if added}


def _under(issue: Issue, renamed: Mapping[str, str]) -> Issue:
    if not any(event.label in renamed for event in issue.events or ()):
        return issue
    events = (dataclasses.replace(e, label=renamed.get(e.label, e.label)) for e in issue.events or ())
    return dataclasses.replace(issue, events=tuple(events))
