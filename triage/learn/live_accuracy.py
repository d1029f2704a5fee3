"""How the bot does in earnest: what people made of its labels, and how far new issues are from what it learnt.

What maintainers should know after a retraining: how the bot did in earnest, and which issues to label next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from triage.arrays import AnyFloats
from triage.decide import Decision
from triage.issue import Issue, Key, LabelEvent
from triage.learn.provenance import Attribution
from triage.learn.recipe import Recipe


@dataclass(frozen=True)
class LiveAccuracy:
    """What became of one label: counts of issues.

    `set` by the bot; of those `kept` (it is there) and `removed` (a person had the last word, and it was no);
    what another bot took away is neither. `missed`: a person set it after the bot had looked and not set it.
    """

    set: int = 0
    kept: int = 0
    removed: int = 0
    missed: int = 0

    def __add__(self, other: LiveAccuracy) -> LiveAccuracy:
        return LiveAccuracy(
            self.set + other.set,
            self.kept + other.kept,
            self.removed + other.removed,
            self.missed + other.missed,
        )


def live_accuracy(
    issues: Iterable[Issue],
    voices: Attribution,
    *,
    since: datetime | None = None,
    looked_at: Collection[Key] = (),
) -> dict[str, LiveAccuracy]:
    """What people made of the bot's labels, by label.

    Only issues on which the bot acted at `since` or later count, and those `looked_at` besides, on which it may
    have set nothing. People take their time: a window of some weeks says more than the days since the last run.
    """
    found: dict[str, LiveAccuracy] = {}
    for issue in issues:
        for name, one in _of_issue(issue, voices, since, issue.key in looked_at).items():
            found[name] = found.get(name, LiveAccuracy()) + one
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class Drift:
    """The share of `issues` without a close neighbour: whose nearest is less similar than `floor`."""

    share: float
    issues: int
    floor: float


def drift(nearest: AnyFloats, floor: float) -> Drift:
    """`nearest` [n] holds each new issue's similarity to its nearest neighbour; NaN where it has none."""
    alone = ~(np.asarray(nearest) >= floor)
    return Drift(float(alone.mean()) if len(alone) else 0.0, len(alone), floor)


def floor_of(nearest: AnyFloats, share: float = 0.05) -> float:
    """The similarity below which `share` of the issues learnt from lie, each without itself; 0 for none."""
    found = np.asarray(nearest)
    found = found[np.isfinite(found)]
    return float(np.quantile(found, share)) if len(found) else 0.0


def _of_issue(
    issue: Issue, voices: Attribution, since: datetime | None, looked_at: bool
) -> dict[str, LiveAccuracy]:
    events = sorted(issue.events or (), key=lambda event: event.at)
    said = [(event, voices.of_event(event, issue)) for event in events]
    mine = [event for event, voice in said if voice == "me"]
    acted = [event.at for event in mine if since is None or event.at >= since]
    if not acted and not looked_at:
        return {}
    start = min(acted, default=issue.created_at)
    theirs = [event for event, voice in said if voice == "person"]
    by_me = {event.label for event in mine if event.added and event.at in acted}
    found = {name: _kept(name, issue, theirs) for name in by_me}
    ever_mine = {event.label for event in mine}
    for event in theirs:
        late = start is None or event.at >= start
        if event.added and late and event.label in issue.labels and event.label not in ever_mine:
            found[event.label] = LiveAccuracy(missed=1)
    return found


def _kept(name: str, issue: Issue, theirs: Iterable[LabelEvent]) -> LiveAccuracy:
    last = [event for event in theirs if event.label == name][-1:]
    if name in issue.labels:
        return LiveAccuracy(set=1, kept=1)
    return LiveAccuracy(set=1, removed=int(bool(last) and not last[0].added))


# As many as a maintainer labels in a few minutes.
ASKED = 8


@dataclass(frozen=True)
class RetrainAdvice:
    """`live` by label, since the active bundle was made; `unsure` are unlabelled issues, the most telling first."""

    live: Mapping[str, LiveAccuracy] = field(default_factory=dict)
    drift: Drift | None = None
    unsure: tuple[Key, ...] = ()


def advise(
    study: Recipe, issues: Sequence[Issue], voices: Attribution, since: datetime | None
) -> RetrainAdvice:
    """The advice out of a study and all `issues`; without `since` (no active bundle) the bot has done nothing yet."""
    live = _live(issues, voices, since) if since else {}
    if not study.enough:
        return RetrainAdvice(live)
    nearest = np.array([_nearest(decision) for decision in (*study.newest, *study.on_unlabelled)])
    return RetrainAdvice(
        live, drift(nearest, study.rules.floor), unsure(study.on_unlabelled, study.verdict.names)
    )


def unsure(decisions: Iterable[Decision], names: Collection[str], most: int = ASKED) -> tuple[Key, ...]:
    """The issues whose labels are least certain: most bits over the labels `names` (Lewis and Gale, 1994)."""
    found = sorted((-_bits(decision, names), decision.key) for decision in decisions)
    return tuple(key for bits, key in found[:most] if bits < 0)


def _bits(decision: Decision, names: Collection[str]) -> float:
    p = np.clip([decision.scores.get(name, 0.0) for name in names], 1e-12, 1 - 1e-12)
    return round(float(-(p * np.log2(p) + (1 - p) * np.log2(1 - p)).sum()), 6)


def _nearest(decision: Decision) -> float:
    neighbours = decision.evidence.neighbours
    return neighbours[0].similarity if neighbours else float("nan")


def _live(issues: Sequence[Issue], voices: Attribution, since: datetime) -> dict[str, LiveAccuracy]:
    """The bot looks at every issue that is opened once it is at work, also where it sets nothing."""
    mine = [
        event.at
        for issue in issues
        for event in issue.events or ()
        if event.at >= since and voices.of_event(event, issue) == "me"
    ]
    if not mine:
        return {}
    looked_at = {issue.key for issue in issues if issue.created_at and issue.created_at >= min(mine)}
    return live_accuracy(issues, voices, since=since, looked_at=looked_at)
