"""A store in git refs of a repository, outside branches and tags, through GitHub's Git data API.

    refs/triage/active       the commit of the bundle in use; its ancestors are the bundles before it
    refs/triage/staged       the commit of a candidate that did not become active
    refs/triage/embeddings   the vectors of texts embedded before, for retraining only

A bundle is a commit. Its tree has the bundle's files, large ones in parts, and shares unchanged blobs with the bundle
before; its message is the bundle's name and manifest. A bundle becomes active by a fast-forward: this compare-and-swap
keeps concurrent retrainings from overwriting each other. Clones do not fetch these refs, and watchers are not notified.
If the host refuses such refs, branches of the same names are used.

Git objects and refs are reached through the REST API, without a clone or git itself.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from mmap import mmap
from urllib.parse import quote

from triage.arrays import HEAD, Data, shape_of, view
from triage.bundle.bundle import (
    MANIFEST,
    MAX_BYTES,
    Bundle,
    BundleManifest,
    from_files,
    name_of,
    read_manifest,
    to_files,
)
from triage.bundle.ivf_files import CENTROIDS, CODES, LABELS, MAPPED, OFFSETS, OWNERS, ROWS, RepositorySlice
from triage.bundle.store import KEPT, NAME, ROLES, StoreName
from triage.errors import BundleError, DataError, LostRace
from triage.github.client import Tracker
from triage.github.errors import NotFound, RefRefused, Rejected, UnusableAnswer
from triage.github.http import read, read_content, read_list
from triage.issue import RepositoryIds, matches
from triage.schema import nested

SPACES = ("refs/triage", "refs/heads/triage")
SUBJECT = "triage bundle "
READ, WRITE = "`contents: read`", "`contents: write`"
FILE_MODE = "100644"
# The account in whose name GitHub itself commits for those who use its pages and some of its API.
WEB_FLOW = "web-flow"


class GitStore:
    """The bundles in one repository. `publishers` are patterns of the logins whose bundles are trusted."""

    def __init__(self, tracker: Tracker, publishers: Sequence[str] = ("*",)) -> None:
        self._tracker, self._git, self._publishers = tracker, GitObjects(tracker), publishers
        self.name = StoreName(repo=tracker.repo)
        self._made: dict[str, Commit] = {}

    def visibility(self) -> str:
        return self._tracker.repository.visibility

    def names(self) -> list[str]:
        return sorted(self._commits(), reverse=True)

    def role(self, role: str) -> str | None:
        sha = self._head(role)[1]
        return None if sha is None else _name(self._git.get_commit(sha))

    def load(self, name: str, repo: RepositoryIds | None = None) -> Bundle:
        """See `Store`; with `repo`, only the parts of a large index that serve this repository are fetched."""
        commit, where = self._commit(name), f"bundle {name} of {self._git.repo}"
        self._check_origin(commit)
        try:
            return self._loaded(name, repo, commit.tree, where)
        except UnusableAnswer:
            raise
        except (DataError, NotFound) as error:
            raise BundleError(f"{where}: {error.what}") from None

    def _loaded(self, name: str, repo: RepositoryIds | None, commit_tree: str, where: str) -> Bundle:
        tree = Pieces(self._git, commit_tree)
        files: dict[str, Data] = {file: tree.whole(file) for file in tree.names & {MANIFEST}}
        named = tree.names & read_manifest(bytes(files.get(MANIFEST, b"")), where=where).files.keys()
        files |= {file: tree.whole(file) for file in sorted(named) if file not in MAPPED}
        span = RepositorySlice.of(repo, files, where) if repo and OWNERS in files else None
        if span:
            files |= tree.within(span, files, where)
        else:
            files |= {file: tree.whole(file) for file in named & set(MAPPED)}
        bundle = from_files(files, where=where)
        if name_of(bytes(files[MANIFEST]), bundle.manifest.created_at) != name:
            raise BundleError(f"{where}: its manifest is that of another bundle")
        if span:
            bundle = bundle.within(span)
            bundle.verify()
        return bundle

    def manifest(self, name: str) -> BundleManifest:
        commit = self._commit(name)
        self._check_origin(commit)
        data = commit.message.partition("\n\n")[2].strip().encode()
        return read_manifest(data, where=f"bundle {name} of {self._git.repo}")

    def save(self, bundle: Bundle) -> str:
        """Upload the bundle. No ref points to it before `set_role`, so an interruption leaves no trace."""
        files = to_files(bundle)
        name = name_of(files[MANIFEST], bundle.manifest.created_at)
        active = self._head("active")[1]
        tree = self._upload(files, self._stored(active) if active else ())
        message = f"{SUBJECT}{name}\n\n{files[MANIFEST].decode()}"
        sha = self._git.create_commit(message, tree, [active] if active else [])
        self._made[name] = self._own_commit(sha)
        return name

    def _stored(self, commit: str) -> Collection[str]:
        """The blobs of a commit; none where its tree cannot be read, which must not keep a new bundle out."""
        try:
            return {sha for _, sha in self._git.get_tree(self._git.get_commit(commit).tree)}
        except UnusableAnswer:
            raise
        except (DataError, NotFound):
            return ()

    def set_role(self, role: str, name: str | None) -> None:
        """See `Store`. Raises LostRace if another run made its bundle active in the meantime."""
        if role not in ROLES:
            raise ValueError(role)
        ref, current = self._head(role)
        if name is None:
            if current is not None:
                self._git.delete_ref(ref)
            return
        commit = self._commit(name)
        if role == "staged":
            self._point(ref, current, commit.sha, force=True)
            return
        if current is not None and _title(self._git.get_commit(current)) == name:
            return
        sha = commit.sha
        if current is not None and current not in commit.parents:
            if name in self._made:
                raise LostRace(f"{ref} was moved in the meantime")
            # An older or staged bundle is committed again on top, so that the move is a fast-forward. This run signs
            # the new commit, so the ref must not have got a stranger's of this name since the bundle was loaded.
            self._check_origin(commit)
            sha = self._own_commit(self._git.create_commit(commit.message, commit.tree, [current])).sha
        self._point(ref, current, sha, force=False)
        self._made.pop(name, None)
        self._prune(ref, sha)

    def lock(self) -> AbstractContextManager[None]:
        # GitHub refuses to move a ref that has been moved since it was read.
        return nullcontext()

    def put(self, title: str, data: bytes) -> None:
        """Store a file under a ref of its own, without history."""
        tree = self._upload({title: data})
        sha = self._git.create_commit(f"triage {title}", tree, [])
        try:
            self._point(*self._head(title), sha, force=True)
        except LostRace:
            # Another run created or deleted it in the meantime: the last write wins.
            self._point(*self._head(title), sha, force=True)

    def get(self, title: str) -> bytes | None:
        """The file, or None if there is none or its publisher is not trusted."""
        sha = self._head(title)[1]
        commit = self._git.get_commit(sha) if sha else None
        if commit is None or not self._trusts(commit):
            return None
        try:
            tree = Pieces(self._git, commit.tree)
            return tree.whole(title) if title in tree.names else None
        except UnusableAnswer:
            raise
        except (DataError, NotFound) as error:
            raise BundleError(f"{title} of {self._git.repo}: {error.what}") from None

    def _upload(self, files: Mapping[str, bytes], stored: Collection[str] = ()) -> str:
        """The tree of the files, a large one as a folder of its parts; blobs already `stored` are not sent."""
        entries = []
        for path, data in sorted(files.items()):
            for part_path, part in parts(path, data):
                sha = _blob_hash(part)
                entries.append((part_path, sha if sha in stored else self._git.create_blob(part)))
        return self._git.create_tree(entries)

    def _point(self, ref: str, current: str | None, sha: str, *, force: bool) -> None:
        if current is not None:
            self._git.update_ref(ref, sha, force=force)
            return
        try:
            self._git.create_ref(ref, sha)
        except RefRefused:
            if ref.startswith(SPACES[1]):
                raise
            self._git.create_ref(ref.replace(SPACES[0], SPACES[1], 1), sha)

    def _prune(self, ref: str, head: str) -> None:
        """Drop the oldest bundles: the last KEPT commits are created again, the first one without a parent.

        Their author is then this run, so commits of untrusted publishers are left out.
        """
        chain = self._git.history(head, KEPT + 1)
        if len(chain) <= KEPT:
            return
        sha = ""
        for commit in filter(self._trusts, reversed(chain[:KEPT])):
            sha = self._git.create_commit(commit.message, commit.tree, [sha] if sha else [])
        # Not a fast-forward. If another run has moved the ref, the next run prunes; so it does where this run's token
        # would make all bundles those of an account that is not trusted.
        if self._trusts(self._git.get_commit(sha)) and self._git.read_ref(ref) == head:
            self._git.update_ref(ref, sha, force=True)

    def _head(self, role: str) -> tuple[str, str | None]:
        """(the ref of a role, the commit it points to)."""
        for space in SPACES:
            sha = self._git.read_ref(f"{space}/{role}")
            if sha is not None:
                return f"{space}/{role}", sha
        return f"{SPACES[0]}/{role}", None

    def _commits(self) -> dict[str, Commit]:
        """Every reachable bundle by name; its newest commit if it was made active again."""
        commits = dict(self._made)
        heads = [sha for role in ROLES if (sha := self._head(role)[1])]
        for commit in (commit for sha in heads for commit in self._git.history(sha, KEPT + 1)):
            if NAME.fullmatch(name := _title(commit)):
                commits.setdefault(name, commit)
        return commits

    def _commit(self, name: str) -> Commit:
        commit = self._made.get(name) or self._commits().get(name)
        if commit is None:
            raise BundleError(
                f"{self._git.repo} has no bundle {name!r}",
                likely="it was pruned, or the name is mistyped",
                next_step="run `triage bundle list`",
            )
        return commit

    def _trusts(self, commit: Commit) -> bool:
        """Whether the publisher is one of `publishers`; where these are all accounts, it need not be known."""
        who = commit.publisher
        return matches(who, self._publishers) if who else "*" in self._publishers

    def _own_commit(self, sha: str) -> Commit:
        """A commit just made. Raises BundleError, before a ref points to it, where it would not be trusted."""
        commit = self._git.get_commit(sha)
        self._check_origin(commit)
        return commit

    def _check_origin(self, commit: Commit) -> None:
        if not self._trusts(commit):
            who = commit.committer or "an unknown account"
            doubt = "" if commit.publisher else f" in the name of {commit.author or 'somebody else'}"
            if not commit.verified:
                doubt = " without a signature that GitHub has verified"
            raise BundleError(
                f"the bundle in commit {commit.sha} of {self._git.repo} was published by "
                f"{commit.publisher or who}{doubt}",
                likely="an account other than the retraining workflow's wrote to the ref, or the token was a "
                "person's, whose commits through the API are not signed",
                next_step="if that was not intended, run `triage bundle rollback`; to trust the account, add it to "
                "`learn.publishers`, and publish with the token of a workflow or an App",
            )


def _name(commit: Commit) -> str:
    name = _title(commit)
    if not NAME.fullmatch(name):
        raise BundleError(f"commit {commit.sha} is not a bundle")
    return name


def _title(commit: Commit) -> str:
    return commit.message.partition("\n")[0].removeprefix(SUBJECT)


def _blob_hash(data: bytes) -> str:
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


@dataclass(frozen=True)
class _Entry:
    path: str
    type: str
    sha: str
    size: int = 0


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

    def get_blob(self, sha: str) -> bytes:
        """Raises NotFound, DataError for other content than that of this hash."""
        data = read_content(self._read(f"/git/blobs/{quote(sha, safe='')}", f"blob {sha}"))
        if _blob_hash(data) != sha:
            raise UnusableAnswer(f"GitHub's answer has another content than blob {sha}")
        return data

    def create_tree(self, files: Iterable[tuple[str, str]]) -> str:
        """A tree of at least one (path, hash of a blob); returns its hash."""
        lines = [{"path": path, "mode": FILE_MODE, "type": "blob", "sha": sha} for path, sha in files]
        if not lines:
            raise ValueError("GitHub does not store empty trees")
        return self._create("trees", {"tree": lines})

    def get_tree(self, sha: str) -> list[tuple[str, str]]:
        """(path, hash) of every file in a tree. Raises NotFound, DataError if the tree is too large."""
        path = f"/git/trees/{quote(sha, safe='')}"
        answer = self._read(path, f"tree {sha}", {"recursive": "1"})
        blobs = [entry for entry in read_list(_Entry, answer, "tree") if entry.type == "blob"]
        size = sum(entry.size for entry in blobs)
        if read(bool, answer, "truncated"):
            raise DataError(f"tree {sha} of {self.repo} is too large to be listed")
        if len(blobs) > MAX_BLOBS or size > MAX_BYTES:
            raise DataError(f"tree {sha} of {self.repo} is too large: {len(blobs):,} files of {size:,} bytes")
        return [(entry.path, entry.sha) for entry in blobs]

    def create_commit(self, message: str, tree: str, parents: Sequence[str]) -> str:
        """A commit by the token's owner, signed by GitHub for Apps; returns its hash."""
        return self._create("commits", {"message": message, "tree": tree, "parents": list(parents)})

    def get_commit(self, sha: str) -> Commit:
        """Raises NotFound."""
        return self.history(sha, 1)[0]

    def history(self, sha: str, limit: int) -> list[Commit]:
        """A commit and its ancestors, newest first, at most `limit` (1 to 100). Raises NotFound."""
        answer = self._read("/commits", f"commit {sha}", {"sha": sha, "per_page": str(limit)})
        commits = list(read_list(Commit, answer))
        if not commits or commits[0].sha != sha:
            raise DataError(f"GitHub answered with another commit than {sha}")
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


