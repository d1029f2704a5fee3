"""`triage backfill --from`: plans out of files and from GitHub, in parts, interrupted and all at once."""

from __future__ import annotations

import io
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.backfilling import Desk
from tests.fake_github.faults import Drop, outage, secondary_limit
from tests.fake_github.fixtures import DEMO
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.live import FERRY, STORAGE, Step
from tests.sample import CONFIG, LEARNT_FROM, NEW, Trained
from tests.tracking import once_each, tracker_of
from triage.backfill import selection as past
from triage.backfill.plan import Entry, open_plan
from triage.backfill.planner import Planner
from triage.backfill.selection import Batch, FileRows, PastIssue, Selection, of_file, of_repository
from triage.bundle.model import ServingModel
from triage.cli import main
from triage.config import Config
from triage.decide import Policy, case_of, decide
from triage.github import http
from triage.issue import KINDS, Issue
from triage.rows import to_row
from triage.schema import parse_time


def may_set(name: str) -> str | None:
    """As a policy that lets every label be set but one."""
    return "a process" if name == "stale" else None


@pytest.fixture
def plan(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Plan:
    """Makes plans from the sample's files, without a token."""
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    return Plan(trained, tmp_path, capsys)


class Plan:
    """`triage backfill` on the sample, in a folder of its own."""

    def __init__(self, trained: Trained, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.trained, self.folder, self.capture = trained, folder, capture

    def __call__(self, *argv: str | Path, file: Path = NEW) -> int:
        where = [f"--store={self.trained.folder}", f"--config={CONFIG}", f"--out={self.folder}"]
        return main(["backfill", f"--from={file}", *where, *map(str, argv)])

    @property
    def path(self) -> Path:
        return self.folder / "plan.jsonl"

    @property
    def entries(self) -> list[Entry]:
        return list(open_plan(self.path).entries())

    @property
    def numbers(self) -> list[int]:
        return sorted(one.number for one in self.entries)


def test_a_plan_from_a_file_is_what_is_decided(
    plan: Plan, model: ServingModel, sample_config: Config, new_issues: list[Issue]
) -> None:
    """What was measured is what would run; plan, report and page are there, and no token was needed."""
    assert plan() == 0
    decisions = decide(map(case_of, new_issues), model, Policy.of(sample_config))
    assert [(one.number, one.labels) for one in plan.entries] == [(d.key[1], d.labels) for d in decisions]
    header = open_plan(plan.path).header
    assert (header.repo, header.bundle) == (FERRY, plan.trained.name)
    assert header.figures == plan.trained.store.load(plan.trained.name).manifest.figures
    rules = model.rules.by_name
    assert {name: (p.precision, p.predicted) for name, p in header.promises.items() if name in rules} == {
        name: (rules[name].precision, rules[name].predicted) for name in header.promises if name in rules
    }
    labelled = sum(bool(one.labels) for one in plan.entries)
    in_all = sum(len(one.labels) for one in plan.entries)
    assert plan.capture.readouterr().out.splitlines() == [
        f"{labelled} of 12 issues would get a label, {in_all} labels in all",
        f"  plan    {plan.path}",
        f"  report  {plan.path.with_suffix('.md')}",
        f"  page    {plan.path.with_suffix('.html')}",
        f"nothing was written to GitHub; to set these labels: triage backfill --apply {plan.path}",
    ]
    report = plan.path.with_suffix(".md").read_text("utf-8")
    assert report.startswith(
        f"### A backfill would label {labelled} of 12 issues of lanternfish&#45;io&#47;ferry\n"
    )
    assert plan.path.with_suffix(".html").read_text("utf-8").startswith("<!DOCTYPE html>")


def test_a_plan_is_made_from_a_pipe(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are read twice all the same; `--skip-bad` skips invalid ones."""
    assert plan() == 0
    entries = plan.entries
    with NEW.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert plan(file=Path("-")) == 0
    assert plan.entries == entries
    spoilt = plan.folder / "spoilt.jsonl"
    spoilt.write_text("{\n" + NEW.read_text("utf-8"), "utf-8")
    plan.capture.readouterr()
    assert plan(file=spoilt) == 5
    assert f"{spoilt}, line 1: not valid JSON" in plan.capture.readouterr().err
    assert plan("--skip-bad", file=spoilt) == 0
    assert plan.capture.readouterr().err.count("skipped: ") == 1
    assert plan.entries == entries


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "",
            "the standard input: holds no such issue\n  likely cause: it is empty, or holds issues of other",
        ),
        ('{"number": 7}', "the standard input, line 1: in 'title': missing\n"),
        ("[{}, 3", "the standard input: not valid JSON ("),
    ],
)
def test_what_a_pipe_lacks_is_told(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    """Under the name that the user gave."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text.encode()))))
    assert plan(file=Path("-")) == 5
    assert plan.capture.readouterr().err.startswith(f"error: {words}")


@pytest.mark.parametrize(
    ("source", "likely"),
    [("none.jsonl", "there is no such file"), (".", "it is a folder"), ("a/b/c", "a typing mistake")],
)
@pytest.mark.parametrize("command", ["backfill", "retrain"])
def test_what_is_no_source_is_told(
    command: str, source: str, likely: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By every command that reads issues."""
    out = f"--out={tmp_path}" if command == "backfill" else f"--store={tmp_path}"
    assert main([command, f"--from={source}", out]) == 2
    assert capsys.readouterr().err == (
        f"error: {source!r} is neither a file nor of the form OWNER/NAME\n"
        f"  likely cause: {likely}\n"
        "  next step: check --from; - is the standard input\n"
    )


def test_issues_that_carry_their_labels_get_no_more_of_them(plan: Plan) -> None:
    """Of learnt issues only what is not there is planned; what the rules would not have set is told."""
    assert plan("--limit=40", file=LEARNT_FROM) == 0
    assert all(set(one.labels).isdisjoint(one.existing) for one in plan.entries)
    assert all(set(one.missed) <= set(one.existing) for one in plan.entries)
    assert len(plan.entries) == 40


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A file of issues 1 to 9, a day apart from 2026-01-01 on, of which some carry labels; 3 stands there twice."""
    labels = {2: ("bug",), 3: ("stale",), 5: ("docs", "bug"), 6: ("stale", "docs")}
    start = datetime(2026, 1, 1, tzinfo=UTC)
    issues = [
        Issue("o/r", n, f"Title {n}", "", start + timedelta(days=n - 1), labels=labels.get(n, ()))
        for n in range(1, 10)
    ]
    path = tmp_path / "issues.jsonl"
    twice = [Issue("o/r", 3, "Older", labels=("bug",)), *issues]
    path.write_text("".join(json.dumps(to_row(issue)) + "\n" for issue in twice), "utf-8")
    return path


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Selection(), [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (Selection(since=datetime(2026, 1, 4, tzinfo=UTC)), [4, 5, 6, 7, 8, 9]),
        (Selection(until=datetime(2026, 1, 4, tzinfo=UTC)), [1, 2, 3]),
        (Selection(labels=("bug", "x")), [2, 5]),
        (Selection(unlabelled=True), [1, 3, 4, 7, 8, 9]),
        (Selection(limit=3), [7, 8, 9]),
        (Selection(numbers=frozenset({2, 4, 77})), [2, 4]),
        (Selection(shard=(2, 3)), [1, 4, 7]),
        (Selection(unlabelled=True, limit=4, shard=(1, 2)), [4, 8]),
    ],
)
def test_a_file_is_filtered(
    rows: Path, wanted: Selection, numbers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each filter, in batches; a later row of an issue is the one that counts."""
    monkeypatch.setattr(past, "BATCH", 2)
    batches = list(of_file(FileRows(rows, "rows"), wanted, may_set).batches(""))
    found = [one.issue for batch in batches for one in batch.items]
    assert [issue.number for issue in found] == numbers
    assert all(issue.title != "Older" for issue in found)
    for i, batch in enumerate(batches):
        rest = [one.issue for later in batches[i + 1 :] for one in later.items]
        again = of_file(FileRows(rows, "rows"), wanted, may_set).batches(batch.place)
        assert [one.issue for more in again for one in more.items] == rest


@pytest.mark.parametrize(
    ("argv", "code", "error"),
    [
        (("--state=open",), 2, "a file does not say which issues are open"),
        (("--since=2030-01-01",), 5, "holds no such issue"),
        (("--shard=3/2",), 2, "there is no shard 3 of 2"),
        (("--shard=two",), 2, "'two' is not a shard"),
        (("--repo=o/other",), 5, "holds no such issue"),
    ],
)
def test_what_cannot_be_planned_is_said(plan: Plan, argv: tuple[str, ...], code: int, error: str) -> None:
    """With the exit code of its kind, and no plan."""
    assert plan(*argv) == code
    assert error in plan.capture.readouterr().err
    assert not plan.path.exists()


def test_a_file_of_several_repositories_needs_a_choice(plan: Plan, rows: Path) -> None:
    """A plan is for one."""
    rows.write_text(rows.read_text("utf-8") + NEW.read_text("utf-8"), "utf-8")
    assert plan(file=rows) == 2
    assert (
        f"holds issues of o/r and of {FERRY}; a plan is for one repository" in plan.capture.readouterr().err
    )
    assert plan("--repo", FERRY.upper(), file=rows) == 0
    assert (len(plan.entries), open_plan(plan.path).header.repo) == (12, FERRY)


def test_an_interrupted_plan_goes_on(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is missing is decided, and the plan is the same."""
    monkeypatch.setattr(past, "BATCH", 5)
    assert plan() == 0
    expected = plan.entries
    plan.path.unlink()
    asked: list[int] = []
    real = Planner.entries

    def until_stopped(self: Planner, items: tuple[PastIssue, ...]) -> list[Entry]:
        asked.append(len(items))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return real(self, items)

    monkeypatch.setattr(Planner, "entries", until_stopped)
    assert plan() == 130
    assert not plan.path.exists()
    assert plan() == 0
    assert (plan.entries, asked) == (expected, [5, 5, 5, 2])


def test_the_shards_make_the_whole(plan: Plan) -> None:
    """Merged, they are the plan that one run makes."""
    plan()
    whole = sorted(plan.entries, key=lambda one: one.number)
    for i in (1, 2, 3):
        assert plan(f"--shard={i}/3") == 0
    parts = [str(plan.folder / f"plan-{i}-of-3.jsonl") for i in (3, 1, 2)]
    plan.path.unlink()
    assert main(["backfill", "--merge", *parts, f"--out={plan.folder}"]) == 0
    assert sorted(plan.entries, key=lambda one: one.number) == whole


@pytest.fixture
def many(github: FakeGitHub, demo: Repository) -> Repository:
    """250 issues, every tenth of them closed, and two pull requests."""
    for number in range(1, 251):
        issue = demo.add_issue(f"Issue {number}")
        if number % 10 == 0:
            issue.close("maintainer")
    for _ in range(2):
        demo.add_issue("A change", pull=True)
    return demo


def numbers(batches: list[Batch]) -> list[int]:
    return [one.issue.number for batch in batches for one in batch.items]


@pytest.mark.parametrize(
    ("wanted", "pulls", "expected"),
    [
        (Selection(), False, list(range(250, 0, -1))),
        (Selection(), True, [*range(250, 0, -1), 252, 251]),
        (Selection(state="closed"), False, list(range(250, 0, -10))),
        (Selection(limit=120), False, list(range(250, 130, -1))),
        (Selection(shard=(1, 3)), False, list(range(249, 0, -3))),
        (Selection(limit=120, shard=(2, 2)), False, list(range(249, 130, -2))),
        (Selection(numbers=frozenset(range(60, 120)), state="open", limit=50), False, None),
    ],
)
def test_reading_github_goes_on_after_every_page(
    github: FakeGitHub, many: Repository, wanted: Selection, *, pulls: bool, expected: list[int] | None
) -> None:
    """From any page on, the rest is what was still to come: no issue twice, none left out."""
    tracker = tracker_of(github)

    def read(place: str) -> list[Batch]:
        return list(of_repository(tracker, wanted, may_set, place, KINDS if pulls else KINDS[:1]))

    batches = read("")
    expected = expected or [n for n in range(119, 59, -1) if n % 10][:50]
    assert numbers(batches) == expected
    for i, batch in enumerate(batches[:-1]):
        assert numbers(read(batch.place)) == numbers(batches[i + 1 :])


def test_a_plan_from_github_is_applied_as_the_action_does_it(step: Step, tmp_path: Path) -> None:
    """Plan, look, apply, by the inputs of the action; nothing is written before the last step.

    The plan is dated by GitHub's clock, many months from this machine's.
    """
    step.configure(CONFIG.read_text("utf-8"))
    folder = tmp_path / "triage"
    inputs = {"STORE": str(step.store), "FOLDER": str(folder), "ISSUES": "930-960"}
    for name, value in inputs.items():
        step.environment.setenv(f"INPUT_{name}", value)
    step.repository.issues[946].lock("maintainer")
    assert step.run("action", "backfill") == 0
    assert step.writes == []
    assert "issues of lanternfish&#45;io&#47;ferry" in step.summary
    plan = open_plan(folder / "plan.jsonl")
    assert parse_time(plan.header.created_at) == step.github.world.clock.now
    assert set(plan.header.colors.values()) == {"ededed"}
    entries = {one.number: one for one in plan.entries()}
    assert {number for number in step.repository.issues if number <= 960} == set(entries)
    assert (entries[946].locked, entries[STORAGE].locked) == (True, False)
    step.environment.setenv("INPUT_APPLY", "true")
    step.environment.delenv("INPUT_ISSUES")
    assert step.run("action", "backfill") == 0
    assert {n: tuple(i.label_names) for n, i in step.repository.issues.items() if n <= 960} == {
        number: one.labels for number, one in entries.items()
    }
    assert all(not issue.labels for number, issue in step.repository.issues.items() if number > 960)
    assert (folder / "plan.journal.jsonl").is_file()


def test_planning_survives_one_failure_of_every_request(
    step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Limits, outages, lost and cut answers leave no issue out of the plan and none in it twice."""
    monkeypatch.setattr(http, "time", SimpleNamespace(sleep=lambda _: None, monotonic=time.monotonic))
    argv = ("backfill", f"--from={FERRY}", f"--store={step.store}")
    plans = []
    for fault in (None, secondary_limit(1, status=429), outage(500), Drop("after")):
        step.github.faults.clear()
        struck = len(step.github.requests)
        if fault:
            step.github.faults.add(fault, times=None, when=once_each())
        folder = tmp_path / str(len(plans))
        assert step.run(*argv, f"--out={folder}") == 0
        assert sum(r.fault is not None for r in step.github.requests[struck:]) >= 4 * bool(fault)
        plans.append(list(open_plan(folder / "plan.jsonl").entries()))
    assert len(plans[0]) == 12
    assert all(plan == plans[0] for plan in plans)
    assert step.writes == []


def test_a_report_that_cannot_be_written_leaves_a_whole_plan(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    """The disk is full, or as here a folder stands in its place."""
    (plan.folder / "plan.html").mkdir()
    assert plan() == 5
    said = f"error: {plan.folder / 'plan.html'}: the report cannot be written (Is a directory)\n"
    assert said in capsys.readouterr().err
    assert len(plan.entries) == 12


def test_a_plan_from_descriptions_alone_says_so(desk: Desk, tmp_path: Path) -> None:
    """The store holds no bundle yet, so few labels are planned or none."""
    desk.issues(1)
    options = [f"--store=github:{DEMO}", f"--out={tmp_path}"]
    assert desk.run("backfill", f"--from={DEMO}", *options) == 0
    assert (
        f"warning: github:{DEMO} holds no active bundle: labels are judged by their descriptions alone. "
        "Next step: `triage retrain`\n" in desk.err
    )


def test_without_a_store_a_plan_says_what_it_is_from(desk: Desk, tmp_path: Path) -> None:
    """The option is easily forgotten, and most labels are missing then."""
    desk.issues(1)
    assert desk.run("backfill", f"--from={DEMO}", f"--out={tmp_path}") == 0
    assert desk.err == "no store was named (--store): labels are judged by their descriptions alone\n"


def test_where_no_issue_is_chosen_the_options_are_named(desk: Desk, trained: Trained, tmp_path: Path) -> None:
    """A misspelt label finds nothing."""
    desk.issues(1)
    options = [f"--store={trained.folder}", f"--out={tmp_path}", "--label=bgu", "--unlabelled"]
    assert desk.run("backfill", f"--from={DEMO}", *options) == 0
    assert desk.out.endswith("there is nothing to apply: no issue was chosen by label bgu, unlabelled\n")


def test_a_plan_for_issues_that_do_not_exist_is_refused(desk: Desk, trained: Trained) -> None:
    """It would be empty; where some exist, it is for these."""
    desk.issues(2)
    options = [f"--store={trained.folder}", f"--out={desk.folder}"]
    assert desk.run("backfill", f"--from={DEMO}", "--issue=98,99", *options) == 8
    assert desk.err.startswith(
        f"error: none of the issues 98-99 of {DEMO} was found\n"
        "  likely cause: there is no such number, or it was deleted or moved to another repository\n"
    )
    assert desk.run("backfill", f"--from={DEMO}", "--issue=1,99", *options) == 0
    assert "of 1 issues would get a label" in desk.out
