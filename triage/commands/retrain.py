"""`triage retrain`: learn a bundle from labelled issues, and make it active where it passes the gate."""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from triage import config as configuration
from triage.commands.github import add_config_options, connect, open_tracker
from triage.commands.opening import GITHUB, open_engines, open_store, warn
from triage.config import Config
from triage.errors import BundleError, GateError, UsageError
from triage.issue import Issue, format_time

if TYPE_CHECKING:
    from triage.bundle.bundle import Bundle
    from triage.bundle.store import Store
    from triage.learn.dataset import Dataset
    from triage.learn.judgement import Voices

# So many of the newest unlabelled issues show how often labels would be added unasked.
UNLABELLED = 200
REPOSITORY = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")
# From the most visible to the least.
VISIBILITY = ("public", "internal", "private")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--from",
        dest="sources",
        action="append",
        required=True,
        metavar="FILE|OWNER/NAME",
        help="labelled issues: JSON Lines, plain or gzip, or a repository; may be given several times",
    )
    parser.add_argument(
        "--store", required=True, help="where to keep the bundle: a directory, or github:OWNER/NAME"
    )
    parser.add_argument(
        "--against", help="the store whose active bundle the gate compares with (default: --store)"
    )
    add_config_options(parser)
    parser.add_argument("--repo", default="", help="OWNER/NAME of rows that do not name their repository")
    parser.add_argument(
        "--adapt",
        choices=("none", "head", "auto"),
        default="auto",
        help="how vectors are adapted to the labels; auto: a head where it helps (default)",
    )
    parser.add_argument(
        "--split",
        choices=("time", "stratified"),
        help="how windows are split off (default: by time where every row has a date)",
    )
    parser.add_argument(
        "--cache", type=Path, help="a folder for collected issues, so that only news is asked for"
    )
    parser.add_argument("--always", action="store_true", help="learn even where too little is new")
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out broken rows instead of refusing the file"
    )


@dataclass(frozen=True)
class Gathered:
    """Issues to learn from, under which configuration, and what is known of the world they come from."""

    issues: Sequence[Issue]
    config: Config
    voices: Voices
    bots: tuple[str, ...] = ()
    exist: frozenset[str] | None = None

    def unlabelled(self, most: int) -> list[Issue]:
        """The newest issues that nobody has labelled."""
        quiet = [issue for issue in self.issues if not issue.labels and not issue.is_pull_request]
        return sorted(quiet, key=lambda issue: issue.number)[-most:]


def run(args: argparse.Namespace) -> int:
    """Learn, compare, save; raises TriageError, and GateError where the candidate was only staged."""
    from triage.commands.learning_report import news
    from triage.learn.dataset import prepare

    files, repos = sources_of(args.sources)
    config = connect(repos[0], args)[1] if repos and not args.config else configuration.load(args.config)
    store = open_store(args.store, config)
    against = open_store(args.against or args.store, config)
    _refuse_exposure(args.store, repos)
    name = against.named("active")
    active = against.load(name) if name else None
    gathered = _gather(args, files, repos, config, active)
    data = prepare(gathered.issues, gathered.config, gathered.voices)
    if active and not args.always:
        new, least = news(active, data), gathered.config.learn.min_new
        if new < least:
            print(f"nothing to do: {new} labelled issues are new since {name}; learn.min_new is {least}")
            return 0
    return _learn(args, gathered, data, (store, against), active)


def _learn(
    args: argparse.Namespace,
    gathered: Gathered,
    data: Dataset,
    stores: tuple[Store, Store],
    active: Bundle | None,
) -> int:
    from triage.commands.learning_report import markdown, plain
    from triage.learn.gate import Ruling, rule
    from triage.learn.retrain import Occasion, learn
    from triage.learn.study import Engines
    from triage.learn.vectors import NAME, embed
    from triage.progress import bar
    from triage.world.runner import Runner

    store, against = stores
    engines = Engines(*open_engines(gathered.config))
    embedded = embed(
        data.issues,
        engines.encoder,
        against.kept(NAME),
        lambda held: store.keep(NAME, held),
        lambda total: bar("embedding", total),
    )
    now = format_time(datetime.now(UTC)) or ""
    occasion = Occasion(now, args.split, args.adapt, gathered.bots)
    quiet = gathered.unlabelled(UNLABELLED) if active else []
    learnt = learn(data, embedded.vectors, gathered.config, engines, occasion, quiet)
    ruling = rule(active, learnt.study, exist=gathered.exist) if active else Ruling()
    made = store.save(learnt.bundle)
    store.appoint("active" if ruling.passed else "staged", made)
    sys.stdout.write(plain(made, learnt, ruling, embedded.computed))
    Runner(os.environ).summary(markdown(made, learnt, ruling, active))
    if not ruling.passed:
        raise GateError(f"{made} was not made active: {'; '.join(ruling.objections)}")
    return 0


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


def _gather(
    args: argparse.Namespace, files: list[Path], repos: list[str], config: Config, active: Bundle | None
) -> Gathered:
    from triage.learn.judgement import Voices
    from triage.world.issue_file import read_issues

    issues: list[Issue] = []
    for file in files:
        issues += read_issues(file, repo=args.repo, skip_bad=args.skip_bad, warn=warn)
    recorded = active.manifest.bots if active else ()
    if not repos:
        return Gathered(issues, config, Voices.of(config, recorded), recorded)
    with tempfile.TemporaryDirectory() as scratch:
        found = [_collected(repo, args.cache or Path(scratch), config, recorded) for repo in repos]
    described = {name: text for one in reversed(found) for name, text in one.described.items()}
    labels = replace(config.labels, descriptions={**described, **config.labels.descriptions})
    bots = tuple(sorted({login for one in found for login in one.bots}))
    return Gathered(
        issues=[*issues, *(issue for one in found for issue in one.issues)],
        config=replace(config, labels=labels),
        voices=Voices.of(config, bots),
        bots=bots,
        exist=frozenset(name for one in found for name in one.exist),
    )


@dataclass(frozen=True)
class _Found:
    issues: Sequence[Issue]
    described: dict[str, str]
    exist: frozenset[str]
    bots: frozenset[str]


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
    found = collect(
        tracker,
        work,
        now=datetime.now(UTC),
        pull_requests=config.learn.pull_requests,
        progress=lambda total: bar(f"reading {repo}", total),
    )
    labels = tracker.labels()
    described = {name: label.description for name, label in labels.items() if label.description}
    return _Found(found.issues, described, frozenset(labels), who.me)


def _refuse_exposure(store: str, repos: Sequence[str]) -> None:
    """Raise BundleError where the store is a repository that more people see than one that is learnt from."""
    if not store.startswith(GITHUB):
        return
    home = store.removeprefix(GITHUB)
    visible = {repo: open_tracker(repo).repository.visibility for repo in {home, *repos}}
    for repo in repos:
        if VISIBILITY.index(visible[repo]) > VISIBILITY.index(visible[home]):
            raise BundleError(
                f"the issues of {repo} are {visible[repo]}, and the store {home} is {visible[home]}",
                likely="a bundle tells numbers and labels of issues to everybody who sees its store",
                next_step="choose a store that no more people see, such as the repository itself",
            )
