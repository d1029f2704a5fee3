"""A repository's git objects and refs through GitHub's REST API: no clone, no git.

The files of a bundle as blobs of git: large ones in parts, of which some can be fetched without the others.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from mmap import mmap
from urllib.parse import quote

from triage.arrays import HEAD, Data, shape_of, view
from triage.bundle.ivf_files import CENTROIDS, CODES, LABELS, OFFSETS, ROWS
from triage.bundle.repository_slice import RepositorySlice
from triage.errors import AccessError, BundleError, DataError, LostRace
from triage.github.client import Remote
from triage.github.errors import NotFound, Rejected
from triage.github.typed_json import TypedJson

READ, WRITE = "`contents: read`", "`contents: write`"
FILE_MODE = "100644"


@dataclass(frozen=True)
class Commit:
    """`author` and `committer` are GitHub logins, empty where no account has the address.

    `verified` says that GitHub vouches for the signature.
    """

    sha: str
    message: str
    tree: str
    parents: tuple[str, ...]
    author: str
    committer: str
    verified: bool
    at: datetime


class RefRefused(AccessError):
    """The host does not allow a ref of this name."""

    likely = "the host keeps refs outside branches and tags to itself, or a rule protects this one"
    next_step = "name a branch for the store instead"


class GitData(Remote):
    """Refs are whole names such as `refs/triage/active`; hashes are 40 hexadecimal digits."""

    def read_file(self, path: str) -> str | None:
        """A text file of the default branch, or None where there is none."""
        purpose = self._purpose(f"read {path}", READ)
        # Where the repository itself is missing, that is the failure.
        address = self._path(f"/contents/{quote(path)}")
        try:
            found = self._http.get(address, purpose)
        except NotFound:
            return None
        if not isinstance(found, dict) or found.get("encoding") != "base64":
            raise DataError(f"{path} of {self.repo} is not a file below 1 MB")
        try:
            return _bytes(TypedJson(found)).decode()
        except UnicodeDecodeError:
            raise DataError(f"{path} of {self.repo} is not UTF-8 text") from None

    def read_ref(self, ref: str) -> str | None:
        """The commit that a ref points at, or None where there is no such ref."""
        try:
            found = self._http.get(self._ref(ref), self._purpose(f"read {ref}", READ))
        except NotFound:
            return None
        except Rejected as rejected:
            # How GitHub says that there is no commit at all yet.
            if "empty" not in rejected.said:
                raise
            return None
        return TypedJson(found).at("object").text("sha")

    def create_ref(self, ref: str, sha: str) -> None:
        """A new ref. Raises LostRace where it is there with another commit, RefRefused where not allowed."""
        try:
            self._write("POST", self._path("/git/refs"), {"ref": ref, "sha": sha}, f"create {ref}")
        except Rejected as rejected:
            # It may be this very request, sent a second time after its answer was lost.
            if (there := self.read_ref(ref)) is None:
                raise RefRefused(rejected.what) from None
            if there != sha:
                raise LostRace(f"{ref} was created by somebody else") from None

    def update_ref(self, ref: str, sha: str, *, force: bool = False) -> None:
        """Move a ref to a commit that descends from where it points now (`force`: to any).

        Raises LostRace where it points elsewhere by now or is gone, RefRefused where not allowed.
        """
        try:
            self._write("PATCH", self._ref(ref, "refs"), {"sha": sha, "force": force}, f"update {ref}")
        except Rejected as rejected:
            if "fast forward" in rejected.said.lower() or self.read_ref(ref) is None:
                raise LostRace(f"{ref} was moved by somebody else") from None
            raise RefRefused(rejected.what) from None

    def delete_ref(self, ref: str) -> None:
        """Take a ref away; one that is not there is no failure."""
        try:
            self._write("DELETE", self._ref(ref, "refs"), None, f"delete {ref}")
        except (NotFound, Rejected) as failure:
            if self.read_ref(ref) is not None:
                raise failure from None

    def create_blob(self, data: bytes) -> str:
        """Keep bytes; returns their hash."""
        body = {"content": base64.b64encode(data).decode(), "encoding": "base64"}
        return self._created("blobs", body)

    def get_blob(self, sha: str) -> bytes:
        """Raises NotFound."""
        purpose = self._purpose(f"read blob {sha}", READ)
        return _bytes(TypedJson(self._http.get(self._path(f"/git/blobs/{quote(sha, safe='')}"), purpose)))

    def create_tree(self, files: Iterable[tuple[str, str]]) -> str:
        """A tree of (path, hash of a blob), at least one; returns its hash."""
        lines = [{"path": path, "mode": FILE_MODE, "type": "blob", "sha": sha} for path, sha in files]
        if not lines:
            raise ValueError("GitHub keeps no empty tree")
        return self._created("trees", {"tree": lines})

    def get_tree(self, sha: str) -> list[tuple[str, str]]:
        """(path, hash) of every file under a tree. Raises NotFound, DataError where it is too large."""
        purpose = self._purpose(f"read tree {sha}", READ)
        found = TypedJson(
            self._http.get(self._path(f"/git/trees/{quote(sha, safe='')}"), purpose, {"recursive": "1"})
        )
        if found.flag("truncated"):
            raise DataError(f"tree {sha} of {self.repo} is too large to be listed")
        files = (line for line in found.items("tree") if line.text("type") == "blob")
        return [(line.text("path"), line.text("sha")) for line in files]

    def create_commit(self, message: str, tree: str, parents: Sequence[str]) -> str:
        """A commit in the name of the token's owner, signed by GitHub for Apps; returns its hash."""
        return self._created("commits", {"message": message, "tree": tree, "parents": list(parents)})

    def get_commit(self, sha: str) -> Commit:
        """Raises NotFound."""
        return self.history(sha, 1)[0]

    def history(self, sha: str, limit: int) -> list[Commit]:
        """A commit and what led to it, newest first, at most `limit` (1 to 100). Raises NotFound."""
        query = {"sha": sha, "per_page": str(limit)}
        purpose = self._purpose(f"read commit {sha}", READ)
        found = self._http.get(self._path("/commits"), purpose, query)
        commits = [_commit(node) for node in TypedJson({"commits": found}).items("commits")]
        if not commits or commits[0].sha != sha:
            raise DataError(f"GitHub answered with another commit than {sha}")
        return commits

    def _created(self, kind: str, body: Mapping[str, object]) -> str:
        found = self._write("POST", self._path(f"/git/{kind}"), body, f"write {kind}")
        return TypedJson(found).text("sha")

    def _write(self, verb: str, path: str, body: Mapping[str, object] | None, doing: str) -> object:
        """Objects are named by what they hold and refs are set to a value: all may be sent twice."""
        return self._http.send(verb, path, body, self._purpose(doing, WRITE))

    def _ref(self, ref: str, kind: str = "ref") -> str:
        return self._path(f"/git/{kind}/{quote(ref.removeprefix('refs/'))}")


