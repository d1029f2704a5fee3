"""A repository's git objects and refs through GitHub's REST API, without a clone or git itself.

Files are stored as blobs, large ones in parts that can be fetched separately.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from mmap import mmap
from urllib.parse import quote

from triage.arrays import HEAD, Data, shape_of, view
from triage.bundle.ivf_files import CENTROIDS, CODES, LABELS, OFFSETS, ROWS, RepositorySlice
from triage.errors import BundleError, DataError, LostRace
from triage.github.client import Tracker
from triage.github.errors import NotFound, RefRefused, Rejected
from triage.github.response import read, read_content, read_list, read_time

READ, WRITE = "`contents: read`", "`contents: write`"
FILE_MODE = "100644"


@dataclass(frozen=True)
class Commit:
    """`author` and `committer` are GitHub logins, empty if no account has the address.

    `verified`: GitHub has verified the signature.
    """

    sha: str
    message: str
    tree: str
    parents: tuple[str, ...]
    author: str
    committer: str
    verified: bool
    at: datetime


class GitObjects:
    """The git objects and refs of a tracker's repository.

    Refs are full names such as `refs/triage/active`, hashes 40 hexadecimal digits. Objects are named by their content
    and refs are set to a value, so that every request may be sent twice.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self.repo = tracker.repo

    def read_ref(self, ref: str) -> str | None:
        """The commit that a ref points to, or None if there is no such ref."""
        try:
            found = self._tracker.rest("GET", _path(ref, "ref"), f"read {ref}", READ)
        except NotFound:
            return None
        except Rejected as rejected:
            # GitHub's answer for a repository without commits.
            if "empty" not in rejected.said:
                raise
            return None
        return read(_Sha, found, "object").sha

    def create_ref(self, ref: str, sha: str) -> None:
        """Create a ref. Raises LostRace if it exists with another commit, RefRefused if it is not allowed."""
        try:
            self._write("POST", "/git/refs", {"ref": ref, "sha": sha}, f"create {ref}")
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
            self._write("PATCH", _path(ref, "refs"), {"sha": sha, "force": force}, f"update {ref}")
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

    def get_blob(self, sha: str) -> bytes:
        """Raises NotFound."""
        return read_content(self._read(f"/git/blobs/{quote(sha, safe='')}", f"blob {sha}"))

    def create_tree(self, files: Iterable[tuple[str, str]]) -> str:
        """A tree of at least one (path, hash of a blob); returns its hash."""
        lines = [{"path": path, "mode": FILE_MODE, "type": "blob", "sha": sha} for path, sha in files]
        if not lines:
            raise ValueError("GitHub does not store empty trees")
        return self._create("trees", {"tree": lines})

    def get_tree(self, sha: str) -> list[tuple[str, str]]:
        """(path, hash) of every file in a tree. Raises NotFound, DataError if the tree is too large."""
        path = f"/git/trees/{quote(sha, safe='')}"
        tree = read(_Tree, self._read(path, f"tree {sha}", {"recursive": "1"}))
        if tree.truncated:
            raise DataError(f"tree {sha} of {self.repo} is too large to be listed")
        return [(entry.path, entry.sha) for entry in tree.tree if entry.type == "blob"]

    def create_commit(self, message: str, tree: str, parents: Sequence[str]) -> str:
        """A commit by the token's owner, signed by GitHub for Apps; returns its hash."""
        return self._create("commits", {"message": message, "tree": tree, "parents": list(parents)})

    def get_commit(self, sha: str) -> Commit:
        """Raises NotFound."""
        return self.history(sha, 1)[0]

    def history(self, sha: str, limit: int) -> list[Commit]:
        """A commit and its ancestors, newest first, at most `limit` (1 to 100). Raises NotFound."""
        answer = self._read("/commits", f"commit {sha}", {"sha": sha, "per_page": str(limit)})
        commits = [_commit(node) for node in read_list(_CommitAnswer, answer)]
        if not commits or commits[0].sha != sha:
            raise DataError(f"GitHub answered with another commit than {sha}")
        return commits

    def _read(self, path: str, what: str, query: Mapping[str, str] | None = None) -> object:
        return self._tracker.rest("GET", path, f"read {what}", READ, query=query)

    def _create(self, kind: str, body: Mapping[str, object]) -> str:
        return read(_Sha, self._write("POST", f"/git/{kind}", body, f"write {kind}")).sha

    def _write(self, verb: str, path: str, body: Mapping[str, object] | None, doing: str) -> object:
        return self._tracker.rest(verb, path, doing, WRITE, body=body)


