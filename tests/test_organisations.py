"""Reading many repositories: found by pattern, costed beforehand, several at once, resumed, and whole or not at all."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fake_github.allowance import Allowance
from tests.fake_github.faults import Hook, Slow, forbidden, secondary_limit
from tests.fake_github.fixtures import BOT_TOKEN
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.wire import Request
from tests.test_collect import DAY, asked, query_of
from triage.config import Config, LearnConfig
from triage.console import Shared
from triage.errors import UsageError
from triage.github.client import Connection
from triage.github.errors import NotFound, PartlyRead, RateLimited
from triage.sources.load import (
    RepositoriesRead,
    SelectedRepositories,
    load_issues,
    parse_sources,
    read_repositories,
    repositories,
    select,
)

NAMES = [f"org/{name}" for name in "abcdef"]


@pytest.fixture(autouse=True)
def reached(github: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line reaches the fake."""
    monkeypatch.setenv("GITHUB_API_URL", github.url)
    monkeypatch.setenv("GITHUB_GRAPHQL_URL", github.graphql_url)
    monkeypatch.setenv("GITHUB_TOKEN", BOT_TOKEN)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


@pytest.fixture
def org(github: FakeGitHub) -> list[Repository]:
    """Six repositories with 1, 2, 3, 4, 5 and 120 issues, labelled by a maintainer."""
    found = [github.world.add_repository(name) for name in NAMES]
    for repository, count in zip(found, (1, 2, 3, 4, 5, 120), strict=True):
        repository.add_label("bug", f"Broken in {repository.full_name}")
        for n in range(count):
            github.world.clock.set(github.world.clock.now + timedelta(hours=4))
            repository.add_issue(f"Issue {n}").add_labels(["bug"], "maintainer")
    return found


def connected(github: FakeGitHub) -> Connection:
    return Connection(BOT_TOKEN, api_url=github.url)


def keys(found: RepositoriesRead) -> list[tuple[str, int]]:
    return [issue.key for one in found.collected for issue in one.issues]


def of(name: str) -> Callable[[Request], bool]:
    """Whether a request lists the issues of that repository."""

    def asks(request: Request) -> bool:
        variables = request.body.get("variables") if isinstance(request.body, dict) else None
        named = isinstance(variables, dict) and f"{variables.get('owner')}/{variables.get('name')}" == name
        return named and "query Issues(" in query_of(request)

    return asks


def test_a_pattern_finds_what_lies_beyond_the_first_page(github: FakeGitHub) -> None:
    """A hundred and thirty repositories on two pages, by name; archived ones too, but neither forks nor such
    without issues, unless they are named.
    """
    for n in range(130):
        github.world.add_repository(f"Org/r{n:03d}")
    github.world.repositories["org/r003"].archived = True
    github.world.repositories["org/r005"].fork = True
    github.world.repositories["org/r125"].has_issues = False
    found = select(["org/*", "!org/r1?9", "org/r125"], connected(github))
    gone = {"Org/r005", "Org/r109", "Org/r119", "Org/r129", "Org/r125"}
    expected = [f"Org/r{n:03d}" for n in range(130) if f"Org/r{n:03d}" not in gone]
    assert (found.names, found.left_out) == ([*expected, "org/r125"], 2)
    assert asked(github, "Repositories") == 2


def test_names_alone_ask_nothing(github: FakeGitHub) -> None:
    """As before there were patterns."""
    assert repositories(parse_sources(["org/a", "Org/A"]), ["org/b"]) == SelectedRepositories(
        ["org/a", "org/b"]
    )
    assert repositories(parse_sources([]), ["org/b"]) == SelectedRepositories([])
    assert github.requests == []


def test_what_is_named_for_the_run_is_not_taken_away(org: list[Repository]) -> None:
    """The configuration's `!` concerns its own entries."""
    found = repositories(parse_sources(["org/b"]), ["org/?", "!org/b", "!org/c"])
    assert found.names == ["org/b", "org/a", "org/d", "org/e", "org/f"]
    assert found.visibility["org/a"] == "public"


def test_a_pattern_that_finds_nothing_is_refused(org: list[Repository], github: FakeGitHub) -> None:
    """With how many there are to be seen, since the token may be why."""
    org[0].fork = True
    with pytest.raises(NotFound) as refused:
        select(["org/*", "org/tool-*"], connected(github))
    assert str(refused.value) == (
        "no repository matches org/tool-*: the token sees 6 of org, of which 5 are not forks and have issues\n"
        "  likely cause: a typing mistake, or a token that sees public repositories only, such as a workflow's own\n"
        "  next step: correct the pattern, or use a token that can read the owner's repositories"
    )
    with pytest.raises(NotFound, match="cannot list the repositories of orgg: there is no such person"):
        select(["orgg/*"], connected(github))


