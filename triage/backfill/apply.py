"""Applying a plan on GitHub: issues are read again right before they are changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from triage.backfill.journal import Job, JournalRecord, JournalTask, PendingChange, Throttle, run_job
from triage.backfill.plan import Entry, Plan, fingerprint, open_plan
from triage.config import Config
from triage.decide import Policy, case_of
from triage.decide.case import NO_LABEL, Attribution, is_material_change, text_at
from triage.decide.policy import followed
from triage.errors import DataError
from triage.github.errors import NotFound
from triage.github.graphql import LiveIssue
from triage.github.open import AN_HOUR, open_repository
from triage.issue import LabelEvent, fold, folded, format_time, is_category, is_type, present_names
from triage.label.writer import IssueEdit, LabelWriter
from triage.options import ApplyOptions
from triage.schema import parse_time

BY_PERSON = "a person has set or removed labels on it since the plan"
# Clocks that are right differ by less.
SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class ApplicableLabels:
    """What is left of an entry: `labels` to add, reasons for those `left_out`; `done` were set by an earlier run."""

    labels: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)


def applicable_labels(
    entry: Entry, live: LiveIssue, config: Config, available: Collection[str], me: str, planned_at: datetime
) -> ApplicableLabels:
    """The labels of an entry that may be added to the issue as it is now; `available` are the repository's labels."""
    since = [event for event in live.issue.events or () if event.at >= planned_at]
    mine = folded(event.label for event in since if event.added and event.actor == me)
    set_again = [name for name in entry.labels if fold(name) in mine]
    carried = folded(live.issue.labels)
    done = tuple(name for name in set_again if fold(name) in carried)
    rest = [name for name in entry.labels if name not in set_again]
    left_out = {name: "it was removed again" for name in set_again if name not in done}
    who = Attribution.of(config, [me])
    case = case_of(live.issue, config, proposed=rest, available=available, who=who)
    if rest and (reason := case.left_alone or _changed(entry, live, since, who, planned_at)):
        return ApplicableLabels((), done, left_out | dict.fromkeys(rest, reason))
    elected = [name for name in rest if name not in entry.rules]
    ruled = [name for name in rest if name in entry.rules]
    policy = Policy.of(config)
    labels, held_back = policy.apply(elected, entry.scores, case.existing, case.barred, case.own, ruled=ruled)
    return ApplicableLabels(labels, done, left_out | held_back)


def _changed(
    entry: Entry, live: LiveIssue, since: list[LabelEvent], who: Attribution, planned_at: datetime
) -> str | None:
    """Why an issue is left alone because of what happened since the plan."""
    if entry.locked is False and live.locked:
        return "it was locked since the plan"
    if any(event in since for event in who.by_people(live.issue)):
        return BY_PERSON
    planned = text_at(live.issue, planned_at)
    if planned is None or is_material_change(planned, live.issue.text):
        return "its text has changed since the plan"
    return None


def _category(live: LiveIssue) -> str:
    """The id of the category that a discussion is in."""
    return next(live.label_ids[name] for name in live.issue.labels if is_category(name))


