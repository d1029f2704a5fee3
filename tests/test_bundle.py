"""Bundles and their store: whole or not there, and never read when anything about them is wrong."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
from collections.abc import Callable

import numpy as np
import pytest

from tests.sample import Trained
from triage.bundle.bundle import MANIFEST, Bundle, from_files, to_files
from triage.errors import BundleError

Files = dict[str, bytes]


def resealed(files: Files, change: dict[str, object] | None = None) -> Files:
    """The files with a manifest that vouches for them as they are."""
    manifest = json.loads(files[MANIFEST])
    manifest["files"] = {n: hashlib.sha256(d).hexdigest() for n, d in files.items() if n != MANIFEST}
    return {**files, MANIFEST: json.dumps({**manifest, **(change or {})}).encode()}


def refusal(files: Files) -> str:
    """The words with which the files are refused."""
    with pytest.raises(BundleError) as refused:
        from_files(files, where="b")
    return refused.value.what


@pytest.fixture
def files(bundle: Bundle) -> Files:
    """The learnt bundle as files."""
    return to_files(bundle)


def test_a_bundle_is_read_back_equal(bundle: Bundle, files: Files) -> None:
    """Every part of a bundle survives being written, to the last bit."""
    again = from_files(files, where="b")
    assert to_files(again) == files
    assert (again.rules, again.rows) == (bundle.rules, bundle.rows)
    assert again.vectors.tobytes() == bundle.vectors.tobytes()


def test_a_bundle_holds_no_text_of_an_issue(files: Files) -> None:
    """No title and no author is in any file of the bundle."""
    everything = b"\n".join(files.values())
    for word in (b"Renaming a folder", b"oakmere-dan", b"SignatureDoesNotMatch"):
        assert word not in everything


def test_every_file_is_needed_whole_and_unchanged(files: Files) -> None:
    """Each file that is missing, cut short or changed by one bit is named, with both hashes."""
    for name in files.keys() - {MANIFEST}:
        assert refusal({n: d for n, d in files.items() if n != name}) == f"b: {name} is missing"
        data = files[name]
        at = len(data) // 2
        for spoilt in (data[:-1], b"", data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]):
            expected, found = (hashlib.sha256(d).hexdigest() for d in (data, spoilt))
            said = f"b: {name} was changed: expected sha256 {expected}, found {found}"
            assert refusal({**files, name: spoilt}) == said


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (b"", "b: manifest.json cannot be read (Expecting value: line 1 column 1 (char 0))"),
        (b"[]", "b: manifest.json cannot be read (in '(top)': expected a mapping, found [])"),
        (b"{}", "b: manifest.json cannot be read (in 'created_at': missing)"),
        (b"\xff", "b: manifest.json cannot be read ("),
        (b"[" * 99_999, "b: manifest.json cannot be read (maximum recursion depth exceeded"),
    ],
)
def test_a_broken_manifest_is_refused(files: Files, manifest: bytes, words: str) -> None:
    """A manifest that is no manifest is refused with what is wrong."""
    assert refusal({**files, MANIFEST: manifest}).startswith(words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 99}, "b: its format is 99, and this version of triage reads 3 and 4"),
        ({"text_version": 0}, "b: its text version is 0, and this version of triage reads 1"),
        ({"issues": 3}, "b: 161 rows do not go with 161 vectors"),
        ({"extra": 1}, "b: manifest.json cannot be read (in 'extra': unknown key; known keys: created_at"),
    ],
)
def test_a_foreign_bundle_is_refused(files: Files, change: dict[str, object], words: str) -> None:
    """A bundle of another format, or whose parts do not go together, is refused though its hashes are right."""
    assert refusal(resealed(files, change)).startswith(words)


class Exploit:
    """Runs code when unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("echo unpickled >&2",)


def npy(array: object) -> bytes:
    """An array as numpy saves it, pickled where it must."""
    out = io.BytesIO()
    np.save(out, np.asarray(array), allow_pickle=True)
    return out.getvalue()


def zipped() -> bytes:
    """Arrays in a zip archive."""
    out = io.BytesIO()
    np.savez(out, a=np.zeros(3))
    return out.getvalue()


HUGE = (
    b"\x93NUMPY\x01\x00\x76\x00"
    + b"{'descr': '<f4', 'fortran_order': False, 'shape': (9000000000000000,), }".ljust(117)
    + b"\n"
)


@pytest.mark.parametrize(
    "data", [npy([Exploit()]), pickle.dumps(Exploit()), zipped(), HUGE, b"", b"\x93NUMPY", b"text" * 40]
)
def test_only_plain_arrays_are_read(files: Files, data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    """A pickle, an archive, an absurd size or nonsense in an array's place is refused, and nothing in it runs."""
    assert refusal(resealed({**files, "vectors.npy": data})).startswith("b: vectors.npy: not an array (")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("vectors.npy", npy(np.full((161, 4), np.nan))),
        ("vectors.npy", npy(np.zeros((160, 4)))),
        ("rows.npy", npy(np.full((161, 2), 99))),
        ("rows.npy", npy(np.zeros(3))),
        ("labels.npy", npy(np.full(400, 9999))),
        ("offsets.npy", npy(np.zeros(5, dtype=np.int64))),
        ("rules.json", b"{}"),
        ("rules.json", b"nonsense"),
        ("rules.json", b'{"rules": {"k": 0}, "labels": [], "repositories": []}'),
    ],
)
def test_parts_that_do_not_fit_are_refused(files: Files, name: str, data: bytes) -> None:
    """Files that were hashed as they are and yet contradict each other are refused in words."""
    assert refusal(resealed({**files, name: data}))


def test_a_saved_bundle_is_named_and_listed(own_store: Trained, bundle: Bundle) -> None:
    """Saving the same bundle again changes nothing; an unknown name is refused, and so is a path."""
    store = own_store.store
    assert store.save(bundle) == own_store.name
    assert store.names() == [own_store.name]
    for name in ("20240101T000000Z-0123456789", "../secret", ""):
        with pytest.raises(BundleError) as refused:
            store.load(name)
        assert refused.value.what == f"{own_store.folder}: there is no bundle {name!r}"


def test_a_changed_manifest_is_noticed_by_the_name(own_store: Trained) -> None:
    """The name of a bundle holds its manifest's hash, so that not even a figure can be touched up."""
    path = own_store.bundle_folder / MANIFEST
    path.write_bytes(path.read_bytes().replace(b'"issues": 161', b'"issues":  161'))
    with pytest.raises(BundleError) as refused:
        own_store.store.load(own_store.name)
    where = own_store.bundle_folder
    assert refused.value.what == f"{where}: manifest.json was changed: its hash is not the one in the name"


def test_a_role_is_given_and_taken(own_store: Trained) -> None:
    """A bundle can be active and staged; a role taken away is no one's, twice over."""
    store = own_store.store
    store.set_role("staged", own_store.name)
    assert store.role("staged") == store.role("active") == own_store.name
    for _ in range(2):
        store.set_role("staged", None)
        assert store.role("staged") is None


@pytest.mark.parametrize("held", [b"../../etc", b"", b"\xff"])
def test_a_role_that_names_no_bundle_is_refused(own_store: Trained, held: bytes) -> None:
    """A file of a role that holds something else than a bundle's name is refused."""
    (own_store.folder / "active").write_bytes(held)
    with pytest.raises(BundleError) as refused:
        own_store.store.role("active")
    assert refused.value.what.startswith(f"{own_store.folder / 'active'}: ")
