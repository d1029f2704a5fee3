"""What others put under the refs of a store: it is told apart from what was published, and can be left behind."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fake_github.fixtures import DEMO
from tests.fake_github.git_store import Entry, Ident
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from tests.storing import ACTIVE, activate, git_store, promote, publish, tiny
from triage.bundle.bundle import to_files
from triage.bundle.local_store import LocalStore
from triage.cli import main
from triage.errors import BundleError
from triage.github.git_store import KEPT, packed
from triage.learn.vectors import NAME

HOME = f"github:{DEMO}"
QUAY = "octo/quay"


def replaced(demo: Repository, **changes: str) -> None:
    """Put another commit in the place of the active one, like it but for `changes`."""
    git = demo.git
    git.refs[ACTIVE] = git.add_commit(dataclasses.replace(git.commits[git.refs[ACTIVE]], **changes))


def cut_short(demo: Repository) -> None:
    """As an upload that lost a file would leave it."""
    files = to_files(tiny(2))
    del files["vectors.npy"]
    entries = {path: Entry("100644", demo.git.add_blob(data)) for path, data in packed(files)}
    replaced(demo, tree=demo.git.add_tree(entries))


def foreign(demo: Repository) -> None:
    """The files of some project."""
    demo.put_file("README.md", "# words")
    replaced(demo, tree=demo.git.commits[demo.git.refs["refs/heads/main"]].tree)


def renamed(demo: Repository) -> None:
    """The name of another bundle over these files."""
    replaced(demo, message="triage bundle 20260109T000000Z-0123456789")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut_short, "bundle {} of octo/demo: vectors.npy is missing"),
        (foreign, "bundle {} of octo/demo: it has no file 'pack'"),
        (renamed, "bundle {} of octo/demo: its manifest is that of another bundle"),
    ],
)
def test_what_is_no_whole_bundle_is_refused_and_can_be_left_behind(
    github: FakeGitHub,
    demo: Repository,
    reach: Callable[[str], None],
    damage: Callable[[Repository], None],
    words: str,
) -> None:
    """Told in words; rolling back and publishing work as ever."""
    first = activate(git_store(github), tiny(1))
    activate(git_store(github), tiny(2))
    damage(demo)
    store = git_store(github)
    active = store.role("active") or ""
    with pytest.raises(BundleError) as raised:
        store.load(active)
    assert raised.value.what == words.format(active)
    assert main(["bundle", "rollback", f"--store={HOME}"]) == 0
    assert git_store(github).role("active") == first
    publish(git_store(github), 3)
    assert (git_store(github).role("active") or "").startswith("20260103")


def test_a_ref_that_leads_to_no_bundle_stops_nobody(
    github: FakeGitHub, demo: Repository, reach: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Listing, rolling back and publishing go on over it."""
    first = activate(git_store(github), tiny(1))
    replaced(demo, message="Merge branch 'main'", parents=(demo.git.refs[ACTIVE],))  # type: ignore[arg-type]
    with pytest.raises(BundleError, match=r"^commit [0-9a-f]{40} is not a bundle\n"):
        git_store(github).role("active")
    assert main(["bundle", "list", f"--store={HOME}"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["bundle", first]
    assert main(["bundle", "rollback", f"--store={HOME}"]) == 0
    assert git_store(github).role("active") == first


RELEASER, STRANGER, GITHUB = "release[bot]", "mallory", "web-flow"


def signed(github: FakeGitHub, demo: Repository, author: str, committer: str, verified: bool) -> str:
    """Publish a bundle in a commit of these accounts; an account that is not listed has no login on GitHub."""
    name = activate(git_store(github), tiny(1))
    commit = demo.git.commits[demo.git.refs[ACTIVE]]
    for login in (RELEASER, STRANGER, GITHUB):
        github.world.add_token(login, login)

    def ident(login: str) -> Ident:
        actor = github.world.actors.get(login)
        return Ident(login, actor.email if actor else "nobody@example.org", commit.author.date)

    # The fake names a commit by what is signed, so that another message makes it another commit.
    forged = dataclasses.replace(
        commit,
        author=ident(author),
        committer=ident(committer),
        verified=verified,
        message=commit.message + "\n",
    )
    demo.git.refs[ACTIVE] = demo.git.add_commit(forged)
    return name


@pytest.mark.parametrize(
    ("author", "committer", "verified", "believed"),
    [
        (RELEASER, RELEASER, True, True),
        (RELEASER, GITHUB, True, True),
        (GITHUB, RELEASER, True, True),
        (RELEASER, STRANGER, True, False),
        (RELEASER, RELEASER, False, False),
        (RELEASER, GITHUB, False, False),
        (STRANGER, RELEASER, True, False),
        (STRANGER, GITHUB, True, False),
        (STRANGER, STRANGER, True, False),
        ("unlinked", RELEASER, True, False),
        ("unlinked", GITHUB, True, False),
    ],
)
def test_a_publisher_is_believed_by_the_committers_signature(
    github: FakeGitHub, demo: Repository, author: str, committer: str, verified: bool, believed: bool
) -> None:
    """Whoever may push can write any author into a commit that they sign themselves."""
    name = signed(github, demo, author, committer, verified)
    assert git_store(github).load(name).manifest.issues == 2
    strict = git_store(github, RELEASER)
    if believed:
        assert strict.load(name).manifest.issues == 2
        return
    with pytest.raises(BundleError, match="was published by"):
        strict.load(name)


def test_a_person_who_is_named_is_believed_by_a_signature_as_an_app_is(
    github: FakeGitHub, demo: Repository
) -> None:
    """Anyone can write a person's name and address, too."""
    name = signed(github, demo, STRANGER, STRANGER, verified=False)
    with pytest.raises(BundleError) as raised:
        git_store(github, STRANGER).load(name)
    assert "was published by mallory without a signature that GitHub has verified" in raised.value.what


def test_an_author_that_the_committer_does_not_stand_for_is_told(
    github: FakeGitHub, demo: Repository
) -> None:
    """The message names who signed, and the name that was borrowed."""
    name = signed(github, demo, RELEASER, STRANGER, verified=True)
    with pytest.raises(BundleError) as raised:
        git_store(github, RELEASER).load(name)
    assert f"was published by {STRANGER} in the name of {RELEASER}" in raised.value.what


def test_a_bundle_that_changes_hands_while_it_is_promoted_is_not_signed_anew(
    github: FakeGitHub, demo: Repository
) -> None:
    """Making an older bundle active commits it again in this run's name: only what may be trusted."""
    name = activate(git_store(github), tiny(1))
    activate(git_store(github), tiny(2))
    strict = git_store(github, ACTIONS_BOT)
    strict.load(name)
    git = demo.git
    first = git.commits[git.commits[git.refs[ACTIVE]].parents[0]]
    stranger = Ident(STRANGER, github.world.add_token(STRANGER, STRANGER).actor.email, first.author.date)
    other = dataclasses.replace(first, author=stranger, committer=stranger, verified=False)
    git.refs[ACTIVE] = git.add_commit(
        dataclasses.replace(git.commits[git.refs[ACTIVE]], parents=(git.add_commit(other),))
    )
    before = dict(git.refs)
    with pytest.raises(BundleError, match=f"was published by {STRANGER}"):
        strict.set_role("active", name)
    assert git.refs == before


def test_a_person_changes_no_ref_to_what_nobody_would_use(github: FakeGitHub, demo: Repository) -> None:
    """GitHub does not sign what a person's token commits: saving and going back are refused before a ref moves."""
    strict = git_store(github, ACTIONS_BOT)
    first = activate(strict, tiny(1))
    activate(strict, tiny(2))
    github.world.add_token("person", "ann", contents="write")
    before, by_hand = dict(demo.git.refs), git_store(github, ACTIONS_BOT, "ann", token="person")
    words = "was published by ann without a signature that GitHub has verified"
    with pytest.raises(BundleError, match=words):
        by_hand.save(tiny(3))
    with pytest.raises(BundleError, match=words):
        by_hand.set_role("active", first)
    assert demo.git.refs == before


def test_a_person_may_promote_what_a_workflow_made_and_forgets_no_bundle(
    github: FakeGitHub, demo: Repository
) -> None:
    """Forgetting the oldest would commit the others again, in the person's name."""
    strict = git_store(github, ACTIONS_BOT)
    for day in range(1, KEPT + 1):
        activate(strict, tiny(day))
    name = strict.save(tiny(KEPT + 1))
    strict.set_role("staged", name)
    github.world.add_token("person", "ann", contents="write")
    promote(git_store(github, ACTIONS_BOT, token="person"))
    again = git_store(github, ACTIONS_BOT)
    assert again.role("active") == name
    assert again.load(name).manifest.issues == 2
    assert len(demo.git.history(demo.git.refs[ACTIVE])) == KEPT + 1


def test_embeddings_of_an_unknown_origin_count_as_none(github: FakeGitHub, demo: Repository) -> None:
    """So do those under whose ref lies something else."""
    github.world.add_token("mallory", "mallory", contents="write")
    git_store(github, token="mallory").put(NAME, b"poison")
    assert git_store(github).get(NAME) == b"poison"
    assert git_store(github, ACTIONS_BOT).get(NAME) is None
    demo.put_file("README.md", "# words")
    demo.git.refs[f"refs/triage/{NAME}"] = demo.git.refs["refs/heads/main"]
    assert git_store(github).get(NAME) is None


def test_forgetting_the_oldest_makes_nobody_trustworthy(github: FakeGitHub, demo: Repository) -> None:
    """The commits that are kept are made anew by this run: a stranger's is left out, not signed."""
    github.world.add_token("mallory", "mallory", contents="write")
    strict = git_store(github, ACTIONS_BOT)
    for day in range(1, KEPT + 2):
        activate(git_store(github, token="mallory") if day == 5 else strict, tiny(day))
    days = [int(name[6:8]) for name in git_store(github).names()]
    assert days == [11, 10, 9, 8, 7, 6, 4, 3, 2]
    authors = {demo.git.commits[sha].author.name for sha in demo.git.history(demo.git.refs[ACTIVE])}
    assert authors == {ACTIONS_BOT}


@pytest.fixture
def quay(github: FakeGitHub) -> Repository:
    """A private repository that the workflow's token may read."""
    return github.world.add_repository(QUAY, private=True)


@pytest.mark.parametrize("option", ["--store", "--against"])
def test_private_issues_are_not_learnt_for_a_public_store(
    github: FakeGitHub,
    quay: Repository,
    reach: Callable[[str], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
) -> None:
    """Refused before an issue is read; also where the bundle is to be published by another job."""
    github.world.add_token("both", ACTIONS_BOT, issues="read", contents="write")
    reach("both")
    stores = [f"{option}={HOME}"] + ([f"--store={tmp_path}"] if option == "--against" else [])
    assert main(["retrain", f"--from={QUAY}", *stores]) == 7
    assert capsys.readouterr().err == (
        "error: the issues of octo/quay are private, and the store octo/demo is public\n"
        "  likely cause: everybody who can read a store can read the numbers and labels of issues in its bundles\n"
        "  next step: choose a store that no more people can read, such as the repository itself\n"
    )
    assert not any("query Issues" in str(request.body) for request in github.requests)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("token", "code"), [("both", 7), ("one", 8)])
def test_a_bundle_of_private_issues_is_not_published_for_everybody(
    github: FakeGitHub,
    demo: Repository,
    quay: Repository,
    reach: Callable[[str], None],
    tmp_path: Path,
    token: str,
    code: int,
) -> None:
    """Nor where the token does not see the repository it was learnt from; into a private store it goes."""
    github.world.add_token("both", ACTIONS_BOT, contents="write")
    github.world.add_token("one", ACTIONS_BOT, contents="write", repositories=frozenset({DEMO}))
    activate(LocalStore(tmp_path), tiny(1, repo=QUAY))
    reach(token)
    argv = ["bundle", "publish", f"--of={tmp_path}", f"--store={HOME}"]
    assert main(argv) == code
    assert demo.git.refs == {}
    demo.private = True
    assert main(argv) == 0
    assert list(demo.git.refs) == [ACTIVE]