# GitHub refuses requests of some tens of megabytes and limits the number of new blobs an hour; a dropped request is
# sent again. A large file is its first HEAD bytes, which contain its length, and parts of at most PART bytes.
PART = 4 * 2**20
# More than the parts of the largest bundle.
MAX_BLOBS = 4_000


def parts(path: str, data: bytes) -> list[tuple[str, bytes]]:
    """The file as blobs, each with its path: itself, or in a folder of its name the parts in their order."""
    if len(data) <= PART:
        return [(path, data)]
    starts = [0, *range(HEAD, len(data), PART), len(data)]
    return [(f"{path}/{i:04d}", data[a:b]) for i, (a, b) in enumerate(pairwise(starts))]


class Pieces:
    """The files of a tree, each of one or more blobs."""

    def __init__(self, git: GitObjects, tree: str) -> None:
        self._git, self._fetched = git, 0
        self._blobs: dict[str, list[str]] = {}
        for place, sha in sorted(git.get_tree(tree)):
            self._blobs.setdefault(place.partition("/")[0], []).append(sha)

    @property
    def names(self) -> Set[str]:
        """The names of the files."""
        return self._blobs.keys()

    def whole(self, name: str) -> bytes:
        """The content of a file in `names`."""
        return b"".join(map(self._blob, self._blobs[name]))

    def _blob(self, sha: str) -> bytes:
        """Raises DataError where all blobs together are larger than a bundle, whatever the tree says."""
        data = self._git.get_blob(sha)
        self._fetched += len(data)
        if self._fetched > MAX_BYTES:
            raise DataError(f"more than {MAX_BYTES:,} bytes")
        return data

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
        head = self._blob(blobs[0])
        shape = shape_of(head, f"{where}: {name}")
        held = [(0, head)]
        for start, sha in zip(range(HEAD, HEAD + PART * len(blobs), PART), blobs[1:], strict=False):
            if start < shape.start + stop and shape.start + first < start + PART:
                held.append((start, self._blob(sha)))
        whole = shape.start + shape.bytes
        if not max(start + len(part) for start, part in held) <= whole <= HEAD + PART * len(blobs):
            raise BundleError(f"{where}: the parts of {name} are not as long as it is")
        filled = mmap(-1, whole)
        for start, part in held:
            filled[start : start + len(part)] = part
        return filled
