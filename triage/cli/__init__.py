"""`triage`: reads the command line, builds the real things, catches what users can meet, exits."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from triage import __version__
from triage.console import status
from triage.errors import TriageError

# Command → (module under triage.commands, one line of help). The modules import engines only when they run.
COMMANDS = {
    "label": ("label", "decide labels for issues, and show why"),
    "retrain": ("retrain", "learn a bundle from labelled issues"),
    "init": ("init", "write a commented configuration and the workflows"),
    "check": ("check", "say what is wrong with a configuration, a token or a bundle"),
    "bundle": ("bundle", "list, show, verify, promote, roll back and publish bundles"),
    "backfill": ("backfill", "plan labels for past issues, and apply the plan"),
    "undo": ("undo", "take back what a backfill set"),
    "evaluate": ("evaluate", "compare methods side by side on your own issues"),
    "action": ("action", "run as a GitHub Action, by the inputs of action.yml"),
    "models": ("models", "list, verify, pull and export models"),
}


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The command line, with the options of every command, or of `only` where that is one: the others' modules
    are then not imported, which is a tenth of labelling one issue.
    """
    top = argparse.ArgumentParser(
        prog="triage",
        description="Labels issues from what the repository's own maintainers labelled before.",
        epilog="Exit codes: 0 done; 1 a defect of triage; 2 usage; 3 nothing to label with; 4 configuration; "
        "5 data; 6 model; 7 bundle; 8 access to GitHub; 9 GitHub unavailable; 10 gate failed; "
        "11 an extra is not installed; 12 the cluster; 130 interrupted.",
    )
    top.add_argument("--version", action="version", version=f"triage {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, help_line) in COMMANDS.items():
        sub = commands.add_parser(
            name, help=help_line, description=f"{help_line[:1].upper()}{help_line[1:]}."
        )
        if only not in COMMANDS or only == name:
            importlib.import_module(f"triage.cli.{module}").configure(sub)
    return top


def main_inner(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; raises TriageError."""
    given = list(sys.argv[1:] if argv is None else argv)
    args = parser(given[0] if given else None).parse_args(given)
    command = importlib.import_module(f"triage.cli.{COMMANDS[args.command][0]}")
    code: int = command.run(args)
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """The `triage` program: `main_inner`, with failures in words and as exit codes."""
    try:
        return main_inner(argv)
    except TriageError as error:
        for line in f"error: {error}".split("\n"):
            status(line)
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain once more while closing it.
        sys.stdout = None
        return 0
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
