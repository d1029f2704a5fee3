"""The one place where labels on GitHub are changed: a dry run does not call it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from triage.comment import Part, merged
from triage.config import LabelsConfig
from triage.decide.case import Attribution, removed
from triage.errors import TriageError
from triage.github.client import IssueChange
from triage.github.comments import comment_on, put_comment
from triage.github.errors import LabelGone, Overloaded
from triage.issue import Names, fold, folded, is_category, is_type, native

if TYPE_CHECKING:
    from triage.github.client import Tracker
    from triage.github.graphql import Label, LiveIssue

NEW_COLOUR = "ededed"
# GitHub refuses longer descriptions.
MAX_DESCRIPTION = 100


@dataclass(frozen=True)
class IssueEdit:
    """Labels to add to an issue and to remove from it, by name.

    `comment` makes those parts of the bot's comment that change from the labels that were added.
    """

    live: LiveIssue
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    comment: Callable[[tuple[str, ...]], Mapping[str, Part]] | None = None


@dataclass
class LabelWriter:
    """Adds and removes labels of one repository; `available` are its labels by name, `me` is the login that acts.

    `who` knows the other logins under which this bot labelled.

    Raises IssueGone if an issue was deleted, and what the tracker raises. If a label was deleted after the
    repository's labels were read, the bot's abstain label may have been removed although no label replaced it.
    """

    tracker: Tracker
    me: str
    config: LabelsConfig = field(default_factory=LabelsConfig)
    available: Names[Label] = field(default_factory=lambda: Names({}))
    who: Attribution = field(default_factory=Attribution)

    def write(self, edits: Sequence[IssueEdit]) -> list[tuple[str, ...] | TriageError]:
        """Make at most TOGETHER edits in one request; for each the labels that were added, or why it failed.

        Labels that the repository lacks are created if that is allowed. Labels that were deleted after the
        repository's labels were read are left out. Raises what fails for all of the edits.
        """
        names = [self.addable(edit.add) for edit in edits]
        failures, commented = self._sent(dict(enumerate(edits)), names)
        stale = [i for i, failure in failures.items() if isinstance(failure, LabelGone)]
        if stale:
            self.available = self.tracker.labels()
            for i in stale:
                names[i] = tuple(self.available.among(edits[i].add))
                del failures[i]
            failures |= self._sent({i: IssueEdit(edits[i].live) for i in stale}, names)[0]
        for i, edit in enumerate(edits):
            parts = dict(edit.comment(names[i])) if edit.comment and i not in failures else {}
            if i in commented and i in stale:
                # It tells of labels that are gone.
                parts = {"reasons": "", **parts}
            elif i in commented:
                continue
            there = edit.live.comment
            # Where it is not known whether there is one, none is looked for only to find nothing to take out of it.
            if parts and (merged("", parts) if there is None else merged(there, parts) != there):
                try:
                    self.comment(edit.live, parts)
                except TriageError as error:
                    failures[i] = error
        return [failures.get(i) or names[i] for i in range(len(edits))]

    def add(self, live: LiveIssue, names: tuple[str, ...]) -> tuple[str, ...]:
        """Add labels to one issue, in place of the abstain label that the bot set; see `write`."""
        unmark = self.to_unmark(live, labelled=bool(self.addable(names)))
        return self._written(IssueEdit(live, names, unmark))

    def remove(self, live: LiveIssue, names: Iterable[str]) -> None:
        """Remove labels from the issue."""
        self._written(IssueEdit(live, remove=tuple(names)))

    def to_mark(self, live: LiveIssue) -> tuple[str, ...]:
        """The abstain label for an issue without labels, unless it was ever removed."""
        name, issue = self.config.abstain, live.issue
        # From a discussion it could not be removed again, since GitHub does not tell who set it.
        if issue.kind == "discussion" or name is None or issue.labels or name in removed(issue, self.who):
            return ()
        return self.addable((name,))

    def to_unmark(self, live: LiveIssue, *, labelled: bool) -> tuple[str, ...]:
        """The abstain label that the bot set, if the issue has other labels or is being `labelled`."""
        name, issue = self.config.abstain, live.issue
        others = labelled or len(issue.labels) > 1
        if name is None or not others or not self.who.was_last_to_set(name, issue):
            return ()
        return (name,) if fold(name) in folded(issue.labels) else ()

    @property
    def ids(self) -> dict[str, str]:
        """The ids of the repository's labels, by name."""
        return {name: label.id for name, label in self.available.items()}

    def comment_on(self, live: LiveIssue) -> str:
        """The text of the bot's one comment on the issue, if need be read now; empty if there is none."""
        return comment_on(self.tracker, live.node_id) if live.comment is None else live.comment

    def comment(self, live: LiveIssue, parts: Mapping[str, Part]) -> None:
        """Write parts of the bot's one comment on the issue, by name; the others stay as they are."""
        put_comment(self.tracker, live.node_id, lambda text: merged(text, parts), live.issue.kind)

    def _written(self, edit: IssueEdit) -> tuple[str, ...]:
        (outcome,) = self.write([edit])
        if isinstance(outcome, TriageError):
            raise outcome
        return outcome

    def _sent(
        self, edits: Mapping[int, IssueEdit], names: Sequence[tuple[str, ...]]
    ) -> tuple[dict[int, TriageError], set[int]]:
        """(the failures, the edits whose comment was sent with them) after adding these `names`."""
        failures, changes = dict[int, TriageError](), dict[int, IssueChange]()
        answers, with_comment = dict[int, TriageError | None](), set[int]()
        for i, edit in edits.items():
            try:
                changes[i] = self._change(edit, names[i])
                if changes[i].comment:
                    with_comment.add(i)
            except TriageError as error:
                failures[i] = error
        try:
            answers = self._answers(changes)
        except Overloaded as overloaded:
            if not with_comment:
                raise
            answers = dict.fromkeys(changes, overloaded)
        if with_comment and (again := [i for i, answer in answers.items() if isinstance(answer, Overloaded)]):
            # What has a comment is sent once. It may have been written: it is looked for before it is written again.
            answers |= self._answers({i: replace(changes[i], comment="") for i in again})
            with_comment.difference_update(again)
        failures |= {i: failure for i, failure in answers.items() if failure}
        return failures, with_comment

    def _answers(self, changes: Mapping[int, IssueChange]) -> dict[int, TriageError | None]:
        return dict(zip(changes, self.tracker.change(list(changes.values())), strict=True))

    def _change(self, edit: IssueEdit, names: tuple[str, ...]) -> IssueChange:
        """The edit by ids, with its comment if there is none yet; creates labels that the repository lacks."""
        live = edit.live
        # Where there may be one, it is looked for.
        parts = edit.comment(names) if edit.comment and live.comment == "" else {}
        new_type = next(filter(is_type, names), None)
        if new_type is None and any(map(is_type, edit.remove)):
            new_type = ""
        return IssueChange(
            live.node_id,
            live.issue.kind,
            add=tuple(self._label(name).id for name in names if not native(name)),
            remove=tuple(live.label_ids[name] for name in edit.remove if not native(name)),
            comment=merged("", parts) if parts else "",
            number=live.issue.number,
            type=new_type,
            category=next((self.available[name].id for name in names if is_category(name)), ""),
        )

    def addable(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The labels that the repository has or may get; no issue type or category is created."""
        create = self.config.create
        return tuple(name for name in names if name in self.available or (create and not native(name)))

    def _label(self, name: str) -> Label:
        label = self.available.get(name)
        if label is None:
            description = Names(self.config.descriptions).get(name, "")[:MAX_DESCRIPTION]
            label = self.tracker.create_label(name, NEW_COLOUR, description)
            self.available = Names({**self.available, label.name: label})
        return label
