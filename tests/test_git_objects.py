"""Files, refs and git objects through the tracker, against the fake GitHub."""

from __future__ import annotations

import pytest

from tests.fake_github.faults import Answer, Drop, error, outage
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from tests.fake_github.wire import Json, Reply
from tests.tracking import git_of, tracker_of
from triage.errors import AccessError, DataError, LostRace
from triage.github.errors import NotFound, Overloaded, RefRefused, Rejected
from triage.github.git_objects import Commit, GitObjects

ACTIVE = "refs/triage/active"
EVERY_BYTE = bytes(range(256)) * 300
LOST = [Drop("before"), Drop("after"), outage(502, "after")]


def commit(tracker: GitObjects, message: str, *parents: str) -> str:
    """A commit of one file that holds its message."""
    tree = tracker.create_tree([("manifest.json", tracker.create_blob(message.encode()))])
    return tracker.create_commit(message, tree, parents)


def test_a_file_is_read_from_the_default_branch(github: FakeGitHub, demo: Repository) -> None:
    """Whatever its path; where there is none, or no commit yet, the answer is None."""
    tracker = tracker_of(github)
    assert tracker.read_file(".github/triage.yml") is None
    demo.put_file(".github/triage.yml", "labels: {}\n# äöü 🐛\n")
    demo.put_file("docs/with space & #1?.md", "words")
    assert tracker.read_file(".github/triage.yml") == "labels: {}\n# äöü 🐛\n"
    assert tracker.read_file("docs/with space & #1?.md") == "words"
    assert tracker.read_file("none.yml") is None


def test_what_is_no_text_file_is_an_error(github: FakeGitHub, demo: Repository) -> None:
    """Bytes that are no UTF-8, a folder, and a file too large for this API."""
    demo.put_file("model.bin", b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"model\.bin of octo/demo is not UTF-8 text"):
        tracker_of(github).read_file("model.bin")
    github.faults.add(
        Answer(Reply(200, {"type": "file", "encoding": "none", "content": ""})), path="contents"
    )
    github.faults.add(Answer(Reply(200, [])), path="contents")
    for path in ("big.yml", "folder"):
        with pytest.raises(DataError, match=f"{path} of octo/demo is not a file below 1 MB"):
            tracker_of(github).read_file(path)


def test_a_file_that_may_not_be_read_is_not_taken_for_missing(github: FakeGitHub, demo: Repository) -> None:
    """Without the permission the words name it."""
    demo.put_file("notes.txt", "words")
    demo.private = True
    github.world.add_token("narrow", ACTIONS_BOT, issues="write", metadata="read")
    with pytest.raises(AccessError) as raised:
        tracker_of(github, token="narrow").read_file("notes.txt")
    assert raised.value.likely == "the token lacks the permission `contents: read`"


def test_what_is_written_is_read_back(github: FakeGitHub, demo: Repository) -> None:
    """Blobs of any bytes, trees with folders, commits with their parents, under a ref of one's own."""
    demo.put_file("README.md", "words")
    tracker = git_of(github)
    blobs = {"vectors/0.npy": EVERY_BYTE, "empty": b"", "manifest.json": b"{}"}
    tree = tracker.create_tree([(path, tracker.create_blob(data)) for path, data in blobs.items()])
    first = tracker.create_commit("first\n\nwith a body", tree, [])
    second = tracker.create_commit("second", tree, [first])
    assert tracker.read_ref(ACTIVE) is None
    tracker.create_ref(ACTIVE, second)
    assert tracker.read_ref(ACTIVE) == second
    paths, shas = zip(*tracker.get_tree(tree), strict=True)
    assert dict(zip(paths, tracker.get_blobs(shas), strict=True)) == blobs
    history = tracker.history(second, 10)
    assert [found.sha for found in history] == [second, first]
    assert history[0] == tracker.get_commit(second)
    assert tracker.get_commit(first) == Commit(
        sha=first,
        message="first\n\nwith a body",
        tree=tree,
        parents=(),
        author=ACTIONS_BOT,
        committer=ACTIONS_BOT,
        verified=True,
    )
    assert demo.git.refs == {"refs/heads/main": demo.git.refs["refs/heads/main"], ACTIVE: second}


def test_a_persons_commit_is_theirs_and_not_verified(github: FakeGitHub) -> None:
    """What a store checks before it trusts a bundle."""
    github.world.add_token("person", "ann", contents="write")
    tracker = git_of(github, token="person")
    found = tracker.get_commit(commit(tracker, "by hand"))
    assert (found.author, found.committer, found.verified) == ("ann", "ann", False)


def test_a_ref_moves_forwards_only(github: FakeGitHub, demo: Repository) -> None:
    """Of two who start from the same commit one wins, and the other learns that it lost."""
    one, other = git_of(github), git_of(github)
    base = commit(one, "base")
    one.create_ref(ACTIVE, base)
    winner, loser = commit(one, "winner", base), commit(other, "loser", base)
    one.update_ref(ACTIVE, winner)
    with pytest.raises(LostRace) as raised:
        other.update_ref(ACTIVE, loser)
    assert str(raised.value) == (
        "refs/triage/active was moved in the meantime\n"
        "  likely cause: another run published at the same time\n"
        "  next step: run the job again: it starts from what the other run published"
    )
    assert demo.git.refs[ACTIVE] == winner
    other.update_ref(ACTIVE, loser, force=True)
    assert demo.git.refs[ACTIVE] == loser


