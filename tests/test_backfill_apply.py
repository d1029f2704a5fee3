"""`triage backfill --apply`: what stands on GitHub afterwards, whatever happened in between."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.backfilling import FAST, Desk, Victim, entry
from tests.fake_github.faults import (
    Answer,
    Cut,
    Drop,
    Hook,
    Kind,
    Partial,
    Slow,
    error,
    outage,
    primary_limit,
    secondary_limit,
)
from tests.fake_github.fixtures import DEMO
from tests.fake_github.issue import Issue
from tests.fake_github.repository import Repository
from tests.fake_github.state import ACTIONS_BOT
from tests.fake_github.wire import Request
from tests.tracking import once_each
from triage.backfill.journal import Throttle
from triage.backfill.plan import fingerprint
from triage.config import Config, LabelsConfig
from triage.github.client import TOGETHER

ADD = "mutation addLabelsToLabelable"


def steps(path: Path) -> list[tuple[int, str, list[str], str]]:
    """(number, step, labels, why) of each line of a journal but the first."""
    whole = path.read_text("utf-8").rpartition("\n")[0]
    rows = [json.loads(text) for text in whole.splitlines()[1:]]
    return [(row["number"], row["step"], row.get("labels", []), row.get("why", "")) for row in rows]


def set_once(*names: str) -> list[tuple[str, str, str]]:
    """The label events of an issue on which the bot set these labels, each once."""
    return [("labeled", name, ACTIONS_BOT) for name in names]


def test_exactly_the_plan_is_set(desk: Desk) -> None:
    """The labels of the plan, no other issue and no other label; the journal has each step on the disk."""
    one, other, third = desk.issues(3)
    desk.plan(entry(1, "bug", "docs"), entry(2), entry(3, "question"))
    assert desk.apply() == 0
    assert [i.label_events for i in (one, other, third)] == [
        set_once("bug", "docs"),
        [],
        set_once("question"),
    ]
    assert desk.err.endswith(f"to take it back: triage undo {desk.journal}\n")
    assert desk.out == "2 of 2 issues labelled, 0 left alone\n"
    assert steps(desk.journal) == [
        (1, "intent", ["bug", "docs"], ""),
        (3, "intent", ["question"], ""),
        (1, "done", ["bug", "docs"], ""),
        (3, "done", ["question"], ""),
    ]


def test_applying_twice_changes_nothing(desk: Desk) -> None:
    """With the journal, and where it was lost: then the label events tell what was done."""
    [one] = desk.issues(1)
    desk.plan(entry(1, "bug"))
    again = "0 of 1 issues labelled and 1 by an earlier run, 0 left alone\n"
    for lost, said in ((False, ""), (False, again), (True, "")):
        if lost:
            desk.journal.unlink()
        assert desk.apply() == 0
        assert one.label_events == set_once("bug")
        assert desk.out == (said or "1 of 1 issues labelled, 0 left alone\n")
    assert steps(desk.journal) == [(1, "done", ["bug"], "")]


def test_a_dry_run_tells_and_leaves_nothing(desk: Desk) -> None:
    """No label and no journal."""
    [one] = desk.issues(1)
    desk.plan(entry(1, "bug"))
    assert desk.apply("--dry-run") == 0
    assert (one.label_events, desk.journal.exists()) == ([], False)
    assert desk.out.splitlines() == [
        f"dry run: {DEMO}#1: bug",
        "dry run: 1 of 1 issues would be labelled, 0 left alone",
    ]


@pytest.mark.parametrize("journal_lost", [False, True], ids=["with its journal", "journal lost"])
@pytest.mark.parametrize("point", ["between writes", "sent, not carried out", "carried out, not answered"])
def test_killed_at_every_write_it_goes_on(desk: Desk, point: str, *, journal_lost: bool) -> None:
    """Killed again and again, each run a write further: at the end all is set, each label event is there once."""
    # More than fit into one request.
    planned = {number: ["bug", "docs"] if number % 2 else ["question"] for number in range(1, TOGETHER + 3)}
    desk.issues(len(planned))
    path = desk.plan(*(entry(number, *names) for number, names in planned.items()))
    killed = 0
    for run in range(8):
        desk.github.faults.clear()
        victim = Victim()
        _strike(desk, point, victim, run, again=journal_lost)
        if (code := victim.run(desk.start("backfill", f"--apply={path}", FAST))) == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
        if journal_lost:
            desk.journal.unlink(missing_ok=True)
    assert killed == 2
    found = {number: desk.demo.issues[number].label_events for number in planned}
    assert found == {number: set_once(*names) for number, names in planned.items()}
    done = [number for number, step, _, _ in steps(desk.journal) if step == "done"]
    assert sorted(done) == sorted(planned)


def _strike(desk: Desk, point: str, victim: Victim, run: int, *, again: bool) -> None:
    """Let a run be killed a write further than the one before; `again`: it reads every issue once more."""
    faults, further = desk.github.faults, min(run, 1)
    if point == "between writes":
        faults.add(Hook(victim.kill), when=_reads_an_issue, skip=run if again else further)
    elif point == "sent, not carried out":
        faults.add(Hook(victim.kill), operation=ADD, skip=further)
        faults.add(Drop(), operation=ADD, skip=further)
    else:
        faults.add(Hook(victim.kill, when="after"), operation=ADD)


def _reads_an_issue(request: Request) -> bool:
    query = str(request.body.get("query")) if isinstance(request.body, dict) else ""
    return "issueOrPullRequest" in query and "Opening" not in query


@pytest.mark.parametrize(
    "fault",
    [secondary_limit(1, status=429), secondary_limit(1), outage(502), Drop(), Drop(when="after"), Cut()],
    ids=["429", "secondary limit", "502", "dropped", "dropped after it was carried out", "cut short"],
)
def test_limits_and_outages_are_waited_for(desk: Desk, fault: Kind) -> None:
    """Every label is set, each once."""
    one, other = desk.issues(2)
    desk.plan(entry(1, "bug"), entry(2, "docs"))
    desk.github.faults.add(fault, operation=ADD)
    assert desk.apply() == 0
    assert (one.label_events, other.label_events) == (set_once("bug"), set_once("docs"))


@pytest.mark.parametrize(
    "fault",
    [
        secondary_limit(1, status=429),
        secondary_limit(1),
        primary_limit(1),
        outage(500),
        outage(502),
        outage(502, "after"),
        Drop(),
        Drop("after"),
        Cut(),
        Slow(0.001),
    ],
)
def test_every_kind_of_request_may_fail_once(desk: Desk, fault: Kind) -> None:
    """Applying and taking back: each label is set once, and taken away once."""
    issues = desk.issues(2)
    desk.plan(entry(1, "bug"), entry(2, "docs"))
    desk.impatient()
    for work in (desk.apply, desk.undo):
        desk.github.faults.clear()
        desk.github.faults.add(fault, times=None, when=once_each())
        struck = len(desk.github.requests)
        assert work() == 0
        assert sum(request.fault is not None for request in desk.github.requests[struck:]) >= 3
    found = [issue.label_events for issue in issues]
    assert found == [
        [(kind, name, ACTIONS_BOT) for kind in ("labeled", "unlabeled")] for name in ("bug", "docs")
    ]


def test_half_an_answer_is_asked_for_again(desk: Desk) -> None:
    """An issue that is missing from it is not taken for deleted."""
    [one] = desk.issues(1)
    desk.plan(entry(1, "bug"))
    desk.impatient()
    half = Partial([{"message": "Something went wrong"}], [["repository", "issueOrPullRequest"]])
    desk.github.faults.add(half, when=_reads_an_issue)
    assert desk.apply() == 0
    assert one.label_events == set_once("bug")


def test_an_outage_that_lasts_ends_the_run_and_the_next_one_finishes(desk: Desk) -> None:
    """What was done is told and journalled, and the issues that failed are tried again."""
    issues, first = desk.issues(TOGETHER + 2), TOGETHER
    desk.plan(*(entry(issue.number, "bug") for issue in issues))
    desk.github.faults.add(error(400, "Bad day"), operation=ADD, skip=1, times=None)
    assert desk.apply() == 8
    found = [issue.label_events for issue in issues]
    assert found == [set_once("bug")] * first + [[]] * 2
    assert desk.out == f"{first} of {len(issues)} issues labelled, 0 left alone\n"
    why = f"cannot add labels in {DEMO}: Bad day (status 400)"
    assert steps(desk.journal)[-2:] == [(first + n, "failed", [], why) for n in (1, 2)]
    for _ in range(2):
        assert f"to take it back: triage undo {desk.journal}\n" in desk.err
        assert desk.apply() == 8
    desk.github.faults.clear()
    assert desk.apply() == 0
    assert [issue.label_events for issue in issues] == [set_once("bug")] * len(issues)


def test_an_issue_that_github_refuses_does_not_hold_up_the_others(desk: Desk) -> None:
    """It is told at the end, and the next run tries it alone."""
    one, other = desk.issues(2)
    desk.plan(entry(1, "bug"), entry(2, "docs"))
    here, elsewhere = desk.demo, desk.github.world.add_repository("octo/elsewhere")

    def moved(home: Repository) -> Hook:
        """GitHub refuses a label of another repository."""
        return Hook(lambda _: setattr(here.labels["bug"], "repository", home))

    desk.github.faults.add(moved(elsewhere), operation=ADD)
    assert desk.apply() == 8
    assert (one.label_events, other.label_events) == ([], set_once("docs"))
    assert [row[:2] for row in steps(desk.journal)] == [
        (1, "intent"),
        (2, "intent"),
        (1, "failed"),
        (2, "done"),
    ]
    assert desk.err.endswith(
        f"error: GitHub refused 1 issues, such as {DEMO}#1: cannot add labels in {DEMO}: Label 'bug' belongs to "
        f"another repository.\n  next step: see {desk.journal}; the same command tries only these again\n"
    )
    here.labels["bug"].repository = here
    assert desk.apply() == 0
    assert (one.label_events, other.label_events) == (set_once("bug"), set_once("docs"))


def test_writes_keep_the_pace() -> None:
    """Thirty in a minute are two seconds apart from start to start, however long each takes."""
    now, slept = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Throttle(30, clock=lambda: now[0], sleep=sleep)
    for issues, took in ((1, 0.5), (15, 0.0), (0, 0.0), (2, 5.0), (1, 0.0)):
        pace()
        pace.changed(issues)
        now[0] += took
    assert slept == [1.5, 30.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("per_minute", "together"), [(30, 15), (60, 20), (60_000, 20), (50, 16), (7, 7), (1, 1), (0.5, 1)]
)
def test_a_request_changes_no_more_than_a_minutes_share(per_minute: float, together: int) -> None:
    """And no more than GitHub carries out at once."""
    assert Throttle(per_minute).together == together


def test_a_token_without_permission_is_told_at_the_first_write(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is set, nothing is offered to be taken back, and the message names the permission."""
    issues = desk.issues(2)
    desk.github.world.add_token("reader", "visitor", issues="read", contents="read")
    monkeypatch.setenv("GITHUB_TOKEN", "reader")
    desk.plan(entry(1, "bug"), entry(2, "docs"))
    assert desk.apply() == 8
    assert [issue.label_events for issue in issues] == [[], []]
    assert "the token lacks the permission `issues: write`" in desk.err
    assert [step for _, step, _, _ in steps(desk.journal)] == ["intent", "intent", "failed", "failed"]
    assert "triage undo" not in desk.err


