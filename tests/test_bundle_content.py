"""Bundles whose hashes are right and whose content is wrong give way to the bundle before, like damaged ones."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.sample import CONFIG, LEARNT_FROM, NEW, Trained
from tests.storing import ACTIVE, activate, git_store, tiny
from triage.bundle.bundle import MANIFEST, name_of, to_files
from triage.bundle.local_store import LocalStore
from triage.bundle.open import previous_bundle, usable_bundle
from triage.cli import main
from triage.engine.model_folder import packed, shipped
from triage.errors import BundleError
from triage.files import npy
from triage.github import git_objects

Files = dict[str, bytes]
Change = Callable[[Files], None]
DEEP = "[" * 900 + "]" * 900


def header(shape: str, kind: str = "'<f4'", order: str = "False") -> bytes:
    """The header of an array, whatever follows it."""
    text = f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + text.ljust(117) + b"\n"


def manifest(**changes: object) -> Change:
    """Other values in the manifest."""

    def change(files: Files) -> None:
        files[MANIFEST] = json.dumps(json.loads(files[MANIFEST]) | changes).encode()

    return change


def rules(path: str, value: object) -> Change:
    """Another value at a path of the rules' file."""

    def change(files: Files) -> None:
        data: Any = json.loads(files["rules.json"])
        *keys, last = path.split(".")
        place = data
        for key in keys:
            place = place[int(key) if key.isdecimal() else key]
        place[int(last) if last.isdecimal() else last] = value
        files["rules.json"] = json.dumps(data).encode()

    return change


def text(old: str, new: str) -> Change:
    """Other text in the rules' file, which need not be JSON of Python."""

    def change(files: Files) -> None:
        files["rules.json"] = files["rules.json"].decode().replace(old, new, 1).encode()

    return change


def array(name: str, how: Callable[[Any], Any]) -> Change:
    """Another array in a file."""

    def change(files: Files) -> None:
        files[name] = npy(how(np.array(array_of(files[name]))))

    return change


def array_of(data: bytes) -> Any:
    start = 10 + int.from_bytes(data[8:10], "little")
    stated = eval(data[10:start])
    return np.frombuffer(data[start:], dtype=stated["descr"]).reshape(stated["shape"])


def raw(name: str, data: bytes) -> Change:
    """Other bytes in a file."""

    def change(files: Files) -> None:
        files[name] = data

    return change


def at(index: Any, value: Any) -> Callable[[Any], Any]:
    """One other number in an array."""

    def changed(found: Any) -> Any:
        found[index] = value
        return found

    return changed


