"""Reading a repository's issues and their label events in bulk, against the fake GitHub."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fake_github.faults import (
    Cut,
    Drop,
    Hook,
    Kind,
    Partial,
    Slow,
    error,
    graphql_limit,
    outage,
    primary_limit,
    secondary_limit,
)
from tests.fake_github.fixtures import BOT_TOKEN, DEMO
from tests.fake_github.issue import Issue as FakeIssue
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.wire import Request
from tests.killing import Killed
from tests.tracking import Sleeps, tracker_of
from triage import issue as issues
from triage.errors import AccessError, DataError, TriageError, UsageError
from triage.files import write
from triage.github.errors import Overloaded, RateLimited
from triage.github.graphql import ANSWERS_POINTS, PAGE_POINTS, IssueFilter
from triage.issue import KINDS, Issue, LabelEvent
from triage.sources.collect import Collected, collect, opened

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
REPEATED = Partial([{"message": "Something went wrong"}], [["repository", "page", "nodes", 1]])


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"


def run(
    github: FakeGitHub,
    work: Path,
    now: datetime = NOW,
    *,
    pulls: bool = False,
    wait: float = 600.0,
) -> Collected:
    return collect(tracker_of(github, max_wait=wait), work, now=now, kinds=KINDS[: 1 + pulls])


def fill(repository: Repository, count: int) -> None:
    """So many issues, a day apart, every third of them labelled by a maintainer."""
    clock = repository.world.clock
    for n in range(count):
        clock.set(clock.now + DAY)
        issue = repository.add_issue(f"Issue {n}", "It crashes")
        if n % 3 == 0:
            issue.add_labels(["bug"], "maintainer")


def numbers(found: Collected) -> list[int]:
    return [issue.number for issue in found.issues]


def asked(github: FakeGitHub, name: str) -> int:
    """How often the GraphQL document of that name came in."""
    return sum(re.match(rf"\s*query {name}\(", query_of(request)) is not None for request in github.requests)


def query_of(request: Request) -> str:
    return str(request.body["query"]) if isinstance(request.body, dict) and "query" in request.body else ""


def files(work: Path) -> list[str]:
    return sorted(path.name for path in (work / "octo__demo").iterdir())


def lists_issues(request: Request) -> bool:
    return "query Issues(" in query_of(request)


def test_issues_come_with_their_labels_and_who_set_them(
    github: FakeGitHub, demo: Repository, work: Path
) -> None:
    """Labelled or not, newest first; pull requests where they are wanted."""
    demo.add_issue("Crash", "It crashes", "ann", labels=["question"])
    demo.issues[1].add_labels(["bug"], "my-app[bot]")
    demo.issues[1].remove_labels(["question"], "maintainer")
    demo.add_issue("Fix", None, "ben", pull=True)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    crash = Issue(
        DEMO,
        1,
        "Crash",
        "It crashes",
        at + timedelta(seconds=1),
        author="ann",
        labels=("bug",),
        handled=False,
        events=(
            LabelEvent("question", True, "ann", False, at + timedelta(seconds=1)),
            LabelEvent("bug", True, "my-app[bot]", True, at + timedelta(seconds=2)),
            LabelEvent("question", False, "maintainer", False, at + timedelta(seconds=3)),
        ),
    )
    fix = Issue(DEMO, 2, "Fix", "", at + timedelta(seconds=4), kind="pull request", author="ben", events=())
    assert run(github, work).issues == [crash]
    assert run(github, work, pulls=True).issues == [fix, crash]
    assert run(github, work).issues == [crash]


def test_an_empty_repository_has_no_issues_yet(github: FakeGitHub, demo: Repository, work: Path) -> None:
    """The next run finds the first one."""
    assert run(github, work) == Collected([])
    demo.add_issue("Crash")
    assert numbers(run(github, work)) == [1]


def test_a_later_run_asks_only_for_what_changed(github: FakeGitHub, demo: Repository, work: Path) -> None:
    """Two pages for what is new, changed or within the overlap; all the rest comes from the folder."""
    fill(demo, 230)
    first = run(github, work)
    assert (asked(github, "Issues"), len(first.issues)) == (3, 230)
    github.world.clock.set(github.world.clock.now + DAY)
    demo.issues[5].add_labels(["docs"], "maintainer")
    demo.add_issue("New")
    github.requests.clear()
    second = run(github, work)
    assert asked(github, "Issues") == 1
    assert numbers(second) == list(range(231, 0, -1))
    assert second.issues[-5].labels == ("docs",)
    assert asked(github, "IssueNumbers") == 0


@pytest.mark.parametrize("answers", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_costs_what_the_estimate_says(
    github: FakeGitHub, demo: Repository, kind: issues.Kind, answers: bool
) -> None:
    """A point for each list within its items; of pull requests the changed files are one, and answers another."""
    demo.add_issue("Crash", "It crashes", pull=kind == "pull request")
    before, tracker = github.points.spent, tracker_of(github)
    tracker.most_files = issues.FILES_LEARNT
    assert len(list(tracker.pages(IssueFilter(kind=kind, answers=answers)))) == 1
    assert github.points.spent - before == PAGE_POINTS[kind] + answers * ANSWERS_POINTS[kind]


@pytest.mark.parametrize(
    ("act", "handled"),
    [
        (lambda issue: None, False),
        (lambda issue: issue.close("reporter"), False),
        (lambda issue: issue.close("maintainer"), True),
        (lambda issue: issue.close("somebody"), True),
        (lambda issue: issue.close("stale[bot]"), False),
        (lambda issue: issue.close("acme-triage-robot"), False),
        (lambda issue: issue.comment("Me too", "somebody"), False),
        (lambda issue: issue.comment("More of it", "reporter"), False),
        (lambda issue: issue.comment("See the docs", "maintainer"), True),
        (lambda issue: issue.assign("maintainer"), True),
        (lambda issue: issue.assign("github-actions[bot]"), False),
        (lambda issue: issue.put_on_milestone("maintainer"), True),
        (lambda issue: issue.rename("Crash at start", "reporter"), False),
        (lambda issue: issue.rename("Crash at start", "maintainer"), True),
    ],
)
def test_what_maintainers_did_with_an_issue_is_collected(
    github: FakeGitHub,
    demo: Repository,
    work: Path,
    act: Callable[[FakeIssue], object],
    handled: bool,
) -> None:
    """A later run reads the change, and the folder keeps what it said."""
    issue = demo.add_issue("Crash")
    assert run(github, work).issues[0].handled is False
    act(issue)
    assert run(github, work).issues[0].handled is handled
    assert run(github, work).issues[0].handled is handled


def test_a_maintainer_deals_with_an_own_issue_by_closing_it(
    github: FakeGitHub, demo: Repository, work: Path
) -> None:
    demo.add_issue("Crash", author="maintainer").close("maintainer")
    demo.add_issue("Crash", author=None).close("maintainer")
    assert [issue.handled for issue in run(github, work).issues] == [True, True]


def test_who_dealt_with_an_issue_is_collected(github: FakeGitHub, demo: Repository, work: Path) -> None:
    """Which of them are bots, the configuration says later."""
    issue = demo.add_issue("Crash")
    issue.close("acme-sweeper")
    issue.assign("maintainer")
    for _ in range(2):
        assert run(github, work).issues[0].handled_by == ("acme-sweeper", "maintainer")


def test_progress_is_told_page_by_page(github: FakeGitHub, demo: Repository, work: Path) -> None:
    """Of how many issues, and how many are there."""
    fill(demo, 120)
    told: list[int] = []

    def listen(total: int) -> Callable[[int], None]:
        told.append(-total)
        return told.append

    collect(tracker_of(github), work, now=NOW, progress=listen)
    assert told == [-120, 100, 120]


def test_a_run_that_is_killed_goes_on_at_its_page(github: FakeGitHub, demo: Repository, work: Path) -> None:
    """`kill -9` while the third page is on its way: the two before it are not asked for again."""
    fill(demo, 330)
    code = (
        "import sys; from datetime import datetime, UTC; from pathlib import Path\n"
        "from triage.sources.collect import collect; from triage.github.client import Tracker\n"
        f"collect(Tracker({DEMO!r}, {BOT_TOKEN!r}, api_url=sys.argv[1]), Path(sys.argv[2]),"
        " now=datetime(2026, 6, 1, tzinfo=UTC))"
    )
    child: list[subprocess.Popen[bytes]] = []
    github.faults.add(Hook(lambda _: os.kill(child[0].pid, signal.SIGKILL)), when=lists_issues, skip=2)
    child.append(subprocess.Popen([sys.executable, "-c", code, github.url, str(work)]))
    assert child[0].wait(timeout=60) == -signal.SIGKILL
    state = json.loads((work / "octo__demo/state.json").read_text())
    assert (state["issues"]["done"], state["issues"]["watermark"]) == (200, None)
    github.requests.clear()
    done = run(github, work)
    assert numbers(done) == list(range(330, 0, -1))
    # Two pages that were left, and one with what changed since.
    assert asked(github, "Issues") == 3


@pytest.mark.parametrize("step", range(12))
def test_a_run_killed_at_any_write_loses_nothing(
    github: FakeGitHub, demo: Repository, work: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Before and after every file takes its place: reading goes on, and the outcome is the same."""
    fill(demo, 101)
    complete = run(github, work / "other").issues
    moments = iter(range(step + 1))

    def live_on() -> None:
        if next(moments) == step:
            raise Killed

    def replace_or_die(path: Path, data: bytes) -> None:
        live_on()
        write(path, data)
        live_on()

    monkeypatch.setattr("triage.sources.collect.write", replace_or_die)
    with pytest.raises(Killed):
        run(github, work)
    monkeypatch.setattr("triage.sources.collect.write", write)
    assert run(github, work).issues == complete
    assert len(files(work)) == 3


