"""`triage undo`: remove labels that a backfill set, or the bot since a date, unless somebody changed them since."""

from __future__ import annotations

import argparse
from pathlib import Path

from triage.cli import arguments
from triage.errors import UsageError
from triage.options import UndoOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "undone", type=Path, nargs="?", metavar="JOURNAL", help="journal that `triage backfill --apply` wrote"
    )
    parser.add_argument(
        "--since",
        type=arguments.when,
        metavar="WHEN",
        help="instead of a journal: labels set since a date, or within a time span such as `7 days`; needs --repo",
    )
    arguments.add(parser, "--repo", "with --since: the repository")
    parser.add_argument(
        "--by",
        default="",
        metavar="LOGIN",
        help="with --since: the account that set the labels, such as `github-actions[bot]` (default: the token's, if "
        "it is a bot's)",
    )
    arguments.add_writing(parser, "removed", "; with --since, undo-since-DATE.jsonl")
    arguments.add(parser, "--json", "the result")


def parse(args: argparse.Namespace) -> UndoOptions:
    """The options of a command line. Raises UsageError where it names both a journal and a moment, or neither."""
    if args.undone and (args.since or args.repo or args.by):
        raise UsageError(
            "a journal and --since, --repo or --by exclude each other",
            next_step="give the journal alone, or --since and --repo without it",
        )
    if args.since and not args.repo:
        raise UsageError("--since needs a repository", next_step="add --repo OWNER/NAME")
    if not args.undone and not args.since:
        raise UsageError(
            "there is nothing to undo",
            next_step="give the journal that `triage backfill --apply` wrote, or --since and --repo",
        )
    return arguments.build(UndoOptions, args)


def run(options: UndoOptions) -> int:
    """Remove the labels, newest first; raises TriageError."""
    from triage.backfill.undo import undo

    return undo(options)
