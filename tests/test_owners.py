"""Owners by label: who is assigned, asked for a review or mentioned, what stays as it is, and who is suggested."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_github.faults import forbidden
from tests.fake_github.issue import Issue
from tests.fake_github.state import ACTIONS_BOT
from tests.live import FERRY, STORAGE, Step
from tests.test_commands import MAINTAINER, own_comments, say
from triage.config import AssignConfig, from_dict
from triage.decide.case import Attribution
from triage.errors import ConfigError
from triage.github.involvement import Involved, Involvement
from triage.issue import Issue as Item
from triage.issue import fold
from triage.label.owners import Owners, owners_of, untouched

ME = Attribution(frozenset({ACTIONS_BOT}))
TEAM = "lanternfish-io/storage"
ON = "owners: {'area: storage': [ann, bo, cy]}"
PEOPLE = ("ann", "bo", "cy")


@pytest.fixture
def issue(step: Step) -> Issue:
    """One that the bot labels `area: storage`, in a repository in which three people can be assigned."""
    step.configure(ON)
    for login in (*PEOPLE, MAINTAINER):
        step.repository.roles[login] = "write"
    return step.repository.issues[STORAGE]


def label(step: Step, issue: Issue, *argv: str) -> None:
    step.happen(issue)
    assert step.label(*argv) == 0


def test_the_number_of_the_issue_chooses_whose_turn_it_is(step: Step, issue: Issue) -> None:
    """938 leaves a remainder of 2; a second run changes nothing, and log and summary say who it was."""
    label(step, issue)
    assert issue.people == ["cy"]
    assert "; it was assigned to cy\n" in step.out
    assert "It was assigned to cy" in step.summary
    before = len(step.writes)
    label(step, issue)
    assert (issue.people, len(step.writes)) == (["cy"], before)


def test_a_dry_run_assigns_nobody(step: Step, issue: Issue) -> None:
    """It says who would be."""
    label(step, issue, "--dry-run")
    assert (issue.people, step.writes) == ([], [])
    assert "; it would be assigned to cy\n" in step.out


def test_one_owner_needs_no_list() -> None:
    """And a mention is no login."""
    assert from_dict({"owners": {"bug": "ann", "docs": ["bo", TEAM]}}).owners == {
        "bug": ("ann",),
        "docs": ("bo", TEAM),
    }
    with pytest.raises(ConfigError, match=r"in 'owners\.bug': found '@ann'"):
        from_dict({"owners": {"bug": "@ann"}})


@pytest.mark.parametrize("off", ["ann", "bo", "cy"])
def test_nobody_comes_back_who_was_taken_off(step: Step, issue: Issue, off: str) -> None:
    """Nor anybody in their place: the person who did it decides."""
    issue.assign(MAINTAINER, off)
    issue.assign(MAINTAINER, off, off=True)
    label(step, issue)
    assert issue.people == []
    assert issue.label_names == ["bug", "area: storage"]


def test_whom_people_have_assigned_stays_alone(step: Step, issue: Issue) -> None:
    """Whether it is an owner or not."""
    issue.assign(MAINTAINER)
    label(step, issue)
    assert issue.people == [MAINTAINER]


def test_the_author_is_never_assigned(step: Step, issue: Issue) -> None:
    """The next in turn is."""
    like = step.repository.add_issue(issue.title, issue.body, "Cy", number=2_000_000 * 3 + 2)
    label(step, like)
    assert like.people == ["ann"]


def test_all_are_assigned_up_to_the_most(step: Step, issue: Issue) -> None:
    """In the same order."""
    step.configure(f"{ON}\nassign: {{choose: all, max: 2}}")
    label(step, issue)
    assert issue.people == ["cy", "ann"]


def test_the_least_busy_is_assigned_where_that_is_asked_for(step: Step, issue: Issue) -> None:
    """By the open issues that each has; between equals it is whose turn it is."""
    step.configure(f"{ON}\nassign: {{choose: least-busy}}")
    others = [step.repository.add_issue(f"Other {n}") for n in range(3)]
    others[0].assign(MAINTAINER, "cy")
    others[1].assign(MAINTAINER, "ann")
    others[2].assign(MAINTAINER, "ann")
    others[1].close(MAINTAINER)
    others[2].close(MAINTAINER)
    label(step, issue)
    assert issue.people == ["ann"]


def test_a_team_is_mentioned_once_in_the_one_comment(step: Step, issue: Issue) -> None:
    """Beside the reasons, and however often the bot looks at the issue."""
    step.configure(f"{{owners: {{'area: storage': [{TEAM}]}}, act: {{comment: true}}}}")
    label(step, issue)
    label(step, issue)
    [text] = own_comments(issue)
    assert text.count(f"@{TEAM}") == 1
    assert "got <code>bug</code>" in text
    assert len([line for line in step.github.log if "addComment" in line]) == 1
    assert issue.people == []


def test_who_has_no_access_is_told_and_the_run_goes_on(step: Step, issue: Issue) -> None:
    """GitHub itself passes over such accounts in silence."""
    del step.repository.roles["cy"]
    label(step, issue)
    assert (issue.people, issue.label_names) == ([], ["bug", "area: storage"])
    assert "cy cannot be assigned: no access to the repository" in step.out
    assert step.run("check", f"--repo={FERRY}", f"--store={step.store}") == 4
    assert "✗ cy owns `area: storage`, and issues cannot be assigned to them" in step.out


def test_a_closed_issue_is_nobodys(step: Step, issue: Issue) -> None:
    """It may be labelled."""
    issue.close("reporter")
    label(step, issue)
    assert (issue.people, issue.label_names) == ([], ["bug", "area: storage"])


def test_labels_of_people_involve_nobody(step: Step, issue: Issue) -> None:
    """Only those that the bot has set."""
    issue.add_labels(["area: storage"], MAINTAINER)
    assert step.label(f"--issue={STORAGE}") == 0
    assert issue.people == []


def test_without_owners_no_request_is_sent(step: Step, issue: Issue) -> None:
    """Nor where the labels that were set have none."""
    step.configure("vote: {k: 10}")
    label(step, issue)
    usual = len(step.github.requests)
    other = step.repository.add_issue(issue.title, issue.body)
    step.configure("vote: {k: 10}\nowners: {question: [ann]}")
    label(step, other)
    assert len(step.github.requests) == 2 * usual


def test_undo_takes_assignments_back_that_nobody_touched(step: Step, issue: Issue) -> None:
    """And what a person assigned again is theirs."""
    step.configure(f"{ON}\nact: {{commands: true}}")
    label(step, issue)
    command = say(step, issue, "/triage undo")
    assert step.label("--dry-run") == 0
    assert (issue.people, issue.label_names) == (["cy"], ["bug", "area: storage"])
    assert step.label() == 0
    assert (issue.people, issue.label_names) == ([], [])
    assert command.reactions == [("THUMBS_UP", ACTIONS_BOT)]
    assert step.out == f"{FERRY}#{STORAGE}: /triage undo: took back bug, area: storage, cy\n"
    issue.assign(MAINTAINER, "cy")
    say(step, issue, "/triage undo")
    assert step.label() == 0
    assert issue.people == ["cy"]


def test_a_pull_request_is_reviewed_by_its_owners(step: Step, issue: Issue) -> None:
    """People and teams are asked, and asked once; undo withdraws that."""
    step.repository.teams.add(TEAM)
    step.configure(
        f"{{owners: {{'area: storage': [ann, {TEAM}]}}, act: {{pull_requests: true, commands: true}}}}"
    )
    step.github.world.add_token("puller", ACTIONS_BOT, issues="write", contents="read", pull_requests="write")
    step.environment.setenv("GITHUB_TOKEN", "puller")
    pull = step.repository.add_issue(issue.title, issue.body, pull=True)
    label(step, pull)
    names = [r if isinstance(r, str) else r.login for r in pull.reviewers]
    assert names == ["ann", TEAM]
    assert (pull.people, own_comments(pull)) == ([], [])
    assert f"; ann was asked for a review; {TEAM} was asked for a review\n" in step.out
    before = len(step.writes)
    label(step, pull)
    assert len(step.writes) == before
    say(step, pull, "/triage undo")
    assert step.label() == 0
    assert pull.reviewers == []


def test_a_reviewer_without_access_is_told(step: Step, issue: Issue) -> None:
    """GitHub refuses such a request."""
    step.configure("{owners: {'area: storage': [stranger]}, act: {pull_requests: true}}")
    step.github.world.add_token("puller", ACTIONS_BOT, issues="write", contents="read", pull_requests="write")
    step.environment.setenv("GITHUB_TOKEN", "puller")
    pull = step.repository.add_issue(issue.title, issue.body, pull=True)
    label(step, pull)
    assert pull.label_names == ["bug", "area: storage"]
    assert "stranger cannot be asked for a review: Reviews may only be requested" in step.out


def test_a_missing_permission_is_named(step: Step, issue: Issue) -> None:
    """With the exit code for access; the labels stay."""
    step.github.faults.add(forbidden(), method="POST", path=r".*/assignees")
    step.happen(issue)
    assert step.label() == 8
    assert "issues: write" in step.err
    assert issue.label_names == ["bug", "area: storage"]


@pytest.mark.parametrize("owner", ["", "two words", "a/b/c", "@ann", "-x", "x" * 40, "ann\n@bo"])
def test_an_owner_must_be_a_login_or_a_team(owner: str) -> None:
    """Nothing else reaches a comment or an address."""
    with pytest.raises(ConfigError, match=r"owners\.bug"):
        from_dict({"owners": {"bug": [owner]}})
    with pytest.raises(ConfigError, match="nobody"):
        from_dict({"owners": {"bug": []}})


LOGINS = st.sampled_from(["ann", "bo", "cy", "Di"])
TABLES = st.dictionaries(st.sampled_from(["bug", "docs", "area"]), st.lists(LOGINS, min_size=1, unique=True))


@given(TABLES, st.integers(1, 1000), LOGINS, st.sampled_from(["round-robin", "all"]), st.integers(1, 4))
def test_who_is_chosen_is_an_owner_other_than_the_author_and_the_same_again(
    table: dict[str, list[str]], number: int, author: str, choose: str, most: int
) -> None:
    """At most so many; once they are involved, nobody is added, and once taken off, nobody comes back."""
    item, config = Item("octo/demo", number, "A title", author=author.upper()), AssignConfig(choose, most)
    chosen = owners_of(table, table, item, Involved(), config, ME).people
    assert {*chosen} <= {
        login for listed in table.values() for login in listed if fold(login) != fold(author)
    }
    assert len({*chosen}) == len(chosen) <= most
    assert owners_of(table, table, item, Involved(), config, ME).people == chosen
    came = tuple(Involvement(login, True, ACTIONS_BOT) for login in chosen)
    went = tuple(Involvement(login, False, ACTIONS_BOT) for login in chosen)
    # Where the most was reached, others may come once there is room; nobody twice.
    now = owners_of(table, table, item, Involved(chosen, came), config, ME).people
    after = owners_of(table, table, item, Involved((), (*came, *went)), config, ME).people
    assert {*now, *after}.isdisjoint(chosen)
    if most == 4:
        assert now == after == ()
    by_hand = replace(came[0], actor="maintainer") if came else Involvement("zoe", True, "maintainer")
    assert owners_of(table, table, item, Involved((), (by_hand,)), config, ME) == Owners()


@given(st.lists(st.tuples(LOGINS, st.booleans(), st.sampled_from([ACTIONS_BOT, "maintainer"]))))
def test_only_what_the_bot_did_last_is_taken_back(events: list[tuple[str, bool, str]]) -> None:
    """Whatever came before."""
    past = tuple(Involvement(*event) for event in events)
    last = {event.whom: event for event in past}
    now = tuple(login for login, event in last.items() if event.added)
    mine = untouched(Involved(now, past), ME)
    assert {*mine} == {login for login in now if last[login].actor == ACTIONS_BOT}


def test_turns_are_taken_evenly() -> None:
    """Over the numbers of consecutive issues."""
    table = {"bug": PEOPLE}
    chosen = [
        owners_of(table, table, Item("octo/demo", n, ""), Involved(), AssignConfig(), ME).people
        for n in range(1, 31)
    ]
    assert {one: chosen.count(one) for one in chosen} == {(login,): 10 for login in PEOPLE}


def test_owners_are_suggested_from_who_answered_issues(step: Step, issue: Issue) -> None:
    """Members of the project alone, by number of issues; the output can be pasted into the configuration."""
    step.repository.team |= {"ann", "bo"}
    now = datetime.now(UTC)
    step.github.world.clock.set(now - timedelta(days=30))
    for n in range(5):
        one = step.repository.add_issue(f"Storage {n}", author="bo" if n == 4 else "reporter")
        one.add_labels(["area: storage", "bug"], MAINTAINER)
        for by in ("ann", "ann", "bo", "stranger", "helper[bot]"):
            one.comment("An answer.", by, at=now - timedelta(days=500 if n < 2 and by == "bo" else 20))
    before = len(step.writes)
    assert step.run("owners", f"--repo={FERRY}", "--suggest") == 0
    assert "area: storage  5                ann 5, bo 2" in step.out
    assert step.out.endswith('owners:\n  "area: storage": [ann]\n  "bug": [ann]\n')
    assert step.run("owners", f"--repo={FERRY}", "--suggest", "--json") == 0
    assert json.loads(step.out)[0] == {
        "label": "area: storage",
        "answered": 5,
        "people": {"ann": 5, "bo": 2},
        "suggested": ["ann"],
    }
    assert step.run("owners", f"--repo={FERRY}", "--suggest", "--since=2 days") == 0
    assert step.out == "nobody of the project has answered an issue with a label (2 days)\n"
    assert step.run("owners", f"--repo={FERRY}") == 0
    assert "area: storage  ann, bo, cy" in step.out
    assert len(step.writes) == before