def test_a_ref_created_or_deleted_by_another_is_a_lost_race(github: FakeGitHub, demo: Repository) -> None:
    """Nothing is overwritten."""
    tracker = git_of(github)
    first, second = commit(tracker, "first"), commit(tracker, "second")
    tracker.create_ref(ACTIVE, first)
    with pytest.raises(LostRace, match="refs/triage/active was created in the meantime"):
        tracker.create_ref(ACTIVE, second)
    assert demo.git.refs[ACTIVE] == first
    tracker.delete_ref(ACTIVE)
    tracker.delete_ref(ACTIVE)
    with pytest.raises(LostRace, match="refs/triage/active was moved in the meantime"):
        tracker.update_ref(ACTIVE, second)
    assert ACTIVE not in demo.git.refs


def test_a_host_that_refuses_such_a_ref_says_so(github: FakeGitHub, demo: Repository) -> None:
    """It is told apart from a lost race, so that a store can turn to a branch."""
    tracker = git_of(github)
    first = commit(tracker, "first")
    demo.refused_refs = ("refs/triage/",)
    with pytest.raises(RefRefused) as raised:
        tracker.create_ref(ACTIVE, first)
    assert str(raised.value) == (
        "cannot create refs/triage/active in octo/demo: Reference cannot be updated\n"
        "  likely cause: the host reserves refs outside branches and tags, or a rule protects this one\n"
        "  next step: name a branch for the store instead"
    )
    demo.git.refs[ACTIVE] = first
    with pytest.raises(RefRefused):
        tracker.update_ref(ACTIVE, commit(tracker, "second", first))


@pytest.mark.parametrize("fault", LOST)
def test_publishing_survives_lost_answers(github: FakeGitHub, demo: Repository, fault: Drop | Answer) -> None:
    """Every write's first answer is lost, whether or not it was carried out."""
    tracker = git_of(github)
    for method, path in [("POST", "blobs"), ("POST", "trees"), ("POST", "commits"), ("POST", "refs")]:
        github.faults.add(fault, method=method, path=path)
    first = commit(tracker, "first")
    tracker.create_ref(ACTIVE, first)
    second = commit(tracker, "second", first)
    github.faults.add(fault, method="PATCH", path="refs")
    tracker.update_ref(ACTIVE, second)
    assert demo.git.refs[ACTIVE] == second
    assert demo.git.commits[second].parents == (first,)
    github.faults.add(fault, method="DELETE", path="refs")
    tracker.delete_ref(ACTIVE)
    assert ACTIVE not in demo.git.refs


def test_a_ref_that_cannot_be_deleted_is_an_error(github: FakeGitHub, demo: Repository) -> None:
    """Only one that is gone counts as deleted."""
    tracker = git_of(github)
    first = commit(tracker, "first")
    tracker.create_ref(ACTIVE, first)
    github.faults.add(error(422, "Reference cannot be deleted"), method="DELETE")
    with pytest.raises(Rejected, match="cannot delete refs/triage/active in octo/demo: Reference cannot be"):
        tracker.delete_ref(ACTIVE)
    github.faults.add(outage(), method="DELETE", times=None)
    with pytest.raises(Overloaded):
        tracker.delete_ref(ACTIVE)
    assert demo.git.refs[ACTIVE] == first


def test_what_is_not_there_is_not_found(github: FakeGitHub) -> None:
    """Blobs, trees and commits alike."""
    tracker, sha = git_of(github), "0" * 40
    commit(tracker, "first")
    for read in (tracker.get_tree, tracker.get_commit, lambda sha: tracker.get_blobs([sha])):
        with pytest.raises(NotFound):
            read(sha)


def test_an_empty_tree_is_not_asked_for(github: FakeGitHub) -> None:
    """GitHub would refuse it."""
    with pytest.raises(ValueError, match="GitHub does not store empty trees"):
        git_of(github).create_tree([])
    assert github.requests == []


def test_a_listing_that_github_cut_short_is_an_error(github: FakeGitHub, demo: Repository) -> None:
    """A bundle is never read with files missing."""
    demo.put_file("notes.txt", "words")
    sha = "0" * 40
    whole: Json = {"sha": sha, "url": "", "tree": [], "truncated": True}
    github.faults.add(Answer(Reply(200, whole)), path="trees")
    with pytest.raises(DataError, match=f"tree {sha} of octo/demo is too large to be listed"):
        git_of(github).get_tree(sha)


def test_a_repository_without_a_commit_has_no_refs(github: FakeGitHub) -> None:
    """GitHub calls that a conflict; any other conflict stays one."""
    github.faults.add(error(409, "Git Repository is empty."), path="git/ref")
    assert git_of(github).read_ref(ACTIVE) is None
    github.faults.add(error(409, "Conflict"), path="git/ref")
    with pytest.raises(Rejected, match="cannot read refs/triage/active in octo/demo: Conflict"):
        git_of(github).read_ref(ACTIVE)


def test_another_commit_than_the_one_asked_for_is_an_error(github: FakeGitHub) -> None:
    """As a redirect that loses the query would bring it about."""
    tracker = git_of(github)
    sha = commit(tracker, "first")
    github.faults.add(Answer(Reply(200, [])), path="commits")
    with pytest.raises(DataError, match=f"GitHub answered with another commit than {sha}"):
        tracker.get_commit(sha)


def test_a_blob_that_is_not_base64_is_an_error(github: FakeGitHub) -> None:
    """Damage on the way is not taken for data."""
    github.faults.add(Answer(Reply(200, {"content": "a", "encoding": "base64"})), path="blobs")
    with pytest.raises(DataError, match="answer contains invalid base64"):
        git_of(github).get_blobs(["0" * 40])