def test_the_folder_holds_nothing_that_does_not_count(
    github: FakeGitHub, demo: Repository, work: Path
) -> None:
    """However many runs there were: one part, its state and the lock."""
    fill(demo, 120)
    for _ in range(3):
        run(github, work)
        demo.issues[1].add_labels(["docs"], "maintainer")
    names = files(work)
    assert (names[0][:7], names[1:]) == ("issues-", ["lock", "state.json"])


@pytest.mark.parametrize(
    "fault",
    [
        secondary_limit(7),
        secondary_limit(7, status=429),
        primary_limit(9),
        graphql_limit(9),
        outage(500),
        outage(502),
        Drop(),
        Cut(),
        Slow(0.01),
        REPEATED,
    ],
)
def test_a_page_that_fails_once_is_asked_for_again(
    github: FakeGitHub, demo: Repository, work: Path, fault: Kind
) -> None:
    """Limits, outages, dropped and slow answers in the middle leave no gap."""
    fill(demo, 120)
    github.faults.add(fault, when=lists_issues, skip=1)
    assert numbers(run(github, work)) == list(range(120, 0, -1))


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (outage(502), Overloaded),
        (Drop(), Overloaded),
        (secondary_limit(90), RateLimited),
        (REPEATED, Overloaded),
    ],
)
def test_a_page_that_keeps_failing_is_refused_whole(
    github: FakeGitHub, demo: Repository, work: Path, fault: Kind, expected: type[TriageError]
) -> None:
    """What was read before it stays; once GitHub is well again, reading goes on there."""
    fill(demo, 230)
    github.faults.add(fault, when=lists_issues, skip=1, times=None)
    with pytest.raises(expected):
        run(github, work, wait=60.0)
    with opened(work / "octo__demo", demo.node_id) as left:
        assert sorted(left.rows(), reverse=True) == list(range(230, 130, -1))
        assert left.state.issues.done == 100
    github.faults.clear()
    github.requests.clear()
    assert numbers(run(github, work)) == list(range(230, 0, -1))
    assert asked(github, "Issues") == 3


