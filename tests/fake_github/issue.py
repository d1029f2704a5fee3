"""Labels, issues, events and comments in the fake GitHub, with what GitHub records when they change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from tests.fake_github.state import Actor

if TYPE_CHECKING:
    from tests.fake_github.repository import Repository


@dataclass(eq=False)
class Label:
    """One label; events keep the object, so that a rename shows in them."""

    repository: Repository
    name: str
    description: str | None
    color: str
    id: int

    @property
    def node_id(self) -> str:
        """The id for GraphQL."""
        return f"LA_{self.id}"


@dataclass(eq=False)
class IssueType:
    """A type of the organisation; events keep the object, so that a rename shows in them."""

    name: str
    id: int
    description: str | None = None
    enabled: bool = True


@dataclass(eq=False)
class Category:
    """A category of the repository's discussions."""

    repository: Repository
    name: str
    description: str | None
    id: int

    @property
    def node_id(self) -> str:
        """The id for GraphQL."""
        return f"DIC_{self.id}"


@dataclass(frozen=True, eq=False)
class Event:
    """What happened to an issue, by the names that REST has for it, such as `labeled` or `closed`."""

    issue: Issue
    kind: str
    actor: Actor | None
    at: datetime
    id: int
    label: Label | None = None
    titles: tuple[str, str] | None = None
    app: str | None = None
    whom: Actor | str | None = None
    # Of the issue: before and after.
    types: tuple[IssueType | None, IssueType | None] | None = None

    @property
    def node_id(self) -> str:
        """The id for GraphQL."""
        return f"EV_{self.id}"


@dataclass(frozen=True, eq=False)
class Edit:
    """A change of the body: the text after it, as GitHub keeps it (`diff` in GraphQL), and who made it."""

    at: datetime
    body: str | None
    editor: Actor | None


@dataclass(eq=False)
class Comment:
    """One comment on an issue."""

    issue: Issue
    body: str
    author: Actor
    created_at: datetime
    updated_at: datetime
    id: int
    reactions: list[tuple[str, str]] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)

    @property
    def at(self) -> datetime:
        """When it was written: in the timeline it stands among the events."""
        return self.created_at

    @property
    def kind(self) -> str:
        """What REST's timeline calls it."""
        return "commented"

    @property
    def node_id(self) -> str:
        """The id for GraphQL."""
        return f"IC_{self.id}"

    def edit(self, body: str, by: str) -> None:
        """Change the text; GitHub keeps each version, and the first edit makes two, as with an issue's body."""
        world = self.issue.repository.world
        if not self.edits:
            self.edits.append(Edit(self.created_at, self.body, self.author))
        self.body, self.updated_at = body, world.clock.tick()
        self.edits.append(Edit(self.updated_at, body, world.actor(by)))

    def tick(self, line: str, by: str) -> None:
        """Tick the box of the line that contains a text, as a click on the website does."""
        box, lines = "- [ ] ", self.body.split("\n")
        [at] = [i for i, found in enumerate(lines) if found.startswith(box) and line in found]
        lines[at] = f"- [x] {lines[at].removeprefix(box)}"
        self.edit("\n".join(lines), by)

    def delete(self) -> None:
        """Delete it."""
        self.issue.comments.remove(self)
        del self.issue.repository.world.nodes[self.node_id]


