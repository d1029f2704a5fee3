"""`triage bundle` on both kinds of store: whatever is told of one holds of the other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fake_github.fixtures import DEMO
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from tests.sample import Trained
from tests.storing import ACTIVE, activate, git_store, tiny
from triage.bundle.bundle import Bundle
from triage.bundle.local_store import LocalStore
from triage.bundle.open import usable_bundle
from triage.bundle.store import Store
from triage.cli import main
from triage.learn.vectors import NAME

HOME = f"github:{DEMO}"


@pytest.fixture(params=["a directory", "a repository"])
def home(
    request: pytest.FixtureRequest, tmp_path: Path, github: FakeGitHub, reach: Callable[[str], None]
) -> tuple[str, Store]:
    """What `--store` is given, and the store."""
    if request.param == "a directory":
        (tmp_path / "store").mkdir()
        return str(tmp_path / "store"), LocalStore(tmp_path / "store")
    return HOME, git_store(github)


def test_the_bundles_are_listed_newest_first_with_their_roles(
    home: tuple[str, Store], capsys: pytest.CaptureFixture[str]
) -> None:
    """With what is known of each; an empty store has none to list."""
    spec, store = home
    assert main(["bundle", "list", f"--store={spec}"]) == 0
    assert capsys.readouterr() == ("", f"{spec} holds no bundle yet\n")
    first, second = activate(store, tiny(1)), activate(store, tiny(2))
    third = store.save(tiny(3))
    store.set_role("staged", third)
    assert main(["bundle", "list", f"--store={spec}"]) == 0
    assert [line.split("  ") for line in re.sub(" {2,}", "  ", capsys.readouterr().out).splitlines()] == [
        ["bundle", "made", "learnt from", "labels", "target", "labels set on", "right", "state"],
        [third, "2026-01-03 00:00", "2 issues", "?", "?", "?", "?", "staged"],
        [second, "2026-01-02 00:00", "2 issues", "?", "?", "?", "?", "active"],
        [first, "2026-01-01 00:00", "2 issues", "?", "?", "?", "?"],
    ]
    assert main(["bundle", "list", f"--store={spec}", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["state"], one["issues"], one["labels"]) for one in shown] == [
        (third, "staged", 2, None),
        (second, "active", 2, None),
        (first, None, 2, None),
    ]


def test_a_list_has_what_was_measured_and_names_what_is_damaged(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bundle whose manifest cannot be read stays in the list."""
    store = LocalStore(tmp_path / "store")
    name = activate(store, replace(bundle, manifest=replace(bundle.manifest, target=0.9)))
    damaged = activate(store, tiny(1))
    (tmp_path / "store" / "bundles" / damaged / "manifest.json").write_text("{")
    assert main(["bundle", "list", f"--store={tmp_path / 'store'}"]) == 0
    _, made, broken = re.sub(" {2,}", "  ", capsys.readouterr().out).splitlines()
    manifest, point = bundle.manifest, bundle.manifest.point
    assert point
    gives = [f"{point.coverage:.0%} of issues", f"{point.right} of {point.labels}"]
    cells = made.split("  ")
    assert (cells[0], cells[2:]) == (name, ["161 issues", str(manifest.labels), "0.9", *gives])
    assert broken.startswith(f"{damaged}  ?  ?  ?  ?  ?  ?  active; ")
    assert "manifest.json cannot be read" in broken