@pytest.mark.parametrize(
    ("fault", "offered"),
    [
        (outage(when="before"), True),
        (outage(when="after"), True),
        (error(403, "Resource not accessible by integration"), False),
        (error(422, "Validation failed"), False),
    ],
)
def test_what_may_have_been_done_can_be_taken_back(desk: Desk, fault: Answer, *, offered: bool) -> None:
    """Not what GitHub refused; after an outage nobody knows."""
    desk.issues(1)
    desk.plan(entry(1, "bug"))
    desk.impatient()
    desk.github.faults.add(fault, operation=ADD, times=None)
    assert desk.apply() in (8, 9)
    assert ("to take it back: triage undo" in desk.err) is offered


def test_a_full_disk_stops_before_what_it_cannot_note(desk: Desk) -> None:
    """No label is set whose intent is not in the journal; with room again, the rest follows."""
    desk.issues(30)
    found, lengths = list[int](), list[int]()
    for first in range(10, 22, 2):
        path = desk.plan(entry(first, "bug"), entry(first + 1, "bug"))
        desk.journal.unlink(missing_ok=True)
        # Room for one line more each time, after a run that had room for all of them.
        if lengths:
            room = sum(lengths[: len(found)]) + 5
            code, said = desk.on_a_full_disk(room, "backfill", f"--apply={path}", FAST)
            assert code == 5
            # Signs of progress, and what was done, may come before it.
            assert f"error: {desk.journal}: cannot be used (File too large)\n" in said
            found.append(sum(bool(desk.demo.issues[number].labels) for number in (first, first + 1)))
        assert desk.apply() == 0
        lengths = lengths or [len(text) for text in desk.journal.read_bytes().splitlines(keepends=True)]
        both = [desk.demo.issues[number].label_events for number in (first, first + 1)]
        assert both == [set_once("bug")] * 2
    # The task, then the intents of both issues, then their ends.
    assert found == [0, 0, 0, 2, 2]


