"""Runs that add the bot's one comment at the same time leave one; what others ticked in it is not lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fake_github.faults import Hook
from tests.fake_github.issue import Issue
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from tests.live import STORAGE, Step
from tests.test_suggestions import BUG, MAINTAINER, ON, happened
from triage.comment import SUGGESTIONS, answers_in, boxes, merged, parts_of, united
from triage.github.client import Tracker
from triage.github.comments import put_comment

WRITES = "mutation .*Comment"


@pytest.fixture
def issue(github: FakeGitHub) -> Issue:
    """An issue without comments."""
    return github.world.add_repository("octo/demo").add_issue("Crash", "It crashes")


@pytest.fixture
def tracker(github: FakeGitHub, issue: Issue) -> Tracker:
    """A client that acts as the bot."""
    github.world.add_token("talker", ACTIONS_BOT, issues="write", contents="read", discussions="write")
    return Tracker("octo/demo", "talker", api_url=github.url, graphql_url=github.graphql_url)


def writing(**parts: str) -> Callable[[str], str]:
    """What makes the text of a run that writes these parts."""
    return lambda text: merged(text, parts)


def meanwhile(github: FakeGitHub, do: Callable[[], object], operation: str = WRITES) -> None:
    """Let something happen right before the next write is carried out, after all reading."""
    github.faults.add(Hook(lambda _: do()), operation=operation, times=1)


def own(issue: Issue) -> list[dict[str, str]]:
    """The parts of each comment of the bot's."""
    return [parts_of(comment.body) for comment in issue.comments if comment.author.login == ACTIONS_BOT]


@pytest.mark.parametrize("discussion", [False, True])
def test_two_runs_that_add_the_comment_leave_one(
    github: FakeGitHub, tracker: Tracker, issue: Issue, discussion: bool
) -> None:
    """With the parts of both."""
    if discussion:
        issue = issue.repository.add_issue("Crash", "It crashes", discussion=True)
    meanwhile(github, lambda: issue.comment(merged("", {"reasons": "R", "answer": "old"}), ACTIONS_BOT))
    put_comment(tracker, issue.node_id, writing(answer="A"), "discussion" if discussion else "issue")
    assert own(issue) == [{"reasons": "R", "answer": "A"}]


def test_two_comments_of_earlier_runs_become_one(github: FakeGitHub, tracker: Tracker, issue: Issue) -> None:
    """Or none, where nothing is left to say."""
    for parts in ({"reasons": "R"}, {"reasons": "S", "owners": "@octo/team"}):
        issue.comment(merged("", parts), ACTIONS_BOT)
    put_comment(tracker, issue.node_id, writing(answer="A"))
    assert own(issue) == [{"reasons": "R", "owners": "@octo/team", "answer": "A"}]
    issue.comment(merged("", {"reasons": "S"}), ACTIONS_BOT)
    put_comment(tracker, issue.node_id, writing(reasons="", owners="", answer=""))
    assert issue.comments == []


def test_without_another_run_nothing_is_written_twice(
    github: FakeGitHub, tracker: Tracker, issue: Issue
) -> None:
    """One request reads, one writes; what is there already takes none."""
    for text, writes in (("A", 1), ("B", 2), ("B", 2)):
        put_comment(tracker, issue.node_id, writing(answer=text))
        assert sum(request.writes for request in github.requests) == writes


def test_labels_and_an_answer_at_the_same_time(step: Step) -> None:
    """The comment that goes out with the labels meets one that a command has just written."""
    step.configure("act: {comment: true}")
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    answer = merged("", {"answer": "There is no such command."})
    meanwhile(step.github, lambda: issue.comment(answer, ACTIONS_BOT), "mutation")
    assert step.label() == 0
    [parts] = own(issue)
    assert parts["answer"] == "There is no such command."
    assert "got <code>" in parts["reasons"]
    assert issue.label_names == ["bug", "area: storage"]


def test_a_tick_is_not_lost_in_what_another_run_writes_before_its_own(step: Step) -> None:
    """Both know who ticked."""
    step.configure(ON)
    step.repository.roles[MAINTAINER] = "triage"
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    assert step.label() == 0
    [comment] = issue.comments
    before = comment.body
    comment.tick(BUG, MAINTAINER)
    step.configure(
        ON.replace("act: {", "act: {comment: true, ") + "\nrules: [{when: {title: '.'}, set: docs}]"
    )
    step.repository.add_label("docs")
    step.happen(issue, "reopened")
    assert step.label() == 0
    assert issue.label_names == ["docs"]
    assert boxes(comment.body)[BUG]
    step.configure(ON)
    happened(step, comment, before, MAINTAINER)
    assert step.label() == 0
    assert issue.label_names == ["docs", "bug"]
    assert [(a.what, a.login) for a in answers_in(comment.body)] == [(BUG, MAINTAINER)]


def test_of_two_comments_the_first_counts() -> None:
    """For each part; what only the other has is kept."""
    first, second = merged("", {"reasons": "R"}), merged("", {"reasons": "S", SUGGESTIONS: "- ✗"})
    assert parts_of(united([first, second])) == {"reasons": "R", SUGGESTIONS: "- ✗"}
    assert (united([]), united([first])) == ("", first)
