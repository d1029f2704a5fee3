"""Suggestions: labels that miss their target are offered in the one comment, and a maintainer's tick sets them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_github.faults import Answer, Hook, Partial, When, forbidden
from tests.fake_github.fixtures import BOT_TOKEN
from tests.fake_github.issue import Comment
from tests.fake_github.state import ACTIONS_BOT
from tests.fake_github.wire import Reply, Request
from tests.live import FERRY, QUESTION, STORAGE, Step
from tests.test_commands import say
from triage.comment import (
    NONE,
    SUGGESTIONS,
    Offer,
    SuggestionAnswer,
    answers_in,
    boxes,
    merged,
    offers_in,
    parts_of,
    suggestions_part,
)
from triage.config import ActConfig, Config, LearnConfig
from triage.decide.case import Attribution
from triage.decide.policy import MOST_SUGGESTIONS, Policy
from triage.github.comments import CommentVersion
from triage.issue import Issue as NewIssue
from triage.issue import Names
from triage.label.suggestions import new_answers
from triage.learn.provenance import LiveAccuracy, live_accuracy, live_accuracy_since, provenance_of
from triage.markdown import code
from triage.rows import from_row, to_row
from triage.sources.load import read_repositories

# Nothing reaches such a target, so that everything is at most suggested.
ON = "act: {suggest: 0.2}\nvote: {precision_target: 1.0}"
MAINTAINER, STRANGER = "marit-oh", "passer-by"
BUG = code("bug")
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def offered(step: Step) -> Comment:
    """The bot's comment on an issue for which it suggests `bug` and `area: storage`."""
    step.configure(ON)
    step.repository.roles[MAINTAINER] = "triage"
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    assert step.label() == 0
    assert issue.label_names == []
    [comment] = issue.comments
    return comment


def tick(step: Step, comment: Comment, line: str, by: str = MAINTAINER) -> None:
    """Let somebody tick a box, and that be what started the workflow."""
    before = comment.body
    comment.tick(line, by)
    happened(step, comment, before, by)


def happened(step: Step, comment: Comment, before: str, by: str) -> None:
    """Let the comment's last edit have started the workflow."""
    issue = comment.issue
    user = {"login": comment.author.login, "type": comment.author.kind}
    step.event(
        {
            "action": "edited",
            "issue": {"number": issue.number, "title": issue.title, "body": issue.body},
            "comment": {"node_id": comment.node_id, "body": comment.body, "user": user},
            "changes": {"body": {"from": before}},
            "repository": {"full_name": issue.repository.full_name},
            "sender": {"login": by},
        }
    )


def test_what_misses_its_target_is_offered_and_not_set(step: Step, offered: Comment) -> None:
    """With the probability, best first, and a box for none of them; log and summary say why it is not set."""
    assert list(boxes(offered.body)) == [BUG, code("area: storage"), NONE]
    assert "- [ ] <code>bug</code>, probability " in offered.body
    assert not any(boxes(offered.body).values())
    assert "  ? bug" in step.out
    assert "suggested: " in step.out
    assert "suggested&#58; " in step.summary
    assert step.writes == ["mutation addComment"]


def test_a_dry_run_only_says_so(step: Step) -> None:
    """Each line would be true of a real run."""
    step.configure(ON)
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    assert step.label("--dry-run") == 0
    assert "would suggest: " in step.out
    assert "would suggest&#58; " in step.summary
    assert (issue.comments, step.writes) == ([], [])
    assert step.label("--dry-run", "--json") == 0
    assert json.loads(step.out)["suggested"] == ["bug", "area: storage"]


def test_nothing_is_suggested_unless_asked(step: Step) -> None:
    """And no request is sent for it."""
    step.configure("vote: {precision_target: 1.0}")
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    assert step.label() == 0
    requests = len(step.github.requests)
    assert (issue.comments, step.writes) == ([], [])
    assert "suggest" not in step.said
    step.happen(issue, "reopened")
    assert step.label() == 0
    assert len(step.github.requests) == 2 * requests


