"""`triage undo`: only what the backfill set, and only where nobody has touched it since."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.backfilling import FAST, Desk, Victim, entry
from tests.fake_github.faults import Drop, Hook, When, error, secondary_limit
from tests.fake_github.fixtures import DEMO
from tests.fake_github.issue import Issue
from tests.fake_github.state import ACTIONS_BOT
from triage.issue import format_time

REMOVE = "mutation removeLabelsFromLabelable"


def back_and_forth(*names: str) -> list[tuple[str, str, str]]:
    """The label events of an issue on which the bot set these labels and took them back."""
    return [(kind, name, ACTIONS_BOT) for kind in ("labeled", "unlabeled") for name in names]


def test_what_was_set_is_taken_back_and_nothing_else(desk: Desk) -> None:
    """Labels of people stay, and so do issues that the backfill left alone."""
    one, other = desk.issues(2)
    one.add_labels(["question"], by="maintainer")
    other.add_labels(["docs"], by="maintainer")
    desk.plan(entry(1, "bug", "docs"))
    assert desk.apply() == 0
    assert desk.undo() == 0
    assert (one.label_names, other.label_names) == (["question"], ["docs"])
    assert one.label_events[1:] == back_and_forth("bug", "docs")
    assert desk.out == "1 of 1 issues undone, 0 left alone\n"


def test_undoing_twice_changes_nothing(desk: Desk) -> None:
    """Neither with the journal of the first undo nor without it."""
    [one] = desk.issues(1)
    desk.plan(entry(1, "bug"))
    desk.apply()
    again = "0 of 1 issues undone and 1 by an earlier run, 0 left alone\n"
    for lost, said in ((False, ""), (False, again), (True, "")):
        if lost:
            desk.journal.with_suffix(".undo.jsonl").unlink()
        assert desk.undo() == 0
        assert one.label_events == back_and_forth("bug")
        assert desk.out == (said or "1 of 1 issues undone, 0 left alone\n")


def test_a_dry_run_tells_and_changes_nothing(desk: Desk) -> None:
    """The labels stay, and there is no journal of it."""
    [one] = desk.issues(1)
    desk.plan(entry(1, "bug"))
    desk.apply()
    assert desk.undo("--dry-run") == 0
    assert one.label_names == ["bug"]
    assert not desk.journal.with_suffix(".undo.jsonl").exists()
    assert desk.out.splitlines() == [
        f"dry run: {DEMO}#1: bug",
        "dry run: 1 of 1 issues would be undone, 0 left alone",
    ]


def _removed_and_set_again(issue: Issue) -> None:
    issue.remove_labels(["bug"], by="maintainer")
    issue.add_labels(["bug"], by="maintainer")


def _removed(issue: Issue) -> None:
    issue.remove_labels(["bug"], by="maintainer")


def _set_by_another_run(issue: Issue) -> None:
    issue.remove_labels(["bug"], by="maintainer")
    issue.add_labels(["bug"], by=ACTIONS_BOT)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_removed_and_set_again, "bug: it was set again by somebody else, or by another run"),
        (_set_by_another_run, "bug: it was set again by somebody else, or by another run"),
        (_removed, "bug: it was removed already"),
        (lambda issue: issue.delete(), "it was deleted"),
        (lambda issue: issue.repository.delete_label("bug"), "bug: it is not there any more"),
    ],
    ids=["removed and set again", "set by another run", "removed", "issue deleted", "label deleted"],
)
def test_what_people_touched_since_stays_as_they_left_it(
    desk: Desk, change: Callable[[Issue], None], why: str
) -> None:
    """The other issue is undone all the same."""
    one, other = desk.issues(2)
    desk.plan(entry(1, "bug"), entry(2, "docs"))
    desk.apply()
    change(one)
    before = one.label_names, one.label_events
    assert desk.undo() == 0
    assert (one.label_names, one.label_events) == before
    assert other.label_events == back_and_forth("docs")
    assert desk.out == f"{DEMO}#1: {why}\n1 of 2 issues undone, 1 left alone\n"


def test_a_label_that_was_there_before_the_backfill_stays(desk: Desk) -> None:
    """The bot itself had set it, on the day the issue was opened."""
    [one] = desk.issues(1)
    one.add_labels(["bug"], by=ACTIONS_BOT)
    desk.plan(entry(1, "bug", "docs"))
    desk.apply()
    desk.undo()
    assert one.label_names == ["bug"]


def test_what_a_killed_run_wrote_without_noting_it_is_taken_back(desk: Desk) -> None:
    """The intent stands in the journal, and GitHub's events tell that it was carried out."""
    one, other = desk.issues(2)
    path = desk.plan(entry(1, "bug"), entry(2, "docs"))
    victim = Victim()
    desk.github.faults.add(Hook(victim.kill, when="after"), operation="addLabels")
    assert victim.run(desk.start("backfill", f"--apply={path}", FAST)) == -signal.SIGKILL
    assert (one.label_names, other.label_names) == (["bug"], ["docs"])
    assert desk.undo() == 0
    assert (one.label_events, other.label_events) == (back_and_forth("bug"), back_and_forth("docs"))