def test_two_runs_at_once_set_each_label_once(desk: Desk) -> None:
    """With journals of their own on two machines; with one journal the second is sent away."""
    issues = desk.issues(4)
    path = desk.plan(*(entry(number, "bug", "docs") for number in range(1, 5)))
    runs = [desk.start("backfill", f"--apply={path}", f"--journal={path}.{i}", FAST) for i in range(2)]
    assert [run.wait(60) for run in runs] == [0, 0]
    assert [issue.label_events for issue in issues] == [set_once("bug", "docs")] * 4


def test_a_second_run_with_the_same_journal_is_refused(desk: Desk) -> None:
    """While the first is at work."""
    [one] = desk.issues(1)
    path = desk.plan(entry(1, "bug"))
    codes: list[int] = []
    again = Hook(lambda _: codes.append(desk.start("backfill", f"--apply={path}", FAST).wait(60)))
    desk.github.faults.add(again, operation=ADD)
    assert desk.apply() == 0
    assert (codes, one.label_events) == ([2], set_once("bug"))


def _set(issue: Issue) -> None:
    issue.add_labels(["docs"], by="maintainer")


def _taken_away(issue: Issue) -> None:
    issue.add_labels(["bug"], by="helper[bot]")
    issue.remove_labels(["bug"], by="maintainer")


