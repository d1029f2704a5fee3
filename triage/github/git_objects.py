"""Git objects and refs of a repository through GitHub's REST API, without a clone or git itself."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

from triage.bundle.bundle import MAX_BYTES
from triage.errors import DataError, LostRace
from triage.github.client import Tracker
from triage.github.errors import NotFound, RefRefused, Rejected, UnusableAnswer
from triage.github.graphql import Tip, TreeEntry
from triage.github.http import read, read_content, read_list
from triage.schema import nested

READ, WRITE = "`contents: read`", "`contents: write`"
FILE_MODE = "100644"
# The account in whose name GitHub itself commits for those who use its pages and some of its API.
WEB_FLOW = "web-flow"
# More than the blobs of the largest bundle.
MAX_BLOBS = 4_000


def blob_hash(data: bytes) -> str:
    """The hash that git gives to these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Commit:
    """`author` and `committer` are GitHub logins, empty if no account has the address.

    `verified`: GitHub has verified the signature, which is the committer's.
    """

    sha: str
    message: str = nested("commit.message")
    tree: str = nested("commit.tree.sha")
    parents: tuple[str, ...] = nested("parents.*.sha")
    verified: bool = nested("commit.verification.verified")
    author: str = nested("author.login", "")
    committer: str = nested("committer.login", "")

    @property
    def publisher(self) -> str:
        """The account that a verified signature stands for; empty if there is none.

        Anyone who may push can write any author into a commit of their own, so the author must be the committer, unless
        GitHub itself is one of them.
        """
        who = self.author if self.committer == WEB_FLOW else self.committer
        return who if self.verified and self.author in (who, WEB_FLOW) else ""