def test_a_run_that_is_left_without_a_repository_is_refused(org: list[Repository]) -> None:
    """Rather than learning from nothing."""
    with pytest.raises(UsageError, match=r"^org/\* !org/\? leaves no repository\n"):
        repositories(parse_sources(["org/*", "!org/?"]))


@pytest.mark.parametrize("given", [["*/x"], ["!org/x"], ["!org/x", "org/*"]])
def test_sources_that_cannot_be_meant_are_refused(given: list[str]) -> None:
    """Before anything is asked."""
    with pytest.raises(UsageError):
        parse_sources(given)


def test_repositories_come_in_the_order_of_their_names(
    org: list[Repository], github: FakeGitHub, tmp_path: Path
) -> None:
    """Whichever is answered last: here the first ones."""
    whole = keys(read_repositories(NAMES, tmp_path / "one", Config()))
    for name in NAMES[:2]:
        github.faults.add(Slow(0.1), when=of(name), times=None)
    again = read_repositories(NAMES, tmp_path / "two", Config())
    assert keys(again) == whole
    assert [repo for repo, _ in whole] == sorted(repo for repo, _ in whole)
    assert len(whole) == 135
    assert [one.labels["bug"].description for one in again.collected] == [f"Broken in {n}" for n in NAMES]


def test_what_it_costs_is_said_before_and_holds(
    org: list[Repository], github: FakeGitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The points told are those that GitHub's own reckoning takes then; a later run costs less."""
    read_repositories(NAMES, tmp_path, Config())
    # Seven pages of three points, and the labels of six repositories; finding and counting came before.
    said = (
        r"reading 6 repositories: 135 issues in about 7 requests, for 27 points of the rate limit; 4,987 of 5,000 "
        r"are left until \d\d:\d\d UTC, 500 an hour are kept for labelling; no wait is needed\n"
    )
    # On a slow machine the progress follows.
    assert re.match(said, capsys.readouterr().err)
    assert github.points.spent == 1 + 2 * 6 + 27
    github.world.clock.set(github.world.clock.now + DAY)
    org[5].add_issue("New")
    before = github.points.spent
    read_repositories(NAMES, tmp_path, Config())
    assert ": 7 issues in about 6 requests, for 24 points of the rate limit; " in capsys.readouterr().err
    assert github.points.spent - before == 1 + 2 * 6 + 24


def test_a_run_that_needs_more_than_there_is_says_how_long_it_takes(
    org: list[Repository], github: FakeGitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And where no wait is allowed it ends as GitHub's limits do; what was read stays, and a later run goes on."""
    github.points = Allowance(github.world.clock, limit=100, remaining=31)
    with pytest.raises(RateLimited):
        read_repositories(NAMES, tmp_path, Config(learn=LearnConfig(max_rate_limit_wait=60)))
    said = capsys.readouterr().err
    assert "for 27 points of the rate limit; 18 of 100 are left until " in said
    # On a slow machine a minute or two of the hour are gone by then.
    hour = r"(5[0-9]|60) minutes"
    assert re.search(rf", 10 an hour are kept for labelling; waiting for more takes about {hour}\n", said)
    assert re.search(
        rf"\n(10|[3-9]) of 100 points are left, which are kept for labelling: waiting {hour}\n", said
    )
    spent = asked(github, "Issues")
    github.world.clock.set(github.world.clock.now + DAY)
    github.requests.clear()
    assert len(keys(read_repositories(NAMES, tmp_path, Config()))) == 135
    # The pages that are kept are not read again, but for one that asks what is new.
    assert 0 < spent < 7
    assert asked(github, "Issues") <= 7


def test_a_limit_that_one_meets_costs_no_issue(
    org: list[Repository], github: FakeGitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A secondary limit in the middle of one of several: all rest, then all is there."""
    github.faults.add(secondary_limit(1), when=of("org/c"))
    assert len(keys(read_repositories(NAMES, tmp_path, Config()))) == 135
    assert "GitHub asks for a pause: waiting 1 s\n" in capsys.readouterr().err


def test_one_that_cannot_be_read_keeps_nothing_from_the_others(
    org: list[Repository], github: FakeGitHub, tmp_path: Path
) -> None:
    """All others are read to their ends; then the run fails whole, and names those that are missing."""
    del github.world.repositories["org/b"]
    github.faults.add(forbidden(), when=of("org/d"), times=None)
    with pytest.raises(PartlyRead) as refused:
        read_repositories(NAMES, tmp_path, Config())
    first, b, d = refused.value.what.splitlines()
    assert first == "2 of 6 repositories cannot be read, so nothing is learnt"
    assert b.startswith("  org/b: cannot find org/b: Could not resolve to a Repository")
    assert d.startswith("  org/d: cannot list issues in org/d: Resource not accessible")
    assert refused.value.exit_code == 8
    github.faults.clear()
    github.requests.clear()
    rest = [name for name in NAMES if name != "org/b"]
    assert len(keys(read_repositories(rest, tmp_path, Config()))) == 133
    assert sum(asked_of(github, name) for name in NAMES if name not in ("org/b", "org/d")) == 4


def test_what_was_kept_is_promised_only_where_something_is(
    org: list[Repository], github: FakeGitHub, tmp_path: Path
) -> None:
    """In the folder that was given, and nowhere without one."""
    del github.world.repositories["org/b"]
    fix = "fix that, or exclude the repository from `learn.repositories` (`!OWNER/NAME`) or --from"
    for cache, kept in ((None, ""), (tmp_path, f"; what was read of the others stays in {tmp_path}")):
        with pytest.raises(PartlyRead) as refused:
            load_issues([], NAMES, Config(), cache=cache)
        assert refused.value.next_step == fix + kept


def asked_of(github: FakeGitHub, name: str) -> int:
    """How many pages of issues were asked of the repository."""
    return sum(map(of(name), github.requests))


def test_a_repository_that_goes_while_it_is_read_is_named(
    org: list[Repository], github: FakeGitHub, tmp_path: Path
) -> None:
    """Between its first page and its second."""
    hook = Hook(lambda _: github.world.repositories.pop("org/f", None))
    github.faults.add(hook, when=of("org/f"), skip=1)
    with pytest.raises(PartlyRead, match="1 of 6 repositories cannot be read") as refused:
        read_repositories(NAMES, tmp_path, Config())
    assert "org/f: cannot list issues in org/f" in refused.value.what


def test_one_alone_that_cannot_be_read_is_its_own_failure(github: FakeGitHub, tmp_path: Path) -> None:
    """As it always was."""
    with pytest.raises(NotFound, match="cannot find org/none"):
        read_repositories(["org/none"], tmp_path, Config())


def test_a_repository_under_two_names_is_read_once(
    org: list[Repository], github: FakeGitHub, tmp_path: Path
) -> None:
    """Its former name leads to it as well."""
    github.world.rename_repository(org[0], "org/z")
    found = read_repositories(["org/a", "org/z", "org/b"], tmp_path, Config())
    assert keys(found) == [("org/z", 1), ("org/b", 2), ("org/b", 1)]


def test_a_run_that_is_killed_goes_on(org: list[Repository], github: FakeGitHub, tmp_path: Path) -> None:
    """`kill -9` while the second page of the last repository is on its way: nothing that is kept is read again."""
    code = (
        "import sys; from pathlib import Path; from triage.config import Config\n"
        "from triage.sources.load import read_repositories\n"
        "read_repositories(sys.argv[2:], Path(sys.argv[1]), Config())"
    )
    child: list[subprocess.Popen[bytes]] = []

    def kill(_: Request) -> None:
        # The others are small: they are through by then, or read again.
        os.kill(child[0].pid, signal.SIGKILL)

    github.faults.add(Hook(kill), when=of("org/f"), skip=1)
    child.append(subprocess.Popen([sys.executable, "-c", code, str(tmp_path), *NAMES]))
    assert child[0].wait(timeout=60) == -signal.SIGKILL
    github.requests.clear()
    assert len(keys(read_repositories(NAMES, tmp_path, Config()))) == 135
    # One page that was left and one with what changed since; of the others one each at most.
    assert asked_of(github, "org/f") == 2
    assert sum(asked_of(github, name) for name in NAMES[:5]) == 5


def test_an_interruption_is_not_held_up_by_a_rest(
    org: list[Repository], github: FakeGitHub, tmp_path: Path
) -> None:
    """Ctrl-C while all threads wait for the next hour's points ends the run at once."""
    github.points = Allowance(github.world.clock, limit=100, remaining=31)
    # Whoever runs the tests in the background ignores Ctrl-C, and what is started by them would too.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import sys; from pathlib import Path; from triage.config import Config\n"
        "from triage.sources.load import read_repositories\n"
        "try: read_repositories(sys.argv[2:], Path(sys.argv[1]), Config())\n"
        "except KeyboardInterrupt: sys.exit(130)"
    )
    argv = [sys.executable, "-c", code, str(tmp_path), *NAMES]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        assert any("kept for labelling: waiting" in line for line in child.stderr)
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=60) == 130


def test_one_bar_counts_over_all_and_ends_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However its parts take turns, and where more turns up than was counted."""
    told: list[int] = []
    monkeypatch.setattr("triage.console.bar", lambda *_: told.append)
    joint = Shared("reading", 10)
    one, other = joint.part(5), joint.part(5)
    for part, done in ((one, 2), (other, 3), (one, 5), (other, 5), (other, 7)):
        part(done)
    joint.finish()
    assert told == [2, 5, 8, 9, 9, 10]
