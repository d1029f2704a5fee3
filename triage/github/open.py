"""Opening GitHub as the environment says: addresses, token, the configuration of a repository, its store of bundles."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from triage import config as configuration
from triage.config import ActConfig, Config, elsewhere
from triage.errors import AccessError, ConfigError
from triage.github.client import ALL_FILES, Connection, Opening, Tracker
from triage.github.errors import NotFound
from triage.github.http import API_URL, ConnectionSettings
from triage.issue import fold
from triage.options import CONFIG_PATH, OTHER_CONFIG_PATH

if TYPE_CHECKING:
    from triage.bundle.store import Store, StoreName
    from triage.github.rate_limit import RateLimiter
    from triage.options import ConfigSource

TOKEN = "GITHUB_TOKEN"  # noqa: S105 - the name of the variable
# Where a repository's store has the bundle in use.
ACTIVE = "refs/triage/active"
# GitHub refills a token's allowance every hour, and commands that change many issues can wait for it.
AN_HOUR = 3_700.0


def open_tracker(
    repo: str, max_wait: float = ActConfig.max_rate_limit_wait, limiter: RateLimiter | None = None
) -> Tracker:
    """The tracker of OWNER/NAME with the token in GITHUB_TOKEN. Raises AccessError where it is not set.

    A request waits at most `max_wait` seconds for GitHub's limits; by default as the default configuration says.
    """
    return Tracker(repo, _token(repo), **_settings(max_wait, limiter))


def open_connection(purpose: str) -> Connection:
    """GitHub without a repository. Raises AccessError where GITHUB_TOKEN is not set."""
    return Connection(_token(purpose), **_settings())


def open_repository(
    repo: str,
    source: ConfigSource,
    *,
    patience: float = 0.0,
    store: StoreName | None = None,
    issue: int | None = None,
    edits: bool = False,
) -> tuple[Tracker, Config]:
    """The tracker of `repo`, and the local configuration if there is one, else the repository's, else the default.

    The first request also brings the labels, whose the token is, the active bundle's commit if the `store` is in this
    repository, and the `issue` if one is named (with `edits`, as `Tracker.issue`). From then on, requests wait for
    GitHub's limits as long as the configuration says, or `patience` seconds if that is longer. Raises AccessError and
    ConfigError.
    """
    tracker = open_tracker(repo)
    path = CONFIG_PATH if elsewhere(source.path) else source.path or CONFIG_PATH
    ref = ACTIVE if store and fold(store.repo) == fold(repo) else ""
    tracker.open(Opening((path, OTHER_CONFIG_PATH), ref, issue, edits))

    def fetch(name: str) -> tuple[str, str]:
        home = elsewhere(source.path)
        if home and not elsewhere(name):
            # A path alone is in the repository of the file that names it.
            name = f"{home[0]}:{name}"
        return _named(tracker, name, "`extends` in the configuration")

    if source.file:
        config = configuration.load(source.file, fetch)
    else:
        path, text = config_of(tracker, source.path)
        where = path if elsewhere(path) else f"{path} in {repo}"
        config = Config() if text is None else configuration.from_text(text, where=where, fetch=fetch)
    tracker.with_discussions = config.act.discussions
    tracker.with_types = config.act.types
    tracker.with_categories = config.act.discussions and bool(config.act.categories)
    tracker.bots = config.learn.bots
    tracker.max_wait = max(patience, config.act.max_rate_limit_wait)
    files_count = config.act.pull_requests and any(rule.reads_files for rule in config.rules)
    tracker.most_files = ALL_FILES if files_count else 0
    return tracker, config


def config_of(tracker: Tracker, path: str) -> tuple[str, str | None]:
    """(path, text) of a repository's configuration; without `path` that at one of the usual paths, if there is one.

    `path` may name a file of another repository, as OWNER/NAME:PATH. Raises ConfigError where there is no such file.
    """
    if not path:
        paths = (CONFIG_PATH, OTHER_CONFIG_PATH)
        texts = ((usual, tracker.read_file(usual)) for usual in paths)
        return next(((usual, text) for usual, text in texts if text is not None), (CONFIG_PATH, None))
    where = f"--config-path (in a workflow: the input `config`), or leave it out for {CONFIG_PATH}"
    return path, _named(tracker, path, where)[1]


def _named(tracker: Tracker, name: str, given: str) -> tuple[str, str]:
    """(where it is, text) of a configuration by its path in the tracker's repository, or as OWNER/NAME:PATH.

    `given` is where it is named. Raises ConfigError where there is no such file.
    """
    repo, path = elsewhere(name) or (tracker.repo, name)
    home = tracker
    if fold(repo) != fold(tracker.repo):
        home = open_tracker(repo)
        # One request in place of two.
        home.open(Opening((path, path)))
    try:
        text = home.read_file(path)
    except NotFound as missing:
        raise ConfigError(
            f"{missing.what}, where the configuration {name!r:.200} is",
            likely="a typing mistake, or a token that cannot see the repository: a workflow's own token sees its own "
            "repository and public ones",
            next_step=f"correct {given}; for a private repository, use the token of an App that is installed on both",
        ) from None
    if text is None:
        raise ConfigError(
            f"{repo} has no file {path!r:.200} on its default branch",
            likely="a typing mistake, or the file is not on the default branch yet",
            next_step=f"correct {given}",
        )
    return f"{path} in {repo}", text


def open_store(name: StoreName, config: Config, tracker: Tracker | None = None) -> Store:
    """The store of that name; over the connection of `tracker` where that is of the same repository."""
    from triage.bundle.local_store import LocalStore

    if not name.repo:
        return LocalStore(name.folder)
    from triage.github.git_store import GitStore

    git = tracker if tracker and fold(tracker.repo) == fold(name.repo) else open_tracker(name.repo)
    return GitStore(git, config.learn.publishers)


def visibility_of(repo: str) -> str:
    """Who can read a repository: "public", "internal" or "private"; raises NotFound where the token cannot see it."""
    return open_tracker(repo).repository.visibility


def server_url() -> str:
    """The address of GitHub's pages."""
    return os.environ.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")


def _token(purpose: str) -> str:
    token = os.environ.get(TOKEN, "")
    if not token:
        raise AccessError(
            f"there is no token to reach {purpose}",
            likely=f"{TOKEN} is not set (in a workflow: the action's `token` input)",
            next_step=f"set {TOKEN} to a token that may read issues, and write them if labels are to be set",
        )
    return token


def _settings(
    max_wait: float = ActConfig.max_rate_limit_wait, limiter: RateLimiter | None = None
) -> ConnectionSettings:
    return {
        "api_url": os.environ.get("GITHUB_API_URL") or API_URL,
        "graphql_url": os.environ.get("GITHUB_GRAPHQL_URL", ""),
        "max_wait": max_wait,
        "limiter": limiter,
    }
