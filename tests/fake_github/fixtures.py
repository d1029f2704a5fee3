"""`github` for pytest: a started fake with one repository, and no broken rule at the end of the test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_github.graphql import GraphQL
from tests.fake_github.loopback import Stranger
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from tests.fake_github.validate import OpenApi
from tests.fake_github.wire import Json
from tests.fetch_specs import GRAPHQL, OPENAPI, WEBHOOKS, Package, SpecsMissing, ensure
from tests.lacking import lack

BOT_TOKEN = "bot-token"
DEMO = "octo/demo"


def specification(config: pytest.Config, package: Package) -> Path:
    """The file of a package, fetched if need be; a test that cannot have it fails, or skips under `--offline`."""
    if config.getoption("--offline") and not package.file.exists():
        lack(config, "--offline", f"{package.name} {package.version} was not fetched before")
    try:
        return ensure(package)
    except SpecsMissing as missing:
        lack(config, "--offline", str(missing))


@pytest.fixture(scope="session")
def published(pytestconfig: pytest.Config) -> tuple[OpenApi, GraphQL]:
    """GitHub's published descriptions, read once."""
    return OpenApi(specification(pytestconfig, OPENAPI)), GraphQL(specification(pytestconfig, GRAPHQL))


@pytest.fixture(scope="session")
def webhook_examples(pytestconfig: pytest.Config) -> list[dict[str, Json]]:
    """GitHub's published examples: for each event a `name` and `examples`, the payloads."""
    found: list[dict[str, Json]] = json.loads(specification(pytestconfig, WEBHOOKS).read_text("utf-8"))
    return found


@pytest.fixture
def github(published: tuple[OpenApi, GraphQL]) -> Iterator[FakeGitHub]:
    """A started fake: `octo/demo` with three labels, and `BOT_TOKEN` as the workflow's own token."""
    with FakeGitHub(*published) as server:
        demo = server.world.add_repository(DEMO)
        for name, description in (("bug", "Something is broken"), ("docs", "Words"), ("question", None)):
            demo.add_label(name, description)
        server.world.add_token(BOT_TOKEN, ACTIONS_BOT, issues="write", contents="write")
        yield server
    assert (server.violations, server.crashes) == ([], [])


@pytest.fixture
def demo(github: FakeGitHub) -> Repository:
    """The state of `octo/demo`."""
    repository = github.world.repository(DEMO)
    assert repository is not None
    return repository


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    """Another host, to be redirected to."""
    with Stranger() as server:
        yield server
