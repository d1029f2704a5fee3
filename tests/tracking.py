"""A Tracker that reaches the fake GitHub and tells how long it would have slept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.fake_github.fixtures import BOT_TOKEN, DEMO
from tests.fake_github.server import FakeGitHub
from tests.fake_github.wire import Request
from triage.github.client import IssueChange, Tracker
from triage.github.git_objects import GitObjects
from triage.github.rate_limit import RateLimiter

# Names that mean something to a shell, a parser, a workflow or a list of labels.
HOSTILE = [
    "a,b",
    "area: x",
    "🐛 bug",
    "-rf",
    "--force",
    'it\'s "quoted"',
    "$(id) `id` ${{x}}",
    "::set-output::",
]


@dataclass
class Sleeps:
    """Stands in for `time.sleep`: remembers, and does not wait."""

    seconds: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def tracker_of(
    github: FakeGitHub,
    *,
    repo: str = DEMO,
    token: str = BOT_TOKEN,
    api_url: str | None = None,
    graphql_url: str = "",
    max_wait: float = 600.0,
    sleeps: Sleeps | None = None,
    limiter: RateLimiter | None = None,
) -> Tracker:
    """A tracker without jitter: a backoff is 0.5, 1, 2, 4 seconds, a rate limit exactly as asked."""
    return Tracker(
        repo,
        token,
        api_url=api_url or github.url,
        graphql_url=graphql_url,
        max_wait=max_wait,
        sleep=sleeps or Sleeps(),
        jitter=lambda: 0.0,
        limiter=limiter,
    )


def add_labels(tracker: Tracker, node_id: str, label_ids: Sequence[str]) -> None:
    """Add labels to an issue; raises what is refused."""
    _change(tracker, IssueChange(node_id, add=tuple(label_ids)))


def remove_label(tracker: Tracker, node_id: str, label_id: str) -> None:
    """Remove a label from an issue; raises what is refused."""
    _change(tracker, IssueChange(node_id, remove=(label_id,)))


def _change(tracker: Tracker, change: IssueChange) -> None:
    (failure,) = tracker.change([change])
    if failure:
        raise failure


def git_of(github: FakeGitHub, *, token: str = BOT_TOKEN) -> GitObjects:
    """The git objects of the demo repository."""
    return GitObjects(tracker_of(github, token=token))


def once_each() -> Callable[[Request], bool]:
    """Whether it is the first request of its kind: by path, or by what GraphQL is asked."""
    met: set[tuple[str, str]] = set()

    def first(request: Request) -> bool:
        document = request.body.get("query") if isinstance(request.body, dict) else None
        kind = str(request), str(document)
        return kind not in met and not met.add(kind)

    return first