@dataclass(eq=False)
class Issue:
    """An issue or a pull request; every change takes `by`, a login, and an optional moment `at`."""

    repository: Repository
    number: int
    title: str
    body: str | None
    author: Actor | None
    created_at: datetime
    updated_at: datetime
    id: int
    is_pull: bool = False
    is_discussion: bool = False
    state: Literal["open", "closed"] = "open"
    locked: bool = False
    deleted: bool = False
    moved_to: Issue | None = None
    labels: list[Label] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    assignees: list[Actor] = field(default_factory=list)
    reviewers: list[Actor | str] = field(default_factory=list)
    type: IssueType | None = None
    # Of a discussion; GitHub keeps no history of it.
    category: Category | None = None
    # Label suggestions that wait for a person: name, confidence and rationale.
    suggestions: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def node_id(self) -> str:
        """The id for GraphQL."""
        return f"{'PR' if self.is_pull else 'D' if self.is_discussion else 'I'}_{self.id}"

    @property
    def label_names(self) -> list[str]:
        """The names of the labels it has, in the order they were set."""
        return [label.name for label in self.labels]

    @property
    def people(self) -> list[str]:
        """The logins of those it is assigned to."""
        return [actor.login for actor in self.assignees]

    @property
    def label_events(self) -> list[tuple[str, str, str]]:
        """(kind, label name, actor login) of every labelling and unlabelling, oldest first."""
        return [(e.kind, e.label.name, e.actor.login if e.actor else "ghost") for e in self.events if e.label]

    @property
    def gone(self) -> bool:
        """Whether it can no longer be found under its number here."""
        return self.deleted or self.moved_to is not None

    def add_labels(
        self, names: Iterable[str], by: str, *, at: datetime | None = None, app: str | None = None
    ) -> None:
        """Label it; a label it already has leaves no event, a name without label raises KeyError."""
        for label in [self.repository.labels[name.casefold()] for name in names]:
            if label not in self.labels:
                self.labels.append(label)
                self._happened("labeled", by, at, label=label, app=app)

    def remove_labels(
        self, names: Iterable[str], by: str, *, at: datetime | None = None, app: str | None = None
    ) -> None:
        """Unlabel it; a label it does not have leaves no event."""
        for label in [self.repository.labels[name.casefold()] for name in names]:
            if label in self.labels:
                self.labels.remove(label)
                self._happened("unlabeled", by, at, label=label, app=app)

    def set_type(
        self, name: str | None, by: str, *, at: datetime | None = None, app: str | None = None
    ) -> None:
        """Give it a type, another one, or none; the type it already has leaves no event, an unknown one KeyError."""
        before, after = self.type, self.repository.types[name.casefold()] if name else None
        if before is not after:
            kind = "changed" if before and after else "added" if after else "removed"
            self.type = after
            self._happened(f"issue_type_{kind}", by, at, app=app, types=(before, after))

    def move(self, name: str) -> None:
        """Move a discussion into another category; an unknown one raises KeyError."""
        self.category = self.repository.categories[name.casefold()]
        self.updated_at = self.repository.world.clock.tick()

    @property
    def category_name(self) -> str | None:
        """The name of its category."""
        return self.category and self.category.name

    @property
    def type_name(self) -> str | None:
        """The name of its type."""
        return self.type and self.type.name

    def rename(self, title: str, by: str, *, at: datetime | None = None) -> None:
        """Change the title."""
        before, self.title = self.title, title
        self._happened("renamed", by, at, titles=(before, title))

    def edit(self, body: str | None, *, by: str | None = None, at: datetime | None = None) -> None:
        """Change the body, by default as its author; GitHub keeps each version in `userContentEdits`."""
        world = self.repository.world
        if not self.edits:
            # The first edit makes two entries: the text before it counts as one.
            self.edits.append(Edit(self.created_at, self.body, self.author))
        self.body = body
        self.updated_at = at or world.clock.tick()
        self.edits.append(Edit(self.updated_at, body, world.actor(by) if by else self.author))

    def close(self, by: str, *, at: datetime | None = None) -> None:
        """Close it."""
        self.state = "closed"
        self._happened("closed", by, at)

    def assign(
        self, by: str, *whom: str, at: datetime | None = None, app: str | None = None, off: bool = False
    ) -> None:
        """Assign accounts, by default the one that does it, or take them `off`; what is so already leaves no event."""
        for actor in map(self.repository.world.actor, whom or [by]):
            if (actor in self.assignees) is off:
                (self.assignees.remove if off else self.assignees.append)(actor)
                self._happened("unassigned" if off else "assigned", by, at, app=app, whom=actor)

    def request_review(self, by: str, *whom: str, app: str | None = None, off: bool = False) -> None:
        """Request reviews of accounts, or of teams given as `org/team`, or withdraw the requests (`off`)."""
        for name in whom:
            reviewer = name if "/" in name else self.repository.world.actor(name)
            if (reviewer in self.reviewers) is off:
                (self.reviewers.remove if off else self.reviewers.append)(reviewer)
                kind = "review_request_removed" if off else "review_requested"
                self._happened(kind, by, None, app=app, whom=reviewer)

    def put_on_milestone(self, by: str, *, at: datetime | None = None) -> None:
        """Put it on a milestone; on which is not kept."""
        self._happened("milestoned", by, at)

    def reopen(self, by: str, *, at: datetime | None = None) -> None:
        """Open it again."""
        self.state = "open"
        self._happened("reopened", by, at)

    def lock(self, by: str, *, at: datetime | None = None) -> None:
        """Lock the conversation; those with write access still label and comment."""
        self.locked = True
        self._happened("locked", by, at)

    def comment(self, body: str, by: str, *, at: datetime | None = None) -> Comment:
        """Write a comment."""
        world = self.repository.world
        moment = at or world.clock.tick()
        comment = Comment(self, body, world.actor(by), moment, moment, world.new_id())
        self.updated_at = moment
        self.comments.append(comment)
        world.nodes[comment.node_id] = comment
        return comment

    def delete(self) -> None:
        """Delete it: REST says 410, GraphQL finds nothing, no other issue's `updatedAt` changes."""
        self.deleted = True
        del self.repository.world.nodes[self.node_id]

    def transfer(self, target: Repository) -> Issue:
        """Move it: a new number and id there, labels of the same name kept, a redirect here."""
        moved = target.add_issue(self.title, self.body, self.author.login if self.author else None)
        moved.labels = [
            target.labels[n.casefold()] for n in self.label_names if n.casefold() in target.labels
        ]
        moved.created_at, moved.state, self.moved_to = self.created_at, self.state, moved
        del self.repository.world.nodes[self.node_id]
        return moved

    def _happened(
        self,
        kind: str,
        by: str,
        at: datetime | None,
        *,
        label: Label | None = None,
        titles: tuple[str, str] | None = None,
        app: str | None = None,
        whom: Actor | str | None = None,
        types: tuple[IssueType | None, IssueType | None] | None = None,
    ) -> None:
        world = self.repository.world
        moment = at or world.clock.tick()
        event = Event(self, kind, world.actor(by), moment, world.new_id(), label, titles, app, whom, types)
        self.events.append(event)
        world.nodes[event.node_id] = event
        self.updated_at = max(self.updated_at, moment)