WRONG: dict[str, Change] = {
    "a date that is none": manifest(created_at="yesterday"),
    "a date without an end": manifest(created_at="9999-12-31T23:59:59Z"),
    "a date before all dates": manifest(created_at="0001-01-01T00:00:00Z"),
    "a date with an offset": manifest(created_at="2026-01-01T00:00:00+23:59"),
    "a manifest nested deep": manifest(recipe=json.loads(DEEP)),
    "a figure of 400 digits": manifest(figures={"f1": 10**400}),
    "a count of 400 digits": manifest(issues=10**400),
    "an index of a flat bundle": manifest(index={"probes": 1, "recall": 1.0, "queries": 1, "rows": 1}),
    "files of another folder": manifest(files={"../../secret": "0" * 64}),
    "hashes that are none": manifest(files={"rules.json": "x"}),
    "rules nested deep": raw("rules.json", DEEP.encode()),
    "rules that are a list": raw("rules.json", b"[]"),
    "rules that are no JSON": raw("rules.json", b"\xff\xfe\x00"),
    "a slope of 400 digits": text('"slope": ', '"slope": 1' + "0" * 400 + ', "x": '),
    "a slope that is none": text('"slope": ', '"slope": NaN, "x": '),
    "a slope out of range": rules("rules.slope", 1e300),
    "a prior above one": rules("rules.labels.0.prior", 7.0),
    "no neighbours": rules("rules.k", 0),
    "an unknown rule": rules("rules.magic", True),
    "labels as one string": rules("labels", "bug"),
    "labels as numbers": rules("labels.0", 1),
    "labels as a mapping": rules("labels", {"0": "bug"}),
    "repositories as one string": rules("repositories", "lanternfish-io/ferry"),
    "a label without a name": rules("labels", []),
    "a prior one number short": array("prior.npy", lambda prior: prior[:-1]),
    "a prior that is no mean": array("prior.npy", at(0, 1e30)),
    "a prior that is not finite": array("prior.npy", at(0, np.inf)),
    "a prior in two dimensions": array("prior.npy", lambda prior: prior[None, :]),
    "vectors of another length": array("vectors.npy", lambda vectors: vectors * 3),
    "vectors one number short": array("vectors.npy", lambda vectors: vectors[:, :-1]),
    "vectors one row short": array("vectors.npy", lambda vectors: vectors[:-1]),
    "vectors in double": array("vectors.npy", lambda vectors: vectors.astype(np.float64)),
    "labels before the first": array("labels.npy", at(0, -1)),
    "labels after the last": array("labels.npy", at(0, 10**6)),
    "a repository before the first": array("rows.npy", at((0, 0), -1)),
    "an issue without a number": array("rows.npy", at((0, 1), 0)),
    "offsets that go back": array("offsets.npy", at(5, 10**9)),
    "offsets that begin late": array("offsets.npy", at(0, 1)),
    "offsets in 32 bits": array("offsets.npy", lambda offsets: offsets.astype(np.int32)),
    "a head of another size": array("head-dense.npy", lambda dense: dense[:-1]),
    "a head that is not finite": array("head-dense.npy", at((0, 0), np.nan)),
    "a head out of range": array("head-intercept.npy", at(0, 1e30)),
    "buckets in disorder": array("head-buckets.npy", lambda buckets: buckets[::-1]),
    "buckets before the first": array("head-buckets.npy", at(0, -5)),
    "no head array": lambda files: files.pop("head-idf.npy") and None,
    "no rules": lambda files: files.pop("rules.json") and None,
    "no vectors": lambda files: files.pop("vectors.npy") and None,
    "an array of no dimension": raw("prior.npy", header("()") + bytes(4)),
    "an array of 10^9 rows without numbers": raw("rows.npy", header("(1000000000, 0)", "'<i8'")),
    "an array of 2^64 numbers": raw("vectors.npy", header("(18446744073709551616,)")),
    "an array of many dimensions": raw("vectors.npy", header("(1, 1, 1)") + bytes(4)),
    "an array in columns": raw("prior.npy", header("(384,)", order="True") + bytes(4 * 384)),
    "a structured array": raw("vectors.npy", header("(1,)", "[('a', '<f4')]") + bytes(4)),
    "an array of objects": raw("vectors.npy", header("(1,)", "'|O'") + bytes(8)),
    "an array of dates": raw("vectors.npy", header("(1,)", "'<M8[s]'") + bytes(8)),
    "a header nested deep": raw("vectors.npy", header("(" * 40 + ")" * 40)),
    "an array with more behind it": raw("prior.npy", header("(1,)") + bytes(99)),
    "an encoder without a manifest": raw("encoder-model.onnx", b"x"),
    "an encoder with a deep manifest": raw("encoder-manifest.json", DEEP.encode()),
}


