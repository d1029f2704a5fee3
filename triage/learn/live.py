"""How the bot does in earnest: what people made of its labels, and how far new issues are from what it learnt."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from triage.issue import Issue, Key, LabelEvent
from triage.learn.judgement import Voices

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Live:
    """What became of one label: counts of issues.

    `set` by the bot; of those `kept` (it is there) and `removed` (a person had the last word, and it was no);
    what another bot took away is neither. `missed`: a person set it after the bot had looked and not set it.
    """

    set: int = 0
    kept: int = 0
    removed: int = 0
    missed: int = 0

    def __add__(self, other: Live) -> Live:
        return Live(
            self.set + other.set,
            self.kept + other.kept,
            self.removed + other.removed,
            self.missed + other.missed,
        )


def live_accuracy(
    issues: Iterable[Issue],
    voices: Voices,
    *,
    since: datetime | None = None,
    looked_at: Collection[Key] = (),
) -> dict[str, Live]:
    """What people made of the bot's labels, by label.

    Only issues on which the bot acted at `since` or later count, and those `looked_at` besides, on which it may
    have set nothing. People take their time: a window of some weeks says more than the days since the last run.
    """
    found: dict[str, Live] = {}
    for issue in issues:
        for name, one in _of_issue(issue, voices, since, issue.key in looked_at).items():
            found[name] = found.get(name, Live()) + one
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class Drift:
    """The share of `issues` without a close neighbour: whose nearest is less similar than `floor`."""

    share: float
    issues: int
    floor: float


def drift(nearest: Floats, floor: float) -> Drift:
    """`nearest` [n] holds each new issue's similarity to its nearest neighbour; NaN where it has none."""
    alone = ~(np.asarray(nearest) >= floor)
    return Drift(float(alone.mean()) if len(alone) else 0.0, len(alone), floor)


def floor_of(nearest: Floats, share: float = 0.05) -> float:
    """The similarity below which `share` of the issues learnt from lie, each without itself; 0 for none."""
    found = np.asarray(nearest)
    found = found[np.isfinite(found)]
    return float(np.quantile(found, share)) if len(found) else 0.0


def _of_issue(issue: Issue, voices: Voices, since: datetime | None, looked_at: bool) -> dict[str, Live]:
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
            found[event.label] = Live(missed=1)
    return found


def _kept(name: str, issue: Issue, theirs: Iterable[LabelEvent]) -> Live:
    last = [event for event in theirs if event.label == name][-1:]
    if name in issue.labels:
        return Live(set=1, kept=1)
    return Live(set=1, removed=int(bool(last) and not last[0].added))
