"""`triage backfill`: plan labels for past issues, look at the plan, and apply exactly that."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from triage.backfill.planner import FILTERS, make_plan, shard_of
from triage.backfill.run import PER_MINUTE, rate
from triage.bundle.workers import add_engine_option
from triage.errors import DataError, UsageError
from triage.github.open import add_config_options

if TYPE_CHECKING:
    from triage.backfill.plan import Plan

OUT, PLAN = "backfill", "plan.jsonl"
SERVER_URL = "https://github.com"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    what = parser.add_argument_group("what to do").add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--from", dest="source", metavar="OWNER/NAME|FILE", help="plan for these issues; nothing is set"
    )
    what.add_argument("--apply", type=Path, metavar="PLAN", help="set the labels of this plan, and no other")
    what.add_argument(
        "--merge", type=Path, nargs="+", metavar="PLAN", help="make one plan out of those of all shards"
    )
    _add_planning(parser)
    _add_applying(parser)
    add_config_options(parser)
    parser.add_argument(
        "--repo", default="", help="OWNER/NAME: with a file, of rows that name none, and the only one taken; "
        "with --apply, the repository that the plan must be of"
    )  # fmt: skip


def _add_planning(parser: argparse.ArgumentParser) -> None:
    which = parser.add_argument_group("which issues to plan for (default: all)")
    which.add_argument("--since", metavar="WHEN", help="opened since a date, or within `90 days`")
    which.add_argument("--until", metavar="WHEN", help="opened before a date, or longer ago than `90 days`")
    which.add_argument(
        "--state", choices=("open", "closed", "all"), help="open or closed ones (default: all)"
    )
    which.add_argument("--label", action="append", metavar="NAME", help="with this label, or one of several")
    which.add_argument("--unlabelled", action="store_true", help="without any label that the bot may set")
    which.add_argument("--issue", metavar="NUMBERS", help="these numbers: N, N,N or A-B")
    which.add_argument("--limit", type=_count, metavar="N", help="the newest N of them")
    which.add_argument("--shard", metavar="I/N", help="every Nth number, so that N runners share the work")
    plan = parser.add_argument_group("planning")
    plan.add_argument("--store", help="where bundles live: a directory, or github:OWNER/NAME")
    add_engine_option(plan)
    plan.add_argument(
        "--out", type=Path, default=Path(OUT), help=f"the folder of plan and report (default: {OUT})"
    )


def _add_applying(parser: argparse.ArgumentParser) -> None:
    apply = parser.add_argument_group("applying")
    apply.add_argument("--journal", type=Path, metavar="FILE", help="default: beside the plan")
    apply.add_argument(
        "--per-minute",
        type=rate,
        default=PER_MINUTE,
        metavar="N",
        help=f"at most so many issues are written to (default: {PER_MINUTE:.0f})",
    )
    apply.add_argument("--dry-run", action="store_true", help="say what would be set, and set nothing")


def run(args: argparse.Namespace) -> int:
    """Plan, merge or apply; raises TriageError."""
    if not args.source:
        _refuse_choices(args)
    if args.apply:
        from triage.backfill.apply import apply_plan

        return apply_plan(args)
    if args.merge:
        return _report(_merged(args))
    name = PLAN
    if args.shard:
        i, n = shard_of(args.shard)
        name = f"plan-{i}-of-{n}.jsonl"
    return _report(make_plan(args, args.out / name))


def _refuse_choices(args: argparse.Namespace) -> None:
    """Raise UsageError where a finished plan is to be narrowed down."""
    if given := [name for name in (*FILTERS, "shard") if getattr(args, name)]:
        raise UsageError(
            f"--{given[0]} chooses issues to plan for, and the plan is made",
            next_step="plan again with it and --from, or delete lines of the plan",
        )


def _merged(args: argparse.Namespace) -> Plan:
    from triage.backfill.plan import merge, open_plan

    return merge([open_plan(path) for path in args.merge], args.out / PLAN)


def _report(plan: Plan) -> int:
    """Write the report and the page beside the plan, and say where they are."""
    from triage.actions.runner import Runner
    from triage.reports.plan_report import markdown, page, totals

    found = totals(plan.header, plan.entries())
    report, html = plan.path.with_suffix(".md"), plan.path.with_suffix(".html")
    text = markdown(plan.header, found)
    server = os.environ.get("GITHUB_SERVER_URL", SERVER_URL)
    try:
        report.write_text(text, "utf-8")
        with html.open("w", encoding="utf-8") as file:
            file.writelines(page(plan.header, found, plan.entries(), server))
    except OSError as error:
        raise DataError(
            f"{html}: the report cannot be written ({error.strerror})",
            likely="the disk is full",
            next_step=f"make room and run the same command again; the plan, {plan.path}, is whole",
        ) from None
    Runner(os.environ).summary(text)
    print(f"{found.labelled} of {found.issues} issues would get a label, {found.planned} labels in all")
    print(f"  plan    {plan.path}\n  report  {report}\n  page    {html}")
    print(f"nothing was written to GitHub; to set these labels: triage backfill --apply {plan.path}")
    return 0


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10_000_000:
        raise argparse.ArgumentTypeError(f"{text!r:.20} is no number of issues")
    return int(text)