def test_running_again_leaves_the_comment_as_it_is(step: Step, offered: Comment) -> None:
    """It is edited only where something changes, and never doubled."""
    text, edits = offered.body, list(offered.edits)
    for action in ("opened", "reopened"):
        step.happen(offered.issue, action)
        assert step.label() == 0
    assert (offered.issue.comments, offered.body, offered.edits) == ([offered], text, edits)


def test_a_maintainers_tick_sets_the_label(step: Step, offered: Comment) -> None:
    """Once; the comment tells who accepted it, and still offers the other."""
    issue = offered.issue
    tick(step, offered, BUG)
    assert step.label("--dry-run") == 0
    assert (issue.label_names, step.outputs["would-label"]) == ([], {"938": ["bug"]})
    assert step.label() == 0
    assert issue.label_names == ["bug"]
    assert step.outputs["labels"] == {"938": ["bug"]}
    assert step.out == f"{FERRY}#{STORAGE}: bug was set; {MAINTAINER} accepted bug\n"
    assert answers_in(offered.body) == [SuggestionAnswer(BUG, accepted=True, login=MAINTAINER)]
    assert boxes(offered.body) == {code("area: storage"): False, NONE: False}
    assert issue.comments == [offered]
    writes = list(step.writes)
    assert step.label() == 0
    assert (issue.label_names, step.writes) == (["bug"], writes)
    tick(step, offered, "storage")
    assert step.label() == 0
    assert issue.label_names == ["bug", "area: storage"]
    assert boxes(offered.body) == {}
    assert len(answers_in(offered.body)) == 2


@pytest.mark.parametrize("role", ["read", None])
def test_a_tick_by_anybody_else_is_ignored(step: Step, offered: Comment, role: str | None) -> None:
    """The box is cleared, so that a maintainer can tick it."""
    if role:
        step.repository.roles[STRANGER] = role
    else:
        step.github.world.actors.pop(STRANGER, None)
    tick(step, offered, BUG, by=STRANGER)
    assert step.label() == 0
    assert offered.issue.label_names == []
    assert f"{STRANGER} may not accept suggestions" in step.out
    assert boxes(offered.body)[BUG] is False
    assert answers_in(offered.body) == []


def test_a_box_that_the_bot_did_not_offer_sets_nothing(step: Step, offered: Comment) -> None:
    """Whatever else somebody writes into the comment, however it looks like the bot's own words."""
    before = offered.body
    text = before.replace(BUG, code("question")).replace("- [ ]", "- [x]")
    offered.edit(
        f"{text}\n- [x] {code('documentation')}\n- ✓ {BUG}, accepted by {MAINTAINER}\n$(touch x)", MAINTAINER
    )
    happened(step, offered, before, MAINTAINER)
    assert step.label() == 0
    assert offered.issue.label_names == ["area: storage"]


def test_a_comment_of_somebody_else_is_nothing(step: Step, offered: Comment) -> None:
    """Though it has every mark of the bot's."""
    copy = offered.issue.comment(offered.body, STRANGER)
    tick(step, copy, BUG, by=MAINTAINER)
    assert step.label() == 0
    assert offered.issue.label_names == []
    assert "no suggestion in the comment was ticked" in step.out


def test_what_was_refused_is_neither_set_nor_offered_again(step: Step, offered: Comment) -> None:
    """By the last box; later ticks of others count all the same."""
    tick(step, offered, NONE)
    assert step.label() == 0
    assert f"{MAINTAINER} refused bug" in step.out
    assert [(a.what, a.accepted) for a in answers_in(offered.body)] == [
        (BUG, False),
        (code("area: storage"), False),
    ]
    step.configure("act: {suggest: 0.2}\nvote: {precision_target: 0.0}")
    step.happen(offered.issue, "reopened")
    text = offered.body
    assert step.label() == 0
    assert (offered.issue.label_names, offered.body) == ([], text)
    assert f"held back: {MAINTAINER} refused it" in step.out


LOW = "vote: {precision_target: 0.0}"


