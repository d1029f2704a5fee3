"""Several repositories at once: a few threads, results in the order of the names, every failure kept.

What `triage retrain` learns from: files, and repositories on GitHub.

Reading repositories on GitHub, several at once, after saying what it costs.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from triage.config import Config
from triage.console import status, warning
from triage.errors import TriageError
from triage.github.errors import PartlyRead, RateLimited
from triage.github.open import open_tracker
from triage.issue import Issue
from triage.progress import Shared

if TYPE_CHECKING:
    from triage.bundle.bundle import Bundle
    from triage.github.client import Tracker
    from triage.github.rate_limit import Quota
    from triage.learn.provenance import Attribution
    from triage.sources.collect import Collected
    from triage.sources.estimate import ReadEstimate

S = TypeVar("S")
T = TypeVar("T")


def map_concurrently(
    items: Iterable[S], work: Callable[[S], T], width: int, stop: Callable[[], None]
) -> list[T | TriageError]:
    """What `work` makes of each, in their order, or why it cannot; one failure does not keep the others back.

    Anything else that is raised, an interruption above all, ends everything: `stop` is called so that those under
    way give up, and it is raised again.
    """

    def attempt(item: S) -> T | TriageError:
        try:
            return work(item)
        except TriageError as error:
            return error

    with ThreadPoolExecutor(width) as pool:
        try:
            return list(pool.map(attempt, items))
        except BaseException:
            stop()
            raise


def whole(names: Sequence[str], outcomes: Sequence[T | TriageError]) -> list[T]:
    """The results where there are all. Raises the failure where only one was tried or GitHub's limits are the only
    reason, else PartlyRead that names each: nothing is ever learnt from less than was asked for.
    """
    failures = {n: out for n, out in zip(names, outcomes, strict=True) if isinstance(out, TriageError)}
    if not failures:
        return [out for out in outcomes if not isinstance(out, TriageError)]
    lasting = {name: error for name, error in failures.items() if not isinstance(error, RateLimited)}
    if len(names) == 1 or not lasting:
        raise next(iter(failures.values()))
    raise PartlyRead(len(names), lasting)


@dataclass(frozen=True)
class LoadedIssues:
    """Issues to learn from as they were at `at`, under which configuration, and what is known of their world.

    `at` is GitHub's clock where issues come from there.
    """

    issues: Sequence[Issue]
    config: Config
    voices: Attribution
    at: datetime
    bots: tuple[str, ...] = ()
    exist: frozenset[str] | None = None

    def unlabelled(self, most: int) -> list[Issue]:
        """The newest issues that nobody has labelled."""
        quiet = [issue for issue in self.issues if not issue.labels and issue.kind == "issue"]
        return sorted(quiet, key=lambda issue: issue.number)[-most:]


def load_issues(
    args: argparse.Namespace, files: list[Path], repos: list[str], config: Config, active: Bundle | None
) -> LoadedIssues:
    """Everything that the sources hold now; raises whatever reading them does."""
    from triage.learn.provenance import Attribution
    from triage.sources.issue_file import read_issues

    issues: list[Issue] = []
    for file in files:
        issues += read_issues(file, repo=args.repo, skip_bad=args.skip_bad, warn=warning)
    recorded = active.manifest.bots if active else ()
    if not repos:
        return LoadedIssues(issues, config, Attribution.of(config, recorded), datetime.now(UTC), recorded)
    with tempfile.TemporaryDirectory() as scratch:
        found = read(repos, args.cache or Path(scratch), config, recorded)
    labels = [label for one in found.collected for label in one.labels.values()]
    described = {label.name: label.description for label in reversed(labels) if label.description}
    kept = replace(config.labels, descriptions={**described, **config.labels.descriptions})
    return LoadedIssues(
        issues=[*issues, *(issue for one in found.collected for issue in one.issues)],
        config=replace(config, labels=kept),
        voices=Attribution.of(config, found.bots),
        at=found.at,
        bots=found.bots,
        exist=frozenset(label.name for label in labels),
    )


@dataclass(frozen=True)
class RepositoriesRead:
    """What the repositories hold, in the order in which they were given, as it was at `at` by GitHub's clock;
    `bots` are the logins that label for this bot.
    """

    collected: list[Collected]
    at: datetime
    bots: tuple[str, ...]


def read(names: Sequence[str], work: Path, config: Config, recorded: Sequence[str] = ()) -> RepositoriesRead:
    """Bring the folders in `work` up to date, and return what they hold.

    One repository that cannot be read keeps nothing of the others from their folders; then it is raised (see
    `whole`), and a later run goes on from there.
    """
    from triage.github.rate_limit import RateLimiter
    from triage.learn.provenance import identity
    from triage.sources.collect import collect
    from triage.sources.estimate import estimate_of

    limiter = RateLimiter(say=status)
    trackers = [open_tracker(name, config.learn.max_rate_limit_wait, limiter) for name in names]
    viewer = trackers[0].viewer()
    who = identity(viewer.login, viewer.is_bot, recorded)
    if who.warning:
        warning(who.warning)
    at, kinds = trackers[0].now(), config.learn.kinds

    def count(tracker: Tracker) -> ReadEstimate:
        with tracker:
            return estimate_of(tracker, work, at, kinds)

    ahead = _once(trackers, map_concurrently(trackers, count, limiter.width, limiter.close))
    bar = _announce(ahead, limiter.allowance)

    def bring(one: tuple[Tracker, ReadEstimate | TriageError]) -> Collected:
        tracker, load = one
        if isinstance(load, TriageError):
            raise load
        with tracker:
            return collect(tracker, work, now=at, kinds=kinds, progress=bar.part)

    outcomes = map_concurrently(ahead, bring, limiter.width, limiter.close)
    collected = whole([tracker.repo for tracker, _ in ahead], outcomes)
    bar.finish()
    return RepositoriesRead(collected, at, tuple(sorted(who.me)))


def _once(
    trackers: Sequence[Tracker], loads: Sequence[ReadEstimate | TriageError]
) -> list[tuple[Tracker, ReadEstimate | TriageError]]:
    """Each with its load; a repository that was named twice, once by a former name, stays once."""
    pairs: dict[str, tuple[Tracker, ReadEstimate | TriageError]] = {}
    for tracker, load in zip(trackers, loads, strict=True):
        key = tracker.repo if isinstance(load, TriageError) else tracker.repository.node_id
        pairs.setdefault(key, (tracker, load))
    return list(pairs.values())


def _announce(ahead: Sequence[tuple[Tracker, ReadEstimate | TriageError]], allowance: Quota | None) -> Shared:
    """Say what is ahead, and start the bar over it."""
    from triage.sources.estimate import plan

    loads = [load for _, load in ahead if not isinstance(load, TriageError)]
    what = ahead[0][0].repo if len(ahead) == 1 else f"{len(ahead)} repositories"
    if loads:
        status(plan(loads, what, allowance))
    return Shared(f"reading {what}", sum(load.issues for load in loads))
