"""Reading repositories on GitHub, several at once, after saying what it costs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from triage.commands.github import open_tracker
from triage.commands.opening import warn
from triage.config import Config
from triage.errors import TriageError
from triage.progress import Shared

if TYPE_CHECKING:
    from triage.learn.collect import Collected
    from triage.learn.cost import Load
    from triage.world.pace import Allowance
    from triage.world.tracker import Tracker


@dataclass(frozen=True)
class Read:
    """What the repositories hold, in the order in which they were given, as it was at `at` by GitHub's clock;
    `bots` are the logins that label for this bot.
    """

    collected: list[Collected]
    at: datetime
    bots: tuple[str, ...]


def read(names: Sequence[str], work: Path, config: Config, recorded: Sequence[str] = ()) -> Read:
    """Bring the folders in `work` up to date, and return what they hold.

    One repository that cannot be read keeps nothing of the others from their folders; then it is raised (see
    `whole`), and a later run goes on from there.
    """
    from triage.learn.collect import collect
    from triage.learn.cost import load_of
    from triage.learn.judgement import identity
    from triage.learn.together import together, whole
    from triage.world.pace import Pace

    pace = Pace(say=_say)
    trackers = [open_tracker(name, config.learn.max_rate_limit_wait, pace) for name in names]
    viewer = trackers[0].viewer()
    who = identity(viewer.login, viewer.is_bot, recorded)
    if who.warning:
        warn(who.warning)
    at, pull_requests = trackers[0].now(), config.learn.pull_requests

    def count(tracker: Tracker) -> Load:
        with tracker:
            return load_of(tracker, work, at, pull_requests=pull_requests)

    ahead = _once(trackers, together(trackers, count, pace.width, pace.close))
    bar = _announce(ahead, pace.allowance)

    def bring(one: tuple[Tracker, Load | TriageError]) -> Collected:
        tracker, load = one
        if isinstance(load, TriageError):
            raise load
        with tracker:
            return collect(tracker, work, now=at, pull_requests=pull_requests, progress=bar.part)

    outcomes = together(ahead, bring, pace.width, pace.close)
    collected = whole([tracker.repo for tracker, _ in ahead], outcomes)
    bar.finish()
    return Read(collected, at, tuple(sorted(who.me)))


def _once(
    trackers: Sequence[Tracker], loads: Sequence[Load | TriageError]
) -> list[tuple[Tracker, Load | TriageError]]:
    """Each with its load; a repository that was named twice, once by a former name, stays once."""
    pairs: dict[str, tuple[Tracker, Load | TriageError]] = {}
    for tracker, load in zip(trackers, loads, strict=True):
        key = tracker.repo if isinstance(load, TriageError) else tracker.repository.node_id
        pairs.setdefault(key, (tracker, load))
    return list(pairs.values())


def _announce(ahead: Sequence[tuple[Tracker, Load | TriageError]], allowance: Allowance | None) -> Shared:
    """Say what is ahead, and start the bar over it."""
    from triage.learn.cost import plan

    loads = [load for _, load in ahead if not isinstance(load, TriageError)]
    what = ahead[0][0].repo if len(ahead) == 1 else f"{len(ahead)} repositories"
    if loads:
        _say(plan(loads, what, allowance))
    return Shared(f"reading {what}", sum(load.issues for load in loads))


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
