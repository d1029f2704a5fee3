"""A case: an issue together with what its history on GitHub allows. Pure: works on label events and texts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from triage.config import ActConfig, Config
from triage.decide.policy import matches
from triage.issue import Issue, LabelEvent, Names, fold, folded
from triage.text import render

# An edit that changes a smaller share of the words only corrects typing mistakes.
MATERIAL = 0.1
BOT = "[bot]"
REMOVED = "a person removed it from this issue"
NO_LABEL = "the repository has no such label"


@dataclass(frozen=True)
class TextBeforeEdit:
    """Title and body before an edit; None: the edit did not change that part."""

    title: str | None = None
    body: str | None = None


@dataclass(frozen=True)
class Case:
    """An issue to decide.

    `existing` are the labels that it carries, without the abstain label: they are not proposed again. `barred` maps
    labels that it must not get to the reason. `left_alone` is the reason not to look at the issue at all, or empty.
    """

    issue: Issue
    existing: tuple[str, ...] = ()
    barred: Mapping[str, str] = field(default_factory=dict)
    left_alone: str = ""


def case_of(
    issue: Issue,
    config: Config | None = None,
    *,
    proposed: Iterable[str] = (),
    available: Collection[str] | None = None,
    me: str = "",
    before: TextBeforeEdit | None = None,
) -> Case:
    """The case of an issue under a configuration; without one, of its text alone.

    `proposed` are the labels that deciding can come up with, `available` those of the repository (None: unknown).
    `me` is the login that sets labels, `before` the text before the edit that is acted on, if it is one.
    """
    if config is None:
        return Case(issue)
    reason = _reason_to_skip(issue, config.act)
    if reason is None and before is not None:
        reason = _reason_to_leave_edited(issue, before, me)
    missing: dict[str, str] = {}
    if available is not None and not config.labels.create:
        there = folded(available)
        missing = {name: f"{NO_LABEL} (labels.create)" for name in proposed if fold(name) not in there}
    return Case(
        issue,
        tuple(name for name in issue.labels if fold(name) != fold(config.labels.abstain or "")),
        Names(missing | dict.fromkeys(removed_by_people(issue.events or ()), REMOVED)),
        reason or "",
    )


def _reason_to_skip(issue: Issue, act: ActConfig) -> str | None:
    if issue.kind not in act.kinds:
        return f"it is a {issue.kind} (act.{issue.kind.replace(' ', '_')}s)"
    if act.skip_bots and issue.author.endswith(BOT):
        return "a bot opened it (act.skip_bots)"
    if matches(issue.author, act.skip_authors):
        return "its author is skipped (act.skip_authors)"
    return None


def _reason_to_leave_edited(issue: Issue, before: TextBeforeEdit, me: str) -> str | None:
    """Why an edited issue is not decided again: a person has touched its labels, or the edit is small."""
    if any(event.actor != me and not event.actor_is_bot for event in issue.events or ()):
        return "a person has set or removed labels on it"
    old = render(
        issue.title if before.title is None else before.title,
        issue.body if before.body is None else before.body,
    )
    return None if is_material_change(old, issue.text) else "its text changed only a little"


def is_material_change(old: str, new: str) -> bool:
    """Whether more than MATERIAL of the words of both texts are in only one of them."""
    before, after = set(old.casefold().split()), set(new.casefold().split())
    return len(before ^ after) > MATERIAL * max(1, len(before | after))


def removed_by_people(events: Iterable[LabelEvent]) -> Names[bool]:
    """Labels that a person removed, under whatever login: the bot removes nothing but its own abstain label."""
    removed = (event.label for event in events if not event.added and not event.actor_is_bot)
    return Names(dict.fromkeys(removed, True))


def set_by(label: str, events: Iterable[LabelEvent], me: str) -> bool:
    """Whether the last event of the label is `me` setting it."""
    last = [event for event in events if fold(event.label) == fold(label)][-1:]
    return bool(last) and last[0].added and last[0].actor == me