def test_nothing_is_lost_while_the_pages_change(github: FakeGitHub, demo: Repository, work: Path) -> None:
    """Opened, labelled, deleted between two pages: what this run could not see, the next one does."""
    fill(demo, 130)

    def change(_: Request) -> None:
        github.world.clock.set(github.world.clock.now + DAY)
        demo.add_issue("Opened meanwhile")
        demo.issues[130].add_labels(["docs"], "maintainer")
        github.world.clock.set(github.world.clock.now + DAY)
        demo.issues[20].add_labels(["docs"], "maintainer")
        demo.issues[10].delete()

    github.faults.add(Hook(change), when=lists_issues, skip=1)
    first = {issue.number: issue.labels for issue in run(github, work).issues}
    assert sorted(first) == [n for n in range(1, 131) if n != 10]
    assert (first[130], first[20]) == (("bug",), ("docs",))
    second = {issue.number: issue.labels for issue in run(github, work).issues}
    assert sorted(second) == [n for n in range(1, 132) if n != 10]
    assert (second[130], second[20]) == (("bug", "docs"), ("docs",))


def test_what_changed_while_a_run_lay_broken_off_is_read_too(
    github: FakeGitHub, demo: Repository, work: Path
) -> None:
    """Weeks may lie between the first half and the second: one more pass follows at once."""
    fill(demo, 130)
    github.faults.add(outage(), when=lists_issues, skip=1, times=None)
    with pytest.raises(Overloaded):
        run(github, work)
    github.faults.clear()
    github.world.clock.set(github.world.clock.now + 30 * DAY)
    demo.issues[130].add_labels(["docs"], "maintainer")
    demo.add_issue("Opened meanwhile")
    done = run(github, work)
    assert numbers(done) == list(range(131, 0, -1))
    assert done.issues[1].labels == ("bug", "docs")


