"""`triage label`: decide labels for issues, and show why."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from triage import config as configuration
from triage.console import log, notice, warning
from triage.errors import AccessError, NothingToLabelWith, UsageError
from triage.github.open import add_config_options, connect, numbers_of, since_of

if TYPE_CHECKING:
    from triage.actions.runner import Event, Runner
    from triage.bundle.model import ServingModel
    from triage.config import Config
    from triage.github.client import Tracker
    from triage.github.graphql import LiveIssue
    from triage.label.labeller import LabelOutcome


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    what = parser.add_argument_group("which issues (default: that of the event in GITHUB_EVENT_PATH)")
    what.add_argument("--file", type=Path, help="issues as JSON Lines, plain or gzip; nothing reaches GitHub")
    what.add_argument("--event", type=Path, help="the event that started the workflow, a JSON file")
    what.add_argument("--repo", default="", help="OWNER/NAME; with --file: of rows that name none")
    what.add_argument("--issue", help="issue numbers of --repo: N, N,N or A-B")
    what.add_argument(
        "--since", help="open issues of --repo without a label, created since a date or within `36 hours`"
    )
    parser.add_argument("--store", help="where bundles live: a directory, or github:OWNER/NAME")
    add_config_options(parser)
    parser.add_argument("--json", action="store_true", help="print one decision a line as JSON")
    parser.add_argument(
        "--dry-run", action="store_true", help="decide and show, but change nothing on GitHub"
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out broken rows instead of refusing the file"
    )


def run(args: argparse.Namespace) -> int:
    """Label the issues of a file, or those on GitHub; raises TriageError."""
    if args.file:
        return _label_file(args)
    return _label_live(args)


def _label_file(args: argparse.Namespace) -> int:
    from triage.bundle.open import open_serving
    from triage.bundle.store import StoreName
    from triage.decide import Policy, case_of, decide
    from triage.github.open import open_store
    from triage.progress import bar
    from triage.reports.terminal import table
    from triage.sources.issue_file import read_issues

    config = configuration.load(args.config)
    issues = read_issues(args.file, repo=args.repo, skip_bad=args.skip_bad, warn=warning)
    store = open_store(StoreName.parse(args.store), config) if args.store else None
    model, done = open_serving(config, store), bar("labelling", len(issues))
    if store and model.neighbourhood is None:
        warning(f"{args.store} holds no active bundle: labels are judged by their descriptions alone")
    decisions = decide(map(case_of, issues), model, Policy.of(config))
    for count, (issue, decision) in enumerate(zip(issues, decisions, strict=True), start=1):
        done(count)
        if args.json:
            sys.stdout.write(json.dumps(decision.to_dict(), ensure_ascii=False) + "\n")
        else:
            for line in table(issue.text.split("\n", 1)[0], decision).split("\n"):
                log(line)
    return 0


def _label_live(args: argparse.Namespace) -> int:
    from triage.actions.runner import Runner
    from triage.bundle.open import open_serving
    from triage.bundle.store import StoreName
    from triage.github.open import open_store
    from triage.label.labeller import Labeller
    from triage.label.writer import LabelWriter
    from triage.reports.job_summary import summary

    runner = Runner(os.environ)
    repo, event = _target(args)
    tracker, config = connect(repo, args)
    known = tracker.labels()
    described = {n: x.description for n, x in known.items() if x.description}
    store = open_store(StoreName.parse(args.store), config, tracker) if args.store else None
    try:
        model = open_serving(config, store, described=described, repo=tracker.repo)
    except NothingToLabelWith as nothing:
        return _without_a_model(runner, nothing, unasked=event is not None)
    edited = {event.number: event.before} if event and event.action == "edited" else {}

    def comment(outcome: LabelOutcome) -> str:
        return summary([outcome], url=tracker.url_of, dry_run=False, model=_described(model))

    writer = LabelWriter(tracker, tracker.viewer().login, config.labels, known)
    labeller = Labeller(writer, model, config, args.dry_run, edited, comment if config.act.comment else None)
    outcomes: list[LabelOutcome] = []
    try:
        for outcome in labeller.run(_wanted(args, tracker, event, config)):
            _print(outcome, as_json=args.json)
            outcomes.append(outcome)
    finally:
        # What was done before a failure is done, and is told.
        _publish(runner, outcomes)
        if outcomes:
            runner.summary(
                summary(outcomes, url=tracker.url_of, dry_run=args.dry_run, model=_described(model))
            )
    if args.issue and all(outcome.missing for outcome in outcomes):
        raise AccessError(f"none of the issues {args.issue:.60} of {repo} was found")
    return 0


def _without_a_model(runner: Runner, nothing: NothingToLabelWith, *, unasked: bool) -> int:
    """A repository that has taught nothing yet is no failure where nobody waits for the answer."""
    if not unasked and os.environ.get("GITHUB_EVENT_NAME") != "schedule":
        raise nothing
    notice(f"nothing was labelled: {nothing}")
    runner.summary(f"### Nothing was labelled\n\n{nothing.what}. Next step: {nothing.next_step}.\n")
    return 0


def _target(args: argparse.Namespace) -> tuple[str, Event | None]:
    """The repository, and the event where it is about an issue of it. Raises UsageError."""
    event = _event(args)
    repo = args.repo or (event.repo if event else os.environ.get("GITHUB_REPOSITORY", ""))
    if not repo:
        raise UsageError(
            "there is nothing to label: no file, no event and no repository is named",
            next_step="give --file FILE, or --repo OWNER/NAME with --issue or --since",
        )
    if event and event.repo.casefold() != repo.casefold():
        event = None
    if args.issue:
        numbers_of(args.issue)
    elif args.since:
        since_of(args.since, datetime.now(UTC))
    elif event is None:
        raise UsageError("no issue is named", next_step="give --issue, --since or --file")
    return repo, event


def _event(args: argparse.Namespace) -> Event | None:
    from triage.actions.runner import read_event

    if args.event:
        return read_event(args.event)
    path = os.environ.get("GITHUB_EVENT_PATH", "")
    return read_event(Path(path)) if path and not (args.issue or args.since) else None


def _wanted(
    args: argparse.Namespace, tracker: Tracker, event: Event | None, config: Config
) -> Iterator[LiveIssue | LabelOutcome]:
    if args.issue:
        return _numbered(tracker, numbers_of(args.issue))
    if args.since:
        return _unlabelled(tracker, since_of(args.since, datetime.now(UTC)), config)
    assert event is not None  # noqa: S101 - refused before
    return _numbered(tracker, [event.number])


def _numbered(tracker: Tracker, numbers: list[int]) -> Iterator[LiveIssue | LabelOutcome]:
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
