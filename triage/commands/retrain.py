"""`triage retrain`: learn a bundle from labelled issues."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from triage import config as configuration
from triage.issue import format_time

if TYPE_CHECKING:
    from triage.learn.retrain import Learnt


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--from", dest="source", type=Path, required=True, help="labelled issues as JSON Lines, plain or gzip"
    )
    parser.add_argument("--store", type=Path, required=True, help="the directory to keep bundles in")
    parser.add_argument("--config", type=Path, help="the configuration (default: built in)")
    parser.add_argument("--repo", default="", help="OWNER/NAME of rows that do not name their repository")
    parser.add_argument(
        "--adapt",
        choices=("none", "head", "auto"),
        default="auto",
        help="how vectors are adapted to the labels; auto: a head where it helps (default)",
    )
    parser.add_argument(
        "--split",
        choices=("time", "stratified"),
        help="how windows are split off (default: by time where every row has a date)",
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out broken rows instead of refusing the file"
    )


def run(args: argparse.Namespace) -> int:
    """Learn, save and activate a bundle; raises TriageError."""
    from triage.bundle.store import LocalStore
    from triage.commands.opening import open_engines, warn
    from triage.learn.retrain import retrain
    from triage.learn.study import Engines
    from triage.progress import bar
    from triage.world.issue_file import read_issues

    config = configuration.load(args.config)
    issues = read_issues(args.source, repo=args.repo, skip_bad=args.skip_bad, warn=warn)
    encoder, zero_shot = open_engines(config)
    engines = Engines(encoder, zero_shot, lambda total: bar("embedding", total))
    now = format_time(datetime.now(UTC)) or ""
    learnt = retrain(issues, config, engines, now=now, kind=args.split, adapt=args.adapt)
    store = LocalStore(args.store)
    name = store.save(learnt.bundle)
    store.appoint("active", name)
    sys.stdout.write(report(name, learnt))
    return 0


def report(name: str, learnt: Learnt) -> str:
    """What was learnt, for a terminal."""
    manifest, rules = learnt.bundle.manifest, learnt.bundle.rules
    left_out = ", ".join(f"{count} {reason}" for reason, count in learnt.data.dropped.items())
    tried = ", ".join(f"{how} {f1:.3f}" for how, f1 in learnt.tried.items())
    lines = [
        f"bundle {name} is active",
        f"  learnt from    {manifest.issues} issues of {', '.join(manifest.sources) or 'an unnamed repository'}"
        + (f" (left out: {left_out})" if left_out else ""),
        f"  labels         {len(rules.voted)} with at least {rules.min_examples} examples, {len(rules.rare)} rarer",
        f"  vote           {rules.k} neighbours, {rules.weighting} weights",
        f"  adaptation     {manifest.adaptation}" + (f" (micro-F1 when tuning: {tried})" if tried else ""),
        f"  split          {', '.join(f'{key} {value}' for key, value in manifest.split.items())}",
    ]
    f = manifest.figures
    if f:
        lines.append(
            f"  held-out       micro-F1 {f['micro_f1']:.3f}, macro-F1 {f['macro_f1']:.3f}, "
            f"precision {f['precision']:.3f} at {f['coverage']:.0%} coverage, {f['issues']:.0f} issues"
        )
    return "\n".join(lines) + "\n"
