"""The one place where labels on GitHub are changed: a dry run does not call it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from triage.config import LabelsConfig
from triage.decide.history import Attribution, removed
from triage.github.errors import LabelGone
from triage.issue import Names, fold, folded
from triage.label.comment import MARKER, merged

if TYPE_CHECKING:
    from triage.github.client import Tracker
    from triage.github.graphql import Label, LiveIssue

NEW_COLOUR = "ededed"
# GitHub refuses longer descriptions.
MAX_DESCRIPTION = 100


@dataclass
class LabelWriter:
    """Adds and removes labels of one repository; `available` are its labels by name, `me` is the login that acts.

    `who` knows the other logins under which this bot labelled.

    Raises IssueGone where an issue was deleted, and what the tracker raises.
    """

    tracker: Tracker
    me: str
    config: LabelsConfig = field(default_factory=LabelsConfig)
    available: Mapping[str, Label] = field(default_factory=lambda: Names({}))
    who: Attribution = field(default_factory=Attribution)

    def add(self, live: LiveIssue, names: tuple[str, ...]) -> tuple[str, ...]:
        """Add labels, creating those that the repository lacks where that is allowed; returns those added.

        Labels that were deleted since the repository's were read are left out.
        """
        if not self.config.create:
            names = self._available(names)
        try:
            self._add(live, names)
        except LabelGone:
            self.available = self.tracker.labels()
            names = self._available(names)
            self._add(live, names)
        return names

    def remove(self, live: LiveIssue, names: Iterable[str]) -> None:
        """Remove labels that the issue carries."""
        for name in names:
            try:
                self.tracker.remove_label(live.node_id, live.label_ids[name])
            except LabelGone:
                # It was deleted, and so removed from this issue too.
                continue

    def mark(self, live: LiveIssue) -> None:
        """Add the abstain label to an issue without labels, unless it was ever removed."""
        name, issue = self.config.abstain, live.issue
        if name is None or issue.labels or name in removed(issue, self.who):
            return
        if name in self.available or self.config.create:
            self.add(live, (name,))

    def unmark(self, live: LiveIssue, *, labelled: bool) -> str | None:
        """Remove the abstain label that the bot set, if the issue has other labels or was `labelled` just now.

        Returns its name if it was removed.
        """
        name, issue = self.config.abstain, live.issue
        others = labelled or len(issue.labels) > 1
        if name is None or not others or not self.who.was_last_to_set(name, issue):
            return None
        if fold(name) not in folded(issue.labels):
            return None
        self.remove(live, [name])
        return name

    def comment(self, live: LiveIssue, parts: Mapping[str, str]) -> None:
        """Write parts of the bot's one comment on the issue, by name; the others stay as they are."""
        self.tracker.put_comment(live.node_id, MARKER, lambda text: merged(text, parts))

    def _available(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name in self.available)

    def _add(self, live: LiveIssue, names: tuple[str, ...]) -> None:
        if names:
            self.tracker.add_labels(live.node_id, [self._label(name).id for name in names])

    def _label(self, name: str) -> Label:
        if name not in self.available:
            description = Names(self.config.descriptions).get(name, "")[:MAX_DESCRIPTION]
            created = self.tracker.create_label(name, NEW_COLOUR, description)
            self.available = Names({**self.available, created.name: created})
        return self.available[name]
