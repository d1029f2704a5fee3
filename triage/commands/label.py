"""`triage label`: decide labels for issues, and show why."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from triage import config as configuration
from triage.commands.github import add_config_options, connect, numbers_of
from triage.errors import NothingToLabelWith, UsageError

if TYPE_CHECKING:
    from triage.bundle.model import ServingModel
    from triage.decide.summary import Outcome
    from triage.world.live import LiveIssue
    from triage.world.refusals import NotFound
    from triage.world.runner import Event, Runner
    from triage.world.tracker import Tracker


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    what = parser.add_argument_group("which issues (default: that of the event in GITHUB_EVENT_PATH)")
    what.add_argument("--file", type=Path, help="issues as JSON Lines, plain or gzip; nothing reaches GitHub")
    what.add_argument("--event", type=Path, help="the event that started the workflow, a JSON file")
    what.add_argument("--repo", default="", help="OWNER/NAME; with --file: of rows that name none")
    what.add_argument("--issue", help="issue numbers of --repo: N, N,N or A-B")
    what.add_argument(
        "--since",
        type=float,
        metavar="HOURS",
        help="the unlabelled issues of --repo opened in the last hours",
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
    from triage.commands.opening import open_serving, open_store, warn
    from triage.decide import Policy, decide
    from triage.decide.report import table
    from triage.progress import bar
    from triage.world.issue_file import read_issues

    config = configuration.load(args.config)
    issues = read_issues(args.file, repo=args.repo, skip_bad=args.skip_bad, warn=warn)
    model = open_serving(config, open_store(args.store, config), bar("labelling", len(issues)))
    for issue, decision in zip(issues, decide(issues, model, Policy.of(config)), strict=True):
        if args.json:
            sys.stdout.write(json.dumps(decision.to_dict(), ensure_ascii=False) + "\n")
        else:
            sys.stdout.write(table(issue.text.split("\n", 1)[0], decision) + "\n")
    return 0


def _label_live(args: argparse.Namespace) -> int:
    from triage.commands.live import Labeller
    from triage.commands.opening import open_serving, open_store
    from triage.decide.summary import summary
    from triage.world.runner import Runner

    runner = Runner(os.environ)
    event = _event(args)
    if event is None and not (args.issue or args.since):
        raise UsageError("no issue is named", next_step="give --issue, --since or --file")
    repo = args.repo or (event.repo if event else os.environ.get("GITHUB_REPOSITORY", ""))
    if not repo:
        raise UsageError("no repository is named", next_step="give --repo OWNER/NAME")
    tracker, config = connect(repo, args)
    known = tracker.labels()
    described = {n: x.description for n, x in known.items() if x.description}
    store = open_store(args.store, config, tracker)
    try:
        model = open_serving(config, store, described=described)
    except NothingToLabelWith as nothing:
        if event is None:
            raise
        runner.notice(f"nothing was labelled: {nothing}")
        return 0
    edited = {event.number: event.before} if event and event.action == "edited" else {}
    labeller = Labeller(tracker, model, config, known, tracker.viewer().login, args.dry_run, edited)
    if config.act.comment:
        labeller.comment = lambda outcome: summary(
            [outcome], url=tracker.url_of, dry_run=False, model=model.name
        )
    outcomes = []
    for outcome in labeller.run(_wanted(args, tracker, event)):
        _print(runner, outcome, as_json=args.json)
        outcomes.append(outcome)
    _publish(runner, outcomes)
    runner.summary(summary(outcomes, url=tracker.url_of, dry_run=args.dry_run, model=_described(model)))
    return 0


def _event(args: argparse.Namespace) -> Event | None:
    from triage.world.runner import read_event

    path = args.event or (
        Path(os.environ.get("GITHUB_EVENT_PATH", "")) if not args.issue and not args.since else None
    )
    return read_event(path) if path and str(path) != "." else None


def _wanted(
    args: argparse.Namespace, tracker: Tracker, event: Event | None
) -> Iterable[LiveIssue | NotFound]:
    if args.issue:
        return tracker.issues(numbers_of(args.issue))
    if args.since:
        return _unlabelled(tracker, datetime.now(UTC) - timedelta(hours=args.since))
    assert event is not None  # noqa: S101 - refused before
    return tracker.issues([event.number])


def _unlabelled(tracker: Tracker, since: datetime) -> Iterator[LiveIssue]:
    """Issues that an event may have missed: open, without a label, never touched."""
    from triage.world.live import Filter

    for page in tracker.pages(Filter(since=since, state="open")):
        yield from (live for live in page.items if not live.issue.labels and not live.issue.events)


def _print(runner: Runner, outcome: Outcome, *, as_json: bool) -> None:
    if as_json and outcome.decision:
        runner.log(json.dumps(outcome.decision.to_dict(), ensure_ascii=False))
        return
    what = ", ".join(outcome.added) or outcome.note or "no label"
    runner.log(f"{outcome.repo}#{outcome.number}: {what}")


def _publish(runner: Runner, outcomes: list[Outcome]) -> None:
    """Set the step's outputs: of one issue as they are, of several by number."""

    def say(name: str, values: dict[str, object], nothing: object) -> None:
        one = next(iter(values.values()), nothing) if len(outcomes) <= 1 else values
        runner.output(name, json.dumps(one, ensure_ascii=False))

    decided = {str(o.number): o.decision.to_dict() for o in outcomes if o.decision}
    say("labels", {str(o.number): list(o.added) for o in outcomes}, [])
    say("scores", {number: d["scores"] for number, d in decided.items()}, {})
    say("neighbours", {number: d["neighbours"] for number, d in decided.items()}, [])
    say("abstained", {str(o.number): not o.added for o in outcomes}, True)


def _described(model: ServingModel) -> str:
    if model.neighbourhood is None:
        return "zero-shot classification by the labels' descriptions, for there is no bundle yet"
    return f"bundle {model.name}: {model.rules.k} neighbours vote, encoder {model.encoder.name}"
