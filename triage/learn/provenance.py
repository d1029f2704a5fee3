"""Who set and removed an issue's labels: people's decisions, and what happened to the bot's own labels.

The bot must not learn from its own guesses or those of other bots. A label that an issue form sets was chosen before
anybody had read the issue.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from triage.decide.case import NO_ACTOR, Attribution, Voice
from triage.issue import Issue, Key, LabelEvent, fold, relabelled

# Evidence that a label belongs to a process: more than this share of its history, on at least this many issues.
MOSTLY = 0.5
LEAST = 10


@dataclass(frozen=True)
class Provenance:
    """The labels of one issue that people set and removed; `unjudged` are labels that others set.

    `unjudged` labels are no counter-examples either: no person said that they are wrong.
    """

    positive: tuple[str, ...]
    negative: tuple[str, ...]
    unjudged: Mapping[str, Voice]


def provenance_of(issue: Issue, attribution: Attribution) -> Provenance:
    """The last decision of people on each label.

    Positive: a person set it, and it is still there. Negative: a person removed it, and it was not set again. A label
    without history is positive.
    """
    word: dict[str, bool] = {}
    set_by: dict[str, Voice] = {}
    for event, voice in attribution.voices(issue):
        if voice == "person":
            word[event.label] = event.added
        if event.added:
            set_by[event.label] = voice
    unjudged = {name: set_by[name] for name in issue.labels if name in set_by and name not in word}
    return Provenance(
        positive=tuple(name for name in issue.labels if name not in unjudged and word.get(name, True)),
        negative=tuple(name for name, added in word.items() if not added),
        unjudged=unjudged,
    )


def edited_since_labelled(issue: Issue, attribution: Attribution) -> bool:
    """Whether the author changed the text after a person last labelled it: the labels were given to another text.

    Edits by unknown accounts count too, as do edits by bots, because they may follow an author's edit. If no event says
    when people labelled the issue, any edit counts.
    """
    if not issue.edits:
        return False
    last = max((event.at for event in attribution.by_people(issue)), default=issue.created_at)
    return any(
        (edit.actor_is_bot or edit.actor in NO_ACTOR or fold(edit.actor) == fold(issue.author))
        and (last is None or edit.at >= last)
        for edit in issue.edits
    )


def with_present_names(issues: Sequence[Issue]) -> list[Issue]:
    """Give events of renamed labels the names that the issues carry, for files without label ids.

    A name that no issue has any more was renamed if each issue that should have it by its events has exactly one label
    without events, and always the same one.
    """
    carried = {name for issue in issues for name in issue.labels}
    candidates: dict[str, set[str]] = defaultdict(set)
    for issue in issues:
        left = _left(issue)
        unexplained = set(issue.labels) - {event.label for event in issue.events or ()}
        for old in left - carried:
            clear = len(unexplained) == 1 and len(left - set(issue.labels)) == 1
            candidates[old].add(min(unexplained) if clear else "")
    renamed = {old: new for old, news in candidates.items() for new in news if len(news) == 1 and new}
    return [relabelled(issue, renamed) if renamed else issue for issue in issues]


def process_by_evidence(
    issues: Iterable[Issue], attribution: Attribution, least: int = LEAST
) -> dict[str, str]:
    """Process labels, with the reason: only bots set them, or people set them and remove them again.

    Either other bots caused more than half of the label's events, and no person ever set it; or people removed it for
    good from more than half of the issues on which a person had set it. Bots never exclude a label that people set too:
    otherwise strangers, or an App of this bot's own, could exclude it. Only labels on at least `least` issues are
    examined.
    """
    handled: dict[str, Counter[Voice]] = defaultdict(Counter)
    issues_with, set_on, removed_from = Counter[str](), Counter[str](), Counter[str]()
    for issue in issues:
        said = attribution.voices(issue)
        for event, voice in said:
            handled[event.label][voice] += 1
        issues_with.update({event.label for event, _ in said})
        meant = {event.label for event, voice in said if event.added and voice == "person"}
        set_on.update(meant)
        last = {event.label: (event.added, voice) for event, voice in said}
        removed_from.update(name for name in meant - set(issue.labels) if last[name] == (False, "person"))
    reasons: dict[str, str] = {}
    for name in sorted(name for name, count in issues_with.items() if count >= least):
        by_bots, events = handled[name]["bot"], handled[name].total()
        if by_bots > MOSTLY * events and not set_on[name]:
            reasons[name] = f"bots set or removed it {by_bots} of {events} times"
        elif set_on[name] >= least and removed_from[name] > MOSTLY * set_on[name]:
            reasons[name] = f"removed later from {removed_from[name]} of {set_on[name]} issues"
    return reasons


def _left(issue: Issue) -> set[str]:
    """The labels that the events leave on the issue."""
    last = {event.label: event.added for event in sorted(issue.events or (), key=lambda event: event.at)}
    return {name for name, added in last.items() if added}


@dataclass(frozen=True)
class LiveAccuracy:
    """What happened to one label: counts of issues.

    `set` by the bot; of these, `kept` (it is still there) and `removed` (by a person, for good). A label that another
    bot removed is neither. `missed`: a person set it after the bot had looked at the issue and not set it. `accepted`
    and `refused`: people's answers when the bot suggested it.
    """

    set: int = 0
    kept: int = 0
    removed: int = 0
    missed: int = 0
    accepted: int = 0
    refused: int = 0

    def __add__(self, other: LiveAccuracy) -> LiveAccuracy:
        return LiveAccuracy(
            self.set + other.set,
            self.kept + other.kept,
            self.removed + other.removed,
            self.missed + other.missed,
            self.accepted + other.accepted,
            self.refused + other.refused,
        )


def live_accuracy(
    issues: Iterable[Issue],
    attribution: Attribution,
    *,
    since: datetime | None = None,
    looked_at: Collection[Key] = (),
) -> dict[str, LiveAccuracy]:
    """What people did with the bot's labels, by label.

    Counts issues on which the bot acted at `since` or later, and those it `looked_at`, perhaps without setting any.
    People take their time: a window of a few weeks says more than the days since the last run.
    """
    by_label: dict[str, LiveAccuracy] = {}
    for issue in issues:
        for name, one in _of_issue(issue, attribution, since, issue.key in looked_at).items():
            by_label[name] = by_label.get(name, LiveAccuracy()) + one
    return dict(sorted(by_label.items()))


def live_accuracy_since(
    issues: Sequence[Issue], attribution: Attribution, since: datetime
) -> dict[str, LiveAccuracy]:
    """`live_accuracy`, given that the bot looks at every issue opened after its first action from `since` on."""
    mine = [
        event.at
        for issue in issues
        for event in issue.events or ()
        if event.at >= since and (attribution.is_own(event.actor) or event.accepted)
    ]
    if not mine:
        return {}
    looked_at = {issue.key for issue in issues if issue.created_at and issue.created_at >= min(mine)}
    return live_accuracy(issues, attribution, since=since, looked_at=looked_at)


def _of_issue(
    issue: Issue, attribution: Attribution, since: datetime | None, looked_at: bool
) -> dict[str, LiveAccuracy]:
    said = attribution.voices(issue)
    mine = [event for event, _ in said if attribution.is_own(event.actor) or event.accepted]
    acted = [event.at for event in mine if since is None or event.at >= since]
    if not acted and not looked_at:
        return {}
    start = min(acted, default=issue.created_at)
    theirs = [event for event, voice in said if voice == "person"]
    by_me = {event.label for event in mine if event.added and event.at in acted and not event.accepted}
    counts = {name: _kept(name, issue, theirs) for name in by_me}
    counts |= {
        event.label: LiveAccuracy(accepted=1) for event in mine if event.accepted and event.at in acted
    }
    ever_mine, ever_set = {e.label for e in mine}, {e.label for e, _ in said if e.added}
    for event in theirs:
        late = start is None or event.at >= start
        if event.added and late and event.label in issue.labels and event.label not in ever_mine:
            counts[event.label] = LiveAccuracy(missed=1)
        if not event.added and late and event.label not in ever_set:
            counts[event.label] = LiveAccuracy(refused=1)
    return counts


def _kept(name: str, issue: Issue, theirs: Iterable[LabelEvent]) -> LiveAccuracy:
    last = [event for event in theirs if event.label == name][-1:]
    if name in issue.labels:
        return LiveAccuracy(set=1, kept=1)
    return LiveAccuracy(set=1, removed=int(bool(last) and not last[0].added))
