"""`triage`: parses the command line into options, runs the command, and turns errors into exit codes."""

from __future__ import annotations

import argparse
import atexit
import gc
import importlib
import sys
from collections.abc import Sequence

from triage import __version__
from triage.console import CommandParser, alert, guard, open_door, stage, to_the_end
from triage.errors import DataError, ReportError, TriageError, UsageError

# Command → (module of triage.cli, one line of help). A module has three functions: `configure` adds its options to a
# parser, `parse` turns the parsed arguments into frozen options, `run` carries them out. Engines are imported by `run`.
COMMANDS = {
    "label": ("label", "label issues, and show why"),
    "retrain": ("retrain", "learn a bundle from labelled issues"),
    "init": ("init", "write a commented configuration and the workflows"),
    "check": ("check", "check a configuration, a token and a bundle for errors"),
    "bundle": ("bundle", "list, show, verify, promote, roll back and publish bundles"),
    "backfill": ("backfill", "plan labels for past issues, and apply the plan"),
    "undo": ("undo", "remove labels that a backfill set, or that the bot has set since a date"),
    "evaluate": ("evaluate", "compare methods on your own issues"),
    "owners": ("owners", "show the owners of labels, or suggest owners from who answered issues"),
    "action": ("action", "run as a GitHub Action, with the inputs of action.yml"),
    "models": ("models", "list, verify, pull, export and train models"),
    "completion": ("completion", "print a script that completes commands and options in a shell"),
}


QUIET = ("-q", "--quiet")
# The thresholds of the three generations of the garbage collector.
COLLECT_AFTER = (50_000, 20, 20)


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The command line with the options of every command, or of `only`, which need not be one.

    The modules of the others are then not imported: that takes longer than all else that the help does.
    """
    top = CommandParser(
        prog="triage",
        description="Labels issues as the repository's maintainers labelled similar ones before.",
        epilog="Exit codes: 0 done; 1 a defect of triage; 2 usage; 3 nothing to label with; 4 configuration; "
        "5 data; 6 model; 7 bundle; 8 access to GitHub; 9 GitHub unavailable; 10 gate failed; "
        "11 an extra is not installed; 12 Ray cluster; 13 not all could be printed or reported; 130 interrupted.",
    )
    top.add_argument("--version", action="version", version=f"triage {__version__}")
    top.add_argument(
        *QUIET,
        action="store_true",
        help="print only results, warnings and errors, and no progress; works with any command",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, help_line) in COMMANDS.items():
        sub = commands.add_parser(
            name, help=help_line, description=f"{help_line[:1].upper()}{help_line[1:]}."
        )
        if only in (None, name):
            importlib.import_module(f"triage.cli.{module}").configure(sub)
    return top


def main_inner(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; raises TriageError."""
    argv = list(sys.argv[1:] if argv is None else argv)
    # It may come after the command too, where people look for it.
    argv.sort(key=lambda word: word not in QUIET)
    only = next((word for word in argv if word not in QUIET), "")
    if not only:
        parser(only).print_help(sys.stderr)
        return UsageError.exit_code
    try:
        args = parser(only).parse_args(argv, argparse.Namespace(argv=argv))
        open_door(quiet=args.quiet, json=getattr(args, "json", False))
        command = importlib.import_module(f"triage.cli.{COMMANDS[args.command][0]}")
        options = command.parse(args)
        with stage(f"triage {args.command}"):
            code: int = command.run(options)
        return code
    except UsageError as error:
        error.next_step = error.next_step.replace("COMMAND", only)
        raise
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unusable(error) from error
    finally:
        open_door()


def _unusable(error: OSError) -> DataError:
    """For the files that no reader or writer answers for itself."""
    return DataError(
        f"{error.filename or 'a file'}: cannot be used ({error.strerror or error})",
        likely="the path is wrong, the disk is full, or the file may not be read or written",
        next_step="check the path, make room, and run the same command again",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The `triage` program: `main_inner` with errors printed and returned as exit codes."""
    # What a start allocates lives to the end: looking through it for garbage again and again, and once more at the
    # end, took a tenth of the time that labelling an issue takes.
    gc.set_threshold(*COLLECT_AFTER)
    atexit.register(gc.freeze)
    guard()
    try:
        with to_the_end():
            return main_inner(argv)
    except TriageError as error:
        alert(f"error: {error}")
        return error.exit_code
    except BrokenPipeError:
        # Whoever closed the pipe knows.
        return ReportError.exit_code
    except KeyboardInterrupt:
        alert("interrupted; run the same command again to resume")
        return 130


if __name__ == "__main__":
    sys.exit(main())
