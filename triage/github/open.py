"""Reaching GitHub from the command line: the environment's addresses and token, the repository's configuration."""

from __future__ import annotations

import argparse
import os
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from triage import config as configuration
from triage.config import Config
from triage.errors import AccessError, UsageError
from triage.issue import parse_time

if TYPE_CHECKING:
    from triage.bundle.store import Store, StoreName
    from triage.github.client import Connection, ConnectionSettings, Tracker
    from triage.github.rate_limit import RateLimiter

CONFIG_PATH = ".github/triage.yml"
TOKEN = "GITHUB_TOKEN"  # noqa: S105 - the name of the variable


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """`--config` and, for commands that reach GitHub, where the configuration lies there."""
    parser.add_argument("--config", type=Path, help="the configuration, a local file")
    parser.add_argument(
        "--config-path",
        default=CONFIG_PATH,
        help=f"where it lies in the repository on GitHub (default: {CONFIG_PATH}); read from the default branch",
    )


def open_tracker(repo: str, max_wait: float = 600.0, limiter: RateLimiter | None = None) -> Tracker:
    """The tracker of OWNER/NAME with the token in GITHUB_TOKEN. Raises AccessError where it is not set."""
    from triage.github.client import Tracker

    return Tracker(repo, _token(repo), **_settings(max_wait, limiter))


def open_connection(purpose: str, max_wait: float = 600.0) -> Connection:
    """GitHub itself, for what is no matter of one repository. Raises AccessError where GITHUB_TOKEN is not set."""
    from triage.github.client import Connection

    return Connection(_token(purpose), **_settings(max_wait, None))


def _token(purpose: str) -> str:
    token = os.environ.get(TOKEN, "")
    if not token:
        raise AccessError(
            f"there is no token to reach {purpose} with",
            likely=f"{TOKEN} is not set (in a workflow: the action's `token` input)",
            next_step=f"set {TOKEN} to a token that may read issues, and write them where labels are to be set",
        )
    return token


def _settings(max_wait: float, limiter: RateLimiter | None) -> ConnectionSettings:
    return {
        "api_url": os.environ.get("GITHUB_API_URL", "https://api.github.com"),
        "graphql_url": os.environ.get("GITHUB_GRAPHQL_URL", ""),
        "server_url": os.environ.get("GITHUB_SERVER_URL", "https://github.com"),
        "max_wait": max_wait,
        "limiter": limiter,
    }


def connect(repo: str, args: argparse.Namespace) -> tuple[Tracker, Config]:
    """The tracker of `repo` and the configuration: the local one given, else the repository's own, else the default."""
    tracker = open_tracker(repo)
    if args.config:
        config = configuration.load(args.config)
    else:
        text = tracker.read_file(args.config_path)
        where = f"{args.config_path} in {repo}"
        config = Config() if text is None else configuration.from_text(text, where=where)
    if config.act.max_rate_limit_wait != 600:
        tracker = open_tracker(repo, config.act.max_rate_limit_wait)
    return tracker, config


def open_store(name: StoreName, config: Config, tracker: Tracker | None = None) -> Store:
    """The store of that name; over the connection of `tracker` where that is of the same repository."""
    from triage.bundle.local_store import LocalStore

    if not name.repo:
        return LocalStore(name.folder)
    from triage.github.git_store import GitStore

    git = tracker if tracker and tracker.repo == name.repo else open_tracker(name.repo)
    return GitStore(git, config.learn.publishers)


def visibility_of(repo: str) -> str:
    """Who can read a repository: "public", "internal" or "private"; raises NotFound where the token cannot see it."""
    return open_tracker(repo).repository.visibility


def numbers_of(text: str) -> list[int]:
    """Issue numbers from "7", "7,9" and "7-12" in any mixture. Raises UsageError."""
    numbers: list[int] = []
    for part in text.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or len(part) > 30:
            raise UsageError(f"{text!r:.60} are no issue numbers", next_step="write 7, or 7,9, or 7-12")
        low, high = int(first), int(last or first)
        if not 1 <= low <= high or high - low >= 10_000:
            raise UsageError(f"{part!r:.60} is no range of issue numbers, or one of more than 10,000")
        numbers += range(low, high + 1)
    return list(dict.fromkeys(numbers))


def since_of(text: str, now: datetime) -> datetime:
    """The moment that "2026-01-31", "36 hours" or "90 days" means, seen from `now`. Raises UsageError."""
    span = re.fullmatch(r"(\d{1,5})\s*(hour|day|week)s?", text.strip())
    if span:
        return now - timedelta(**{f"{span[2]}s": int(span[1])})
    try:
        return parse_time(text.strip())
    except ValueError:
        raise UsageError(
            f"{text!r:.40} is no time", next_step="write a date such as 2026-01-31, or 36 hours, or 90 days"
        ) from None