def test_a_cursor_that_github_forgot_starts_the_pass_over(
    github: FakeGitHub, demo: Repository, work: Path
) -> None:
    """Nothing is lost, and nothing is there twice."""
    fill(demo, 130)
    github.faults.add(outage(), when=lists_issues, skip=1, times=None)
    with pytest.raises(Overloaded):
        run(github, work)
    github.faults.clear()
    path = work / "octo__demo/state.json"
    state = json.loads(path.read_text())
    state["issues"]["cursor"] = "nonsense"
    path.write_text(json.dumps(state))
    assert numbers(run(github, work)) == list(range(130, 0, -1))


def test_a_renamed_label_is_only_a_new_name(github: FakeGitHub, demo: Repository, work: Path) -> None:
    """In labels and events, though no issue changed; two labels may even swap their names."""
    demo.add_issue("Crash").add_labels(["bug"], "maintainer")
    demo.add_issue("Typo").add_labels(["docs"], "maintainer")
    run(github, work)
    github.world.clock.set(github.world.clock.now + DAY)
    demo.rename_label("bug", "kind: bug")
    demo.rename_label("docs", "bug")
    demo.add_issue("Unrelated")
    _, typo, crash = run(github, work).issues
    assert (crash.labels, typo.labels) == (("kind: bug",), ("bug",))
    assert [e.label for issue in (crash, typo) for e in issue.events or ()] == ["kind: bug", "bug"]


def test_a_deleted_label_is_gone_from_labels_and_history(
    github: FakeGitHub, demo: Repository, work: Path
) -> None:
    """Also where another label has taken its name since."""
    demo.add_issue("Crash").add_labels(["bug", "docs"], "maintainer")
    run(github, work)
    github.world.clock.set(github.world.clock.now + DAY)
    demo.delete_label("bug")
    demo.add_label("bug")
    demo.add_issue("Unrelated")
    crash = run(github, work).issues[1]
    assert crash.labels == ("docs",)
    assert [event.label for event in crash.events or ()] == ["docs"]