@pytest.mark.parametrize("on", ["act: {suggest: 0.2}\n", ""])
@pytest.mark.parametrize("how", ["reopened", "sweep", "backfill", "backfill of one"])
def test_a_refusal_follows_its_label_to_a_new_name(
    step: Step, offered: Comment, on: str, how: str, tmp_path: Path
) -> None:
    """Also once suggestions are switched off; another label that took the old name was not refused."""
    tick(step, offered, NONE)
    assert step.label() == 0
    step.repository.rename_label("area: storage", "area: attic")
    step.repository.rename_label("bug", "defect")
    step.repository.add_label("bug")
    step.configure(f"{on}{LOW}\nrules: [{{when: {{title: '.'}}, set: [bug, defect, 'area: attic']}}]")
    if how.startswith("backfill"):
        made = ["backfill", f"--from={FERRY}", f"--store={step.store}", f"--out={tmp_path}"]
        made += [f"--issue={STORAGE}"] if how == "backfill of one" else []
        assert step.run(*made) == 0
        entries = (json.loads(line) for line in (tmp_path / "plan.jsonl").read_text("utf-8").splitlines())
        entry = next(entry for entry in entries if entry.get("number") == STORAGE)
        assert {"defect", "area: attic"}.isdisjoint(entry.get("labels", ()))
        return
    step.happen(offered.issue, how)
    before = len(step.github.requests)
    assert step.label(*(["--since=9000 days"] if how == "sweep" else [])) == 0
    # The comments come with the issues.
    assert [r.operation for r in step.github.requests[before:]].count("query node") == 0
    assert offered.issue.label_names == ["bug"]
    assert f"held back: {MAINTAINER} refused it" in step.out


@pytest.mark.parametrize("late", [False, True])
def test_a_backfill_knows_refusals_once_suggestions_are_off(
    step: Step, offered: Comment, tmp_path: Path, late: bool
) -> None:
    """When the plan is made, and when it is applied."""
    if not late:
        tick(step, offered, NONE)
        assert step.label() == 0
    step.configure(LOW)
    made = ["backfill", f"--from={FERRY}", f"--store={step.store}", f"--out={tmp_path}"]
    assert step.run(*made) == 0
    if late:
        step.configure(ON)
        tick(step, offered, NONE)
        assert step.label() == 0
        step.configure(LOW)
    assert step.run("backfill", f"--apply={tmp_path / 'plan.jsonl'}", "--per-minute=60000") == 0
    assert offered.issue.label_names == []


def test_a_tick_sets_the_label_that_was_offered_whatever_it_is_called_now(
    step: Step, offered: Comment
) -> None:
    """Not another one that took its name."""
    step.repository.rename_label("bug", "defect")
    step.repository.add_label("bug")
    tick(step, offered, BUG)
    assert step.label() == 0
    assert offered.issue.label_names == ["defect"]
    assert f"{MAINTAINER} accepted defect" in step.out


def test_what_was_accepted_stays_the_maintainers_after_a_rename(
    step: Step, offered: Comment, tmp_path: Path
) -> None:
    """For learning, `undo` and `/triage undo`."""
    offered.tick(BUG, MAINTAINER)
    tick(step, offered, NONE)
    assert step.label() == 0
    step.repository.rename_label("bug", "defect")
    step.repository.rename_label("area: storage", "area: attic")

    def learnt() -> list[tuple[str, bool, str]]:
        [collected] = read_repositories([FERRY], tmp_path, Config(act=ActConfig(suggest=0.5))).collected
        found = next(i for i in collected.issues if i.number == STORAGE)
        return [(e.label, e.added, e.actor) for e in found.events or ()]

    assert learnt() == [("defect", True, MAINTAINER), ("area: attic", False, MAINTAINER)]
    step.repository.rename_label("area: attic", "area: cellar")
    assert learnt() == [("defect", True, MAINTAINER), ("area: cellar", False, MAINTAINER)]
    step.environment.chdir(step.folder)
    step.run("undo", "--since=7 days", f"--repo={FERRY}", f"--by={ACTIONS_BOT}", "--per-minute=60000")
    assert offered.issue.label_names == ["defect"]
    step.configure("act: {commands: true}")
    say(step, offered.issue, "/triage undo")
    assert step.label() == 0
    assert offered.issue.label_names == ["defect"]