def _bytes(found: TypedJson) -> bytes:
    try:
        return base64.b64decode(found.text("content"))
    except binascii.Error:
        raise DataError("GitHub answered with content that is not base64") from None


def _commit(node: TypedJson) -> Commit:
    inner = node.at("commit")
    author, committer = node.maybe("author"), node.maybe("committer")
    return Commit(
        sha=node.text("sha"),
        message=inner.text("message"),
        tree=inner.at("tree").text("sha"),
        parents=tuple(parent.text("sha") for parent in node.items("parents")),
        author=author.words("login") if author else "",
        committer=committer.words("login") if committer else "",
        verified=inner.at("verification").flag("verified"),
        at=inner.at("committer").time("date"),
    )


# GitHub refuses requests of some tens of megabytes and many new blobs an hour; what was dropped on the way is sent
# again. A large file is its first HEAD bytes, which tell how long it is, and parts of at most so many.
PART = 4 * 2**20


def parts(path: str, data: bytes) -> list[tuple[str, bytes]]:
    """The file as blobs, each with its path: itself, or in a folder of its name the parts in their order."""
    if len(data) <= PART:
        return [(path, data)]
    starts = [0, *range(HEAD, len(data), PART), len(data)]
    return [(f"{path}/{i:04d}", data[a:b]) for i, (a, b) in enumerate(pairwise(starts))]


class Pieces:
    """The files of a tree, each one blob or some."""

    def __init__(self, git: GitData, tree: str) -> None:
        self._git = git
        self._blobs: dict[str, list[str]] = {}
        for place, sha in sorted(git.get_tree(tree)):
            self._blobs.setdefault(place.partition("/")[0], []).append(sha)

    @property
    def names(self) -> Set[str]:
        """The names of the files."""
        return self._blobs.keys()

    def whole(self, name: str) -> bytes:
        """A file that is there."""
        return b"".join(map(self._git.get_blob, self._blobs[name]))

    def within(self, span: RepositorySlice, files: Mapping[str, Data], where: str) -> dict[str, Data]:
        """The files of an index that are read list by list, with what lies within the span; `files` are the others.

        The rest of each is zeros, which no hash goes with. Raises BundleError where they do not fit together.
        """
        found: dict[str, Data] = {}
        missing = {CODES, ROWS, OFFSETS, LABELS, CENTROIDS} - {*self.names}
        if missing:
            raise BundleError(f"{where}: {min(missing)} is missing")
        width = (0, *shape_of(files[CENTROIDS], where).shape)[-1]
        for name, each in ((CODES, width), (ROWS, 16), (OFFSETS, 8)):
            found[name] = self._between(name, each * span.rows[0], each * span.rows[1], where)
        offsets = view(found[OFFSETS], where)
        if not 0 <= min(span.rows) <= max(span.rows) < len(offsets):
            raise BundleError(f"{where}: its files do not fit together")
        first, stop = (4 * int(offsets[row]) for row in span.rows)
        found[LABELS] = self._between(LABELS, first, stop, where)
        return found

    def _between(self, name: str, first: int, stop: int, where: str) -> mmap:
        """An array's file, as long as it is, with the parts that hold its bytes from `first` up to `stop`."""
        blobs = self._blobs[name]
        head = self._git.get_blob(blobs[0])
        told = shape_of(head, f"{where}: {name}")
        held = [(0, head)]
        for start, sha in zip(range(HEAD, HEAD + PART * len(blobs), PART), blobs[1:], strict=False):
            if start < told.start + stop and told.start + first < start + PART:
                held.append((start, self._git.get_blob(sha)))
        whole = told.start + told.bytes
        if not max(start + len(part) for start, part in held) <= whole <= HEAD + PART * len(blobs):
            raise BundleError(f"{where}: the parts of {name} are not as long as it is")
        found = mmap(-1, whole)
        for start, part in held:
            found[start : start + len(part)] = part
        return found
