"""What `triage retrain` learns from: files, and repositories on GitHub."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from triage.commands.opening import warn
from triage.config import Config
from triage.issue import Issue

if TYPE_CHECKING:
    from triage.bundle.bundle import Bundle
    from triage.learn.judgement import Voices


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


def gather(
    args: argparse.Namespace, files: list[Path], repos: list[str], config: Config, active: Bundle | None
) -> Gathered:
    """Everything that the sources hold now; raises whatever reading them does."""
    from triage.commands.reading import read
    from triage.learn.judgement import Voices
    from triage.world.issue_file import read_issues

    issues: list[Issue] = []
    for file in files:
        issues += read_issues(file, repo=args.repo, skip_bad=args.skip_bad, warn=warn)
    recorded = active.manifest.bots if active else ()
    if not repos:
        return Gathered(issues, config, Voices.of(config, recorded), datetime.now(UTC), recorded)
    with tempfile.TemporaryDirectory() as scratch:
        found = read(repos, args.cache or Path(scratch), config, recorded)
    labels = [label for one in found.collected for label in one.labels.values()]
    described = {label.name: label.description for label in reversed(labels) if label.description}
    kept = replace(config.labels, descriptions={**described, **config.labels.descriptions})
    return Gathered(
        issues=[*issues, *(issue for one in found.collected for issue in one.issues)],
        config=replace(config, labels=kept),
        voices=Voices.of(config, found.bots),
        at=found.at,
        bots=found.bots,
        exist=frozenset(label.name for label in labels),
    )