def test_what_is_no_longer_likely_after_an_edit_is_no_longer_offered(step: Step, offered: Comment) -> None:
    """A comment with nothing left to say goes; what was answered stays."""
    issue = offered.issue
    step.configure("act: {suggest: 0.2}\nvote: {precision_target: 1.0}\nlabels: {deny: [bug]}")
    step.happen(issue, "reopened")
    assert step.label() == 0
    assert list(boxes(offered.body)) == [code("area: storage"), NONE]
    step.configure("act: {suggest: 0.2}\nvote: {precision_target: 1.0}\nlabels: {deny: ['*']}")
    assert step.label() == 0
    assert issue.comments == []


def test_no_fixed_rule_sets_what_was_refused(step: Step) -> None:
    """Also where the label is not learnt any more, so that nothing but the rule knows it."""
    step.repository.add_label("storms")
    step.configure(ON)
    step.repository.roles[MAINTAINER] = "triage"
    issue = step.repository.issues[STORAGE]
    text = f"- [ ] {code('storms')}, probability 0.50\n- [ ] {NONE}"
    comment = issue.comment(merged("", {SUGGESTIONS: text}), ACTIONS_BOT)
    tick(step, comment, NONE)
    assert step.label() == 0
    assert f"{MAINTAINER} refused storms" in step.out
    step.configure("act: {suggest: 0.9}\nrules:\n- {when: {title: '.'}, set: storms}")
    step.happen(issue, "reopened")
    assert step.label() == 0
    assert "storms" not in issue.label_names


def test_an_answer_counts_whatever_the_case_of_the_label_is_now(step: Step, offered: Comment) -> None:
    """GitHub compares names without it."""
    offered.tick(BUG, MAINTAINER)
    step.repository.rename_label("bug", "Bug")
    tick(step, offered, NONE)
    assert step.label() == 0
    assert offered.issue.label_names == ["Bug"]
    step.repository.rename_label("area: storage", "Area: Storage")
    step.configure("act: {suggest: 0.2}\nvote: {precision_target: 0.0}")
    step.happen(offered.issue, "reopened")
    text = offered.body
    assert step.label() == 0
    assert (offered.issue.label_names, offered.body) == (["Bug"], text)


def test_a_label_that_was_removed_after_the_tick_stays_away(step: Step, offered: Comment) -> None:
    """A run that comes late puts nothing back."""
    tick(step, offered, BUG)
    offered.issue.add_labels(["bug"], MAINTAINER)
    offered.issue.remove_labels(["bug"], MAINTAINER)
    assert step.label() == 0
    assert offered.issue.label_names == []
    assert "bug was removed since" in step.out


def test_ticks_of_several_are_those_of_each(step: Step, offered: Comment) -> None:
    """Although only one run comes of them: of runs that wait, GitHub keeps the newest."""
    step.repository.roles["ola"] = "write"
    offered.tick(BUG, STRANGER)
    before = offered.body
    offered.tick("storage", "ola")
    happened(step, offered, before, "ola")
    assert step.label() == 0
    assert offered.issue.label_names == ["area: storage"]
    assert answers_in(offered.body) == [SuggestionAnswer(code("area: storage"), accepted=True, login="ola")]


def test_without_permission_to_write_the_run_says_so(step: Step, offered: Comment) -> None:
    """And changes nothing, so that the next run can."""
    tick(step, offered, BUG)
    step.github.faults.add(forbidden(), operation="mutation addLabelsToLabelable")
    assert step.label() == 8
    assert "`issues: write`" in step.err
    assert offered.issue.label_names == []
    assert step.label() == 0
    assert offered.issue.label_names == ["bug"]


def test_an_accepted_label_takes_the_place_of_the_abstain_label(step: Step) -> None:
    """At once: a label that the workflow's own token sets starts no other run."""
    step.repository.add_label("unclear")
    step.configure(f"labels: {{abstain: unclear}}\n{ON}")
    step.repository.roles[MAINTAINER] = "triage"
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    assert step.label() == 0
    assert issue.label_names == ["unclear"]
    [comment] = issue.comments
    tick(step, comment, BUG)
    assert step.label() == 0
    assert issue.label_names == ["bug"]


