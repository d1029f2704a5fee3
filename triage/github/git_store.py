"""A store in git refs of a repository, outside branches and tags, through GitHub's Git data API.

    refs/triage/active       the commit of the bundle in use; its ancestors are the bundles before it
    refs/triage/staged       the commit of a candidate that did not become active
    refs/triage/embeddings   the vectors of texts embedded before, for retraining only

A bundle is a commit. Its tree has the bundle's files as `git_files` packs them, and shares unchanged blobs with the
bundle before; its message is the bundle's name and manifest. A bundle becomes active by a fast-forward: this
compare-and-swap keeps concurrent retrainings from overwriting each other. Clones do not fetch these refs, and watchers
are not notified. If the host refuses such refs, branches of the same names are used.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from contextlib import AbstractContextManager, nullcontext

from triage.arrays import Data
from triage.bundle.bundle import (
    MANIFEST,
    Bundle,
    BundleManifest,
    from_files,
    name_of,
    read_manifest,
    to_files,
)
from triage.bundle.ivf_files import MAPPED, OWNERS, RepositorySlice
from triage.bundle.store import KEPT, NAME, ROLES, StoreName
from triage.errors import BundleError, DataError, LostRace
from triage.github.client import Tracker
from triage.github.errors import NotFound, RefRefused, UnusableAnswer
from triage.github.git_files import StoredFiles, packed
from triage.github.git_objects import Commit, GitObjects, blob_hash
from triage.github.graphql import Tip
from triage.issue import RepositoryIds, matches

SPACES = ("refs/triage", "refs/heads/triage")
SUBJECT = "triage bundle "


class GitStore:
    """The bundles in one repository. `publishers` are patterns of the logins whose bundles are trusted."""

    def __init__(self, tracker: Tracker, publishers: Sequence[str] = ("*",)) -> None:
        self._tracker, self._git, self._publishers = tracker, GitObjects(tracker), publishers
        self.name = StoreName(repo=tracker.repo)
        self._made: dict[str, Commit] = {}
        # What has been read of the bundles with a role, each to be loaded.
        self._tips: dict[str, Commit | Tip] = {}

    def visibility(self) -> str:
        return self._tracker.repository.visibility

    def names(self) -> list[str]:
        return sorted(self._commits(), reverse=True)

    def role(self, role: str) -> str | None:
        tip: Commit | Tip | None = self._git.tip(f"{SPACES[0]}/{role}")
        if tip is None and (sha := self._head(role)[1]):
            tip = self._git.get_commit(sha)
        if tip is None:
            return None
        name = _name(tip)
        self._tips[name] = tip
        return name

    def load(self, name: str, repo: RepositoryIds | None = None) -> Bundle:
        """See `Store`; with `repo`, only the parts of a large index that serve this repository are fetched."""
        where = f"bundle {name} of {self._git.repo}"
        tip = self._tip(name)
        try:
            return self._loaded(name, repo, tip, where)
        except UnusableAnswer:
            raise
        except (DataError, NotFound) as error:
            raise BundleError(f"{where}: {error.what}") from None

    def _loaded(self, name: str, repo: RepositoryIds | None, tip: Commit | Tip, where: str) -> Bundle:
        stored = StoredFiles(self._git, self._listed(tip), _stated(tip) - set(MAPPED))
        files: dict[str, Data] = {**stored.read(stored.names & {MANIFEST})}
        manifest = read_manifest(bytes(files.get(MANIFEST, b"")), where=where)
        named = stored.names & manifest.files.keys()
        files |= stored.read(named - set(MAPPED))
        is_large = OWNERS in files and any(map(stored.is_in_parts, MAPPED))
        span = RepositorySlice.of(repo, files, where) if repo and is_large else None
        files |= stored.within(span, files, where) if span else stored.read(named & set(MAPPED))
        bundle = from_files(files, where=where, manifest=manifest)
        if name_of(bytes(files[MANIFEST]), bundle.manifest.created_at) != name:
            raise BundleError(f"{where}: its manifest is that of another bundle")
        if span:
            bundle = bundle.within(span)
            bundle.verify()
        return bundle

    def _listed(self, tip: Commit | Tip) -> list[tuple[str, str]]:
        """(path, hash) of the blobs of a bundle."""
        if isinstance(tip, Tip) and all(entry.type == "blob" for entry in tip.entries):
            return self._git.files_of(tip.tree, tip.entries)
        return self._git.get_tree(tip.tree)

    def _tip(self, name: str) -> Commit | Tip:
        """The commit of a bundle whose publisher is trusted. Raises BundleError."""
        tip = self._tips.get(name) or self._commit(name)
        if isinstance(tip, Tip) and "*" in self._publishers:
            return tip
        # GraphQL does not tell which App made a commit.
        commit = self._git.get_commit(tip.sha) if isinstance(tip, Tip) else tip
        self._check_origin(commit)
        return commit

    def manifest(self, name: str) -> BundleManifest:
        return _manifest(self._tip(name), where=f"bundle {name} of {self._git.repo}")

    def save(self, bundle: Bundle) -> str:
        """Upload the bundle. No ref points to it before `set_role`, so an interruption leaves no trace."""
        files = to_files(bundle)
        name = name_of(files[MANIFEST], bundle.manifest.created_at)
        active = self._head("active")[1]
        tree = self._upload(files, self._stored(active) if active else ())
        message = f"{SUBJECT}{name}\n\n{files[MANIFEST].decode()}"
        self._made[name] = self._commit_anew(message, tree, [active] if active else [])
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
            sha = self._commit_anew(commit.message, commit.tree, [current]).sha
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
            stored = StoredFiles(self._git, self._git.get_tree(commit.tree), [title])
            return stored.read([title])[title] if title in stored.names else None
        except UnusableAnswer:
            raise
        except (DataError, NotFound) as error:
            raise BundleError(f"{title} of {self._git.repo}: {error.what}") from None

    def _upload(self, files: Mapping[str, bytes], stored: Collection[str] = ()) -> str:
        """The tree of the packed files; blobs already `stored` are not sent."""
        entries = []
        for path, data in packed(files):
            sha = blob_hash(data)
            entries.append((path, sha if sha in stored else self._git.create_blob(data)))
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

    def _commit_anew(self, message: str, tree: str, parents: Sequence[str]) -> Commit:
        """A new commit. Raises BundleError, before a ref points to it, where it would not be trusted."""
        sha = self._git.create_commit(message, tree, parents)
        if "*" in self._publishers:
            return Commit(sha, message, tree, tuple(parents), verified=False)
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


def _name(commit: Commit | Tip) -> str:
    name = _title(commit)
    if not NAME.fullmatch(name):
        raise BundleError(f"commit {commit.sha} is not a bundle")
    return name


def _manifest(commit: Commit | Tip, where: str) -> BundleManifest:
    """The manifest in a commit's message."""
    return read_manifest(commit.message.partition("\n\n")[2].strip().encode(), where=where)


def _stated(commit: Commit | Tip) -> Set[str]:
    """The files that a bundle should have; none where its commit does not say, so that they are not fetched at once."""
    try:
        return _manifest(commit, "").files.keys()
    except BundleError:
        return set()


def _title(commit: Commit | Tip) -> str:
    return commit.message.partition("\n")[0].removeprefix(SUBJECT)
