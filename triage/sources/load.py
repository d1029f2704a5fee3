"""Loading issues to learn from: from files, and from repositories on GitHub, several at once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from triage.concurrency import map_concurrently
from triage.config import Config
from triage.console import status, warning
from triage.errors import TriageError
from triage.github.client import Tracker
from triage.github.errors import PartlyRead, RateLimited
from triage.github.open import open_tracker
from triage.github.rate_limit import Quota, RateLimiter
from triage.issue import Issue, Names, RepositoryIds, with_one_spelling
from triage.progress import Shared
from triage.sources.collect import Collected, ReadEstimate, collect, describe, estimate_of
from triage.sources.issue_file import read_issues

T = TypeVar("T")
# A repository, and the cost of reading it or the reason for which it cannot be read.
Estimated = tuple[Tracker, ReadEstimate | TriageError]


@dataclass(frozen=True)
class LoadedIssues:
    """Issues to learn from as they were at `at` (GitHub's clock where they come from there).

    `config` has the descriptions of the repositories' labels added; `bots` are the logins under which this bot
    labelled; `exist` are the names of the repositories' labels, None where only files were read; `ids` are those of
    the repositories that were read, and of their labels.
    """

    issues: Sequence[Issue]
    config: Config
    at: datetime
    bots: tuple[str, ...] = ()
    exist: frozenset[str] | None = None
    ids: tuple[RepositoryIds, ...] = ()

    def unlabelled(self, most: int) -> list[Issue]:
        """The newest issues without labels."""
        quiet = [issue for issue in self.issues if not issue.labels and issue.kind == "issue"]
        return sorted(quiet, key=lambda issue: issue.number)[-most:]


@dataclass(frozen=True)
class Identity:
    """The logins under which this bot labels, in lower case, and a warning for the user ("": none)."""

    me: frozenset[str]
    warning: str = ""


def identity(login: str, is_bot: bool, recorded: Iterable[str] = ()) -> Identity:
    """Who the bot is: the account of the token, and the logins `recorded` as having labelled for it.

    A person's account counts as the bot only where that is recorded: otherwise a maintainer who learns with a
    personal token would lose all the labels that they ever set.
    """
    me = frozenset(name.casefold() for name in recorded)
    if is_bot:
        return Identity(me | {login.casefold()})
    start = f"the token is a person's ({login}), so that the labels it sets look like that person's own"
    if login.casefold() in me:
        return Identity(me, f"{start}; labels that {login} set or removed are not learnt")
    return Identity(me, f"{start}; use the workflow's or an App's token for labelling")


def load_issues(
    files: Sequence[Path],
    repos: Sequence[str],
    config: Config,
    *,
    repo: str = "",
    skip_bad: bool = False,
    cache: Path | None = None,
    bots: Sequence[str] = (),
) -> LoadedIssues:
    """The issues of files and repositories; raises whatever reading them does.

    `repo` names the repository of rows that do not; `bots` are the logins recorded by the active bundle. What is
    read from GitHub stays in `cache`, so that only changes are read the next time.
    """
    issues: list[Issue] = []
    for file in files:
        issues += read_issues(file, repo=repo, skip_bad=skip_bad, warn=warning)
    if not repos:
        return LoadedIssues(with_one_spelling(issues), config, datetime.now(UTC), tuple(bots))
    with tempfile.TemporaryDirectory() as scratch:
        read = read_repositories(repos, cache or Path(scratch), config, bots)
    labels = [label for collected in read.collected for label in collected.labels.values()]
    described = {label.name: label.description for label in reversed(labels) if label.description}
    descriptions = Names({**described, **config.labels.descriptions})
    labels_config = replace(config.labels, descriptions=dict(descriptions))
    found = [*issues, *(issue for collected in read.collected for issue in collected.issues)]
    exist = frozenset(label.name for label in labels)
    return LoadedIssues(
        issues=with_one_spelling(found, exist),
        config=replace(config, labels=labels_config),
        at=read.at,
        bots=read.bots,
        exist=exist,
        ids=tuple(collected.ids for collected in read.collected),
    )


@dataclass(frozen=True)
class RepositoriesRead:
    """The issues of each repository in the order given, as of `at` by GitHub's clock; `bots` as in LoadedIssues."""

    collected: list[Collected]
    at: datetime
    bots: tuple[str, ...]


def read_repositories(
    names: Sequence[str], work: Path, config: Config, recorded: Sequence[str] = ()
) -> RepositoriesRead:
    """Bring the folders in `work` up to date, and return their issues.

    If one repository cannot be read, the others are still read into their folders, where a later run resumes; then
    the failure is raised as by `all_or_raise`.
    """
    limiter = RateLimiter(say=status)
    trackers = [open_tracker(name, config.learn.max_rate_limit_wait, limiter) for name in names]
    viewer = trackers[0].viewer()
    bot = identity(viewer.login, viewer.is_bot, recorded)
    if bot.warning:
        warning(bot.warning)
    at, kinds, answers = trackers[0].now(), config.learn.kinds, config.act.suggest is not None
    types = config.act.types

    def estimate(tracker: Tracker) -> ReadEstimate:
        with tracker:
            return estimate_of(tracker, work, at, kinds, answers=answers)

    estimates = map_concurrently(trackers, estimate, limiter.width, limiter.close)
    pairs = _without_duplicates(zip(trackers, estimates, strict=True))
    bar = _announce(pairs, limiter.allowance)

    def read(pair: Estimated) -> Collected:
        tracker, cost = pair
        if isinstance(cost, TriageError):
            raise cost
        with tracker:
            return collect(
                tracker, work, now=at, kinds=kinds, answers=answers, types=types, progress=bar.part
            )

    outcomes = map_concurrently(pairs, read, limiter.width, limiter.close)
    collected = all_or_raise([tracker.repo for tracker, _ in pairs], outcomes)
    bar.finish()
    return RepositoriesRead(collected, at, tuple(sorted(bot.me)))


def all_or_raise(names: Sequence[str], outcomes: Sequence[T | TriageError]) -> list[T]:
    """The results if there is no failure among them: nothing is learnt from only some of the repositories.

    Raises the failure itself where one repository was read or GitHub's limits are the only reason, else PartlyRead
    with all reasons.
    """
    failures = {n: out for n, out in zip(names, outcomes, strict=True) if isinstance(out, TriageError)}
    if not failures:
        return [out for out in outcomes if not isinstance(out, TriageError)]
    lasting = {name: error for name, error in failures.items() if not isinstance(error, RateLimited)}
    if len(names) == 1 or not lasting:
        raise next(iter(failures.values()))
    raise PartlyRead(len(names), lasting)


def _without_duplicates(pairs: Iterable[Estimated]) -> list[Estimated]:
    """Every repository once, even if it was given by two names."""
    unique: dict[str, Estimated] = {}
    for tracker, cost in pairs:
        key = tracker.repo if isinstance(cost, TriageError) else tracker.repository.node_id
        unique.setdefault(key, (tracker, cost))
    return list(unique.values())


def _announce(pairs: Sequence[Estimated], allowance: Quota | None) -> Shared:
    """Print what reading will cost, and start the progress bar."""
    estimates = [estimate for _, estimate in pairs if not isinstance(estimate, TriageError)]
    what = pairs[0][0].repo if len(pairs) == 1 else f"{len(pairs)} repositories"
    if estimates:
        status(describe(estimates, what, allowance))
    return Shared(f"reading {what}", sum(estimate.issues for estimate in estimates))
