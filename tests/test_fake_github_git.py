"""The fake GitHub keeps files and git objects as GitHub does."""

from __future__ import annotations

import pytest
from github import GithubException, UnknownObjectException
from github.ContentFile import ContentFile
from github.InputGitTreeElement import InputGitTreeElement

from tests.fake_github.fixtures import BOT_TOKEN, DEMO
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT as BOT


def _commit(github: FakeGitHub, text: str, *parents: str) -> str:
    repo = github.client(BOT_TOKEN).get_repo(DEMO)
    blob = repo.create_git_blob(text, "utf-8")
    element = InputGitTreeElement("bundle/manifest.json", "100644", "blob", sha=blob.sha)
    tree = repo.create_git_tree([element])
    return repo.create_git_commit(text, tree, [repo.get_git_commit(sha) for sha in parents]).sha


def test_files_are_read_from_the_default_branch(github: FakeGitHub, demo: Repository) -> None:
    """Contents come in base64, 404 where there is no such file."""
    demo.put_file(".github/triage.yml", "labels: {}\n")
    repo = github.client(BOT_TOKEN).get_repo(DEMO)
    found = repo.get_contents(".github/triage.yml")
    assert isinstance(found, ContentFile)
    assert found.decoded_content == b"labels: {}\n"
    with pytest.raises(UnknownObjectException):
        repo.get_contents("missing.yml")


def test_a_bundle_is_a_commit_under_a_ref(github: FakeGitHub, demo: Repository) -> None:
    """Blob, tree, commit and ref are written and read back, signed by GitHub for an app."""
    first = _commit(github, "one")
    repo = github.client(BOT_TOKEN).get_repo(DEMO)
    ref = repo.create_git_ref("refs/triage/active", first)
    second = _commit(github, "two", first)
    ref.edit(second)
    assert repo.get_git_ref("triage/active").object.sha == second
    assert [found.ref for found in repo.get_git_matching_refs("triage/")] == ["refs/triage/active"]
    history = list(repo.get_commits(sha="refs/triage/active"))
    assert [(c.commit.message, c.author.login, c.commit.verification.verified) for c in history] == [
        ("two", BOT, True),
        ("one", BOT, True),
    ]
    tree = repo.get_git_tree(second, recursive=True).tree
    assert [(entry.path, entry.type) for entry in tree] == [
        ("bundle", "tree"),
        ("bundle/manifest.json", "blob"),
    ]
    assert demo.git.files("refs/triage/active") == {"bundle/manifest.json": b"two"}
    ref.delete()
    assert demo.git.refs == {}


def test_objects_have_the_names_git_gives_them(demo: Repository) -> None:
    """Blob and tree hashes are git's own."""
    blob = demo.git.add_blob(b"hello\n")
    assert blob == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert demo.git.add_tree({}) == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def test_a_ref_only_moves_forwards(github: FakeGitHub, demo: Repository) -> None:
    """A commit that does not build on the ref is refused, and so is a second ref of that name."""
    first, stray = _commit(github, "one"), _commit(github, "stray")
    ref = github.client(BOT_TOKEN).get_repo(DEMO).create_git_ref("refs/triage/active", first)
    with pytest.raises(GithubException) as caught:
        ref.edit(stray, force=False)
    assert (caught.value.status, caught.value.message) == (422, "Update is not a fast forward")
    with pytest.raises(GithubException, match="Reference already exists"):
        github.client(BOT_TOKEN).get_repo(DEMO).create_git_ref("refs/triage/active", stray)
    assert demo.git.refs == {"refs/triage/active": first}


def test_a_host_may_refuse_hidden_refs(github: FakeGitHub, demo: Repository) -> None:
    """Where refs outside branches and tags are refused, a branch still works."""
    demo.refused_refs = ("refs/triage/",)
    sha, repo = _commit(github, "one"), github.client(BOT_TOKEN).get_repo(DEMO)
    with pytest.raises(GithubException, match="Reference cannot be updated"):
        repo.create_git_ref("refs/triage/active", sha)
    repo.create_git_ref("refs/heads/triage/active", sha)
    assert demo.git.refs == {"refs/heads/triage/active": sha}
