"""Labelling issues on GitHub: reads them, decides, and adds the labels that were decided."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from triage.config import Config
from triage.decide import Case, Decision, Policy, TextBeforeEdit, case_of, decide
from triage.github.errors import IssueGone
from triage.label.writer import LabelWriter

if TYPE_CHECKING:
    from triage.bundle.model import ServingModel
    from triage.github.graphql import LiveIssue

# Issues that are read and decided together.
BATCH = 50


@dataclass(frozen=True)
class LabelOutcome:
    """The result for one issue: the decision and the labels that were added, in a dry run would be added.

    Without a decision the issue was left alone, for the reason in `note`; `missing`: there is no such issue.
    """

    repo: str
    number: int
    decision: Decision | None = None
    added: tuple[str, ...] = ()
    note: str = ""
    missing: bool = False


@dataclass(frozen=True)
class Labeller:
    """Labels issues of one repository.

    `edited` maps the numbers of edited issues to their text before. `comment` makes the text of the comment on an
    issue; None: no comments.
    """

    writer: LabelWriter
    model: ServingModel
    config: Config
    dry_run: bool
    edited: Mapping[int, TextBeforeEdit] = field(default_factory=dict)
    comment: Callable[[LabelOutcome], str] | None = None

    def run(self, lives: Iterable[LiveIssue | LabelOutcome]) -> Iterator[LabelOutcome]:
        """One outcome for each issue, in order; outcomes are passed on."""
        rest, policy = iter(lives), Policy.of(self.config)
        while batch := list(islice(rest, BATCH)):
            cases = [self._case(live) for live in batch if not isinstance(live, LabelOutcome)]
            decisions = decide(cases, self.model, policy)
            for live in batch:
                yield live if isinstance(live, LabelOutcome) else self._act(live, next(decisions))

    def _case(self, live: LiveIssue) -> Case:
        return case_of(
            live.issue,
            self.config,
            proposed=self.model.labels,
            available=self.writer.available,
            me=self.writer.me,
            before=self.edited.get(live.issue.number),
        )

    def _act(self, live: LiveIssue, decision: Decision) -> LabelOutcome:
        outcome = LabelOutcome(live.issue.repo, live.issue.number, decision, decision.labels)
        if decision.left_alone:
            return replace(outcome, decision=None, note=decision.left_alone)
        if self.dry_run:
            return outcome
        try:
            added = self.writer.add(live, decision.labels)
            deleted = [name for name in decision.labels if name not in added]
            note = f"deleted in the meantime, so not set: {', '.join(deleted)}" if deleted else ""
            outcome = replace(outcome, added=added, note=note)
            self.writer.mark(live, abstained=decision.abstained)
            if self.comment and added:
                self.writer.comment(live, self.comment(outcome))
        except IssueGone as gone:
            return replace(outcome, added=(), note=gone.likely)
        return outcome
