"""`triage evaluate`: the methods side by side on one's own issues, as a report with a recommendation."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from triage.commands.evaluating import KEPT, design, held, measure
from triage.commands.gathering import gather
from triage.commands.github import add_config_options
from triage.commands.opening import warn
from triage.commands.sources import configured, repositories, sources_of
from triage.commands.tuning import seconds_of
from triage.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from triage.evaluate.study import Outcome, Study

OUT = "evaluation"
SEEDS = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--from",
        dest="sources",
        action="append",
        required=True,
        metavar="FILE|OWNER/NAME",
        help="labelled issues: JSON Lines, plain or gzip, or a repository; OWNER/* are all of an owner's, "
        "!OWNER/NAME takes away; may be given several times",
    )
    add_config_options(parser)
    parser.add_argument("--repo", default="", help="OWNER/NAME of rows that do not name their repository")
    parser.add_argument(
        "--out", type=Path, default=Path(OUT), help=f"the folder of report and results (default: {OUT})"
    )
    what = parser.add_argument_group("what is measured")
    what.add_argument(
        "--methods", metavar="NAME,NAME", help="which methods (default: all; docs/evaluate.md has the names)"
    )
    what.add_argument(
        "--slices",
        metavar="N,N",
        help="how many labelled issues are learnt from (default: 8,16,32,… and all)",
    )
    what.add_argument(
        "--seeds", type=_count, default=SEEDS, metavar="N", help=f"draws of each slice (default: {SEEDS})"
    )
    what.add_argument(
        "--budget", metavar="TIME", help="such as 20m or 2h: what does not fit is left out, and named"
    )
    what.add_argument(
        "--split",
        choices=("time", "stratified"),
        help="how issues are split 50 / 25 / 25 (default: by time where every row has a date)",
    )
    what.add_argument(
        "--least", type=_count, default=20, metavar="N", help="the uses that a label needs (default: 20)"
    )
    what.add_argument(
        "--issues", type=_count, metavar="N", help="the newest N labelled issues alone (default: all)"
    )
    what.add_argument(
        "--unlabelled",
        type=_count,
        default=1_000,
        metavar="N",
        help="the newest N issues without labels, for methods that learn from text alone (default: 1000)",
    )
    what.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME=WHERE",
        help="a model that a method needs: a folder, or org/name@COMMIT; docs/evaluate.md has the names",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        help="a folder for collected issues, so that only news is asked for (default: in --out)",
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out broken rows instead of refusing the file"
    )


def run(args: argparse.Namespace) -> int:
    """Gather, measure, report; raises TriageError."""
    from triage.evaluate import methods

    chosen, sizes = methods.chosen(args.methods), _numbers(args.slices)
    budget = seconds_of(args.budget) if args.budget else None
    models = _models(args.model)
    if why := methods.lacking("learn"):
        raise MissingExtra(f"nothing can be evaluated here: {why}", "learn")
    sources = sources_of(args.sources)
    config = configured(sources, args)
    names = repositories(sources).names
    with held(args.out / KEPT):
        args.cache = args.cache or args.out / KEPT / "collected"
        gathered = gather(args, sources.files, names, config, None)
        study, engines = design(args, gathered, sizes, budget)
        outcome = measure(chosen, study, engines, gathered, models)
        return _report(args, study, outcome)


def _report(args: argparse.Namespace, study: Study, outcome: Outcome) -> int:
    from triage.evaluate.findings import find
    from triage.evaluate.report import write
    from triage.evaluate.report_markdown import plain
    from triage.world.runner import Runner

    found = find(study, outcome)
    written = write(args.out, study, outcome, found, _command(args))
    runner = Runner(os.environ)
    runner.summary(written.markdown)
    for line in plain(study, outcome, found):
        runner.log(line)
    print(f"  report  {written.page}\n  summary {written.summary}\n  figures {written.figures}")
    for name, why in outcome.left_out.items():
        warn(f"{name} was left out: {why}")
    return 0


def _command(args: argparse.Namespace) -> str:
    """The command line that gives the same report again."""
    words = ["triage", "evaluate"]
    for source in args.sources:
        words += ["--from", source]
    for name in (
        "config",
        "repo",
        "methods",
        "slices",
        "seeds",
        "budget",
        "split",
        "least",
        "issues",
        "unlabelled",
    ):
        value = getattr(args, name)
        if value:
            words += [f"--{name}", str(value)]
    for model in args.model:
        words += ["--model", model]
    return shlex.join([*words, "--out", str(args.out)])


def _models(given: Sequence[str]) -> dict[str, str]:
    found = {}
    for each in given:
        name, equals, where = each.partition("=")
        if not (name and equals and where):
            raise UsageError(f"--model {each!r:.60} is not of the form NAME=WHERE")
        found[name] = where
    return found


def _numbers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",") if part.strip() != "all"]
    if any(not part.isdecimal() or not 2 <= int(part) <= 10_000_000 for part in parts):
        raise UsageError(f"{text!r:.60} are no sizes of slices", next_step="write 8,16,32, or all")
    return [int(part) for part in parts]


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10_000_000:
        raise argparse.ArgumentTypeError(f"{text!r:.20} is no number of at least one")
    return int(text)
