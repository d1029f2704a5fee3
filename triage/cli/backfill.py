"""`triage backfill`: plan labels for past issues, review the plan, and apply exactly that."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from triage.cli import arguments
from triage.console import log, log_json
from triage.errors import DataError, UsageError
from triage.options import ApplyOptions, MergeOptions, PlanOptions

if TYPE_CHECKING:
    from triage.backfill.plan import Plan

OUT, PLAN = "backfill", "plan.jsonl"
# The options that choose issues to plan for, by the names of their values.
FILTERS = {
    name: f"--{name.removesuffix('s')}"
    for name in ("since", "until", "state", "labels", "unlabelled", "issues", "limit", "shard")
}
BackfillOptions = PlanOptions | ApplyOptions | MergeOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    what = parser.add_argument_group("what to do").add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--from",
        type=arguments.source,
        dest="source",
        metavar="OWNER/NAME|FILE",
        help="plan labels for these issues, without setting any",
    )
    what.add_argument(
        "--apply", dest="plan", type=Path, metavar="PLAN", help="set exactly the labels in this plan"
    )
    what.add_argument(
        "--merge", dest="plans", type=Path, nargs="+", metavar="PLAN", help="merge the plans of all shards"
    )
    _add_planning(parser)
    arguments.add_writing(parser.add_argument_group("applying"), "set")
    arguments.add_config(parser)
    arguments.add(parser, "--json", "the result")
    arguments.add(parser, "--repo", "with --apply: the repository that the plan must be for")
    arguments.add_repo_of_rows(parser, default=argparse.SUPPRESS, more=", and the only one planned for")
    arguments.add(parser, "--skip-bad")


def _add_planning(parser: argparse.ArgumentParser) -> None:
    which = parser.add_argument_group("which issues to plan for (default: all)")
    which.add_argument(
        "--since",
        type=arguments.when,
        metavar="WHEN",
        help="opened since a date, or within a time span such as `90 days`",
    )
    which.add_argument(
        "--until",
        type=arguments.when,
        metavar="WHEN",
        help="opened before a date, or longer ago than `90 days`",
    )
    which.add_argument("--state", choices=("open", "closed", "all"), help="in this state (default: all)")
    which.add_argument(
        "--label",
        dest="labels",
        action="append",
        default=[],
        metavar="NAME",
        help="with this label; repeat it for issues with any of several labels",
    )
    which.add_argument("--unlabelled", action="store_true", help="without any label that the bot may set")
    arguments.add(which, "--issue")
    which.add_argument("--limit", type=arguments.count, metavar="N", help="the newest N of them")
    which.add_argument(
        "--shard",
        type=arguments.shard,
        metavar="I/N",
        help="the Ith of N parts, to share the work among N runners",
    )
    plan = parser.add_argument_group("planning")
    arguments.add_store(plan)
    arguments.add(plan, "--engine")
    arguments.add(plan, "--out", f"plan and report (default: {OUT})", default=Path(OUT))


def parse(args: argparse.Namespace) -> BackfillOptions:
    """The options of a command line: to plan, to apply or to merge. Raises UsageError."""
    if args.source:
        return arguments.build(PlanOptions, args, state=args.state or "all")
    if given := [option for name, option in FILTERS.items() if getattr(args, name)]:
        raise UsageError(
            f"{given[0]} chooses issues to plan for, but the plan already exists",
            next_step="plan again with it and --from, or delete lines of the plan",
        )
    if args.plans:
        return arguments.build(MergeOptions, args)
    return arguments.build(ApplyOptions, args)


def run(options: BackfillOptions) -> int:
    """Plan, merge or apply; raises TriageError."""
    if isinstance(options, ApplyOptions):
        from triage.backfill.apply import apply_plan

        return apply_plan(options)
    if isinstance(options, MergeOptions):
        from triage.backfill.plan import merge, open_plan

        merged = merge([open_plan(path) for path in options.plans], options.out / PLAN)
        return _report(merged, as_json=options.json)
    from triage.backfill.planner import make_plan

    name = "plan-{}-of-{}.jsonl".format(*options.shard) if options.shard else PLAN
    return _report(make_plan(options, options.out / name), as_json=options.json)


def _report(plan: Plan, *, as_json: bool) -> int:
    """Write the report and the page next to the plan, and print where they are."""
    from triage.actions import Runner
    from triage.github.open import server_url
    from triage.reports.plan_report import filters, markdown, page, totals

    counts = totals(plan.header, plan.entries())
    report, html = plan.path.with_suffix(".md"), plan.path.with_suffix(".html")
    text = markdown(plan.header, counts)
    try:
        report.write_text(text, "utf-8")
        with html.open("w", encoding="utf-8") as file:
            file.writelines(page(plan.header, counts, plan.entries(), server_url()))
    except OSError as error:
        raise DataError(
            f"{html}: the report cannot be written ({error.strerror})",
            likely="the disk is full",
            next_step=f"make room and run the same command again; the plan, {plan.path}, is complete",
        ) from None
    Runner(os.environ).summary(text)
    if as_json:
        log_json(
            {"plan": str(plan.path), "report": str(report), "page": str(html), **counts.to_dict()}, indent=2
        )
        return 0
    log(f"{counts.labelled} of {counts.issues} issues would get a label, {counts.planned} labels in all")
    log(f"  plan    {plan.path}\n  report  {report}\n  page    {html}")
    if counts.planned:
        log(f"nothing was written to GitHub; to set these labels: triage backfill --apply {plan.path}")
    elif not counts.issues:
        by = filters(plan.header)
        log(f"there is nothing to apply: no issue was chosen{f' by {by}' if by else ''}")
    else:
        log(f"there is nothing to apply; the reasons are in {report}")
    return 0
