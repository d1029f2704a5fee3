"""`triage label`: decide labels for issues, and show why."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from triage import config as configuration
from triage.actions.runner import event_of, read_event
from triage.cli import arguments
from triage.console import log, notice, warning
from triage.errors import AccessError, NothingToLabelWith, UsageError
from triage.github.open import open_repository, open_store
from triage.options import LabelOptions, ranges

if TYPE_CHECKING:
    from triage.actions.runner import Runner
    from triage.bundle.model import ServingModel
    from triage.config import Config
    from triage.github.client import Tracker
    from triage.github.graphql import LiveIssue
    from triage.label.labeller import LabelOutcome


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    which = parser.add_argument_group("which issues (default: that of the event in GITHUB_EVENT_PATH)")
    which.add_argument(
        "--file", type=Path, help="a file of issues as JSON Lines, plain or gzip, without GitHub"
    )
    which.add_argument(
        "--event", type=Path, metavar="FILE", help="the webhook event that started the workflow"
    )
    which.add_argument(
        "--repo",
        default="",
        metavar="OWNER/NAME",
        help="repository of the issues; with --file, of the rows that do not name theirs",
    )
    which.add_argument(
        "--issue", type=arguments.issue_numbers, metavar="NUMBERS", help=f"these issues: {arguments.ISSUES}"
    )
    which.add_argument(
        "--since",
        type=arguments.when,
        metavar="WHEN",
        help="open issues without a label that were created since a date, or within a time such as `36 hours`",
    )
    arguments.add_store(parser)
    arguments.add_config(parser)
    parser.add_argument("--json", action="store_true", help="print each decision as a line of JSON")
    parser.add_argument(
        "--dry-run", action="store_true", help="show the decisions, and change nothing on GitHub"
    )
    arguments.add_skip_bad(parser)


def parse(args: argparse.Namespace) -> LabelOptions:
    """The options of a command line. Raises UsageError where they name no issue."""
    options = LabelOptions(
        config=arguments.config_source(args),
        store=args.store,
        file=args.file,
        event=read_event(args.event) if args.event and not args.file else None,
        repo=args.repo,
        issues=args.issue or (),
        since=args.since,
        json=args.json,
        dry_run=args.dry_run,
        skip_bad=args.skip_bad,
    )
    return options if args.file else with_environment(options, os.environ)


def with_environment(options: LabelOptions, environment: Mapping[str, str]) -> LabelOptions:
    """The options with the event and the repository that the workflow run is about, where they name none.

    Raises UsageError where no issue is named, DataError for a broken event.
    """
    event = options.event
    if event is None and not (options.issues or options.since):
        event = event_of(environment)
    repo = options.repo or (event.repo if event else environment.get("GITHUB_REPOSITORY", ""))
    if not repo:
        raise UsageError(
            "there is nothing to label: no file, no event and no repository is named",
            next_step="give --file FILE, or --repo OWNER/NAME with --issue or --since",
        )
    if event and event.repo.casefold() != repo.casefold():
        event = None
    if not (event or options.issues or options.since):
        raise UsageError("no issue is named", next_step="give --issue, --since or --file")
    unattended = event is not None or environment.get("GITHUB_EVENT_NAME") == "schedule"
    return replace(options, repo=repo, event=event, unattended=unattended)


def run(options: LabelOptions) -> int:
    """Label the issues of a file, or those on GitHub; raises TriageError."""
    if options.file:
        return _label_file(options, options.file)
    return _label_live(options)


def _label_file(options: LabelOptions, file: Path) -> int:
    from triage.bundle.open import open_serving
    from triage.decide import Policy, case_of, decide
    from triage.progress import bar
    from triage.reports.terminal import table
    from triage.sources.issue_file import read_issues

    config = configuration.load(options.config.file)
    issues = read_issues(file, repo=options.repo, skip_bad=options.skip_bad, warn=warning)
    store = open_store(options.store, config) if options.store else None
    model, done = open_serving(config, store), bar("labelling", len(issues))
    if store and model.neighbourhood is None:
        warning(f"{options.store} holds no active bundle: labels are judged by their descriptions alone")
    decisions = decide(map(case_of, issues), model, Policy.of(config))
    for count, (issue, decision) in enumerate(zip(issues, decisions, strict=True), start=1):
        done(count)
        if options.json:
            sys.stdout.write(json.dumps(decision.to_dict(), ensure_ascii=False) + "\n")
        else:
            for line in table(issue.text.split("\n", 1)[0], decision).split("\n"):
                log(line)
    return 0


def _label_live(options: LabelOptions) -> int:
    from triage.actions.runner import Runner
    from triage.bundle.open import open_serving
    from triage.label.labeller import Labeller
    from triage.label.writer import LabelWriter
    from triage.reports.job_summary import summary

    runner = Runner(os.environ)
    event = options.event
    tracker, config = open_repository(options.repo, options.config)
    known = tracker.labels()
    described = {n: x.description for n, x in known.items() if x.description}
    store = open_store(options.store, config, tracker) if options.store else None
    try:
        model = open_serving(config, store, described=described, repo=tracker.repo)
    except NothingToLabelWith as nothing:
        return _without_a_model(runner, nothing, unattended=options.unattended)
    edited = {event.number: event.before} if event and event.action == "edited" else {}

    def comment(outcome: LabelOutcome) -> str:
        return summary([outcome], url=tracker.url_of, dry_run=False, model=_described(model))

    writer = LabelWriter(tracker, tracker.viewer().login, config.labels, known)
    labeller = Labeller(
        writer, model, config, options.dry_run, edited, comment if config.act.comment else None
    )
    outcomes: list[LabelOutcome] = []
    try:
        for outcome in labeller.run(_wanted(options, tracker, config)):
            _print(outcome, as_json=options.json)
            outcomes.append(outcome)
    finally:
        # What was done before a failure is done, and is told.
        _publish(runner, outcomes)
        if outcomes:
            runner.summary(
                summary(outcomes, url=tracker.url_of, dry_run=options.dry_run, model=_described(model))
            )
    if options.issues and all(outcome.missing for outcome in outcomes):
        raise AccessError(f"none of the issues {ranges(options.issues):.60} of {options.repo} was found")
    return 0


def _without_a_model(runner: Runner, nothing: NothingToLabelWith, *, unattended: bool) -> int:
    """Report that there is no model yet: an error only where a person asked for labels."""
    if not unattended:
        raise nothing
    notice(f"nothing was labelled: {nothing}")
    runner.summary(f"### Nothing was labelled\n\n{nothing.what}. Next step: {nothing.next_step}.\n")
    return 0


def _wanted(options: LabelOptions, tracker: Tracker, config: Config) -> Iterator[LiveIssue | LabelOutcome]:
    if options.since and not options.issues:
        return _unlabelled(tracker, options.since.at(datetime.now(UTC)), config)
    numbers = options.issues or ([options.event.number] if options.event else [])
    return _numbered(tracker, numbers)


def _numbered(tracker: Tracker, numbers: Sequence[int]) -> Iterator[LiveIssue | LabelOutcome]:
    from triage.github.errors import NotFound
    from triage.label.labeller import LabelOutcome

    for number, found in zip(numbers, tracker.issues(numbers), strict=True):
        if isinstance(found, NotFound):
            yield LabelOutcome(tracker.repo, number, note=found.likely or found.what, missing=True)
        else:
            yield found


def _unlabelled(tracker: Tracker, since: datetime, config: Config) -> Iterator[LiveIssue]:
    """Issues that an event may have missed: open, without a label, never touched."""
    from triage.github.graphql import IssueFilter
    from triage.issue import KINDS

    for kind in (kind for kind in KINDS if kind in config.act.kinds):
        for page in tracker.pages(IssueFilter(since=since, state="open", kind=kind)):
            yield from (live for live in page.items if not live.issue.labels and not live.issue.events)


def _print(outcome: LabelOutcome, *, as_json: bool) -> None:
    if as_json and outcome.decision:
        log(json.dumps(outcome.decision.to_dict(), ensure_ascii=False))
        return
    what = "; ".join(filter(None, [", ".join(outcome.added), outcome.note])) or "no label"
    log(f"{outcome.repo}#{outcome.number}: {what}")


def _publish(runner: Runner, outcomes: list[LabelOutcome]) -> None:
    """Set the step's outputs, by issue number; neighbours of other repositories have no number here."""
    decided = [(str(o.number), o, o.decision) for o in outcomes if o.decision]
    outputs: dict[str, object] = {
        "labels": {number: list(o.added) for number, o, _ in decided},
        "scores": {number: d.to_dict()["scores"] for number, _, d in decided},
        "neighbours": {number: [n.number for n in d.voters if n.repo == o.repo] for number, o, d in decided},
        "abstained": [o.number for _, o, d in decided if d.abstained],
    }
    for name, value in outputs.items():
        runner.output(name, json.dumps(value, ensure_ascii=False))


def _described(model: ServingModel) -> str:
    if model.neighbourhood is None:
        return "zero-shot classification by the labels' descriptions, for there is no bundle yet"
    return f"bundle {model.name}: {model.rules.k} neighbours vote, encoder {model.encoder.name}"
