"""The sources of issues in `--from` and `learn.repositories`, and loading them.

A source is a file, or a repository by name or by pattern; several repositories are read at once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from triage import config as configuration
from triage.concurrency import map_concurrently
from triage.config import Config
from triage.console import Shared, status, warning
from triage.errors import TriageError, UsageError
from triage.github.client import Connection, Tracker
from triage.github.errors import NotFound, PartlyRead, RateLimited
from triage.github.graphql import RepositoryInfo
from triage.github.open import open_connection, open_repository, open_tracker
from triage.github.rate_limit import Quota, RateLimiter
from triage.issue import Issue, Names, RepositoryIds, with_one_spelling
from triage.options import ConfigSource
from triage.patterns import NOT, adds_by_pattern, chosen, fault, is_pattern, owners
from triage.sources.collect import Collected, ReadEstimate, collect, describe, estimate_of
from triage.sources.issue_file import is_file, no_source, read_issues

if TYPE_CHECKING:
    from triage.bundle.store import StoreName


T = TypeVar("T")
# A repository, and the cost of reading it or the reason for which it cannot be read.
Estimated = tuple[Tracker, ReadEstimate | TriageError]


@dataclass(frozen=True)
class Sources:
    """Files, and repositories by name or pattern, in the order given."""

    files: list[Path]
    repositories: list[str]


@dataclass(frozen=True)
class SelectedRepositories:
    """The repositories that names and patterns select, in order.

    `visibility` is that of repositories that patterns matched; `left_out` counts forks and repositories without issues.
    """

    names: list[str]
    visibility: Mapping[str, str] = field(default_factory=dict)
    left_out: int = 0


def parse_sources(given: Sequence[str]) -> Sources:
    """Raises UsageError for a source that is neither a file, nor OWNER/NAME, nor a pattern of such names."""
    files, repos = [], []
    for source in given:
        if is_file(source):
            files.append(Path(source))
        elif fault(source) is None and not source.endswith((".jsonl", ".gz", ".json")):
            repos.append(source)
        else:
            problem = fault(source) if source.count("/") == 1 and "*" in source else None
            raise UsageError(problem, next_step="check --from") if problem else no_source(source)
    if repos and repos[0].startswith(NOT):
        raise UsageError(
            f"{repos[0]!r} comes first, where there is nothing to exclude", next_step="check --from"
        )
    return Sources(files, repos)


def select(given: Sequence[str], connection: Connection | None) -> SelectedRepositories:
    """Look patterns up on GitHub, over `connection`; names are not looked up.

    A pattern skips forks and repositories whose issues are disabled; a name does not. Raises NotFound for a pattern
    without a match.
    """
    listed: dict[str, list[RepositoryInfo]] = {}
    if connection:
        listed = {owner.casefold(): connection.repositories_of(owner) for owner in owners(given)}
    usable = {owner: [info.name for info in infos if _usable(info)] for owner, infos in listed.items()}
    names, unmatched = chosen(given, usable)
    if unmatched:
        raise _none_match(unmatched[0], listed[unmatched[0].partition("/")[0].casefold()])
    every = [info for infos in listed.values() for info in infos]
    return SelectedRepositories(
        names=names,
        visibility={info.name: info.visibility for info in every},
        left_out=sum(not _usable(info) for info in every),
    )


def _usable(info: RepositoryInfo) -> bool:
    return info.has_issues and not info.is_fork


def _none_match(pattern: str, listed: Sequence[RepositoryInfo]) -> NotFound:
    owner, usable = pattern.partition("/")[0], sum(map(_usable, listed))
    return NotFound(
        f"no repository matches {pattern}: the token sees {len(listed)} of {owner}, of which {usable} are not forks "
        "and have issues",
        likely="a typing mistake, or a token that sees public repositories only, such as a workflow's own",
        next_step="correct the pattern, or use a token that can read the owner's repositories",
    )


def configured(
    sources: Sources, source: ConfigSource, store: StoreName | None = None
) -> tuple[Tracker | None, Config]:
    """The local configuration if there is one, else that of the first repository given by name, else the default.

    The patterns of `sources` count among its repositories, on which its shared labels depend. The tracker is that
    repository's, if it was opened; with the `store`, as `open_repository`. Raises UsageError where there are only
    patterns.
    """
    tracker: Tracker | None = None
    if source.file or not sources.repositories:
        config = configuration.load(source.file)
    elif home := next((name for name in sources.repositories if not is_pattern(name)), None):
        tracker, config = open_repository(home, source, store=store)
    else:
        raise UsageError(
            f"{sources.repositories[0]} does not say which repository's configuration applies",
            next_step="give --config, or name the bot's own repository too: --from OWNER/NAME --from 'OWNER/*'",
        )
    patterns = tuple(filter(adds_by_pattern, sources.repositories))
    if patterns and config.learn.shared is None:
        learn = replace(config.learn, repositories=(*config.learn.repositories, *patterns))
        config = replace(config, learn=learn)
    return tracker, config


def repositories(
    sources: Sources, others: Sequence[str] = (), connection: Connection | None = None
) -> SelectedRepositories:
    """The repositories to learn from: those of `--from`, then `others`, which are read only together with them.

    `others` cannot exclude what --from names. Patterns are looked up over `connection`, or else a new one.
    """
    given, others = sources.repositories, others if sources.repositories else ()
    if any(map(is_pattern, (*given, *others))):
        connection = connection or open_connection("GitHub")
    own, more = select(given, connection), select(others, connection)
    names: dict[str, str] = {}
    for name in (*own.names, *more.names):
        names.setdefault(name.casefold(), name)
    if given and not names:
        raise UsageError(
            f"{' '.join(given)} leaves no repository",
            next_step="remove a `!`, or name the repository that you mean",
        )
    return SelectedRepositories(
        names=list(names.values()),
        visibility={**own.visibility, **more.visibility},
        left_out=own.left_out + more.left_out,
    )


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
        read = read_repositories(repos, cache or Path(scratch), config, bots, kept=cache is not None)
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
    names: Sequence[str], work: Path, config: Config, recorded: Sequence[str] = (), *, kept: bool = True
) -> RepositoriesRead:
    """Bring the folders in `work` up to date, and return their issues.

    If one repository cannot be read, the others are still read into their folders, where a later run resumes if `work`
    is `kept`; then the failure is raised as by `all_or_raise`.
    """
    limiter = RateLimiter(say=status)
    trackers = [open_tracker(name, config.learn.max_rate_limit_wait, limiter) for name in names]
    for tracker in trackers:
        tracker.bots = (*config.learn.bots, *recorded)
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
    collected = all_or_raise([tracker.repo for tracker, _ in pairs], outcomes, work if kept else None)
    bar.finish()
    return RepositoriesRead(collected, at, tuple(sorted(bot.me)))


def all_or_raise(
    names: Sequence[str], outcomes: Sequence[T | TriageError], kept: Path | None = None
) -> list[T]:
    """The results if there is no failure among them: nothing is learnt from only some of the repositories.

    Raises the failure itself where one repository was read or GitHub's limits are the only reason, else PartlyRead
    with all reasons and the folder that was `kept`.
    """
    failures = {n: out for n, out in zip(names, outcomes, strict=True) if isinstance(out, TriageError)}
    if not failures:
        return [out for out in outcomes if not isinstance(out, TriageError)]
    lasting = {name: error for name, error in failures.items() if not isinstance(error, RateLimited)}
    if len(names) == 1 or not lasting:
        raise next(iter(failures.values()))
    raise PartlyRead(len(names), lasting, kept)


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
