"""`triage label`: decide labels for issues, and show why."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from triage.actions import event_of, read_event
from triage.cli import arguments
from triage.errors import UsageError
from triage.options import LabelOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    which = parser.add_argument_group("which issues (default: that of the event in GITHUB_EVENT_PATH)")
    which.add_argument(
        "--from",
        dest="file",
        type=Path,
        metavar="FILE",
        help="issues in a file of rows, or - for standard input; GitHub is not used",
    )
    which.add_argument(
        "--event", type=Path, metavar="FILE", help="webhook event that started the workflow, as JSON"
    )
    arguments.add(which, "--repo", "repository of the issues on GitHub")
    arguments.add_repo_of_rows(which, default=argparse.SUPPRESS)
    arguments.add(which, "--issue")
    which.add_argument(
        "--since",
        type=arguments.when,
        metavar="WHEN",
        help="open issues created since a date, or within a time span such as `36 hours`: those that neither people "
        "nor the bot have labelled, and those that were edited after the bot labelled them",
    )
    arguments.add_store(parser)
    arguments.add_config(parser)
    parser.add_argument("--json", action="store_true", help="print each decision as a line of JSON")
    parser.add_argument(
        "--dry-run", action="store_true", help="show the decisions, and change nothing on GitHub"
    )
    arguments.add(parser, "--skip-bad")


def parse(args: argparse.Namespace) -> LabelOptions:
    """The options of a command line. Raises UsageError where they name no issue, or a file and issues on GitHub."""
    others = {"--event": args.event, "--issue": args.issues, "--since": args.since}
    if args.file and (given := [name for name, value in others.items() if value]):
        raise UsageError(
            f"{given[0]} chooses issues on GitHub, and --from labels all rows of a file",
            next_step="leave one of them out",
        )
    event = read_event(args.event) if args.event else None
    options = arguments.build(LabelOptions, args, event=event)
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
            "there is nothing to label: no file, event or repository was given",
            next_step="give --from FILE, or --repo OWNER/NAME with --issue or --since",
        )
    if event and event.repo.casefold() != repo.casefold():
        event = None
    if not (event or options.issues or options.since):
        raise UsageError("no issue was given", next_step="give --issue, --since or --from")
    unattended = event is not None or environment.get("GITHUB_EVENT_NAME") == "schedule"
    return replace(options, repo=repo, event=event, unattended=unattended)


def run(options: LabelOptions) -> int:
    """Label the issues of a file, or those on GitHub; raises TriageError."""
    from triage.label.labeller import label_file, label_live
    from triage.reports.label_report import outcome_lines, summary, terminal

    if options.file:
        return label_file(options, options.file, terminal)
    return label_live(options, summary, outcome_lines)