def _there(issue: Issue) -> None:
    issue.add_labels(["bug"], by="helper[bot]")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_set, "bug: a person has set or removed labels on it since the plan"),
        (_taken_away, "bug: a person has set or removed labels on it since the plan"),
        (_there, "bug: the issue already has it"),
        (lambda issue: issue.lock("maintainer"), "bug: it was locked since the plan"),
        (lambda issue: issue.delete(), "it was deleted"),
        (
            lambda issue: issue.transfer(issue.repository.world.add_repository("octo/new")),
            "it was transferred to ",
        ),
        (lambda issue: issue.repository.delete_label("bug"), "bug: the repository has no such label"),
    ],
    ids=["labelled", "label taken away", "label there", "locked", "deleted", "transferred", "label deleted"],
)
def test_what_changed_since_the_plan_is_respected(
    desk: Desk, change: Callable[[Issue], None], why: str
) -> None:
    """The issue is left alone and the reason told; the next one is labelled all the same."""
    one, other = desk.issues(2)
    desk.plan(entry(1, "bug", locked=False), entry(2, "question", locked=False))
    change(one)
    before = one.label_events
    assert desk.apply() == 0
    assert (one.label_events, other.label_events) == (before, set_once("question"))
    [(_, step, labels, told)] = [row for row in steps(desk.journal) if row[0] == 1]
    assert (step, labels) == ("skipped", [])
    assert told.startswith(why)
    assert desk.out.startswith(f"{DEMO}#1: {why}")
    assert desk.out.endswith("1 of 2 issues labelled, 1 left alone\n")


def test_a_label_that_a_person_removed_before_the_plan_is_not_put_back(desk: Desk) -> None:
    """A plan made from a file knows nothing of it."""
    [one] = desk.issues(1)
    _taken_away(one)
    desk.plan(entry(1, "bug", "docs"))
    assert desk.apply() == 0
    assert one.label_events[2:] == set_once("docs")
    assert "bug: a person removed it from this issue" in desk.out


@pytest.mark.parametrize("fate", ["issue", "label"])
def test_what_goes_between_reading_and_writing_is_left_out(desk: Desk, fate: str) -> None:
    """The rest is set."""
    one, other = desk.issues(2)
    desk.plan(entry(1, "bug", "docs"), entry(2, "question"))
    gone = one.delete if fate == "issue" else lambda: desk.demo.delete_label("bug")
    desk.github.faults.add(Hook(lambda _: gone()), operation=ADD)
    assert desk.apply() == 0
    assert other.label_events == set_once("question")
    assert one.label_events == ([] if fate == "issue" else set_once("docs"))


def test_an_issue_locked_when_the_plan_was_made_is_labelled(desk: Desk) -> None:
    """Old issues are often locked; that is no change since the plan."""
    [one] = desk.issues(1)
    one.lock("maintainer")
    desk.plan(entry(1, "bug", locked=True))
    assert desk.apply() == 0
    assert one.label_events == set_once("bug")


def test_a_plan_of_another_repository_is_refused(desk: Desk) -> None:
    """Before anything is written."""
    [one] = desk.issues(1)
    path = desk.plan(entry(1, "bug"))
    assert desk.apply("--repo=octo/other") == 5
    assert desk.err.startswith(f"error: {path}: a plan for {DEMO}, not for octo/other\n")
    assert one.label_events == []


