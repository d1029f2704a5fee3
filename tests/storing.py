"""The two kinds of store, holding bundles that are as small as they can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.fake_github.fixtures import BOT_TOKEN, DEMO
from tests.fake_github.server import FakeGitHub
from tests.tracking import tracker_of
from triage.bundle.bundle import Bundle, BundleManifest, Rows
from triage.bundle.store import Store, activate_or_stage
from triage.decide.rules import LabelRule, Rules
from triage.github.git_store import GitStore
from triage.learn.vectors import NAME

ACTIVE, STAGED = "refs/triage/active", "refs/triage/staged"


def tiny(day: int, after: str = "", repo: str = DEMO) -> Bundle:
    """Of two issues, made on that day of January."""
    vectors = np.eye(2, 4, k=day % 3, dtype=np.float32)
    return Bundle(
        manifest=BundleManifest(
            created_at=f"2026-01-{day:02d}T00:00:00Z",
            triage_version="0",
            encoder="tiny",
            encoder_digest="0" * 64,
            adaptation="none",
            issues=2,
            sources=(repo,),
            split={},
            figures={},
            after=after,
        ),
        rules=Rules(labels=(LabelRule("bug", 2, 1.0, 1.0),)),
        vectors=vectors,
        rows=Rows([(repo, 1), (repo, 2)], [("bug",), ("bug",)]),
        prior=vectors.mean(axis=0),
    )


def activate(store: Store, bundle: Bundle) -> str:
    """Save a bundle as learnt beside the active one, and make it active."""
    manifest = replace(bundle.manifest, after=store.role("active") or "")
    name = store.save(replace(bundle, manifest=manifest))
    store.set_role("active", name)
    return name


def git_store(github: FakeGitHub, *publishers: str, token: str = BOT_TOKEN) -> GitStore:
    """A store in `octo/demo` as another process opens it."""
    return GitStore(tracker_of(github, token=token), publishers or ("*",))


def publish(store: Store, day: int = 20, after: str | None = None) -> None:
    """What the publishing job does with a bundle that was learnt beside `after` (None: the active one)."""
    bundle = tiny(day, after=(store.role("active") or "") if after is None else after)
    store.put(NAME, b"vectors")
    activate_or_stage(store, store.save(bundle), bundle, "active")


def promote(store: Store) -> None:
    """What `triage bundle promote` does."""
    name = store.role("staged")
    if name:
        store.load(name)
        store.set_role("active", name)
        store.set_role("staged", None)


@pytest.fixture
def reach(github: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """The program reaches the fake GitHub; call it with a token to use another."""
    monkeypatch.setenv("GITHUB_API_URL", github.url)
    monkeypatch.setenv("GITHUB_GRAPHQL_URL", github.graphql_url)
    monkeypatch.setenv("GITHUB_SERVER_URL", github.server_url)
    monkeypatch.setenv("GITHUB_TOKEN", BOT_TOKEN)
    return lambda token: monkeypatch.setenv("GITHUB_TOKEN", token)