class GitObjects:
    """The git objects and refs of a tracker's repository.

    Refs are full names such as `refs/triage/active`, hashes 40 hexadecimal digits. Objects are named by their content
    and refs are set to a value, so that every request may be sent twice. What a hash names does not change, so that
    commits and trees are requested once.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self.repo = tracker.repo
        self._commits: dict[str, Commit] = {}
        self._trees: dict[str, list[tuple[str, str]]] = {}

    def tip(self, ref: str) -> Tip | None:
        """The commit that a ref points to, where the tracker has read it with other things; it is told once."""
        return self._tracker.tip(ref)

    def read_ref(self, ref: str) -> str | None:
        """The commit that a ref points to, or None if there is no such ref."""
        # Outside `try`, since a missing repository is an error.
        _ = self._tracker.repository
        try:
            answer = self._tracker.rest("GET", _path(ref, "ref"), f"read {ref}", READ)
        except NotFound:
            return None
        except Rejected as rejected:
            # GitHub's answer for a repository without commits.
            if "empty" not in rejected.said:
                raise
            return None
        return read(str, answer, "object.sha")

    def create_ref(self, ref: str, sha: str) -> None:
        """Create a ref. Raises LostRace if it exists with another commit, RefRefused if it is not allowed."""
        try:
            self._move("POST", "/git/refs", {"ref": ref, "sha": sha}, f"create {ref}")
        except Rejected as rejected:
            # The first attempt may have created it, with its response lost.
            if (existing := self.read_ref(ref)) is None:
                raise RefRefused(rejected.what) from None
            if existing != sha:
                raise LostRace(f"{ref} was created in the meantime") from None

    def update_ref(self, ref: str, sha: str, *, force: bool = False) -> None:
        """Move a ref to a descendant of the commit it points to (`force`: to any commit).

        Raises LostRace if it was moved or deleted in the meantime, RefRefused if it is not allowed.
        """
        try:
            self._move("PATCH", _path(ref, "refs"), {"sha": sha, "force": force}, f"update {ref}")
        except Rejected as rejected:
            if "fast forward" in rejected.said.lower() or self.read_ref(ref) is None:
                raise LostRace(f"{ref} was moved in the meantime") from None
            raise RefRefused(rejected.what) from None

    def delete_ref(self, ref: str) -> None:
        """Delete a ref if it exists."""
        try:
            self._write("DELETE", _path(ref, "refs"), None, f"delete {ref}")
        except (NotFound, Rejected) as failure:
            if self.read_ref(ref) is not None:
                raise failure from None

    def create_blob(self, data: bytes) -> str:
        """Store bytes; returns their hash."""
        return self._create("blobs", {"content": base64.b64encode(data).decode(), "encoding": "base64"})

    def get_blobs(self, shas: Sequence[str]) -> list[bytes]:
        """The contents of blobs. Raises NotFound, DataError for other content than that of a hash."""
        return self._tracker.side_by_side([partial(_blob, sha) for sha in shas])

    def create_tree(self, files: Iterable[tuple[str, str]]) -> str:
        """A tree of at least one (path, hash of a blob); returns its hash."""
        lines = [{"path": path, "mode": FILE_MODE, "type": "blob", "sha": sha} for path, sha in files]
        if not lines:
            raise ValueError("GitHub does not store empty trees")
        return self._create("trees", {"tree": lines})

    def get_tree(self, sha: str) -> list[tuple[str, str]]:
        """(path, hash) of every file in a tree. Raises NotFound, DataError if the tree is too large."""
        if sha in self._trees:
            return self._trees[sha]
        path = f"/git/trees/{quote(sha, safe='')}"
        answer = self._read(path, f"tree {sha}", {"recursive": "1"})
        if read(bool, answer, "truncated"):
            raise DataError(f"tree {sha} of {self.repo} is too large to be listed")
        self._trees[sha] = self.files_of(sha, read_list(TreeEntry, answer, "tree"))
        return self._trees[sha]

    def files_of(self, sha: str, entries: Iterable[TreeEntry]) -> list[tuple[str, str]]:
        """(path, hash) of the files among the lines of a tree. Raises DataError if they are too many or too large."""
        blobs = [entry for entry in entries if entry.type == "blob"]
        size = sum(entry.size for entry in blobs)
        if len(blobs) > MAX_BLOBS or size > MAX_BYTES:
            raise DataError(f"tree {sha} of {self.repo} is too large: {len(blobs):,} files of {size:,} bytes")
        return [(entry.path, entry.sha) for entry in blobs]

    def create_commit(self, message: str, tree: str, parents: Sequence[str]) -> str:
        """A commit by the token's owner, signed by GitHub for Apps; returns its hash."""
        return self._create("commits", {"message": message, "tree": tree, "parents": list(parents)})

    def get_commit(self, sha: str) -> Commit:
        """Raises NotFound."""
        return self._commits.get(sha) or self.history(sha, 1)[0]

    def history(self, sha: str, limit: int) -> list[Commit]:
        """A commit and its ancestors, newest first, at most `limit` (1 to 100). Raises NotFound."""
        answer = self._read("/commits", f"commit {sha}", {"sha": sha, "per_page": str(limit)})
        commits = list(read_list(Commit, answer))
        if not commits or commits[0].sha != sha:
            raise DataError(f"GitHub answered with another commit than {sha}")
        self._commits |= {commit.sha: commit for commit in commits}
        return commits

    def _read(self, path: str, what: str, query: Mapping[str, str] | None = None) -> object:
        return self._tracker.rest("GET", path, f"read {what}", READ, query=query)

    def _create(self, kind: str, body: Mapping[str, object]) -> str:
        return read(str, self._write("POST", f"/git/{kind}", body, f"write {kind}"), "sha")

    def _move(self, verb: str, path: str, body: Mapping[str, object], doing: str) -> None:
        """Raises DataError where the answer does not say that the ref points to the commit."""
        if read(str, self._write(verb, path, body, doing), "object.sha") != body["sha"]:
            raise UnusableAnswer(f"GitHub's answer to the request to {doing} names another commit")

    def _write(self, verb: str, path: str, body: Mapping[str, object] | None, doing: str) -> object:
        return self._tracker.rest(verb, path, doing, WRITE, body=body)


def _path(ref: str, kind: str) -> str:
    return f"/git/{kind}/{quote(ref.removeprefix('refs/'))}"


def _blob(sha: str, tracker: Tracker) -> bytes:
    path = f"/git/blobs/{quote(sha, safe='')}"
    data = read_content(tracker.rest("GET", path, f"read blob {sha}", READ))
    if blob_hash(data) != sha:
        raise UnusableAnswer(f"GitHub's answer has another content than blob {sha}")
    return data
