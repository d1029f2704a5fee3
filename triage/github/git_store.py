"""A store in git refs of a repository, outside branches and tags, through GitHub's Git data API.

    refs/triage/active       the commit of the bundle in use; its ancestors are the bundles before it
    refs/triage/staged       the commit of a candidate that did not become active
    refs/triage/embeddings   the vectors of texts embedded before, for retraining only

A bundle is a commit. Its tree has the bundle's files, large ones in parts, and shares unchanged blobs with the bundle
before; its message is the bundle's name and manifest. A bundle becomes active by a fast-forward: this compare-and-swap
keeps concurrent retrainings from overwriting each other. Clones do not fetch these refs, and watchers are not notified.
If the host refuses such refs, branches of the same names are used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from triage.arrays import Data
from triage.bundle.bundle import MANIFEST, Bundle, from_files, name_of, to_files
from triage.bundle.ivf_files import MAPPED, RepositorySlice
from triage.bundle.store import KEPT, NAME, ROLES, StoreName
from triage.decide.policy import matches
from triage.errors import BundleError, LostRace
from triage.github.client import Tracker
from triage.github.errors import RefRefused
from triage.github.git_objects import Commit, GitObjects, Pieces, parts
from triage.github.graphql import BOT

SPACES = ("refs/triage", "refs/heads/triage")
SUBJECT = "triage bundle "


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

    def load(self, name: str, repo: str = "") -> Bundle:
        """See `Store`; with `repo`, only the parts of a large index that serve this repository are fetched."""
        commit, where = self._commit(name), f"bundle {name} of {self._git.repo}"
        self._check_origin(commit)
        tree = Pieces(self._git, commit.tree)
        files: dict[str, Data] = {file: tree.whole(file) for file in tree.names if file not in MAPPED}
        span = RepositorySlice.of(repo, files, where) if repo else None
        if span:
            files |= tree.within(span, files, where)
        else:
            files |= {file: tree.whole(file) for file in tree.names & set(MAPPED)}
        bundle = from_files(files, where=where)
        if name_of(bytes(files[MANIFEST]), bundle.manifest.created_at) != name:
            raise BundleError(f"{where}: its manifest is that of another bundle")
        if span:
            bundle = bundle.within(span)
            bundle.verify()
        return bundle

    def save(self, bundle: Bundle) -> str:
        """Upload the bundle. No ref points to it before `set_role`, so an interruption leaves no trace."""
        files = to_files(bundle)
        name = name_of(files[MANIFEST], bundle.manifest.created_at)
        active = self._head("active")[1]
        stored = (
            {sha for _, sha in self._git.get_tree(self._git.get_commit(active).tree)} if active else set()
        )
        tree = self._upload(files, stored)
        message = f"{SUBJECT}{name}\n\n{files[MANIFEST].decode()}"
        sha = self._git.create_commit(message, tree, [active] if active else [])
        self._made[name] = self._git.get_commit(sha)
        return name

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
            # An older or staged bundle is committed again on top, so that the move is a fast-forward.
            sha = self._git.create_commit(commit.message, commit.tree, [current])
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
        tree = Pieces(self._git, commit.tree)
        return tree.whole(title) if title in tree.names else None

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
        # Not a fast-forward. If another run has moved the ref, the next run prunes.
        if self._git.read_ref(ref) == head:
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
        for commit in self._reachable():
            if NAME.fullmatch(name := _title(commit)):
                commits.setdefault(name, commit)
        return commits

    def _reachable(self) -> Iterator[Commit]:
        for role in ROLES:
            sha = self._head(role)[1]
            if sha is not None:
                yield from self._git.history(sha, KEPT + 1)

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
        """Whether the publisher is one of `publishers`.

        Anyone who may push can write any author into a commit, but cannot forge GitHub's signature of an App's commit.
        """
        who = commit.author or commit.committer
        if who.endswith(BOT) and not commit.verified:
            who = ""
        return bool(who or commit.verified or "*" in self._publishers) and matches(who, self._publishers)

    def _check_origin(self, commit: Commit) -> None:
        if not self._trusts(commit):
            who = commit.author or commit.committer
            raise BundleError(
                f"the bundle in commit {commit.sha} of {self._git.repo} was published by {who or 'an unknown account'}",
                likely="an account other than the retraining workflow's wrote to the ref",
                next_step="if that was not intended, run `triage bundle rollback`; "
                "to trust the account, add it to `learn.publishers`",
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