def test_what_a_resumed_run_found_set_is_taken_back_too(desk: Desk) -> None:
    """Its journal was lost, and made anew from the label events."""
    [one] = desk.issues(1)
    desk.plan(entry(1, "bug", "docs"))
    desk.apply()
    desk.journal.unlink()
    desk.apply()
    assert desk.undo() == 0
    assert one.label_events == back_and_forth("bug", "docs")


@pytest.mark.parametrize("carried_out", [False, True], ids=["sent", "carried out"])
def test_killed_while_undoing_it_goes_on(desk: Desk, *, carried_out: bool) -> None:
    """Each label is taken away once."""
    one, other = desk.issues(2)
    desk.plan(entry(1, "bug"), entry(2, "docs"))
    desk.apply()
    victim = Victim()
    when: When = "after" if carried_out else "before"
    desk.github.faults.add(Hook(victim.kill, when=when), operation=REMOVE)
    if not carried_out:
        desk.github.faults.add(Drop(), operation=REMOVE)
    assert victim.run(desk.start("undo", desk.journal, FAST)) == -signal.SIGKILL
    assert desk.undo() == 0
    assert (one.label_events, other.label_events) == (back_and_forth("bug"), back_and_forth("docs"))


def test_limits_are_waited_for_and_refusals_are_told(desk: Desk) -> None:
    """A token that may not write leaves everything as it is; the next run finishes."""
    [one] = desk.issues(1)
    desk.plan(entry(1, "bug"))
    desk.apply()
    desk.github.faults.add(error(403, "Resource not accessible by integration"), operation=REMOVE)
    assert desk.undo() == 8
    assert "the token lacks the permission `issues: write`" in desk.err
    assert one.label_names == ["bug"]
    desk.github.faults.add(secondary_limit(1), operation=REMOVE)
    assert desk.undo() == 0
    assert one.label_events == back_and_forth("bug")


def test_a_journal_of_an_undo_is_no_journal_of_a_backfill(desk: Desk) -> None:
    """An undo is not undone by this command; a new plan is made instead."""
    desk.issues(1)
    desk.plan(entry(1, "bug"))
    desk.apply()
    desk.undo()
    path = desk.journal.with_suffix(".undo.jsonl")
    assert desk.run("undo", path) == 5
    assert desk.err.startswith(f"error: {path}: not the journal of a backfill\n")


def test_a_plan_is_no_journal(desk: Desk) -> None:
    """It stands next to it, and is easily given instead; a journal that cannot be read is not needed to undo."""
    desk.issues(1)
    plan = desk.plan(entry(1, "bug"))
    assert desk.run("undo", plan) == 5
    assert desk.err == (
        f"error: {plan}: not a journal\n  likely cause: the path is wrong\n"
        "  next step: check the path: the journal of `plan.jsonl` is `plan.journal.jsonl`\n"
    )
    desk.journal.write_text("{\n", "utf-8")
    assert desk.run("undo", desk.journal) == 5
    assert "next step: to undo without the journal, use `triage undo --since`" in desk.err