def test_undoing_a_week_leaves_what_was_accepted(step: Step, offered: Comment) -> None:
    """The bot set it on a maintainer's word; what it set by itself goes."""
    tick(step, offered, BUG)
    assert step.label() == 0
    offered.issue.add_labels(["area: storage"], ACTIONS_BOT)
    since = ["--since=7 days", f"--repo={FERRY}", f"--by={ACTIONS_BOT}", "--per-minute=60000"]
    step.environment.chdir(step.folder)
    assert step.run("undo", *since) == 0
    assert offered.issue.label_names == ["bug"]
    assert "1 of 1 issues undone" in step.out


def test_undo_leaves_what_was_accepted_before_suggestions_were_switched_off(
    step: Step, offered: Comment
) -> None:
    """The comment still tells whose word it was."""
    tick(step, offered, BUG)
    assert step.label() == 0
    step.configure("act: {commands: true}")
    say(step, offered.issue, "/triage undo")
    assert step.label() == 0
    assert offered.issue.label_names == ["bug"]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("named", [(), (f"--issue={STORAGE}",)])
def test_a_backfill_sets_nothing_that_was_refused(
    step: Step, offered: Comment, tmp_path: Path, named: tuple[str, ...], late: bool
) -> None:
    """Whether that was before the plan, or since it was made."""
    on, plan = "act: {suggest: 0.2}\nvote: {precision_target: 0.0}", tmp_path / "plans" / "plan.jsonl"

    def refuse() -> None:
        step.configure(ON)
        tick(step, offered, NONE)
        assert step.label() == 0
        step.configure(on)

    if not late:
        refuse()
    step.configure(on)
    made = ["backfill", f"--from={FERRY}", f"--store={step.store}", f"--out={plan.parent}", *named]
    assert step.run(*made) == 0
    entries = (json.loads(line) for line in plan.read_text("utf-8").splitlines())
    entry = next(entry for entry in entries if entry.get("number") == STORAGE)
    assert ("labels" in entry) is late
    if late:
        refuse()
    assert step.run("backfill", f"--apply={plan}", "--per-minute=60000") == 0
    assert offered.issue.label_names == []


def test_a_refusal_in_an_apps_comment_is_read_with_another_token(step: Step, offered: Comment) -> None:
    """Where an App labels and the workflow's own token learns, `learn.bots` names the App; nobody else is believed."""
    tick(step, offered, NONE)
    assert step.label() == 0
    refused = offered.body
    for author in ("my-app[bot]", STRANGER, "another[bot]"):
        other = step.repository.add_issue("Crash", "It crashes", "somebody")
        comment = other.comment("", author)
        comment.edit(refused, author)
    step.configure("learn: {bots: ['my-app*', passer-by]}")
    step.environment.setenv("GITHUB_TOKEN", BOT_TOKEN)
    config = Config(act=ActConfig(suggest=0.5), learn=LearnConfig(bots=("my-app*", STRANGER)))
    [collected] = read_repositories([FERRY], step.folder / "work", config).collected
    told = {issue.number: [e.label for e in issue.events or ()] for issue in collected.issues}
    newest = sorted(told)[-3:]
    assert [len(told[number]) for number in newest] == [2, 0, 0]


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_outage_neither_loses_nor_doubles_the_offer(step: Step, when: When) -> None:
    """Nothing else was to be written, and GitHub answered with an error although, or before, it wrote."""
    step.configure(ON)
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    step.github.faults.add(Answer(Reply(502, {"message": "Server Error"}), when), operation="mutation")
    assert step.label() == 0
    assert len(issue.comments) == 1


def test_an_outage_of_the_comment_alone_is_made_up_for(step: Step) -> None:
    """The labels were set; GraphQL says of the comment in the same request that something went wrong."""
    step.configure("act: {comment: true}")
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    problem = {"message": "Something went wrong while executing your query.", "path": ["a1"]}
    step.github.faults.add(Partial([problem], [["a1"]]), operation="mutation")
    assert step.label() == 0
    assert (issue.label_names, len(issue.comments)) == (["bug", "area: storage"], 1)


def test_a_tick_under_another_token_is_told(step: Step, offered: Comment) -> None:
    """An App wrote the comment, and the workflow for ticks has its own token: it could only ever do nothing."""
    copy = offered.issue.comment(offered.body, "my-app[bot]")
    tick(step, copy, BUG)
    assert step.label() == 0
    assert offered.issue.label_names == []
    assert "my-app[bot] wrote the comment, and this workflow's token is github-actions[bot]'s" in step.out
    assert "::warning" in step.out + step.err


