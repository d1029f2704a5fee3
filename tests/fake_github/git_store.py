"""Git objects in memory, named by the very hashes git would give them, and the refs that point at them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from tests.fake_github.state import Actor

TREE_MODE = "040000"


@dataclass(frozen=True)
class Ident:
    """Who wrote a commit, and when."""

    name: str
    email: str
    date: datetime

    def line(self) -> str:
        """As git writes it into a commit."""
        return f"{self.name} <{self.email}> {int(self.date.timestamp())} +0000"


@dataclass(frozen=True)
class Entry:
    """One line of a tree."""

    mode: str
    sha: str

    @property
    def kind(self) -> Literal["blob", "tree", "commit"]:
        """What the hash names."""
        return "tree" if self.mode == TREE_MODE else "commit" if self.mode == "160000" else "blob"


@dataclass(frozen=True)
class Commit:
    """One commit; `verified` stands for a signature that GitHub made or checked."""

    tree: str
    parents: tuple[str, ...]
    message: str
    author: Ident
    committer: Ident
    verified: bool = False

    @property
    def sha(self) -> str:
        """The name git would give it, were it not signed."""
        lines = [f"tree {self.tree}", *(f"parent {parent}" for parent in self.parents)]
        lines += [f"author {self.author.line()}", f"committer {self.committer.line()}", "", self.message]
        return _hash("commit", "\n".join(lines).encode())


Tree = dict[str, Entry]


def _hash(kind: str, data: bytes) -> str:
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(data)) + data, usedforsecurity=False).hexdigest()


@dataclass
class GitStore:
    """Objects are only ever added; refs move."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    trees: dict[str, Tree] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def add_blob(self, data: bytes) -> str:
        """Keep the bytes, answer their hash."""
        sha = _hash("blob", data)
        self.blobs[sha] = data
        return sha

    def add_tree(self, entries: Tree) -> str:
        """Keep one level of a tree, answer its hash."""
        # git sorts a folder as if its name ended in a slash
        names = sorted(entries, key=lambda name: name + ("/" if entries[name].kind == "tree" else ""))
        raw = (f"{entries[n].mode.lstrip('0')} {n}\0".encode() + bytes.fromhex(entries[n].sha) for n in names)
        sha = _hash("tree", b"".join(raw))
        self.trees[sha] = {name: entries[name] for name in names}
        return sha

    def add_commit(self, commit: Commit) -> str:
        """Keep a commit, answer its hash."""
        self.commits[commit.sha] = commit
        return commit.sha

    def grow(self, base: str | None, changes: dict[str, Entry | None]) -> str:
        """A tree like `base` with paths set or, where None, taken away; folders are made as needed."""
        entries = dict(self.trees[base]) if base else {}
        below: dict[str, dict[str, Entry | None]] = {}
        for path, entry in changes.items():
            head, _, rest = path.partition("/")
            if rest:
                below.setdefault(head, {})[rest] = entry
            elif entry is None:
                entries.pop(head, None)
            else:
                entries[head] = entry
        for folder, inner in below.items():
            held = entries.get(folder)
            sha = self.grow(held.sha if held and held.kind == "tree" else None, inner)
            entries[folder] = Entry(TREE_MODE, sha)
            if not self.trees[sha]:
                del entries[folder]
        return self.add_tree(entries)

    def walk(self, tree: str, prefix: str = "") -> Iterator[tuple[str, Entry]]:
        """Every path under a tree, folders before what is in them."""
        for name, entry in self.trees[tree].items():
            yield prefix + name, entry
            if entry.kind == "tree":
                yield from self.walk(entry.sha, f"{prefix}{name}/")

    def resolve(self, name: str) -> str | None:
        """The commit that a hash, a branch, a tag or a full ref stands for, or None."""
        if name in self.commits:
            return name
        spellings = (name, f"refs/{name}", f"refs/heads/{name}", f"refs/tags/{name}")
        return next((self.refs[full] for full in spellings if full in self.refs), None)

    def history(self, sha: str) -> list[str]:
        """The commit and all that led to it, newest first."""
        seen: dict[str, None] = {}
        ahead = [sha]
        while ahead:
            here = ahead.pop(0)
            if here not in seen:
                seen[here] = None
                ahead += self.commits[here].parents
        return list(seen)

    def files(self, ref: str) -> dict[str, bytes]:
        """Path → bytes of all that a ref or commit holds."""
        sha = self.resolve(ref)
        if sha is None:
            raise KeyError(ref)
        tree = self.commits[sha].tree
        return {path: self.blobs[e.sha] for path, e in self.walk(tree) if e.kind == "blob"}

    def commit_file(self, ref: str, path: str, data: bytes, by: Actor, at: datetime) -> str:
        """Commit one file on top of a ref, which is made if need be."""
        parent = self.refs.get(ref)
        base = self.commits[parent].tree if parent else None
        tree = self.grow(base, {path: Entry("100644", self.add_blob(data))})
        who = Ident(by.login, by.email, at)
        self.refs[ref] = self.add_commit(Commit(tree, (parent,) if parent else (), f"Put {path}", who, who))
        return self.refs[ref]