@dataclass(frozen=True)
class Applier:
    """Applies the entries of a plan that was made at `planned_at`."""

    writer: LabelWriter
    config: Config
    planned_at: datetime
    dry_run: bool = False
    names: Mapping[str, str] = field(default_factory=dict)

    def look(self, items: Sequence[Entry]) -> list[JournalRecord | PendingChange]:
        """What to change on the issues of these entries, which are read now."""
        typed = {entry.number for entry in items if any(map(is_type, entry.labels))}
        numbers = [entry.number for entry in items]
        lives = self.writer.tracker.issues(numbers, edits=True, answers=True, typed=typed)
        return [self._look(entry, live) for entry, live in zip(items, lives, strict=True)]

    def _look(self, planned: Entry, live: LiveIssue | NotFound) -> JournalRecord | PendingChange:
        if isinstance(live, NotFound):
            return JournalRecord(planned.number, "skipped", why=live.likely)
        entry, gone = self._under_present_names(planned)
        available, me = self.writer.available, self.writer.me
        now = applicable_labels(entry, live, self.config, available, me, self.planned_at)
        now = replace(now, left_out=now.left_out | gone)
        # Labels of an earlier run are younger than the plan, those of this run than the issue's last change.
        seen = format_time(self.planned_at if now.done else live.updated_at) or ""
        if self.dry_run or not now.labels:
            return self._record(entry, now, now.labels, seen)
        names = (*now.done, *now.labels)
        before = _category(live) if any(map(is_category, names)) else ""
        intent = JournalRecord(entry.number, "intent", names, seen, ids=self._ids(names), category=before)
        unmark = self.writer.to_unmark(live, labelled=bool(self.writer.addable(now.labels)))
        return PendingChange(
            intent,
            IssueEdit(live, now.labels, unmark),
            lambda added: replace(self._record(entry, now, added, seen), category=before),
        )

    def _under_present_names(self, entry: Entry) -> tuple[Entry, dict[str, str]]:
        """The entry under the present names of its labels, and those of which nothing remains, with the reason."""
        names = {name: self.names.get(name, name) for name in entry.labels}
        scores = {names.get(name, name): score for name, score in entry.scores.items()}
        rules = {names.get(name, name): rule for name, rule in entry.rules.items()}
        labels = tuple(new for new in names.values() if new)
        return replace(entry, labels=labels, scores=scores, rules=rules), {
            name: "it was deleted since the plan" for name, new in names.items() if not new
        }

    def _record(
        self, entry: Entry, now: ApplicableLabels, added: tuple[str, ...], seen: str
    ) -> JournalRecord:
        """Done, where the issue has any of the labels; with the reasons for the others."""
        left_out = now.left_out | {name: NO_LABEL for name in now.labels if name not in added}
        labels = tuple(name for name in entry.labels if name in (*now.done, *added))
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        step = "done" if labels else "skipped"
        return JournalRecord(entry.number, step, labels, seen, reasons, self._ids(labels))

    def _ids(self, names: Iterable[str]) -> dict[str, str]:
        return {name: label.id for name, label in self.writer.available.among(names).items()}


def apply_plan(options: ApplyOptions) -> int:
    """`triage backfill --apply`; see `run_job`. Raises DataError for a plan that must not be applied."""
    plan = open_plan(options.plan)
    repo, known = plan.header.repo, plan.header.repo_id
    if not known and options.repo and fold(options.repo) != fold(repo):
        raise _another_repository(plan, options.repo)
    tracker, config = open_repository(options.repo or repo, options.config, patience=AN_HOUR)
    if known and known != tracker.repository.node_id:
        raise _another_repository(plan, tracker.repository.name)
    _refuse_another_policy(plan, config)
    _refuse_the_future(plan, tracker.now())
    me, labels = tracker.viewer().login, tracker.labels()
    names = present_names(plan.header.ids, plan.header.ids, tracker.ids(labels).labels)
    renamed = {old: new for old, new in names.items() if new and fold(new) != fold(old)}
    renamed |= {old: names.get(then) or then for old, then in plan.header.renamed.items()}
    config = followed(config, renamed, labels)
    writer = LabelWriter(tracker, me, config.labels, labels, Attribution.of(config, [me]))
    planned_at = parse_time(plan.header.created_at)
    applier = Applier(writer, config, planned_at, options.dry_run, names)
    entries = ((entry.number, entry) for entry in plan.entries() if entry.labels)
    total = sum(bool(entry.labels) for entry in plan.entries())
    path = options.journal or plan.path.with_suffix(".journal.jsonl")
    job = Job("labelling", "labelled", repo, total, path, options.dry_run, options.json)
    task, throttle = JournalTask("backfill", repo, plan.digest, me), Throttle(options.per_minute)
    return run_job(job, task, entries, applier, throttle)


def _another_repository(plan: Plan, repo: str) -> DataError:
    return DataError(
        f"{plan.path}: a plan for {plan.header.repo}, not for {repo}",
        likely="it was made for another repository",
        next_step="give the plan of this repository",
    )


def _refuse_the_future(plan: Plan, now: datetime) -> None:
    """Refuse a plan dated too late, which would hide what people did after it was made."""
    if parse_time(plan.header.created_at) > now + SKEW:
        raise DataError(
            f"{plan.path}: made at {plan.header.created_at}, but GitHub's clock says {format_time(now)}",
            likely="the clock of the machine that made the plan is fast",
            next_step="set the clock, and make the plan again",
        )


def _refuse_another_policy(plan: Plan, config: Config) -> None:
    if plan.header.policy != fingerprint(config):
        raise DataError(
            f"{plan.path}: the configuration of labels has changed since the plan",
            likely="it was edited, or the plan was made with another --config",
            next_step="make the plan again, or give the same --config",
        )