def test_issues_that_went_or_came_without_a_trace_are_found_by_number(
    github: FakeGitHub, demo: Repository, work: Path
) -> None:
    """Deleted and transferred ones after four weeks, when all numbers are compared; not on every run."""
    fill(demo, 120)
    other = github.world.add_repository("octo/other")
    run(github, work)
    demo.issues[3].delete()
    demo.issues[110].transfer(other)
    github.world.clock.set(github.world.clock.now + 2 * DAY)
    arrived = other.add_issue("From elsewhere").transfer(demo)
    arrived.updated_at = arrived.created_at = datetime(2025, 1, 1, tzinfo=UTC)
    week = run(github, work, NOW + 7 * DAY)
    assert (len(week.issues), asked(github, "IssueNumbers")) == (120, 0)
    month = run(github, work, NOW + 28 * DAY)
    assert numbers(month) == [n for n in range(121, 0, -1) if n not in (3, 110)]
    assert asked(github, "IssueNumbers") == 2
    assert numbers(run(github, work, NOW + 35 * DAY)) == numbers(month)
    assert asked(github, "IssueNumbers") == 2


def test_pull_requests_are_compared_where_they_are_learnt_from(
    github: FakeGitHub, demo: Repository, work: Path
) -> None:
    """Theirs are numbers of their own list; a run without them leaves them as they are."""
    fill(demo, 2)
    for n in range(2):
        demo.add_issue(f"Fix {n}", pull=True)
    run(github, work, pulls=True)
    demo.issues[4].delete()
    assert numbers(run(github, work, NOW + 28 * DAY)) == [2, 1]
    assert numbers(run(github, work, NOW + 29 * DAY, pulls=True)) == [4, 3, 2, 1]
    assert numbers(run(github, work, NOW + 60 * DAY, pulls=True)) == [3, 2, 1]


@pytest.mark.parametrize("skew", [-400 * DAY, 400 * DAY])
def test_this_machines_clock_does_not_matter(
    github: FakeGitHub, demo: Repository, work: Path, skew: timedelta
) -> None:
    """A year slow or fast: what changed is found, and only that is read."""
    fill(demo, 120)
    run(github, work, github.world.clock.now + skew)
    github.world.clock.set(github.world.clock.now + DAY)
    demo.issues[7].add_labels(["docs"], "maintainer")
    github.requests.clear()
    later = run(github, work, github.world.clock.now + skew)
    assert (asked(github, "Issues"), later.issues[-7].labels) == (1, ("bug", "docs"))


def test_a_clock_that_is_set_back_only_compares_numbers_sooner(
    github: FakeGitHub, demo: Repository, work: Path
) -> None:
    """Rather than never again."""
    fill(demo, 1)
    run(github, work, NOW)
    run(github, work, NOW - 400 * DAY)
    run(github, work, NOW - 399 * DAY)
    assert asked(github, "IssueNumbers") == 1


def test_a_change_that_github_showed_late_is_within_the_overlap(
    github: FakeGitHub, demo: Repository, work: Path
) -> None:
    """Its time lies an hour before the latest change that was read."""
    fill(demo, 3)
    latest = github.world.clock.now
    run(github, work)
    demo.issues[1].edit("It crashes late", at=latest - timedelta(hours=1))
    assert run(github, work).issues[-1].body == "It crashes late"


def test_a_token_without_permission_is_told_so(github: FakeGitHub, work: Path) -> None:
    """And nothing is left behind that a later run would take for read."""
    secret = github.world.add_repository("octo/secret", private=True)
    secret.add_issue("Crash")
    github.world.add_token("blind", "my-app[bot]", contents="read")
    github.world.add_token("seeing", "my-app[bot]", issues="read")
    with pytest.raises(AccessError) as raised:
        collect(tracker_of(github, repo="octo/secret", token="blind"), work, now=NOW)
    assert str(raised.value) == (
        "cannot list issues in octo/secret: Resource not accessible by integration\n"
        "  likely cause: the token lacks the permission `issues: read`\n"
        "  next step: grant it under `permissions:` in the workflow, or to the App or token"
    )
    found = collect(tracker_of(github, repo="octo/secret", token="seeing"), work, now=NOW)
    assert numbers(found) == [1]


def test_a_repository_in_the_place_of_another_starts_anew(
    github: FakeGitHub, demo: Repository, work: Path
) -> None:
    """Deleted and made again under its name: nothing of the former is kept."""
    fill(demo, 3)
    run(github, work)
    github.world.add_repository(DEMO).add_issue("Another")
    assert [issue.title for issue in run(github, work).issues] == ["Another"]