def _path(ref: str, kind: str) -> str:
    return f"/git/{kind}/{quote(ref.removeprefix('refs/'))}"


# The shapes of answers.


@dataclass(frozen=True)
class _Sha:
    sha: str


@dataclass(frozen=True)
class _Entry:
    path: str
    type: str
    sha: str


@dataclass(frozen=True)
class _Tree:
    truncated: bool
    tree: tuple[_Entry, ...]


@dataclass(frozen=True)
class _Account:
    login: str = ""


@dataclass(frozen=True)
class _Signature:
    date: str


@dataclass(frozen=True)
class _Verification:
    verified: bool


@dataclass(frozen=True)
class _GitCommit:
    message: str
    tree: _Sha
    committer: _Signature
    verification: _Verification


@dataclass(frozen=True)
class _CommitAnswer:
    sha: str
    commit: _GitCommit
    parents: tuple[_Sha, ...]
    author: _Account | None = None
    committer: _Account | None = None


def _commit(node: _CommitAnswer) -> Commit:
    return Commit(
        sha=node.sha,
        message=node.commit.message,
        tree=node.commit.tree.sha,
        parents=tuple(parent.sha for parent in node.parents),
        author=node.author.login if node.author else "",
        committer=node.committer.login if node.committer else "",
        verified=node.commit.verification.verified,
        at=read_time(node.commit.committer.date),
    )


# GitHub refuses requests of some tens of megabytes and limits the number of new blobs an hour; a dropped request is
# sent again. A large file is its first HEAD bytes, which contain its length, and parts of at most PART bytes.
PART = 4 * 2**20


def parts(path: str, data: bytes) -> list[tuple[str, bytes]]:
    """The file as blobs, each with its path: itself, or in a folder of its name the parts in their order."""
    if len(data) <= PART:
        return [(path, data)]
    starts = [0, *range(HEAD, len(data), PART), len(data)]
    return [(f"{path}/{i:04d}", data[a:b]) for i, (a, b) in enumerate(pairwise(starts))]


class Pieces:
    """The files of a tree, each of one or more blobs."""

    def __init__(self, git: GitObjects, tree: str) -> None:
        self._git = git
        self._blobs: dict[str, list[str]] = {}
        for place, sha in sorted(git.get_tree(tree)):
            self._blobs.setdefault(place.partition("/")[0], []).append(sha)

    @property
    def names(self) -> Set[str]:
        """The names of the files."""
        return self._blobs.keys()

    def whole(self, name: str) -> bytes:
        """The content of a file in `names`."""
        return b"".join(map(self._git.get_blob, self._blobs[name]))

    def within(self, span: RepositorySlice, files: Mapping[str, Data], where: str) -> dict[str, Data]:
        """The files of a large index, filled within `span` and zero elsewhere, so that their hashes do not match.

        `files` are the bundle's other files. Raises BundleError if the files do not fit together.
        """
        partial: dict[str, Data] = {}
        missing = {CODES, ROWS, OFFSETS, LABELS, CENTROIDS} - {*self.names}
        if missing:
            raise BundleError(f"{where}: {min(missing)} is missing")
        width = (0, *shape_of(files[CENTROIDS], where).shape)[-1]
        for name, row_bytes in ((CODES, width), (ROWS, 16), (OFFSETS, 8)):
            partial[name] = self._between(name, row_bytes * span.rows[0], row_bytes * span.rows[1], where)
        offsets = view(partial[OFFSETS], where)
        if not 0 <= min(span.rows) <= max(span.rows) < len(offsets):
            raise BundleError(f"{where}: its files do not fit together")
        first, stop = (4 * int(offsets[row]) for row in span.rows)
        partial[LABELS] = self._between(LABELS, first, stop, where)
        return partial

    def _between(self, name: str, first: int, stop: int, where: str) -> mmap:
        """A file of full length in which only the parts with the array's bytes `first` to `stop` are filled."""
        blobs = self._blobs[name]
        head = self._git.get_blob(blobs[0])
        shape = shape_of(head, f"{where}: {name}")
        held = [(0, head)]
        for start, sha in zip(range(HEAD, HEAD + PART * len(blobs), PART), blobs[1:], strict=False):
            if start < shape.start + stop and shape.start + first < start + PART:
                held.append((start, self._git.get_blob(sha)))
        whole = shape.start + shape.bytes
        if not max(start + len(part) for start, part in held) <= whole <= HEAD + PART * len(blobs):
            raise BundleError(f"{where}: the parts of {name} are not as long as it is")
        filled = mmap(-1, whole)
        for start, part in held:
            filled[start : start + len(part)] = part
        return filled
