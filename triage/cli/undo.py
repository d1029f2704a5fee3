"""`triage undo`: remove the labels that a backfill set, unless anyone has touched them since."""

from __future__ import annotations

import argparse
from pathlib import Path

from triage.cli import arguments
from triage.options import UndoOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "undone", type=Path, metavar="JOURNAL", help="journal that `triage backfill --apply` wrote"
    )
    arguments.add_writing(parser, "removed")
    arguments.add_json(parser, "the result")


def parse(args: argparse.Namespace) -> UndoOptions:
    """The options of a command line."""
    return arguments.build(UndoOptions, args)


def run(options: UndoOptions) -> int:
    """Remove the labels, newest first; raises TriageError."""
    from triage.backfill.undo import undo

    return undo(options)