def wrongly(store: LocalStore, change: Change) -> str:
    """Put a later bundle with a change in the active one's place, hashed as it then is; returns its name."""
    before = store.role("active")
    assert before is not None
    bundle = store.load(before)
    later = dataclasses.replace(bundle.manifest, created_at="2998-01-01T00:00:00Z", after=before)
    files = to_files(dataclasses.replace(bundle, manifest=later))
    named = json.loads(files[MANIFEST])["files"]
    change(files)
    if json.loads(files[MANIFEST])["files"] == named:
        missing = dict.fromkeys(named.keys() - files.keys(), "0" * 64)
        hashes = {n: hashlib.sha256(d).hexdigest() for n, d in files.items() if n != MANIFEST}
        manifest(files=missing | hashes)(files)
    name = name_of(files[MANIFEST], later.created_at)
    folder = store.folder / "bundles" / name
    folder.mkdir()
    for file, data in files.items():
        (folder / file).write_bytes(data)
    (store.folder / "active").write_text(name, "utf-8")
    return name


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_content_gives_way_to_the_bundle_before(
    own_store: Trained, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused as a whole when it is opened, with its place; the bundle before is used, and learning goes on from it."""
    store, before = own_store.store, own_store.name
    name = wrongly(store, WRONG[wrong])
    with pytest.raises(BundleError) as refused:
        store.load(name)
    assert refused.value.what.startswith(str(store.folder / "bundles" / name))
    assert "was changed" not in refused.value.what
    usable = usable_bundle(store)
    assert usable is not None
    assert usable[0] == before
    assert f"continuing with the previous bundle, {before}" in capsys.readouterr().err
    previous = previous_bundle(store)
    assert (previous.name, previous.whole) == (name, False)
    assert previous.bundle is not None
    assert previous.bundle.manifest.issues == 161


def own_encoder(model: bytes | None, tokenizer: bytes | None) -> Change:
    """The shipped encoder as the bundle's own, with another model or tokenizer that its manifest vouches for."""

    def change(files: Files) -> None:
        own = packed(shipped("issue-encoder"))
        own |= {"model.onnx": own["model.onnx"] if model is None else model}
        own |= {"tokenizer.json": own["tokenizer.json"] if tokenizer is None else tokenizer}
        stated = json.loads(own["manifest.json"])
        stated["files"] = {name: hashlib.sha256(own[name]).hexdigest() for name in stated["files"]}
        own["manifest.json"] = json.dumps(stated).encode()
        files |= {f"encoder-{name}": data for name, data in own.items()}

    return change


@pytest.mark.parametrize(
    ("model", "tokenizer", "words"),
    [(b"no model", None, "onnxruntime cannot load"), (None, b"{}", "tokenizers cannot load")],
)
def test_an_own_encoder_that_cannot_be_used_gives_way_to_the_bundle_before(
    own_store: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: bytes | None,
    tokenizer: bytes | None,
    words: str,
) -> None:
    """Its files are whole, and the engine refuses them: issues are labelled by the bundle before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = own_store.name
    wrongly(own_store.store, own_encoder(model, tokenizer))
    assert main(["label", f"--from={NEW}", f"--store={own_store.folder}", f"--config={CONFIG}"]) == 0
    said = capsys.readouterr().err
    assert f"warning: the bundle's own encoder cannot be used ({words}" in said
    assert f"continuing with the previous bundle, {before}" in said


def test_a_bundle_whose_own_encoder_cannot_be_used_is_not_promoted(
    own_store: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And `verify` names it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = own_store.name
    name = wrongly(own_store.store, own_encoder(b"no model", None))
    own_store.store.set_role("active", before)
    assert main(["bundle", "promote", name, f"--store={own_store.folder}"]) == 7
    assert own_store.name == before
    assert main(["bundle", "verify", f"--store={own_store.folder}"]) == 7
    said = capsys.readouterr().out
    assert f"✗ {name}: the bundle's own encoder cannot be used (" in said
    assert f"✓ {before}" in said


def test_an_own_encoder_of_another_dimension_is_refused(own_store: Trained) -> None:
    """What its manifest says is compared with the vectors."""
    encoder = packed(shipped("issue-encoder"))

    def change(files: Files) -> None:
        stated = json.loads(encoder["manifest.json"]) | {"dimension": 7}
        files |= {f"encoder-{name}": data for name, data in encoder.items()}
        files["encoder-manifest.json"] = json.dumps(stated).encode()

    name = wrongly(own_store.store, change)
    with pytest.raises(BundleError, match=r"its own encoder cannot be used \(encoder of 7 numbers\)"):
        own_store.store.load(name)


def test_a_bundle_larger_than_any_is_not_read(own_store: Trained) -> None:
    """By its sizes, before memory is taken."""
    before = own_store.name
    name = wrongly(own_store.store, lambda _: None)
    with (own_store.folder / "bundles" / name / "vectors.npy").open("r+b") as file:
        file.truncate(2**40)
    usable = usable_bundle(own_store.store)
    assert usable is not None
    assert usable[0] == before


def test_files_that_the_manifest_does_not_name_are_not_fetched(github: FakeGitHub, demo: Repository) -> None:
    """However many and large they are."""
    name = activate(git_store(github), tiny(1))
    git = demo.git
    commit = git.commits[git.refs[ACTIVE]]
    entries = dict(git.trees[commit.tree])
    stranger = dataclasses.replace(entries["pack"], sha=git.add_blob(b"x" * 99))
    tree = git.add_tree(entries | {f"stranger-{i}": stranger for i in range(9)})
    git.refs[ACTIVE] = git.add_commit(dataclasses.replace(commit, tree=tree))
    github.requests.clear()
    assert git_store(github).load(name).manifest.issues == 2
    fetched = [request.path.rpartition("/")[2] for request in github.requests if "/blobs/" in request.path]
    assert stranger.sha not in fetched
    assert len(fetched) == len(entries)


@pytest.mark.parametrize(("limit", "most"), [("MAX_BYTES", 500), ("MAX_BLOBS", 0)])
def test_a_tree_that_is_too_large_gives_way_to_the_bundle_before(
    github: FakeGitHub, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    """Nothing of it is fetched, and it does not keep a new bundle out."""
    store = git_store(github)
    first, second = activate(store, tiny(1)), activate(store, tiny(2))
    monkeypatch.setattr(git_objects, limit, most)
    github.requests.clear()
    with pytest.raises(
        BundleError, match=f"^bundle {second} of octo/demo: tree [0-9a-f]+ of octo/demo is too large"
    ):
        git_store(github).load(second)
    assert [request for request in github.requests if "/blobs/" in request.path] == []
    third = activate(git_store(github), tiny(3))
    monkeypatch.undo()
    assert git_store(github).names() == [third, second, first]


def test_a_blob_that_is_gone_gives_way_to_the_bundle_before(
    github: FakeGitHub, demo: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    """GitHub does not find what the tree names."""
    store = git_store(github)
    first = activate(store, tiny(1))
    activate(store, tiny(2))
    del demo.git.blobs[dict(demo.git.walk(demo.git.commits[demo.git.refs[ACTIVE]].tree))["pack"].sha]
    usable = usable_bundle(git_store(github))
    assert usable is not None
    assert usable[0] == first
    assert f"continuing with the previous bundle, {first}" in capsys.readouterr().err


def test_learning_goes_on_after_wrong_content_and_an_unreadable_cache(
    own_store: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    """The new bundle becomes active; texts are embedded again."""
    wrongly(own_store.store, manifest(created_at="9999-12-31T23:59:59Z"))
    (own_store.folder / "embeddings").unlink()
    (own_store.folder / "embeddings").mkdir()
    argv = [
        "retrain",
        f"--from={LEARNT_FROM}",
        f"--store={own_store.folder}",
        f"--config={CONFIG}",
        "--always",
    ]
    code = main(argv)
    said = capsys.readouterr()
    assert "embeddings: cannot be read (Is a directory); every text is encoded again" in said.err
    assert code == 7
    assert "embeddings: cannot be written (Is a directory)" in said.err
    (own_store.folder / "embeddings").rmdir()
    assert main(argv) == 0
    assert own_store.store.load(own_store.name).manifest.issues == 161
    assert not own_store.name.startswith("2998")
