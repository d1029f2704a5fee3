"""`triage owners`: the table of owners by label, or a suggestion for it from who answered issues."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from triage.cli import arguments
from triage.console import log, log_json
from triage.markdown import columns, one_line
from triage.options import OwnersOptions

if TYPE_CHECKING:
    from triage.label.owners import Answerers

PEOPLE_SHOWN = 5


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    arguments.add(parser, "--repo", "repository on GitHub", required=True)
    parser.add_argument(
        "--suggest",
        action="store_true",
        help="count who answered the issues of each label, and suggest owners; this changes nothing",
    )
    parser.add_argument(
        "--since",
        type=arguments.when,
        default=OwnersOptions.since,
        metavar="WHEN",
        help="with --suggest: only answers since a date, or within a time span (default: 365 days)",
    )
    arguments.add_config(parser)
    arguments.add(parser, "--json", "the table")


def parse(args: argparse.Namespace) -> OwnersOptions:
    """The options of a command line."""
    return arguments.build(OwnersOptions, args)


def run(options: OwnersOptions) -> int:
    """Print the table; raises TriageError."""
    from triage.console import stage
    from triage.decide.policy import Policy
    from triage.github.open import AN_HOUR, open_repository
    from triage.label.owners import answerers

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


def table(owners: Mapping[str, Sequence[str]]) -> str:
    """The owners of each label, a line each."""
    if not owners:
        return "no label has owners; `triage owners --suggest` proposes some"
    return "\n".join(columns([("label", "owners"), *((label, ", ".join(o)) for label, o in owners.items())]))


def suggestions(found: Sequence[Answerers], within: str) -> str:
    """Who answered the issues of each label, and the lines of a configuration that would make them its owners."""
    if not found:
        return f"nobody of the project has answered an issue with a label ({one_line(within)})"
    rows = [("label", "issues answered", "by")]
    for one in found:
        people = ", ".join(f"{login} {count}" for login, count in one.people[:PEOPLE_SHOWN])
        rows.append((one.label, str(one.answered), people))
    lines = [f"  {json.dumps(one_line(o.label))}: [{', '.join(o.suggested)}]" for o in found if o.suggested]
    advice = (
        ["", "for .github/triage.yml:", "", "owners:", *lines]
        if lines
        else ["", "too few answers to suggest owners"]
    )
    return "\n".join([*columns(rows), *advice])


def as_rows(found: Sequence[Answerers]) -> list[dict[str, object]]:
    """The same for JSON."""
    return [
        {"label": o.label, "answered": o.answered, "people": dict(o.people), "suggested": list(o.suggested)}
        for o in found
    ]