def test_undo_withdraws_the_suggestions_and_leaves_what_was_accepted(step: Step, offered: Comment) -> None:
    """What a maintainer accepted is theirs; a comment with nothing left to say goes."""
    issue = offered.issue
    step.configure(ON.replace("act: {", "act: {commands: true, "))
    tick(step, offered, BUG)
    assert step.label() == 0
    say(step, issue, "/triage undo", action="created")
    assert step.label() == 0
    assert "took back the suggestions" in step.out
    assert (issue.label_names, boxes(offered.body)) == (["bug"], {})
    assert len(answers_in(offered.body)) == 1
    other = step.repository.issues[QUESTION]
    step.happen(other)
    assert step.label() == 0
    assert len(other.comments) == 1
    say(step, other, "/triage undo", action="created")
    assert step.label() == 0
    assert [comment.author.login for comment in other.comments] == [MAINTAINER]


def test_an_answer_is_read_as_the_word_of_who_gave_it(step: Step, offered: Comment, tmp_path: Path) -> None:
    """The bot set the label, yet the maintainer said so; it is learnt, and counted among the live figures."""
    issue = offered.issue
    offered.tick(BUG, MAINTAINER)
    tick(step, offered, NONE)
    assert step.label() == 0
    assert issue.label_events == [("labeled", "bug", ACTIONS_BOT)]
    forged = offered.body.replace("accepted", "refused").replace("✗ <code>area", "✓ <code>area")
    issue.comment(forged, STRANGER)

    def read(suggest: float | None, folder: str) -> NewIssue:
        config = Config(act=ActConfig(suggest=suggest))
        [collected] = read_repositories([FERRY], tmp_path / folder, config).collected
        return next(i for i in collected.issues if i.number == STORAGE)

    found, us = read(0.5, "on"), Attribution(frozenset({ACTIONS_BOT}))
    assert [(e.label, e.added, e.actor, e.accepted) for e in found.events or ()] == [
        ("bug", True, MAINTAINER, True),
        ("area: storage", False, MAINTAINER, False),
    ]
    said = provenance_of(found, us)
    assert (said.positive, said.negative, said.unjudged) == (("bug",), ("area: storage",), {})
    live = {"area: storage": LiveAccuracy(refused=1), "bug": LiveAccuracy(accepted=1)}
    assert live_accuracy([found], us) == live
    assert live_accuracy_since([found], us, START - timedelta(days=900)) == live
    assert from_row(to_row(found), where="a row") == found
    # Without suggestions no comment is read, and the label stays the bot's.
    assert [(e.label, e.actor) for e in read(None, "off").events or ()] == [("bug", ACTIONS_BOT)]


def test_an_answer_on_a_pull_request_is_learnt_too(step: Step, tmp_path: Path) -> None:
    """The label that the bot set there is the maintainer's word, and what was refused is no label of it."""
    step.configure(ON.replace("act: {", "act: {pull_requests: true, "))
    step.repository.roles[MAINTAINER] = "triage"
    like = step.repository.issues[STORAGE]
    pull = step.repository.add_issue(like.title, like.body, "somebody", pull=True, number=4_001)
    step.happen(pull)
    assert step.label() == 0
    [comment] = pull.comments
    comment.tick(BUG, MAINTAINER)
    tick(step, comment, NONE)
    assert step.label() == 0
    assert pull.label_names == ["bug"]

    def read(suggest: float | None) -> NewIssue:
        config = Config(act=ActConfig(suggest=suggest), learn=LearnConfig(pull_requests=True))
        [collected] = read_repositories([FERRY], tmp_path / str(suggest), config).collected
        return next(i for i in collected.issues if i.number == pull.number)

    found, us = read(0.5), Attribution(frozenset({ACTIONS_BOT}))
    said = provenance_of(found, us)
    assert (said.positive, said.negative, said.unjudged) == (("bug",), ("area: storage",), {})
    # Who dealt with a pull request otherwise is not read, so that it stays unknown.
    assert found.handled is None
    assert provenance_of(read(None), us).unjudged == {"bug": "me"}


