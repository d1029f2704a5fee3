"""What reading many repositories costs: requests and points, against the fake GitHub of the tests, by its reckoning.

    python -m benchmarks.collecting --repositories 200 --issues 20000

The issues are spread over the repositories in the proportions 1, 1/2, 1/3 and so on, as large organisations tend to
look. Every issue was labelled once. Nothing here tells how fast GitHub answers: there is no GitHub in it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from tests.fake_github.graphql import GraphQL
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.validate import OpenApi
from tests.fetch_specs import GRAPHQL, OPENAPI, ensure
from triage.config import Config
from triage.github.client import Connection
from triage.sources.load import read_repositories, select

TOKEN = "token"
MINUTES = timedelta(minutes=30)


def sizes(repositories: int, issues: int) -> list[int]:
    """How many issues each has, the largest first; `issues` in all but for rounding."""
    whole = sum(1 / n for n in range(1, repositories + 1))
    return [max(1, round(issues / n / whole)) for n in range(1, repositories + 1)]


def fill(github: FakeGitHub, counts: Sequence[int]) -> list[Repository]:
    """An organisation with so many issues in its repositories."""
    clock = github.world.clock
    found = []
    for at, count in enumerate(counts):
        repository = github.world.add_repository(f"org/r{at:04d}")
        repository.add_label("bug")
        for number in range(count):
            clock.set(clock.now + MINUTES)
            repository.add_issue(f"Issue {number}", "It crashes").add_labels(["bug"], "maintainer")
        found.append(repository)
    return found


def measured(github: FakeGitHub, folder: Path) -> tuple[int, int, int, Counter[str]]:
    """(issues, requests, points, requests by the root of their query) of finding and reading the organisation."""
    github.requests.clear()
    before = github.points.spent
    names = select(["org/*"], Connection(TOKEN, api_url=github.url)).names
    issues = sum(len(one.issues) for one in read_repositories(names, folder, Config()).collected)
    kinds = Counter(_kind(request.body) for request in github.requests)
    return issues, len(github.requests), github.points.spent - before, kinds


def _kind(body: object) -> str:
    document = str(body["query"]) if isinstance(body, dict) else ""
    return document.split("query ", 1)[-1].split("(")[0].split()[0]


def main() -> None:
    parser = argparse.ArgumentParser(description="Requests and points of reading an organisation.")
    parser.add_argument("--repositories", type=int, default=40)
    parser.add_argument("--issues", type=int, default=4000)
    args = parser.parse_args()
    counts = sizes(args.repositories, args.issues)
    with FakeGitHub(OpenApi(ensure(OPENAPI)), GraphQL(ensure(GRAPHQL))) as github:
        repositories = fill(github, counts)
        github.world.add_token(TOKEN, "github-actions[bot]", issues="read", contents="read")
        os.environ |= {"GITHUB_API_URL": github.url, "GITHUB_GRAPHQL_URL": "", "GITHUB_TOKEN": TOKEN}
        print("| run | issues | requests | points | by kind |\n|---|---|---|---|---|")
        with tempfile.TemporaryDirectory() as folder:
            for title in ("first", "a week later, 1 issue in 50 labelled again"):
                issues, requests, points, kinds = measured(github, Path(folder))
                told = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
                print(f"| {title} | {issues:,} | {requests:,} | {points:,} | {told} |")
                github.world.clock.set(github.world.clock.now + timedelta(days=7))
                every = [issue for repository in repositories for issue in repository.issues.values()]
                for issue in every[::50]:
                    issue.add_labels(["bug"], "maintainer")
                    issue.remove_labels(["bug"], "maintainer")


if __name__ == "__main__":
    main()
