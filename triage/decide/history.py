"""What the history of one issue on GitHub says about touching it. Pure: works on label events and texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from triage.config import ActConfig
from triage.decide.policy import matches
from triage.issue import Issue, LabelEvent
from triage.text import render

# Fewer changed words than this share of all are a typing mistake mended.
MATERIAL = 0.1


@dataclass(frozen=True)
class TextBeforeEdit:
    """Title and body before an edit; None: that part did not change."""

    title: str | None = None
    body: str | None = None


def reason_to_skip(issue: Issue, author_is_bot: bool, act: ActConfig) -> str | None:
    """Why the issue is left alone altogether, if it is."""
    if issue.kind not in act.kinds:
        return f"it is a {issue.kind} (act.{issue.kind.replace(' ', '_')}s)"
    if author_is_bot and act.skip_bots:
        return "a bot opened it (act.skip_bots)"
    if matches(issue.author, act.skip_authors):
        return "its author is skipped (act.skip_authors)"
    return None


def reason_to_leave_edited(issue: Issue, before: TextBeforeEdit, me: str) -> str | None:
    """Why an edited issue is not looked at again, if it is not.

    Once a person has touched its labels, they are the person's; and a small change of the text changes nothing.
    """
    if any(is_by_person(event, me) for event in issue.events or ()):
        return "a person has set or removed labels on it"
    old = render(issue.title if before.title is None else before.title, _either(before.body, issue.body))
    if not is_material_change(old, issue.text):
        return "its text changed only a little"
    return None


def is_material_change(old: str, new: str) -> bool:
    """Whether more than MATERIAL of the words of either text are not in the other."""
    had, has = set(old.casefold().split()), set(new.casefold().split())
    return len(had ^ has) > MATERIAL * max(1, len(had | has))


def removed_by_people(events: Iterable[LabelEvent]) -> Mapping[str, str]:
    """Labels that a person took off the issue, with the reason they are not put back.

    Also the person whose token is used: the bot takes nothing away but its own abstain label.
    """
    return {
        event.label: "a person removed it from this issue"
        for event in events
        if not event.added and not event.actor_is_bot
    }


def set_by(label: str, events: Iterable[LabelEvent], me: str) -> bool:
    """Whether `me` was the last to set the label, and nobody has removed it since."""
    last = [event for event in events if event.label == label][-1:]
    return bool(last) and last[0].added and last[0].actor == me


def is_by_person(event: LabelEvent, me: str) -> bool:
    return event.actor != me and not event.actor_is_bot


def _either(first: str | None, second: str) -> str:
    return second if first is None else first