def test_what_somebody_else_writes_into_the_bots_comment_is_nobodys_word(
    step: Step, offered: Comment, tmp_path: Path
) -> None:
    """Whoever can edit it can set labels, but not in another's name."""
    tick(step, offered, BUG)
    assert step.label() == 0
    offered.edit(offered.body.replace(MAINTAINER, "ola"), "ola")
    [collected] = read_repositories([FERRY], tmp_path, Config(act=ActConfig(suggest=0.5))).collected
    found = next(i for i in collected.issues if i.number == STORAGE)
    assert [(e.label, e.actor) for e in found.events or ()] == [("bug", ACTIONS_BOT)]


NATIVE = ON.replace("act: {", "act: {suggest_in: github, ")


def test_github_can_keep_the_suggestions_itself(step: Step) -> None:
    """Each with its confidence and a reason, as GitHub describes it; no label is set or lost, no comment written."""
    step.configure(NATIVE)
    issue = step.repository.issues[STORAGE]
    issue.add_labels(["question"], ACTIONS_BOT)
    step.happen(issue)
    assert step.label("--dry-run") == 0
    assert (issue.suggestions, step.writes) == ([], [])
    assert step.label() == 0
    assert [(name, how) for name, how, _ in issue.suggestions] == [("bug", "high"), ("area: storage", "high")]
    assert all("probability of" in why for _, _, why in issue.suggestions)
    assert (issue.label_names, issue.comments) == (["question"], [])
    before = list(issue.suggestions)
    assert step.label() == 0
    step.happen(issue, "reopened")
    assert step.label() == 0
    assert issue.suggestions == before


def test_an_enterprise_server_without_suggestions_is_told_once_and_the_rest_works(step: Step) -> None:
    """It would set the labels instead."""
    step.github.world.enterprise_version = "3.17.0"
    step.configure("act: {suggest: 0.01, suggest_in: github}")
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    assert step.label() == 0
    assert (
        step.said.count("GitHub Enterprise Server has no label suggestions; set act.suggest_in to comment")
        == 1
    )
    assert "bug" in issue.label_names
    assert issue.suggestions == []
    assert [w for w in step.writes if w.startswith("POST")] == []


def test_a_label_that_a_server_sets_instead_is_taken_off(step: Step) -> None:
    """A server that does not tell its version and ignores `suggest` must not get a label set below its target."""
    step.configure(NATIVE)
    issue = step.repository.issues[STORAGE]
    step.happen(issue)

    def ignore(_: Request) -> None:
        step.github.world.enterprise_version = "unknown"

    step.github.faults.add(Hook(ignore), path=r".*/issues/\d+/labels", method="POST")
    assert step.label() == 0
    assert issue.label_names == []
    assert "it set bug, area: storage instead, which was taken off again" in step.said


def test_the_event_changes_nothing_while_suggestions_are_off(step: Step, offered: Comment) -> None:
    """The workflow may listen all the same."""
    step.configure("{}")
    tick(step, offered, BUG)
    assert step.label() == 0
    assert offered.issue.label_names == []
    assert "suggestions are switched off (act.suggest)" in step.out


def test_the_reasons_and_the_suggestions_stand_in_one_comment(step: Step) -> None:
    """Each has its part; those of a label that gets set go."""
    step.configure("act: {suggest: 0.01, comment: true}\nvote: {precision_target: 0.7}")
    issue = step.repository.issues[QUESTION]
    step.happen(issue)
    assert step.label() == 0
    [comment] = issue.comments
    assert set(parts_of(comment.body)) == {"reasons", SUGGESTIONS}
    assert {*map(code, issue.label_names)}.isdisjoint(boxes(comment.body))


LINES = st.lists(st.sampled_from([BUG, code("docs"), code("a&b")]), unique=True, min_size=1)


def versions(*texts: tuple[str, str]) -> list[CommentVersion]:
    """Versions of a comment, from (editor, text) pairs."""
    return [
        CommentVersion(text, editor, START + timedelta(minutes=n)) for n, (editor, text) in enumerate(texts)
    ]


