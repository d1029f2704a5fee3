"""Commands in comments: `/triage again`, `why`, `undo` and `off`, and who may give them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_github.faults import forbidden
from tests.fake_github.issue import Comment, Issue
from tests.fake_github.state import ACTIONS_BOT, ROLES, Role
from tests.live import FERRY, STORAGE, Step
from triage.label.commands import KNOWN, command_in
from triage.options import EventComment

STORAGE_LABELS = ["bug", "area: storage"]
ON = "act: {commands: true}"
MAINTAINER = "marit-oh"


def say(step: Step, issue: Issue, body: str, by: str = MAINTAINER, action: str = "created") -> Comment:
    """Let somebody comment on the issue, and that be what started the workflow."""
    comment = issue.comment(body, by)
    thing = {"number": issue.number, "title": issue.title, "body": issue.body}
    user = {"login": by, "type": comment.author.kind}
    step.event(
        {
            "action": action,
            "issue": thing | ({"pull_request": {}} if issue.is_pull else {}),
            "comment": {"node_id": comment.node_id, "body": body, "user": user},
            "repository": {"full_name": issue.repository.full_name},
            "sender": user,
        }
    )
    return comment


@pytest.fixture
def issue(step: Step) -> Issue:
    """One that the bot labels with two labels, in a repository where commands are on."""
    step.configure(ON)
    step.repository.roles[MAINTAINER] = "triage"
    return step.repository.issues[STORAGE]


def own_comments(issue: Issue) -> list[str]:
    """The texts of the bot's comments."""
    return [comment.body for comment in issue.comments if comment.author.login == ACTIONS_BOT]


def test_again_decides_on_an_issue_that_people_have_labelled(step: Step, issue: Issue) -> None:
    """No other event would touch it; a reaction says that it is done."""
    issue.add_labels(["question"], MAINTAINER)
    step.happen(issue, "reopened")
    assert step.label() == 0
    assert issue.label_names == ["question"]
    command = say(step, issue, "/triage again")
    assert step.label() == 0
    assert issue.label_names == ["question", *STORAGE_LABELS]
    assert command.reactions == [("THUMBS_UP", ACTIONS_BOT)]
    assert own_comments(issue) == []
    assert step.label() == 0
    assert issue.label_names == ["question", *STORAGE_LABELS]


def test_again_does_not_put_back_what_a_person_removed(step: Step, issue: Issue) -> None:
    """A command asks for a decision, not for a label."""
    step.happen(issue)
    step.label()
    issue.remove_labels(["bug"], MAINTAINER)
    say(step, issue, "/triage again")
    assert step.label() == 0
    assert issue.label_names == ["area: storage"]


def test_why_explains_in_the_one_comment_and_changes_no_label(step: Step, issue: Issue) -> None:
    """Asked twice, the comment is the same one."""
    command = say(step, issue, "/triage why")
    assert step.label() == 0
    [text] = own_comments(issue)
    assert "would get <code>bug</code> <code>area&#58; storage</code>" in text
    assert "most similar issues voted" in text
    assert (issue.label_names, command.reactions) == ([], [("THUMBS_UP", ACTIONS_BOT)])
    say(step, issue, "/triage why")
    assert step.label() == 0
    assert own_comments(issue) == [text]


def test_the_explanation_leaves_the_reasons_of_the_labels_in_the_comment(step: Step, issue: Issue) -> None:
    """Each part is updated alone."""
    step.configure("act: {commands: true, comment: true}")
    step.happen(issue)
    step.label()
    [reasons] = own_comments(issue)
    say(step, issue, "/triage why")
    assert step.label() == 0
    [both] = own_comments(issue)
    assert both.startswith(reasons.rstrip())
    assert "has <code>bug</code> <code>area&#58; storage</code> already" in both


def test_undo_takes_back_what_the_bot_set_and_nobody_has_touched(step: Step, issue: Issue) -> None:
    """What people set, or set again, stays; and what was taken back is not set again."""
    step.happen(issue)
    step.label()
    issue.add_labels(["question"], MAINTAINER)
    issue.remove_labels(["bug"], MAINTAINER)
    issue.add_labels(["bug"], MAINTAINER)
    command = say(step, issue, "/triage undo")
    assert step.label() == 0
    assert issue.label_names == ["question", "bug"]
    assert command.reactions == [("THUMBS_UP", ACTIONS_BOT)]
    assert step.out == f"{FERRY}#{STORAGE}: /triage undo: took back area: storage\n"
    for body in ("/triage again", "/triage undo"):
        command = say(step, issue, body)
        assert step.label() == 0
        assert issue.label_names == ["question", "bug"]
    assert command.reactions == [("CONFUSED", ACTIONS_BOT)]
    assert "There is nothing to take back" in own_comments(issue)[0]


