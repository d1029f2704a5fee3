"""Labelling issues on GitHub: reads them, decides, and adds what was decided."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from triage.config import Config
from triage.decide import Decision, Evidence, Model, Policy, judge
from triage.decide.history import (
    TextBeforeEdit,
    reason_to_leave_edited,
    reason_to_skip,
    removed_by_people,
    set_by,
)
from triage.github.errors import IssueGone, LabelGone

if TYPE_CHECKING:
    from triage.github.tracker import Tracker
    from triage.github.values import Label, LiveIssue

# Issues read and decided together.
CHUNK = 50
NEW_COLOUR = "ededed"
MARKER = "triage: reasons"


@dataclass(frozen=True)
class LabelOutcome:
    """What became of one issue: the decision (None: not looked at, see `note`) and the labels really added.

    `missing` tells that there is no such issue.
    """

    repo: str
    number: int
    decision: Decision | None = None
    added: tuple[str, ...] = ()
    note: str = ""
    missing: bool = False


@dataclass
class Labeller:
    """Labels issues of one repository. `known` are the repository's labels, `me` the login that acts.

    `comment` makes the text of the comment of an issue that gets one; None: no comments.
    """

    tracker: Tracker
    model: Model
    config: Config
    known: dict[str, Label]
    me: str
    dry_run: bool
    edited: Mapping[int, TextBeforeEdit] = field(default_factory=dict)
    comment: Callable[[LabelOutcome], str] | None = None

    def run(self, lives: Iterable[LiveIssue | LabelOutcome]) -> Iterator[LabelOutcome]:
        """One outcome for each issue, in order; what is an outcome already is passed on."""
        rest = iter(lives)
        while chunk := list(islice(rest, CHUNK)):
            yield from self._chunk([self._settled(live) for live in chunk])

    def _chunk(self, chunk: list[LiveIssue | LabelOutcome]) -> Iterator[LabelOutcome]:
        evidence = self.model.evidence(live.issue for live in chunk if not isinstance(live, LabelOutcome))
        for live in chunk:
            yield (
                live if isinstance(live, LabelOutcome) else self._act(live, self._judge(live, next(evidence)))
            )

    def _settled(self, live: LiveIssue | LabelOutcome) -> LiveIssue | LabelOutcome:
        if isinstance(live, LabelOutcome) or (reason := self._leave(live)) is None:
            return live
        return LabelOutcome(live.issue.repo, live.issue.number, note=reason)

    def _judge(self, live: LiveIssue, evidence: Evidence) -> Decision:
        return judge(
            evidence,
            self.model.rules,
            Policy.of(self.config),
            bundle=self.model.name,
            existing=[name for name in live.issue.labels if name != self.config.labels.abstain],
            barred=self._barred(live),
        )

    def _leave(self, live: LiveIssue) -> str | None:
        """Why the issue is not looked at, if it is not."""
        issue = live.issue
        reason = reason_to_skip(issue, issue.author.endswith("[bot]"), self.config.act)
        if reason is None and (before := self.edited.get(issue.number)):
            reason = reason_to_leave_edited(issue, before, self.me)
        return reason

    def _barred(self, live: LiveIssue) -> dict[str, str]:
        gone = {}
        if not self.config.labels.create:
            names = {rule.name for rule in self.model.rules.labels} | set(self.config.labels.descriptions)
            gone = {
                name: "the repository has no such label (labels.create)"
                for name in names
                if name not in self.known
            }
        return {**gone, **removed_by_people(live.issue.events or ())}

    def _act(self, live: LiveIssue, decision: Decision) -> LabelOutcome:
        """The one place where a decision becomes a change."""
        outcome = LabelOutcome(live.issue.repo, live.issue.number, decision, decision.labels)
        if self.dry_run:
            return outcome
        try:
            added = self._add(live, decision.labels)
            gone = [name for name in decision.labels if name not in added]
            note = f"deleted in the meantime, so not set: {', '.join(gone)}" if gone else ""
            outcome = replace(outcome, added=added, note=note)
            self._mark(live, decision)
            if self.comment and added:
                self.tracker.put_comment(live.node_id, MARKER, self.comment(outcome))
        except IssueGone as gone_issue:
            return replace(outcome, added=(), note=gone_issue.likely)
        return outcome

    def _add(self, live: LiveIssue, names: tuple[str, ...]) -> tuple[str, ...]:
        """Set labels, and say which; those that were deleted since they were read are left out."""
        if not names:
            return ()
        try:
            self.tracker.add_labels(live.node_id, [self._label(name).id for name in names])
        except LabelGone:
            self.known = self.tracker.labels()
            names = tuple(name for name in names if name in self.known)
            if names:
                self.tracker.add_labels(live.node_id, [self._label(name).id for name in names])
        return names

    def _label(self, name: str) -> Label:
        if name not in self.known:
            description = self.config.labels.descriptions.get(name, "")[:100]
            self.known[name] = self.tracker.create_label(name, NEW_COLOUR, description)
        return self.known[name]

    def _mark(self, live: LiveIssue, decision: Decision) -> None:
        """Set or take away the abstain label, which is the bot's own; a person's hand on it is respected."""
        name = self.config.labels.abstain
        if name is None or (name not in self.known and not self.config.labels.create):
            return
        issue, events = live.issue, live.issue.events or ()
        if name in issue.labels:
            if (decision.labels or len(issue.labels) > 1) and set_by(name, events, self.me):
                self.tracker.remove_label(live.node_id, self._label(name).id)
        elif decision.abstained and not issue.labels and name not in removed_by_people(events):
            self._add(live, (name,))