@given(LINES, st.text())
def test_only_what_was_offered_can_be_answered(offers: list[str], hostile: str) -> None:
    """Whatever text an edit leaves."""
    text = merged("", {SUGGESTIONS: suggestions_part([*map(Offer, offers)], [])})
    found = new_answers(versions((ACTIONS_BOT, text), (MAINTAINER, text + hostile)), {ACTIONS_BOT})
    assert {answer.what for answer in found} <= {*offers}
    assert new_answers(versions((MAINTAINER, text.replace("[ ]", "[x]"))), {ACTIONS_BOT}) == []


@given(LINES)
def test_every_offer_reads_back(offers: list[str]) -> None:
    """What is written is what is read, answers included."""
    answers = [
        SuggestionAnswer(code("x"), accepted=False, login="a[bot]"),
        SuggestionAnswer(code("y"), accepted=True, login="b-c"),
    ]
    text = merged("", {SUGGESTIONS: suggestions_part([*map(Offer, offers)], answers)})
    assert boxes(text) == dict.fromkeys([*offers, NONE], False)
    assert answers_in(text) == answers


def test_a_tick_counts_that_the_bot_kept_while_it_wrote_another_part() -> None:
    """For whom it was set; but what somebody else wrote, the bot did not offer, though it kept that too."""
    text = merged("", {SUGGESTIONS: suggestions_part([Offer(BUG, label_id="LA_1")], [])})
    ticked = text.replace("[ ] <code>bug", f"[x] {code('docs')}\n- [x] <code>bug")
    kept = merged(ticked, {"reasons": "It says so."})
    history = versions((ACTIONS_BOT, text), ("a", ticked), (ACTIONS_BOT, kept), ("b", kept))
    for count in (2, 3, 4):
        [answer] = new_answers(history[:count], {ACTIONS_BOT})
        assert (answer.what, answer.login, answer.label_id) == (BUG, "a", "LA_1")
    assert new_answers([*history, *versions((ACTIONS_BOT, text))], {ACTIONS_BOT}) == []


@given(st.text("abcXYZ019-_+/=", min_size=1))
def test_an_id_of_a_label_reads_back_and_ends_no_comment(label_id: str) -> None:
    """Whatever GitHub makes ids of."""
    answer = SuggestionAnswer(BUG, accepted=False, login="a", label_id=label_id)
    text = merged("", {SUGGESTIONS: suggestions_part([Offer(BUG, ", 0.5", label_id=label_id)], [answer])})
    assert [offer.label_id for offer in offers_in(text)] == [label_id, ""]
    assert [found.label_id for found in answers_in(text)] == [label_id]
    assert all(line.count("--") in (0, 2) for line in text.splitlines())


def test_a_tick_that_was_taken_back_is_none() -> None:
    """And one that was set again is that of who set it last."""
    text = merged("", {SUGGESTIONS: suggestions_part([Offer(BUG)], [])})
    ticked = text.replace("[ ] <code>", "[x] <code>")
    taken_back = versions((ACTIONS_BOT, text), ("a", ticked), ("b", text))
    assert new_answers(taken_back, {ACTIONS_BOT}) == []
    [answer] = new_answers([*taken_back, *versions(("c", ticked))], {ACTIONS_BOT})
    assert (answer.what, answer.login) == (BUG, "c")


@given(
    st.dictionaries(st.sampled_from(["bug", "docs", "area: x", "ui", "y"]), st.floats(0, 1)), st.floats(0, 1)
)
def test_suggestions_are_likely_and_allowed_and_few(scores: dict[str, float], least: float) -> None:
    """None that is set, carried or barred, or that the configuration keeps from the bot."""
    policy = Policy(deny=("ui",), exclusive=(("docs", "y"),), suggest=least)
    found = policy.suggestions(scores, ["bug"], ["docs"], Names({"area: x": "a person removed it"}))
    assert {*found}.isdisjoint({"bug", "docs", "y", "area: x", "ui"})
    free = policy.suggestions(scores, [])
    assert all(scores[name] >= least and name != "ui" for name in free)
    assert len(free) <= MOST_SUGGESTIONS
    assert list(free) == sorted(free, key=lambda name: (-scores[name], name))
    assert Policy().suggestions(scores, []) == ()
