"""`triage label`: decide labels for issues, and show why."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from triage import config as configuration


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--file", type=Path, required=True, help="issues as JSON Lines, plain or gzip")
    parser.add_argument("--store", help="the directory of bundles (default: none, described labels only)")
    parser.add_argument("--config", type=Path, help="the configuration (default: built in)")
    parser.add_argument("--repo", default="", help="OWNER/NAME of rows that do not name their repository")
    parser.add_argument("--json", action="store_true", help="print one decision a line as JSON")
    parser.add_argument(
        "--dry-run", action="store_true", help="with a file this changes nothing: it never writes"
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out broken rows instead of refusing the file"
    )


def run(args: argparse.Namespace) -> int:
    """Label the issues of a file; raises TriageError."""
    from triage.bundle.store import LocalStore
    from triage.commands.opening import open_serving, warn
    from triage.decide import Policy, decide
    from triage.decide.report import table
    from triage.progress import bar
    from triage.world.issue_file import read_issues

    config = configuration.load(args.config)
    issues = read_issues(args.file, repo=args.repo, skip_bad=args.skip_bad, warn=warn)
    store = LocalStore(Path(args.store)) if args.store else None
    model = open_serving(config, store, bar("labelling", len(issues)))
    for issue, decision in zip(issues, decide(issues, model, Policy.of(config)), strict=True):
        if args.json:
            sys.stdout.write(json.dumps(decision.to_dict(), ensure_ascii=False) + "\n")
        else:
            sys.stdout.write(table(issue.text.split("\n", 1)[0], decision) + "\n")
    return 0
