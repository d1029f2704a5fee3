"""What maintainers should know after a retraining: how the bot did in earnest, and which issues to label next."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from triage.decide import Decision
from triage.issue import Issue, Key
from triage.learn.judgement import Voices
from triage.learn.live import Drift, Live, drift, live_accuracy
from triage.learn.study import Study

# As many as a maintainer labels in a few minutes.
ASKED = 8


@dataclass(frozen=True)
class Advice:
    """`live` by label, since the active bundle was made; `unsure` are unlabelled issues, the most telling first."""

    live: Mapping[str, Live] = field(default_factory=dict)
    drift: Drift | None = None
    unsure: tuple[Key, ...] = ()


def advise(study: Study, issues: Sequence[Issue], voices: Voices, since: datetime | None) -> Advice:
    """The advice out of a study and all `issues`; without `since` (no active bundle) the bot has done nothing yet."""
    live = _live(issues, voices, since) if since else {}
    if not study.enough:
        return Advice(live)
    nearest = np.array([_nearest(decision) for decision in (*study.newest, *study.on_unlabelled)])
    return Advice(live, drift(nearest, study.rules.floor), unsure(study.on_unlabelled, study.verdict.names))


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


def _live(issues: Sequence[Issue], voices: Voices, since: datetime) -> dict[str, Live]:
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
