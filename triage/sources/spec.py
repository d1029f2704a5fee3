"""What `--from` and `learn.repositories` mean: files, and repositories by name or by pattern."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from triage import config as configuration
from triage.config import Config
from triage.errors import UsageError
from triage.github.open import connect, open_connection
from triage.patterns import NOT, chosen, fault, is_pattern, owners

if TYPE_CHECKING:
    from triage.github.client import Connection
    from triage.github.graphql import RepositoryInfo


@dataclass(frozen=True)
class Sources:
    """Files, and repositories by name or pattern, as they were given."""

    files: list[Path]
    repositories: list[str]

    @property
    def home(self) -> str | None:
        """The repository whose configuration counts: the first that is named."""
        return next((name for name in self.repositories if not is_pattern(name)), None)


@dataclass(frozen=True)
class Found:
    """The repositories that are meant, in order, and how visible those are that a pattern found."""

    names: list[str]
    visibility: Mapping[str, str] = field(default_factory=dict)
    left_out: int = 0


def sources_of(given: Sequence[str]) -> Sources:
    """Raises UsageError for what is neither a file, nor OWNER/NAME, nor a pattern of such names."""
    files, repos = [], []
    for source in given:
        if Path(source).is_file():
            files.append(Path(source))
        elif fault(source) is None and not source.endswith((".jsonl", ".gz", ".json")):
            repos.append(source)
        else:
            words = fault(source) if source.count("/") == 1 and "*" in source else None
            raise UsageError(
                words or f"{source!r} is neither a file nor of the form OWNER/NAME", next_step="check --from"
            )
    sources = Sources(files, repos)
    if any(each.startswith(NOT) for each in repos[:1]):
        raise UsageError(
            f"{repos[0]!r} comes first, where there is nothing to take away", next_step="check --from"
        )
    return sources


def find(given: Sequence[str], connection: Connection | None) -> Found:
    """Look patterns up on GitHub; without any, nothing is asked.

    A pattern leaves out forks and repositories whose issues are switched off; naming one reads it all the same.
    Raises NoneMatch for a pattern that finds nothing, and whatever listing does.
    """
    listed: dict[str, list[RepositoryInfo]] = {}
    if connection is not None:
        listed = {owner.casefold(): connection.repositories_of(owner) for owner in owners(given)}
    usable = {owner: [each for each in found if _usable(each)] for owner, found in listed.items()}
    names, vain = chosen(given, {owner: [each.name for each in found] for owner, found in usable.items()})
    if vain:
        raise _none(vain[0], listed[vain[0].partition("/")[0].casefold()])
    every = [each for found in listed.values() for each in found]
    return Found(
        names=names,
        visibility={each.name: each.visibility for each in every},
        left_out=sum(not _usable(each) for each in every),
    )


def _usable(listed: RepositoryInfo) -> bool:
    return listed.has_issues and not listed.is_fork


def _none(pattern: str, listed: Iterable[RepositoryInfo]) -> Exception:
    from triage.github.errors import NoneMatch

    there = list(listed)
    owner, usable = pattern.partition("/")[0], sum(map(_usable, there))
    return NoneMatch(
        f"no repository matches {pattern}: the token sees {len(there)} of {owner}, of which {usable} are no forks "
        "and have issues"
    )


def configured(sources: Sources, args: argparse.Namespace) -> Config:
    """The configuration: the local one given, else that of the first repository that is named, else the default.

    Raises UsageError where there are only patterns, of which none is more at home than the others.
    """
    if args.config or not sources.repositories:
        return configuration.load(args.config)
    if sources.home is None:
        raise UsageError(
            f"{sources.repositories[0]} names no repository whose configuration counts",
            next_step="give --config, or name the bot's own repository too: --from OWNER/NAME --from 'OWNER/*'",
        )
    return connect(sources.home, args)[1]


def repositories(sources: Sources, others: Sequence[str] = ()) -> Found:
    """The repositories to learn from: those of `--from`, then `others`, which only go with them.

    What is named in --from is never taken away by `others`. Raises whatever looking them up does.
    """
    given, others = sources.repositories, others if sources.repositories else ()
    asked = any(map(is_pattern, (*given, *others)))
    connection = open_connection("GitHub") if asked else None
    own, more = find(given, connection), find(others, connection)
    names: dict[str, str] = {}
    for name in (*own.names, *more.names):
        names.setdefault(name.casefold(), name)
    if given and not names:
        raise UsageError(
            f"{' '.join(given)} leaves no repository", next_step="take a `!` away, or name one that is meant"
        )
    return Found(
        names=list(names.values()),
        visibility={**own.visibility, **more.visibility},
        left_out=own.left_out + more.left_out,
    )