def test_what_the_bot_set_since_a_moment_is_taken_back(desk: Desk) -> None:
    """Not what it set before, what people set, and what anybody has touched since."""
    old, new, touched, pull = *desk.issues(3), desk.demo.add_issue("A change", pull=True)
    old.add_labels(["bug"], by=ACTIONS_BOT)
    since = format_time(desk.github.world.clock.tick())
    new.add_labels(["bug", "docs"], by=ACTIONS_BOT)
    new.add_labels(["question"], by="maintainer")
    touched.add_labels(["bug"], by=ACTIONS_BOT)
    _removed_and_set_again(touched)
    pull.add_labels(["docs"], by=ACTIONS_BOT)
    words = ("undo", f"--since={since}", f"--repo={DEMO}", FAST, f"--journal={desk.folder / 'undone.jsonl'}")
    assert desk.run(*words, "--dry-run") == 0
    assert desk.out.splitlines()[-1] == "dry run: 2 of 3 issues would be undone, 1 left alone"
    assert new.label_names == ["bug", "docs", "question"]
    assert desk.run(*words) == 0
    assert (old.label_names, new.label_names) == (["bug"], ["question"])
    assert (touched.label_names, pull.label_names) == (["bug"], [])
    (desk.folder / "undone.jsonl").unlink()
    assert desk.run(*words) == 0
    assert desk.out.splitlines()[-1] == "0 of 1 issues undone, 1 left alone"


def test_a_persons_token_must_say_whose_labels_are_meant(desk: Desk) -> None:
    """Or the person's own would be removed."""
    [one] = desk.issues(1)
    one.add_labels(["bug"], by=ACTIONS_BOT)
    one.add_labels(["docs"], by="ben")
    desk.github.world.add_token("person", "ben", issues="write", contents="read")
    desk.patch.setenv("GITHUB_TOKEN", "person")
    words = ("undo", "--since=1 day", f"--repo={DEMO}", FAST, f"--journal={desk.folder / 'undone.jsonl'}")
    assert desk.run(*words) == 2
    assert "the token acts as ben, a person, whose own labels would be removed" in desk.err
    assert one.label_names == ["bug", "docs"]
    assert desk.run(*words, f"--by={ACTIONS_BOT}") == 0
    assert one.label_names == ["docs"]


def test_a_second_undo_of_a_day_knows_what_came_after_the_first(desk: Desk) -> None:
    """Its journal is that of the first, in which the issue is finished."""
    issue = desk.demo.add_issue("Crash")
    words = ("undo", "--since=1 day", f"--repo={DEMO}", FAST, f"--journal={desk.folder / 'undone.jsonl'}")
    for name in ("bug", "docs"):
        issue.add_labels([name], ACTIONS_BOT)
        assert desk.run(*words) == 0
        assert issue.label_names == []
        assert "1 of 1 issues undone, 0 left alone" in desk.out
    assert desk.run(*words) == 0
    assert "0 of 0 issues undone" in desk.out
    assert f"no issue has a label that {ACTIONS_BOT} has set since" in desk.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give the journal"),
        (("--since=7 days",), "add --repo OWNER/NAME"),
        ((f"--repo={DEMO}",), "give the journal"),
        (("journal.jsonl", "--since=7 days"), "give the journal"),
    ],
)
def test_either_a_journal_or_a_moment_says_what_to_undo(
    desk: Desk, words: tuple[str, ...], said: str
) -> None:
    """Nothing, half of it, or both end before GitHub is asked."""
    assert desk.run("undo", *words) == 2
    assert desk.github.requests == []
    assert f"next step: {said}" in desk.err
