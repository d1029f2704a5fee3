"""A store in git refs of a repository, outside branches and tags, through GitHub's Git data API.

    refs/triage/active       the commit of the bundle in use; its ancestors are the bundles before it
    refs/triage/staged       the commit of a candidate that did not become active
    refs/triage/embeddings   the vectors of texts embedded before, for retraining only

A bundle is a commit; its message is the bundle's name and manifest. Its tree has the bundle's files as few blobs, since
each blob is a request:

    pack          a line of JSON that names the files; the small ones, one after the other; the start of each large one
    NAME.0000 …   a large file, in parts of at most PART bytes

A large file that stays the same from one bundle to the next keeps its blobs.

A bundle becomes active by a fast-forward: this compare-and-swap keeps concurrent retrainings from overwriting each
other. Clones do not fetch these refs, and watchers are not notified. If the host refuses such refs, branches of the
same names are used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from mmap import mmap

from triage.arrays import Data
from triage.bundle.bundle import (
    MANIFEST,
    MAX_BYTES,
    RELEARN,
    Bundle,
    BundleManifest,
    from_files,
    name_of,
    read_manifest,
    to_files,
)
from triage.bundle.ivf_files import CENTROIDS, CODES, LABELS, MAPPED, OFFSETS, OWNERS, ROWS, RepositorySlice
from triage.bundle.store import KEPT, NAME, ROLES, StoreName
from triage.errors import BundleError, DataError, LostRace, made_by
from triage.files import HEAD, shape_of, view
from triage.github.client import Tracker
from triage.github.errors import NotFound, RefRefused, UnusableAnswer
from triage.github.git_objects import Commit, GitObjects, blob_hash
from triage.github.graphql import Tip
from triage.issue import RepositoryIds, matches
from triage.schema import SchemaError, build, decoded, option

SPACES = ("refs/triage", "refs/heads/triage")
SUBJECT = "triage bundle "
PACK = "pack"
KIND, FORMAT = "triage-pack", 2
# Requests are waited for, so parts are large; GitHub refuses requests of some tens of megabytes.
PART = 16 * 2**20
# Files of at most so many bytes share the pack, as long as it is no larger than a part.
SMALL = 4 * 2**20
PART_NAME = re.compile(r"(.+)\.(\d{4})")


class GitStore:
    """The bundles in one repository. `publishers` are patterns of the logins whose bundles are trusted."""

    def __init__(self, tracker: Tracker, publishers: Sequence[str] = ("*",)) -> None:
        self._tracker, self._git, self._publishers = tracker, GitObjects(tracker), publishers
        self.name = StoreName(repo=tracker.repo)
        self._made: dict[str, Commit] = {}
        # What has been read of the bundles with a role, each to be loaded.
        self._tips: dict[str, Commit | Tip] = {}
        # The ref of each role and the commit it pointed to when it was last read.
        self._heads: dict[str, tuple[str, str | None]] = {}

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
        self._heads.setdefault(role, (f"{SPACES[0]}/{role}", tip.sha))
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
        stored = StoredFiles(self._git, where, self._listed(tip), _stated(tip) - set(MAPPED))
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
        active = self._last_head("active")[1]
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
        # A bundle of this run becomes active by a fast-forward alone, so GitHub notices where the ref was moved since.
        ref, current = self._last_head(role) if role == "active" and name in self._made else self._head(role)
        self._heads.pop(role, None)
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
        where = f"{title} of {self._git.repo}"
        try:
            tree = self._git.get_tree(commit.tree)
            if PACK not in (path for path, _ in tree):
                return None  # Something else lies under the ref.
            return StoredFiles(self._git, where, tree, [title]).read([title])[title]
        except UnusableAnswer:
            raise
        except (DataError, NotFound) as error:
            raise BundleError(f"{where}: {error.what}") from None

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

    def _last_head(self, role: str) -> tuple[str, str | None]:
        """As `_head`, as it was when it was last read."""
        return self._heads.get(role) or self._head(role)

    def _head(self, role: str) -> tuple[str, str | None]:
        """(the ref of a role, the commit it points to)."""
        found = ((f"{space}/{role}", self._git.read_ref(f"{space}/{role}")) for space in SPACES)
        self._heads[role] = next((head for head in found if head[1]), (f"{SPACES[0]}/{role}", None))
        return self._heads[role]

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


@dataclass(frozen=True)
class PackHeader:
    """The first line of a pack: the size in bytes of each small and of each large file, in the order of the pack.

    `part` is the size of all parts of a large file but the last.
    """

    small: dict[str, int]
    large: dict[str, int]
    part: int = field(metadata={"low": 1})
    kind: str = option(KIND, "", choices=(KIND,))
    format: int = FORMAT


def packed(files: Mapping[str, bytes]) -> list[tuple[str, bytes]]:
    """(path, content) of the blobs that the files are stored in."""
    small, room = set[str](), PART
    for name in sorted(files, key=lambda name: (len(files[name]), name)):
        if len(files[name]) <= min(SMALL, room):
            small.add(name)
            room -= len(files[name])
    large = sorted(files.keys() - small)
    sizes = {name: len(files[name]) for name in sorted(files)}
    header = PackHeader({n: sizes[n] for n in sizes if n in small}, {n: sizes[n] for n in large}, PART)
    pieces = [*(files[name] for name in header.small), *(files[name][:HEAD] for name in large)]
    blobs = [(PACK, b"".join([json.dumps(asdict(header)).encode(), b"\n", *pieces]))]
    for name in large:
        starts = range(0, sizes[name], PART)
        blobs += [(f"{name}.{i:04d}", files[name][at : at + PART]) for i, at in enumerate(starts)]
    return blobs


class StoredFiles:
    """The files in a tree, of whose blobs `listed` gives (path, hash).

    The pack is fetched, and with it the large files among those `at_once`. Raises DataError for another
    layout, BundleError, which names `where`, for that of another version.
    """

    def __init__(
        self, git: GitObjects, where: str, listed: Iterable[tuple[str, str]], at_once: Collection[str] = ()
    ) -> None:
        self._git, self._fetched = git, dict[str, bytes]()
        self._parts = dict[str, list[str]]()
        self._small, self._heads, self._sizes = dict[str, bytes](), dict[str, bytes](), dict[str, int]()
        self._part = PART
        pack = ""
        for path, sha in sorted(listed):
            match = PART_NAME.fullmatch(path)
            pack = sha if path == PACK else pack
            self._parts.setdefault(match[1] if match else path, []).append(sha)
        if not pack:
            raise DataError(f"it has no file {PACK!r}")
        self._fetch([pack, *(sha for name in at_once for sha in self._parts.get(name, ()))])
        self._unpack(self._fetched.pop(pack), where)

    @property
    def names(self) -> Set[str]:
        """The names of the files."""
        return self._small.keys() | self._parts.keys()

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        """The contents of these files, all in `names`. Raises DataError."""
        self._fetch([sha for name in names for sha in self._parts.get(name, ())])
        return {name: self._small[name] if name in self._small else self._joined(name) for name in names}

    def is_in_parts(self, name: str) -> bool:
        """Whether it can be fetched in part."""
        return name in self._heads

    def _joined(self, name: str) -> bytes:
        data = b"".join(self._fetched[sha] for sha in self._parts[name])
        if len(data) != self._sizes.get(name, len(data)):
            raise DataError(f"the parts of {name} are not as long as it is")
        return data

    def _unpack(self, pack: bytes, where: str) -> None:
        line, _, content = pack.partition(b"\n")
        header = _header(line, where)
        starts = {name: min(HEAD, size) for name, size in header.large.items()}
        sizes = [*header.small.values(), *starts.values()]
        missing = header.large.keys() - self._parts.keys()
        if missing or min(sizes, default=0) < 0 or sum(sizes) != len(content):
            raise DataError("its pack does not fit the files that it names")
        place = 0
        for name, size in [*header.small.items(), *starts.items()]:
            (self._small if name in header.small else self._heads)[name] = content[place : place + size]
            place += size
        self._sizes, self._part = header.large, header.part
        self._parts = {name: self._parts[name] for name in header.large}

    def _fetch(self, shas: Iterable[str]) -> None:
        """Raises DataError where all blobs together are larger than a bundle, whatever the tree says."""
        missing = [sha for sha in dict.fromkeys(shas) if sha not in self._fetched]
        if not missing:
            return
        self._fetched |= zip(missing, self._git.get_blobs(missing), strict=True)
        if sum(map(len, self._fetched.values())) > MAX_BYTES:
            raise DataError(f"more than {MAX_BYTES:,} bytes")

    def within(self, span: RepositorySlice, files: Mapping[str, Data], where: str) -> dict[str, Data]:
        """The files of a large index, filled within `span` and zero elsewhere, so that their hashes do not match.

        `files` are the bundle's other files. Raises BundleError if the files do not fit together.
        """
        if missing := {CODES, ROWS, OFFSETS, LABELS, CENTROIDS} - self.names:
            raise BundleError(f"{where}: {min(missing)} is missing")
        width = (0, *shape_of(files[CENTROIDS], where).shape)[-1]
        row_bytes = {CODES: width, ROWS: 16, OFFSETS: 8}
        partial = self._between(
            {n: (b * span.rows[0], b * span.rows[1]) for n, b in row_bytes.items()}, where
        )
        offsets = view(partial[OFFSETS], where)
        if not 0 <= min(span.rows) <= max(span.rows) < len(offsets):
            raise BundleError(f"{where}: its files do not fit together")
        first, stop = (4 * int(offsets[row]) for row in span.rows)
        return partial | self._between({LABELS: (first, stop)}, where)

    def _between(self, bounds: Mapping[str, tuple[int, int]], where: str) -> dict[str, Data]:
        """Files of full length in which only the parts with the array's bytes within `bounds` are filled."""
        wanted, part = dict[str, dict[int, str]](), self._part
        for name in (name for name in bounds if self.is_in_parts(name)):
            shape, parts = shape_of(self._heads[name], f"{where}: {name}"), enumerate(self._parts[name])
            first, stop = (shape.start + bound for bound in bounds[name])
            wanted[name] = {i * part: sha for i, sha in parts if i * part < stop and first < (i + 1) * part}
            if shape.start + shape.bytes != self._sizes[name]:
                raise BundleError(f"{where}: {name} is not as long as it says")
        self._fetch(sha for parts in wanted.values() for sha in parts.values())
        rest = self.read([name for name in bounds if name not in wanted])
        return {**rest, **{name: self._filled(name, wanted[name], where) for name in wanted}}

    def _filled(self, name: str, parts: Mapping[int, str], where: str) -> mmap:
        filled = mmap(-1, self._sizes[name])
        for start, data in [(0, self._heads[name]), *((at, self._fetched[sha]) for at, sha in parts.items())]:
            if start + len(data) > len(filled):
                raise BundleError(f"{where}: the parts of {name} are not as long as it is")
            filled[start : start + len(data)] = data
        return filled


def _header(line: bytes, where: str) -> PackHeader:
    """Raises BundleError for another format, DataError for what is no header."""
    try:
        stated = decoded(line)
        number = stated.get("format") if isinstance(stated, dict) else None
        if isinstance(number, int) and number != FORMAT:
            raise BundleError(
                f"{where}: its files are packed in format {number!r:.20}, and this version of triage reads {FORMAT}",
                likely=made_by(),
                next_step=RELEARN,
            )
        return build(PackHeader, stated)
    except SchemaError as error:
        raise DataError(f"its files cannot be unpacked ({error})") from None