def test_a_bundle_is_shown_for_people_to_read(
    trained: Trained, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where it comes from, what was measured, and its labels, those with most examples first."""
    assert main(["bundle", "show", f"--store={trained.folder}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"bundle {trained.store.role('active')} is active"
    assert any(line.startswith("  learnt from    161 issues of lanternfish-io/ferry") for line in lines)
    point = bundle.manifest.point
    assert point
    gives = f"{point.coverage:.0%} of issues labelled, {point.right} of {point.labels} labels right"
    assert f"  target         {point.target:g}, when it was learnt: {gives}" in lines
    assert any(
        re.match(r"  newest issues  learnt from the older issues alone, \d+% of the newest \d+ got", line)
        for line in lines
    )
    table = [line.split() for line in lines[lines.index("") + 1 :]]
    assert table[0][:2] == ["label", "examples"]
    examples = {rule.name: rule.examples for rule in bundle.rules.labels}
    assert len(table) - 1 == len(examples)
    assert table[1][:2] == ["bug", str(examples["bug"])]


@pytest.mark.parametrize("action", ["list", "show", "verify", "promote", "rollback"])
def test_a_store_that_does_not_exist_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    """It is a mistyped one, not an empty one."""
    typo = tmp_path / "typo"
    assert main(["bundle", action, f"--store={typo}"]) == 7
    assert capsys.readouterr() == (
        "",
        f"error: {typo}: there is no such store\n"
        "  likely cause: the path is mistyped, or nothing was learnt into it yet\n"
        f"  next step: check --store, or run `triage retrain --store {typo}`; a store on GitHub is github:OWNER/NAME\n",
    )


@pytest.mark.parametrize("store", ["", " ", "github:", "github:typo", "github:a/b/c", "github:a/b c"])
def test_what_is_no_store_is_refused(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By its form, before anything is asked."""
    assert main(["bundle", "list", f"--store={store}"]) == 2
    said = capsys.readouterr().err
    form = "is not of the form OWNER/NAME" if store.startswith("github:") else "is not a store"
    assert said.startswith(f"error: {store.removeprefix('github:')!r} {form}\n  next step: write ")


def test_the_reason_for_an_unknown_bundle_is_the_name(
    home: tuple[str, Store], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing was changed, so it must not say so."""
    spec, store = home
    activate(store, tiny(1))
    assert main(["bundle", "show", "20260101T000000Z-0123456789", f"--store={spec}"]) == 7
    assert "  likely cause: it was pruned, or the name is mistyped\n" in capsys.readouterr().err


def test_a_bundle_is_shown_as_json(home: tuple[str, Store], capsys: pytest.CaptureFixture[str]) -> None:
    """The active one, or the one that is named; without either, exit code 7 and words."""
    spec, store = home
    assert main(["bundle", "show", f"--store={spec}"]) == 7
    assert capsys.readouterr().err == (
        f"error: {spec} has no active bundle\n"
        "  likely cause: nothing has been learnt yet\n"
        "  next step: run `triage retrain`\n"
    )
    first, second = activate(store, tiny(1)), activate(store, tiny(2))
    for argv, name, day in (([], second, 2), ([first], first, 1)):
        assert main(["bundle", "show", *argv, f"--store={spec}", "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert (shown["name"], shown["manifest"]["created_at"]) == (name, f"2026-01-{day:02d}T00:00:00Z")
        assert shown["rules"]["labels"][0]["name"] == "bug"


def test_every_file_of_every_bundle_is_verified(
    own_damage: tuple[str, Store, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The damaged one is named with what is wrong; the others are whole."""
    spec, _, good, bad = own_damage
    assert main(["bundle", "verify", f"--store={spec}"]) == 7
    said = capsys.readouterr()
    assert f"✓ {good}\n" in said.out
    assert f"✗ {bad}: " in said.out
    assert "vectors.npy was changed: expected sha256 " in said.out
    assert said.err.startswith("error: 1 of 2 bundles cannot be used\n")


def test_a_whole_store_verifies(home: tuple[str, Store]) -> None:
    """Exit code 0."""
    spec, store = home
    activate(store, tiny(1))
    assert main(["bundle", "verify", f"--store={spec}"]) == 0


@pytest.fixture
def own_damage(home: tuple[str, Store], request: pytest.FixtureRequest) -> tuple[str, Store, str, str]:
    """(what --store is given, the store, a whole bundle, the active one with a changed byte)."""
    spec, store = home
    good, bad = activate(store, tiny(1)), activate(store, tiny(2))
    if isinstance(store, LocalStore):
        path = store.folder / "bundles" / bad / "vectors.npy"
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    else:
        demo: Repository = request.getfixturevalue("demo")
        git, commit = demo.git, demo.git.commits[demo.git.refs[ACTIVE]]
        entries = dict(git.trees[commit.tree])
        data = git.blobs[entries["pack"].sha]
        changed = git.add_blob(data[:-1] + bytes([data[-1] ^ 1]))
        entries["pack"] = replace(entries["pack"], sha=changed)
        git.refs[ACTIVE] = git.add_commit(replace(commit, tree=git.add_tree(entries)))
    return spec, store, good, bad


def test_the_staged_bundle_is_promoted(home: tuple[str, Store], capsys: pytest.CaptureFixture[str]) -> None:
    """Its role as the staged one ends; without one there is nothing to promote."""
    spec, store = home
    first = activate(store, tiny(1))
    second = store.save(tiny(2))
    store.set_role("staged", second)
    assert main(["bundle", "promote", f"--store={spec}"]) == 0
    assert capsys.readouterr().out == f"{second} is active\n"
    assert (store.role("active"), store.role("staged"), store.names()) == (second, None, [second, first])
    assert main(["bundle", "promote", f"--store={spec}"]) == 7
    assert capsys.readouterr().err.startswith(f"error: {spec} has no staged bundle\n")


def test_a_named_bundle_is_promoted_if_it_is_whole(
    home: tuple[str, Store], capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is not there is named in the error, and nothing changes."""
    spec, store = home
    first, second = activate(store, tiny(1)), activate(store, tiny(2))
    assert main(["bundle", "promote", first, f"--store={spec}"]) == 0
    assert store.role("active") == first
    assert main(["bundle", "promote", "20260101T000000Z-0123456789", f"--store={spec}"]) == 7
    assert "no bundle '20260101T000000Z-0123456789'\n" in capsys.readouterr().err
    assert (store.role("active"), store.names()) == (first, [second, first])


def test_a_damaged_bundle_is_not_promoted(own_damage: tuple[str, Store, str, str]) -> None:
    """Even if it is active by mistake."""
    spec, store, good, bad = own_damage
    assert main(["bundle", "promote", bad, f"--store={spec}"]) == 7
    assert main(["bundle", "promote", good, f"--store={spec}"]) == 0
    assert store.role("active") == good


def test_rolling_back_goes_to_the_bundle_before(
    home: tuple[str, Store], capsys: pytest.CaptureFixture[str]
) -> None:
    """Past a staged one; with none left the error says so, and the active one stays."""
    spec, store = home
    first, second = activate(store, tiny(1)), activate(store, tiny(3))
    store.set_role("staged", store.save(tiny(2)))
    assert main(["bundle", "rollback", f"--store={spec}"]) == 0
    assert store.role("active") == first
    capsys.readouterr()
    assert main(["bundle", "rollback", f"--store={spec}"]) == 7
    assert capsys.readouterr().err.startswith(f"error: {spec} has no usable bundle before the active one\n")
    assert (store.role("active"), second in store.names()) == (first, True)


def test_what_the_gate_refused_becomes_active_only_by_a_persons_choice(home: tuple[str, Store]) -> None:
    """Neither by rolling back nor in the place of a damaged bundle, though it is newer than the one before."""
    spec, store = home
    first = activate(store, tiny(1))
    for bundle in (tiny(2, first), tiny(3, first)):
        manifest = replace(bundle.manifest, refused=("micro-F1 would fall",))
        store.set_role("staged", store.save(replace(bundle, manifest=manifest)))
    newest = store.role("staged")
    assert main(["bundle", "promote", f"--store={spec}"]) == 0
    found = usable_bundle(store)
    assert found is not None
    assert found[0] == store.role("active") == newest
    assert main(["bundle", "rollback", f"--store={spec}"]) == 0
    assert store.role("active") == first


def test_an_empty_store_cannot_be_rolled_back(home: tuple[str, Store]) -> None:
    """Exit code 7."""
    assert main(["bundle", "rollback", f"--store={home[0]}"]) == 7


def test_rolling_back_from_a_damaged_bundle_works(own_damage: tuple[str, Store, str, str]) -> None:
    """That is what it is for."""
    spec, store, good, _ = own_damage
    assert main(["bundle", "rollback", f"--store={spec}"]) == 0
    assert store.role("active") == good


def test_a_bundle_and_the_embeddings_are_published(
    github: FakeGitHub, tmp_path: Path, reach: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """From a folder into the repository; a second time there is nothing to do."""
    folder, here = LocalStore(tmp_path), git_store(github)
    name = activate(folder, tiny(1))
    folder.put(NAME, b"vectors")
    argv = ["bundle", "publish", f"--of={tmp_path}", f"--store={HOME}"]
    github.world.add_token("publisher", ACTIONS_BOT, contents="write")
    reach("publisher")
    assert main(argv) == 0
    assert capsys.readouterr().out == f"{name} is active\n"
    assert (here.role("active"), here.get(NAME)) == (name, b"vectors")
    assert here.load(name).manifest == folder.load(name).manifest
    github.requests.clear()
    assert main(argv) == 0
    assert capsys.readouterr().out == "nothing new to publish\n"
    assert [str(request) for request in github.requests if request.writes] == []


def test_the_publishers_of_the_configuration_are_the_only_ones_believed(
    github: FakeGitHub, demo: Repository, reach: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """The repository's own configuration holds for `triage bundle` as well."""
    first = activate(git_store(github), tiny(1))
    github.world.add_token("mallory", "mallory", contents="write")
    foreign = activate(git_store(github, token="mallory"), tiny(2))
    demo.put_file(".github/triage.yml", "learn: {publishers: ['github-actions[bot]']}\n")
    assert main(["bundle", "promote", foreign, f"--store={HOME}"]) == 7
    assert "was published by mallory" in capsys.readouterr().err
    assert main(["bundle", "rollback", f"--store={HOME}"]) == 0
    assert git_store(github).role("active") == first
