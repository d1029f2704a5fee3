"""How a bundle's files are stored as few blobs, and what is read of other layouts."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.fake_github.git_store import Entry
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.storing import ACTIVE, activate, git_store, tiny
from triage.bundle.bundle import to_files
from triage.errors import BundleError
from triage.github.git_store import packed

Files = dict[str, bytes]


def stored_as(demo: Repository, blobs: Files) -> None:
    """Put these blobs in the place of those of the active bundle."""
    git, commit = demo.git, demo.git.commits[demo.git.refs[ACTIVE]]
    tree = git.grow(None, {path: Entry("100644", git.add_blob(data)) for path, data in blobs.items()})
    git.refs[ACTIVE] = git.add_commit(type(commit)(**(vars(commit) | {"tree": tree})))


def test_small_files_are_one_blob_and_a_large_one_has_blobs_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pack says what is in it, and no part is longer than a request may be."""
    monkeypatch.setattr("triage.github.git_store.SMALL", 10)
    monkeypatch.setattr("triage.github.git_store.PART", 20)
    blobs = packed({"b": b"12345", "a": b"", "large": b"x" * 45})
    assert [(path, len(data)) for path, data in blobs[1:]] == [
        ("large.0000", 20),
        ("large.0001", 20),
        ("large.0002", 5),
    ]
    line, _, content = blobs[0][1].partition(b"\n")
    assert json.loads(line) == {
        "kind": "triage-pack",
        "format": 2,
        "small": {"a": 0, "b": 5},
        "large": {"large": 45},
        "part": 20,
    }
    assert content == b"12345" + b"x" * 45


def test_a_pack_is_no_larger_than_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest files are in it; the rest have blobs of their own."""
    monkeypatch.setattr("triage.github.git_store.PART", 25)
    paths = [path for path, _ in packed({name: b"x" * 10 for name in "abcd"})]
    assert paths == ["pack", "c.0000", "d.0000"]


def test_a_large_file_is_read_from_its_parts_as_they_were_cut(
    github: FakeGitHub, demo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by a version that cuts them elsewhere."""
    with monkeypatch.context() as patch:
        patch.setattr("triage.github.git_store.SMALL", 0)
        patch.setattr("triage.github.git_store.PART", 50)
        name = activate(git_store(github), tiny(1))
    assert "vectors.npy.0001" in demo.git.files(ACTIVE)
    assert to_files(git_store(github).load(name)) == to_files(tiny(1))


def _of_format(number: int) -> Callable[[Files], None]:
    def change(blobs: Files) -> None:
        blobs["pack"] = blobs["pack"].replace(b'"format": 2', b'"format": %d' % number)

    return change


def _without(path: str) -> Callable[[Files], None]:
    def change(blobs: Files) -> None:
        del blobs[path]

    return change


def _with(path: str, data: bytes) -> Callable[[Files], None]:
    def change(blobs: Files) -> None:
        blobs[path] = data

    return change


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_of_format(3), "its files are packed in format 3, and this version of triage reads 2"),
        (_without("vectors.npy.0000"), "its pack does not fit the files that it names"),
        (_with("vectors.npy.0000", b"short"), "the parts of vectors.npy are not as long as it is"),
        (_without("pack"), "it has no file 'pack'"),
        (_with("pack", b"{}\n"), "its files cannot be unpacked (in 'small': missing)"),
        (_with("pack", b"no JSON"), "its files cannot be unpacked ("),
    ],
)
def test_what_does_not_fit_is_refused_in_words(
    github: FakeGitHub,
    demo: Repository,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[Files], None],
    words: str,
) -> None:
    """Another version's layout, or parts that are missing."""
    monkeypatch.setattr("triage.github.git_store.SMALL", 100)
    name = activate(git_store(github), tiny(1))
    blobs = demo.git.files(ACTIVE)
    damage(blobs)
    stored_as(demo, blobs)
    with pytest.raises(BundleError) as raised:
        git_store(github).load(name)
    assert raised.value.what.startswith(f"bundle {name} of octo/demo: {words}")
