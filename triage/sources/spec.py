"""The sources of issues in `--from` and `learn.repositories`: files, and repositories by name or by pattern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from triage import config as configuration
from triage.config import Config
from triage.errors import UsageError
from triage.github.client import Connection, Tracker
from triage.github.errors import NotFound
from triage.github.graphql import RepositoryInfo
from triage.github.open import open_connection, open_repository
from triage.options import ConfigSource
from triage.patterns import NOT, adds_by_pattern, chosen, fault, is_pattern, owners
from triage.sources.issue_file import is_file, no_source

if TYPE_CHECKING:
    from triage.bundle.store import StoreName


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
        f"no repository matches {pattern}: the token sees {len(listed)} of {owner}, of which {usable} are no forks "
        "and have issues",
        likely="a typing mistake, or a token that sees public repositories only, such as a workflow's own",
        next_step="correct the pattern, or use a token that can read the owner's repositories",
    )


def configured(
    sources: Sources, source: ConfigSource, store: StoreName | None = None
) -> tuple[Tracker | None, Config]:
    """The local configuration if there is one, else that of the first repository given by name, else the default.

    The tracker is that repository's, if it was opened; with the `store`, as `open_repository`. Raises UsageError where
    there are only patterns.
    """
    if source.file or not sources.repositories:
        return None, configuration.load(source.file)
    home = next((name for name in sources.repositories if not is_pattern(name)), None)
    if home is None:
        raise UsageError(
            f"{sources.repositories[0]} does not say which repository's configuration applies",
            next_step="give --config, or name the bot's own repository too: --from OWNER/NAME --from 'OWNER/*'",
        )
    return open_repository(home, source, store=store)


def shared_among(sources: Sources, config: Config) -> Config:
    """The configuration with the patterns of `sources` among its repositories, on which its shared labels depend."""
    patterns = tuple(filter(adds_by_pattern, sources.repositories))
    if not patterns or config.learn.shared is not None:
        return config
    return replace(config, learn=replace(config.learn, repositories=(*config.learn.repositories, *patterns)))


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
