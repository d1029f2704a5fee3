"""Git objects over GraphQL, as GitHub's schema has them: commits, trees and blobs by a revision expression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.fake_github.context import Args, Context, Resolver
from tests.fake_github.git_store import Entry
from tests.fake_github.repository import Repository

TYPES = {"commit": "Commit", "tree": "Tree", "blob": "Blob"}


@dataclass(frozen=True)
class GitObject:
    """An object of a repository, by its kind ("commit", "tree" or "blob") and hash."""

    repository: Repository
    kind: str
    sha: str

    @property
    def data(self) -> bytes:
        """The content of a blob."""
        return self.repository.git.blobs[self.sha]

    @property
    def text(self) -> str | None:
        """The content of a blob that is text."""
        try:
            return None if self.is_binary else self.data.decode()
        except UnicodeDecodeError:
            return None

    @property
    def is_binary(self) -> bool:
        """Whether git would take it for something else than text."""
        return b"\0" in self.data


@dataclass(frozen=True)
class TreeEntry:
    """One line of a tree."""

    repository: Repository
    name: str
    entry: Entry

    @property
    def object(self) -> GitObject:
        """What the line names."""
        return GitObject(self.repository, self.entry.kind, self.entry.sha)


def _object(repository: Repository, ctx: Context, args: Args) -> GitObject | None:
    """The object of an expression such as `HEAD`, `refs/heads/main` or `HEAD:PATH`; None where there is none."""
    ctx.allow(repository, "read", "contents")
    git, expression = repository.git, args.get("expression") or args.get("oid") or ""
    revision, _, path = expression.partition(":")
    commit = git.resolve(repository.default_branch if revision == "HEAD" else revision)
    if commit is None:
        return None
    if not path:
        return GitObject(repository, "commit", commit)
    entry = dict(git.walk(git.commits[commit].tree)).get(path)
    return GitObject(repository, entry.kind, entry.sha) if entry else None


def _entries(tree: GitObject) -> list[TreeEntry]:
    entries = tree.repository.git.trees[tree.sha].items()
    return [TreeEntry(tree.repository, name, entry) for name, entry in entries]


def _size(entry: TreeEntry) -> int:
    return len(entry.object.data) if entry.entry.kind == "blob" else 0


_ANY: dict[str, Callable[[Any], object]] = {
    "oid": lambda found: found.sha,
    "id": lambda found: f"{found.kind[0].upper()}_{found.sha}",
    "repository": lambda found: found.repository,
}
FIELDS: dict[str, dict[str, Callable[[Any], object]]] = {
    "Commit": _ANY
    | {
        "message": lambda found: found.repository.git.commits[found.sha].message,
        "tree": lambda found: GitObject(
            found.repository, "tree", found.repository.git.commits[found.sha].tree
        ),
    },
    "Tree": _ANY | {"entries": _entries},
    "Blob": _ANY
    | {
        "text": lambda found: found.text,
        "byteSize": lambda found: len(found.data),
        "isBinary": lambda found: found.is_binary,
        "isTruncated": lambda found: False,
    },
    "TreeEntry": {
        "name": lambda line: line.name,
        "path": lambda line: line.name,
        "oid": lambda line: line.entry.sha,
        "mode": lambda line: int(line.entry.mode, 8),
        "type": lambda line: line.entry.kind,
        "size": _size,
        "object": lambda line: line.object,
    },
}
CALLS: dict[str, dict[str, Resolver]] = {"Repository": {"object": _object}}


def type_name(value: object) -> str | None:
    """The GraphQL type of a git object."""
    return TYPES[value.kind] if isinstance(value, GitObject) else None
