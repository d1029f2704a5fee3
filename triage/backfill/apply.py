"""Carrying out a plan on GitHub: each issue read again right before it is written to, each step journalled."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from triage.backfill.journal import Journal, JournalRecord, JournalTask
from triage.backfill.plan import Entry, fingerprint
from triage.backfill.planner import PATIENCE
from triage.backfill.run import Job, Throttle, run_job, writing
from triage.config import Config
from triage.decide import Policy
from triage.decide.history import removed_by_people
from triage.errors import DataError, TriageError
from triage.github.errors import IssueGone, LabelGone, NotFound, Rejected
from triage.github.open import connect, open_tracker
from triage.github.values import Label, LiveIssue
from triage.issue import LabelEvent, format_time, parse_time
from triage.label.labeller import NEW_COLOUR

if TYPE_CHECKING:
    from triage.backfill.plan_file import Plan
    from triage.github.tracker import Tracker

BY_PERSON = "a person has set or removed labels on it since the plan"
# Clocks that are set right differ by less.
SKEW = timedelta(minutes=5)
NO_LABEL = "the repository has no such label"


@dataclass(frozen=True)
class ApplicableLabels:
    """What may be written on an issue: `labels`, with reasons for those left out; `done` were set before."""

    labels: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    why: dict[str, str] = field(default_factory=dict)


def applicable_labels(
    entry: Entry, live: LiveIssue, config: Config, known: dict[str, Label], me: str, planned_at: datetime
) -> ApplicableLabels:
    """What is left of an entry in view of what the issue has become since the plan."""
    events = live.issue.events or ()
    since = [event for event in events if event.at >= planned_at]
    mine = {event.label for event in since if event.added and event.actor == me}
    done = tuple(name for name in entry.labels if name in mine and name in live.issue.labels)
    rest = [name for name in entry.labels if name not in mine]
    why = {name: "it was removed again" for name in entry.labels if name in mine and name not in done}
    if rest and (reason := _untouchable(entry, live, since, me)):
        return ApplicableLabels((), done, why | dict.fromkeys(rest, reason))
    gone = {} if config.labels.create else {name: NO_LABEL for name in rest if name not in known}
    barred = gone | dict(removed_by_people(events))
    labels, held = Policy.of(config).apply(rest, entry.scores, live.issue.labels, barred)
    return ApplicableLabels(labels, done, why | held)


def _untouchable(entry: Entry, live: LiveIssue, since: list[LabelEvent], me: str) -> str | None:
    """Why nothing more is set on the issue, if nothing is."""
    if entry.locked is False and live.locked:
        return "it was locked since the plan"
    if any(not event.actor_is_bot and event.actor != me for event in since):
        return BY_PERSON
    return None


@dataclass
class Applier:
    """Applies entries; `known` are the repository's labels by name."""

    tracker: Tracker
    config: Config
    journal: Journal
    pace: Throttle
    me: str
    planned_at: datetime
    known: dict[str, Label]
    dry_run: bool = False

    def apply(self, entry: Entry) -> JournalRecord:
        """What became of the entry; every failure but the refusal of this one issue is raised."""
        try:
            live = self.tracker.issue(entry.number)
        except NotFound as missing:
            return JournalRecord(entry.number, "skipped", why=missing.likely)
        found = applicable_labels(entry, live, self.config, self.known, self.me, self.planned_at)
        # Labels that an earlier run set are younger than the plan; what is written now, than the last change.
        seen = format_time(self.planned_at if found.done else live.updated_at) or ""
        if self.dry_run or not found.labels:
            return _record(entry, found, found.labels if self.dry_run else (), seen)
        self.pace()
        self.journal.add(JournalRecord(entry.number, "intent", (*found.done, *found.labels), seen))
        try:
            return _record(entry, found, self._add(live, found.labels), seen)
        except IssueGone as gone:
            return JournalRecord(entry.number, "skipped", why=gone.likely)
        except Rejected as refused:
            return JournalRecord(entry.number, "failed", why=refused.what)
        except TriageError as error:
            self.journal.add(JournalRecord(entry.number, "failed", why=error.what))
            raise

    def _add(self, live: LiveIssue, names: tuple[str, ...]) -> tuple[str, ...]:
        """Set labels, and say which: those that were deleted meanwhile are left out."""
        try:
            self.tracker.add_labels(live.node_id, [self._label(name).id for name in names])
        except LabelGone:
            self.known = self.tracker.labels()
            names = tuple(name for name in names if name in self.known)
            if names:
                self.tracker.add_labels(live.node_id, [self.known[name].id for name in names])
        return names

    def _label(self, name: str) -> Label:
        if name not in self.known:
            description = self.config.labels.descriptions.get(name, "")[:100]
            self.known[name] = self.tracker.create_label(name, NEW_COLOUR, description)
        return self.known[name]


def _record(entry: Entry, found: ApplicableLabels, added: tuple[str, ...], seen: str) -> JournalRecord:
    """Done, where any of its labels is there; with the reasons for the others."""
    why = found.why | {name: NO_LABEL for name in found.labels if name not in added}
    labels = tuple(name for name in entry.labels if name in (*found.done, *added))
    told = "; ".join(f"{name}: {reason}" for name, reason in why.items())
    return JournalRecord(entry.number, "done" if labels else "skipped", labels, seen, told)


def apply_plan(args: argparse.Namespace) -> int:
    """`triage backfill --apply`; raises TriageError, and AccessError at the end where GitHub refused some issues."""
    from triage.backfill.plan_file import open_plan

    plan = open_plan(args.apply)
    repo = plan.header.repo
    if args.repo and args.repo.casefold() != repo.casefold():
        raise DataError(
            f"{plan.path}: a plan for {repo}, not for {args.repo}",
            likely="it was made elsewhere",
            next_step="give the plan of this repository",
        )
    tracker, config = connect(repo, args)
    _refuse_another_policy(plan, config)
    tracker = open_tracker(repo, max(PATIENCE, config.act.max_rate_limit_wait))
    me = tracker.viewer().login
    _refuse_the_future(plan, tracker.now())
    path = args.journal or plan.path.with_suffix(".journal.jsonl")
    with writing(path, JournalTask("backfill", repo, plan.digest, me), dry_run=args.dry_run) as log:
        applier = Applier(
            tracker=tracker,
            config=config,
            journal=log,
            pace=Throttle(args.per_minute),
            me=me,
            planned_at=parse_time(plan.header.created_at),
            known=tracker.labels(),
            dry_run=args.dry_run,
        )
        steps = ((e.number, partial(applier.apply, e)) for e in plan.entries() if e.labels)
        total = sum(bool(entry.labels) for entry in plan.entries())
        return run_job(Job("labelling", "labelled", repo, total, path, args.dry_run), log, steps)


def _refuse_the_future(plan: Plan, now: datetime) -> None:
    """What people do after the plan is respected, which a plan dated too late would hide."""
    if parse_time(plan.header.created_at) > now + SKEW:
        raise DataError(
            f"{plan.path}: made at {plan.header.created_at}, and by GitHub's clock it is {format_time(now)}",
            likely="the clock of the machine that made the plan is fast",
            next_step="set it, and make the plan again",
        )


def _refuse_another_policy(plan: Plan, config: Config) -> None:
    if plan.header.policy != fingerprint(config):
        raise DataError(
            f"{plan.path}: what the configuration says about labels has changed since the plan",
            likely="it was edited, or the plan was made with another --config",
            next_step="make the plan again, or give the same --config",
        )