def test_undo_takes_back_what_a_fixed_rule_set(step: Step, issue: Issue) -> None:
    """A rule may set labels of a process, which nothing else does; without the rule they are another workflow's."""
    rule = f"{ON}\nrules: [{{when: {{title: '.'}}, set: Needs-triage}}]"
    step.configure(rule)
    step.repository.add_label("needs-triage")
    step.happen(issue)
    assert step.label() == 0
    assert issue.label_names[0] == "needs-triage"
    issue.remove_labels(STORAGE_LABELS, MAINTAINER)
    for configuration, left in ((ON, ["needs-triage"]), (rule, [])):
        step.configure(configuration)
        say(step, issue, "/triage undo")
        assert step.label() == 0
        assert issue.label_names == left


def test_undo_leaves_labels_that_the_bot_may_not_set(step: Step, issue: Issue) -> None:
    """Another workflow sets them under the same login."""
    step.repository.add_label("wontfix")
    issue.add_labels(["wontfix"], ACTIONS_BOT)
    say(step, issue, "/triage undo")
    assert step.label() == 0
    assert issue.label_names == ["wontfix"]


def test_an_issue_that_is_off_stays_off(step: Step, issue: Issue) -> None:
    """For every event, for a person who names it, and for further commands; until the label goes."""
    step.repository.add_label("no-triage")
    command = say(step, issue, "/triage off")
    assert step.label() == 0
    assert (issue.label_names, command.reactions) == (["no-triage"], [("THUMBS_UP", ACTIONS_BOT)])
    for action in ("opened", "reopened", "edited"):
        step.happen(issue, action, body="Something else altogether.")
        assert step.label() == 0
        assert step.label(f"--issue={STORAGE}") == 0
        assert issue.label_names == ["no-triage"]
    assert (
        step.out
        == f"{FERRY}#{STORAGE}: left alone: triage is switched off here by the label no-triage (act.off_label)\n"
    )
    command = say(step, issue, "/triage again")
    assert step.label() == 0
    assert command.reactions == [("CONFUSED", ACTIONS_BOT)]
    assert "triage is switched off here by the label no&#45;triage" in own_comments(issue)[0]
    issue.remove_labels(["no-triage"], MAINTAINER)
    step.happen(issue, "reopened")
    assert step.label() == 0
    assert issue.label_names == STORAGE_LABELS


def test_the_label_alone_switches_off(step: Step, issue: Issue) -> None:
    """Under the name that the configuration gives it, without any command."""
    step.configure("act: {off_label: Hands Off}")
    step.repository.add_label("hands off")
    issue.add_labels(["hands off"], "reporter")
    step.happen(issue)
    assert step.label() == 0
    assert issue.label_names == ["hands off"]


def test_off_without_its_label_says_what_to_do(step: Step, issue: Issue) -> None:
    """No label is created unasked."""
    command = say(step, issue, "/triage off")
    assert step.label() == 0
    assert issue.label_names == []
    assert command.reactions == [("CONFUSED", ACTIONS_BOT)]
    assert "The repository has no label no&#45;triage" in own_comments(issue)[0]
    step.configure("{act: {commands: true}, labels: {create: true}}")
    say(step, issue, "/triage off")
    assert step.label() == 0
    assert issue.label_names == ["no-triage"]
    step.github.requests.clear()


@pytest.mark.parametrize("role", ROLES)
def test_only_those_who_may_triage_are_obeyed(step: Step, issue: Issue, role: Role) -> None:
    """Others are ignored without an answer, whatever association the event claims."""
    step.repository.roles[MAINTAINER] = role
    command = say(step, issue, "/triage again")
    assert step.label() == 0
    obeyed = role in ("triage", "write", "maintain", "admin")
    assert issue.label_names == (STORAGE_LABELS if obeyed else [])
    assert bool(command.reactions) == obeyed
    assert bool(step.writes) == obeyed
    assert own_comments(issue) == []


def test_an_account_that_github_does_not_know_is_not_obeyed(step: Step, issue: Issue) -> None:
    """It was deleted, or the event was made up."""
    say(step, issue, "/triage again")
    step.github.world.actors.pop(MAINTAINER)
    assert step.label() == 0
    assert (issue.label_names, step.writes) == ([], [])