def test_a_finished_plan_is_not_narrowed_down_in_silence(desk: Desk) -> None:
    """Exactly the plan is applied; whoever wants less plans again or deletes lines."""
    [one] = desk.issues(1)
    desk.plan(entry(1, "bug"))
    assert desk.apply("--limit=1") == 2
    assert desk.err.startswith("error: --limit chooses issues to plan for, but the plan already exists\n")
    assert one.label_events == []


def test_a_plan_under_another_configuration_is_refused(desk: Desk) -> None:
    """A label that was denied since must not be set by an older plan."""
    [one] = desk.issues(1)
    path = desk.plan(entry(1, "bug"))
    desk.demo.put_file(".github/triage.yml", "labels:\n  deny: [bug]\n")
    assert desk.apply() == 5
    assert desk.err.startswith(f"error: {path}: the configuration of labels has changed since the plan\n")
    assert one.label_events == []


def test_a_plan_of_a_fast_clock_is_refused(desk: Desk) -> None:
    """What people did since would be older than the plan, and overlooked."""
    [one] = desk.issues(1)
    path = desk.plan(entry(1, "bug"), created_at="2027-01-01T00:00:00Z")
    assert desk.apply() == 5
    assert desk.err.startswith(
        f"error: {path}: made at 2027-01-01T00:00:00Z, but GitHub's clock says 2026-01-01T00:00:0"
    )
    assert one.label_events == []
    desk.plan(entry(1, "bug"), created_at="2026-01-01T00:04:00Z")
    assert desk.apply() == 0


def test_a_journal_of_another_plan_is_refused(desk: Desk) -> None:
    """It would say that issues are done which are not."""
    desk.issues(2)
    desk.plan(entry(1, "bug"))
    desk.apply()
    desk.plan(entry(2, "bug"))
    assert desk.apply() == 5
    assert f"{desk.journal}: this journal is for another plan" in desk.err
    assert "; keep it, since `triage undo` reads it" in desk.err
    assert desk.demo.issues[2].label_events == []


def test_the_abstain_label_that_the_bot_set_goes_where_a_label_comes(desk: Desk) -> None:
    """A person's stays."""
    one, other = desk.issues(2)
    config = Config(labels=LabelsConfig(abstain="question"))
    file = desk.folder / "triage.yml"
    file.write_text("labels: {abstain: question}", "utf-8")
    one.add_labels(["question"], ACTIONS_BOT)
    other.add_labels(["question"], "maintainer")
    desk.plan(entry(1, "bug"), entry(2, "bug"), policy=fingerprint(config))
    assert desk.apply(f"--config={file}") == 0
    assert (one.label_names, other.label_names) == (["bug"], ["question", "bug"])


def test_labels_that_the_bot_set_before_the_plan_count_against_the_most(desk: Desk) -> None:
    """The plan may not have known of them."""
    [one] = desk.issues(1)
    config = Config(labels=LabelsConfig(max=1))
    file = desk.folder / "triage.yml"
    file.write_text("labels: {max: 1}", "utf-8")
    one.add_labels(["question"], ACTIONS_BOT)
    desk.plan(entry(1, "bug"), policy=fingerprint(config))
    assert desk.apply(f"--config={file}") == 0
    assert (one.label_names, desk.out.splitlines()[-1]) == (
        ["question"],
        "0 of 1 issues labelled, 1 left alone",
    )


def test_labels_for_a_text_that_has_changed_since_the_plan_are_not_set(desk: Desk) -> None:
    """They were decided for another text; a small edit, and one before the plan, make no difference."""
    earlier, other, titled, mended = desk.issues(4)
    body = " ".join(f"word{i}" for i in range(40))
    for issue in (earlier, mended):
        issue.edit(body)
    desk.plan(*(entry(number, "bug") for number in (1, 2, 3, 4)))
    other.edit("Something else altogether.")
    titled.rename("Something else altogether", "reporter")
    mended.edit(f"{body} Thanks")
    assert desk.apply() == 0
    assert [i.label_names for i in (earlier, other, titled, mended)] == [["bug"], [], [], ["bug"]]
    assert desk.out.count("bug: its text has changed since the plan\n") == 2


def test_what_an_undo_removed_is_not_set_by_the_next_plan(desk: Desk) -> None:
    """A person started it, though it acts under the bot's login."""
    [one] = desk.issues(1)
    desk.plan(entry(1, "bug"))
    assert (desk.apply(), desk.undo()) == (0, 0)
    desk.journal.unlink()
    desk.plan(entry(1, "bug"))
    assert desk.apply() == 0
    assert one.label_names == []
    assert "bug: it was removed from this issue" in desk.out
