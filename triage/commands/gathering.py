"""What `triage retrain` learns from: files, and repositories on GitHub."""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from triage.commands.github import open_tracker
from triage.commands.opening import warn
from triage.config import Config
from triage.errors import UsageError
from triage.issue import Issue

if TYPE_CHECKING:
    from triage.bundle.bundle import Bundle
    from triage.learn.judgement import Voices

REPOSITORY = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Gathered:
    """Issues to learn from as they were at `at`, under which configuration, and what is known of their world.

    `at` is GitHub's clock where issues come from there.
    """

    issues: Sequence[Issue]
    config: Config
    voices: Voices
    at: datetime
    bots: tuple[str, ...] = ()
    exist: frozenset[str] | None = None

    def unlabelled(self, most: int) -> list[Issue]:
        """The newest issues that nobody has labelled."""
        quiet = [issue for issue in self.issues if not issue.labels and not issue.is_pull_request]
        return sorted(quiet, key=lambda issue: issue.number)[-most:]


def sources_of(given: Sequence[str]) -> tuple[list[Path], list[str]]:
    """(files, repositories). Raises UsageError for what is neither."""
    files, repos = [], []
    for source in given:
        if Path(source).is_file():
            files.append(Path(source))
        elif REPOSITORY.fullmatch(source) and not source.endswith((".jsonl", ".gz", ".json")):
            repos.append(source)
        else:
            raise UsageError(
                f"{source!r} is neither a file nor of the form OWNER/NAME", next_step="check --from"
            )
    return files, repos


def gather(
    args: argparse.Namespace, files: list[Path], repos: list[str], config: Config, active: Bundle | None
) -> Gathered:
    """Everything that the sources hold now; raises whatever reading them does."""
    from triage.learn.judgement import Voices
    from triage.world.issue_file import read_issues

    issues: list[Issue] = []
    for file in files:
        issues += read_issues(file, repo=args.repo, skip_bad=args.skip_bad, warn=warn)
    recorded = active.manifest.bots if active else ()
    if not repos:
        return Gathered(issues, config, Voices.of(config, recorded), datetime.now(UTC), recorded)
    with tempfile.TemporaryDirectory() as scratch:
        found = [_collected(repo, args.cache or Path(scratch), config, recorded) for repo in repos]
    described = {name: text for one in reversed(found) for name, text in one.described.items()}
    labels = replace(config.labels, descriptions={**described, **config.labels.descriptions})
    bots = tuple(sorted({login for one in found for login in one.bots}))
    return Gathered(
        issues=[*issues, *(issue for one in found for issue in one.issues)],
        config=replace(config, labels=labels),
        voices=Voices.of(config, bots),
        at=min(one.at for one in found),
        bots=bots,
        exist=frozenset(name for one in found for name in one.exist),
    )


@dataclass(frozen=True)
class _Found:
    issues: Sequence[Issue]
    described: dict[str, str]
    exist: frozenset[str]
    bots: frozenset[str]
    at: datetime


def _collected(repo: str, work: Path, config: Config, recorded: Sequence[str]) -> _Found:
    """Everything of one repository on GitHub."""
    from triage.learn.collect import collect
    from triage.learn.judgement import identity
    from triage.progress import bar

    tracker = open_tracker(repo, config.act.max_rate_limit_wait)
    viewer = tracker.viewer()
    who = identity(viewer.login, viewer.is_bot, recorded)
    if who.warning:
        warn(who.warning)
    at = tracker.now()
    found = collect(
        tracker,
        work,
        now=at,
        pull_requests=config.learn.pull_requests,
        progress=lambda total: bar(f"reading {repo}", total),
    )
    labels = tracker.labels()
    described = {name: label.description for name, label in labels.items() if label.description}
    return _Found(found.issues, described, frozenset(labels), who.me, at)
