"""A repository of the fake GitHub: its labels, issues and git objects."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from tests.fake_github.git_store import GitStore
from tests.fake_github.issue import Category, Comment, Event, Issue, IssueType, Label
from tests.fake_github.state import Actor, Role, World

DEFAULT_COLOUR = "ededed"


class Repository:
    """Labels, issues and git objects under one name; everything is public to the tests."""

    def __init__(self, world: World, full_name: str, *, private: bool = False) -> None:
        self.world = world
        self.full_name = full_name
        self.private = private
        self.fork = self.archived = False
        self.has_issues = True
        self.team = {"maintainer"}
        # What each account may do; others read what is public.
        self.roles: dict[str, Role] = {"maintainer": "maintain"}
        self.teams: set[str] = set()
        self.id = world.new_id()
        self.created_at = world.clock.now
        self.labels: dict[str, Label] = {}
        # Those of its organisation.
        self.types: dict[str, IssueType] = {}
        self.categories: dict[str, Category] = {}
        self.issues: dict[int, Issue] = {}
        self.git = GitStore()
        self.default_branch = "main"
        self.refused_refs: tuple[str, ...] = ()
        world.nodes[self.node_id] = self

    @property
    def node_id(self) -> str:
        """The id for GraphQL."""
        return f"R_{self.id}"

    def association(self, actor: Actor | None) -> str:
        """What GitHub calls the account here: those in `team` are members."""
        return "MEMBER" if actor and actor.login in self.team else "NONE"

    def role(self, actor: Actor) -> Role:
        """What the account may do here."""
        return self.roles.get(actor.login, "none" if self.private else "read")

    def add_label(self, name: str, description: str | None = None, color: str = DEFAULT_COLOUR) -> Label:
        """A new label; names are unique whatever their case (ValueError)."""
        if name.casefold() in self.labels:
            raise ValueError(f"{self.full_name} already has a label {name!r}")
        label = Label(self, name, description, color, self.world.new_id())
        self.labels[name.casefold()] = label
        self.world.nodes[label.node_id] = label
        return label

    def add_type(self, name: str, description: str | None = None) -> IssueType:
        """A new issue type of its organisation."""
        self.types[name.casefold()] = IssueType(name, self.world.new_id(), description)
        return self.types[name.casefold()]

    def add_category(self, name: str, description: str | None = None) -> Category:
        """A new category of discussions."""
        category = Category(self, name, description, self.world.new_id())
        self.categories[name.casefold()] = category
        self.world.nodes[category.node_id] = category
        return category

    def rename_category(self, old: str, new: str) -> None:
        """Rename a category; its id stays."""
        category = self.categories.pop(old.casefold())
        category.name = new
        self.categories[new.casefold()] = category

    def delete_category(self, name: str) -> None:
        """Delete a category; the discussions in it must have been moved out of it."""
        del self.world.nodes[self.categories.pop(name.casefold()).node_id]

    def rename_label(self, old: str, new: str) -> None:
        """Rename a label; its id stays and no issue's `updated_at` changes."""
        label = self.labels.pop(old.casefold())
        label.name = new
        self.labels[new.casefold()] = label

    def delete_label(self, name: str) -> None:
        """Delete a label: issues lose it without an event and without a new `updated_at`."""
        label = self.labels.pop(name.casefold())
        del self.world.nodes[label.node_id]
        for issue in self.issues.values():
            if label in issue.labels:
                issue.labels.remove(label)

    def add_issue(
        self,
        title: str,
        body: str | None = "",
        author: str | None = "reporter",
        *,
        labels: Iterable[str] = (),
        at: datetime | None = None,
        pull: bool = False,
        discussion: bool = False,
        number: int | None = None,
    ) -> Issue:
        """A new issue, pull request or discussion; `labels` come with its opening, set by the author."""
        world = self.world
        moment = at or world.clock.tick()
        by = None if author is None else world.actor(author)
        number = number or max(self.issues, default=0) + 1
        issue = Issue(self, number, title, body, by, moment, moment, world.new_id(), pull, discussion)
        self.issues[number] = issue
        world.nodes[issue.node_id] = issue
        if discussion:
            # Each is in one from the beginning.
            issue.category = next(iter(self.categories.values()), None) or self.add_category("General")
        issue.add_labels(labels, author or "ghost", at=moment)
        return issue

    def put_file(self, path: str, content: str | bytes, *, by: str = "maintainer") -> str:
        """Commit a file to the default branch and answer the commit's hash."""
        data = content.encode() if isinstance(content, str) else content
        head = f"refs/heads/{self.default_branch}"
        return self.git.commit_file(head, path, data, self.world.actor(by), self.world.clock.tick())


Node = Repository | Issue | Label | Category | Event | Comment