@pytest.mark.parametrize("by", [ACTIONS_BOT, "helper[bot]"])
def test_a_bot_is_not_obeyed(step: Step, issue: Issue, by: str) -> None:
    """Its text may quote anybody's; GitHub is not even asked."""
    step.repository.roles[by] = "admin"
    say(step, issue, "/triage again", by)
    assert step.label() == 0
    assert step.github.log == []


def test_commands_are_off_by_default(step: Step, issue: Issue) -> None:
    """The comment changes nothing, and gets no answer."""
    step.configure("")
    command = say(step, issue, "/triage again")
    assert step.label() == 0
    assert (issue.label_names, command.reactions, step.writes) == ([], [], [])
    assert step.out == f"{FERRY}#{STORAGE}: left alone: commands are switched off (act.commands)\n"


@pytest.mark.parametrize(
    "body",
    [
        "Thanks!",
        "> /triage off",
        "    /triage off",
        "\t/triage off",
        "`/triage off`",
        "```\n/triage off\n```",
        "~~~ /triage off",
        "Please\n/triage off",
        "\n/triage off",
        "<!-- -->/triage off",
        "/triages off",
        "/triage/off",
        "",
    ],
)
def test_a_comment_is_a_command_only_by_its_first_line(step: Step, issue: Issue, body: str) -> None:
    """Outside of code and quotations; any other comment costs no request."""
    say(step, issue, body)
    assert step.label() == 0
    assert (issue.label_names, step.github.log) == ([], [])
    assert step.out == f"{FERRY}#{STORAGE}: left alone: its comment is not a command\n"


@pytest.mark.parametrize("action", ["edited", "deleted"])
def test_only_a_new_comment_commands(step: Step, issue: Issue, action: str) -> None:
    """Maintainers can edit other people's comments, and the event does not say whose words are whose."""
    say(step, issue, "/triage again", action=action)
    assert step.label() == 0
    assert (issue.label_names, step.github.log) == ([], [])


@pytest.mark.parametrize("body", ["/triage", "/triage   ", "/triage $(id) ::error::x", "/triage off now"])
def test_an_unknown_command_is_answered_with_those_that_there_are(
    step: Step, issue: Issue, body: str
) -> None:
    """Its own words are not repeated."""
    command = say(step, issue, body)
    assert step.label() == 0
    [text] = own_comments(issue)
    assert all(f"`/triage {word}`" in text for word in KNOWN)
    assert "id" not in text.split()
    assert "::error::" not in step.said
    assert (issue.label_names, command.reactions) == ([], [("CONFUSED", ACTIONS_BOT)])


@pytest.mark.parametrize(
    "body", ["/triage again\n\nIt was edited.", "/Triage  AGAIN \r\nPlease.", "/triage\tagain"]
)
def test_a_command_may_be_followed_by_words_on_other_lines(step: Step, issue: Issue, body: str) -> None:
    """Case and spaces do not matter."""
    say(step, issue, body)
    assert step.label() == 0
    assert issue.label_names == STORAGE_LABELS


@pytest.mark.parametrize("word", KNOWN)
def test_a_dry_run_writes_nothing(step: Step, issue: Issue, word: str) -> None:
    """Not even a reaction; the log says what would be done."""
    step.repository.add_label("no-triage")
    step.happen(issue)
    step.label()
    before = len(step.writes)
    command = say(step, issue, f"/triage {word}")
    assert step.label("--dry-run") == 0
    assert (len(step.writes), command.reactions, issue.label_names) == (before, [], STORAGE_LABELS)
    assert ("has bug, area: storage already" if word == "again" else f"/triage {word}: ") in step.out


def test_without_a_permission_the_run_says_which(step: Step, issue: Issue) -> None:
    """With the exit code for access."""
    step.github.faults.add(forbidden(), operation="mutation addReaction")
    say(step, issue, "/triage why")
    assert step.label() == 8
    assert "the token lacks the permission `issues: write`" in step.err


def test_a_command_on_a_pull_request_is_obeyed(step: Step, issue: Issue) -> None:
    """Where pull requests are labelled."""
    step.configure("act: {commands: true, pull_requests: true}")
    pull = step.repository.add_issue(issue.title, issue.body, pull=True)
    say(step, pull, "/triage again")
    assert step.label() == 0
    assert pull.label_names == STORAGE_LABELS


@given(st.text())
def test_no_text_but_the_exact_line_is_taken_for_a_known_command(text: str) -> None:
    """Whatever surrounds the word."""
    for word in KNOWN:
        for body in (f"{text}/triage {word}", f"/triage {word}{text}"):
            found = command_in(EventComment("IC_1", MAINTAINER, body))
            assert found != word or body.partition("\n")[0].casefold().split() == ["/triage", word]
