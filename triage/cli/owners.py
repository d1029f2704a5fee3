"""`triage owners`: the table of owners by label, or a suggestion for it from who answered issues."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from triage.cli import arguments
from triage.console import log, log_json
from triage.options import OwnersOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--repo",
        type=arguments.repository,
        required=True,
        metavar="OWNER/NAME",
        help="repository on GitHub",
    )
    parser.add_argument(
        "--suggest",
        action="store_true",
        help="count who answered the issues of each label, and suggest owners; changes nothing",
    )
    parser.add_argument(
        "--since",
        type=arguments.when,
        default=OwnersOptions.since,
        metavar="WHEN",
        help="with --suggest, answers since a date or within a time (default: 365 days)",
    )
    arguments.add_config(parser)
    arguments.add_json(parser, "the table")


def parse(args: argparse.Namespace) -> OwnersOptions:
    """The options of a command line."""
    return arguments.build(OwnersOptions, args)


def run(options: OwnersOptions) -> int:
    """Print the table; raises TriageError."""
    from triage.decide.policy import Policy
    from triage.github.open import AN_HOUR, open_repository
    from triage.label.answers import answerers
    from triage.progress import stage
    from triage.reports.owners_report import as_rows, suggestions, table

    tracker, config = open_repository(options.repo, options.config, patience=AN_HOUR)
    if not options.suggest:
        if options.json:
            log_json({label: list(owners) for label, owners in config.owners.items()}, indent=2)
        else:
            log(table(config.owners))
        return 0
    since, policy = options.since.at(datetime.now(UTC)), Policy.of(config)
    with stage("reading who answered issues"):
        found = answerers(tracker.answered(since), since, lambda label: policy.may_set(label) is None)
    if options.json:
        log_json(as_rows(found), indent=2)
    else:
        log(suggestions(found, options.since.text))
    return 0