def test_two_runs_do_not_share_a_folder(github: FakeGitHub, demo: Repository, work: Path) -> None:
    """The second is refused; once the first is done, it may."""
    fill(demo, 1)
    with (
        opened(work / "octo__demo", demo.node_id),
        pytest.raises(UsageError, match="octo__demo: another run is reading into it"),
    ):
        run(github, work)
    assert numbers(run(github, work)) == [1]


def test_a_folder_that_cannot_be_used_is_told_so(github: FakeGitHub, demo: Repository, work: Path) -> None:
    """Here a file stands in its place."""
    work.write_text("")
    with pytest.raises(DataError) as raised:
        run(github, work)
    assert raised.value.what.startswith(f"{work / 'octo__demo'}: cannot be used (")
    assert raised.value.next_step == (
        "make room or choose another folder; if it is damaged, "
        "delete the folder; all issues are then read again"
    )


STATE = '{"format": 3, "repository": "R", %s}'
ROW = '{"number": 1, "title": "", "body": "", "labels": [], "node_id": "I", %s}'


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("state.json", '{"format": 3, "repo', "state.json: damaged ("),
        ("state.json", '{"format": 3}', "damaged (in 'repository': missing)"),
        ("state.json", STATE % '"counted_at": "yesterday"', "in 'counted_at': expected a date in ISO 8601"),
        ("state.json", STATE % '"counted_at": 7', "in 'counted_at': expected a string"),
        ("state.json", STATE % '"issues": {"watermark": "x"}', "in 'issues.watermark': expected a date"),
        (
            "state.json",
            STATE % '"issues": {"watermark": "0001-01-01T00:00:00Z"}',
            "expected a date in ISO 8601",
        ),
        ("state.json", STATE % '"issues": {"done": -1}', "in 'issues.done': expected at least 0"),
        ("state.json", STATE % '"parts": ["../../secret"]', "in 'parts': expected names such as"),
        ("state.json", STATE % '"parts": ["/dev/zero"]', "in 'parts': expected names such as"),
        ("state.json", STATE % '"parts": "issues-000001.jsonl"', "in 'parts': expected a list"),
        ("state.json", "[" * 500 + "]" * 500, "nested more than 60 levels deep"),
        ("issues-000002.jsonl", ROW % '"label_ids": ["bug"]', "in 'label_ids': expected a mapping"),
        ("issues-000002.jsonl", ROW % '"label_ids": {"bug": 1}', "in 'label_ids.bug': expected a string"),
        ("issues-000002.jsonl", '{"number": 1', "issues-000002.jsonl, line 1: not a row of a cache ("),
        ("issues-000002.jsonl", '{"number": 1}\n', "line 1: not a row of a cache ("),
    ],
)
def test_a_damaged_folder_is_named_with_the_way_out(
    github: FakeGitHub, demo: Repository, work: Path, name: str, text: str, said: str
) -> None:
    """Never read as if nothing were there."""
    fill(demo, 1)
    run(github, work)
    (work / "octo__demo" / name).write_text(text)
    with pytest.raises(DataError) as raised:
        run(github, work)
    assert said in raised.value.what
    assert raised.value.next_step == "delete the folder; all issues are then read again"


def test_a_folder_of_another_version_is_read_anew(github: FakeGitHub, demo: Repository, work: Path) -> None:
    """Its format is not guessed at."""
    fill(demo, 3)
    run(github, work)
    path = work / "octo__demo/state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99, "more": True}))
    github.requests.clear()
    assert len(run(github, work).issues) == 3
    (request,) = filter(lists_issues, github.requests)
    assert isinstance(request.body, dict)
    assert request.body["variables"]["filter"] == {}


def test_a_limit_keeps_its_words(github: FakeGitHub, demo: Repository, work: Path) -> None:
    """The tracker's failure passes through as it is."""
    fill(demo, 1)
    github.faults.add(error(403, "API rate limit exceeded", Retry_After="900"), when=lists_issues)
    with pytest.raises(RateLimited, match="cannot list issues in octo/demo: GitHub asks to wait 900 s"):
        collect(tracker_of(github, sleeps=Sleeps()), work, now=NOW)
