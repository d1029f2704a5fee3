"""GitHub's published descriptions are fetched once, verified, and missed aloud."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests import fetch_specs
from tests.fetch_specs import OPENAPI, SpecsMissing, ensure


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a PATH without npm."""
    monkeypatch.setattr(fetch_specs, "HOME", tmp_path / "specs")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("home")
def test_without_npm_the_reason_is_said() -> None:
    """No npm and nothing fetched before: the message says what is missing for what."""
    with pytest.raises(SpecsMissing) as caught:
        ensure(OPENAPI)
    assert str(caught.value) == "npm is missing: @octokit/openapi 23.0.2 cannot be fetched"


@pytest.mark.usefixtures("home")
def test_what_was_fetched_is_not_fetched_again() -> None:
    """A file that lies in the cache needs no npm."""
    OPENAPI.file.parent.mkdir(parents=True)
    OPENAPI.file.write_text("{}")
    assert ensure(OPENAPI) == OPENAPI.file


def test_a_package_with_another_hash_is_refused(home: Path) -> None:
    """A tarball that is not the pinned one stops the tests instead of skipping them."""
    npm = home / "npm"
    with tarfile.open(home / "forged.tgz", "w:gz") as archive:
        archive.add(Path(__file__), OPENAPI.member)
    npm.write_text(f"#!/bin/sh\n/bin/cp {home}/forged.tgz $4\n")
    npm.chmod(0o755)
    with pytest.raises(ValueError, match=r"sha512 is .*, pinned is pV8M7L9GY23Ayb"):
        ensure(OPENAPI)
    assert not OPENAPI.file.exists()
