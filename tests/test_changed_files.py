"""Pull requests whose labels nothing but their changed files tells: collected, learnt, set, planned."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.backfilling import FAST
from tests.fake_github.issue import Issue as FakeIssue
from tests.learning import HOME, active
from tests.live import FERRY, Step
from tests.sample import CONFIG
from triage.decide.rules import UNFAMILIAR
from triage.engine.head import STARTS
from triage.issue import FILES_LEARNT

# Titles that say nothing, the same ones under both labels.
TITLES = ("Update", "Small fixes", "Follow-up", "As discussed", "Clean up")
FILES = {
    "documentation": ("docs/manual/{}.md", "docs/index.md"),
    "area: cli": ("src/cli/{}.go", "src/cli/{}_test.go"),
}
OPENED = datetime(2024, 3, 1, tzinfo=UTC)
KINDS = (
    "act: {pull_requests: true}\nlearn: {pull_requests: true, min_new: 1, trusted_bots: [ferry-ci-robot]}\n"
)
RETRAIN = ("retrain", f"--from={FERRY}", f"--store={HOME}", "--adapt=head")


def changed(label: str, i: int) -> list[str]:
    """The files of a pull request that gets this label."""
    return [path.format(f"part{i}") for path in FILES[label]]


@pytest.fixture
def pulls(past: Step) -> Step:
    """The sample's repository with thirty pull requests of each label, as old as its issues."""
    past.configure(CONFIG.read_text("utf-8") + KINDS)
    for i in range(60):
        label, at = list(FILES)[i % 2], OPENED + i * timedelta(days=11)
        pull = past.repository.add_issue(TITLES[i % 5], "", f"writer-{i}", pull=True, number=3001 + i, at=at)
        pull.files = changed(label, i)
        pull.add_labels([label], "marit-oh", at=at + timedelta(hours=1))
    past.github.requests.clear()
    return past


def opened(step: Step, number: int, files: list[str], title: str = "Update") -> FakeIssue:
    """A new pull request, whose event starts the workflow."""
    pull = step.repository.add_issue(title, "", "somebody", pull=True, number=number)
    pull.files = files
    step.happen(pull)
    return pull


def test_files_teach_labels_that_no_title_tells(pulls: Step) -> None:
    """A dry run, a run, another run, a person's hand, a plan, its undoing: as for every other label."""
    cache = pulls.folder / "cache"
    assert pulls.run(*RETRAIN, f"--cache={cache}") == 0
    # Pages of pull requests bring the files, which stay with what was collected.
    asked = [str(r.body) for r in pulls.github.requests]
    assert [sum(f"query {name}(" in body for body in asked) for name in ("PullRequests", "MoreFiles")] == [
        1,
        0,
    ]
    lines = [line for file in cache.rglob("issues-*.jsonl") for line in file.read_text("utf-8").splitlines()]
    assert {row["number"]: row.get("files") for row in map(json.loads, lines)}[3008] == changed(
        "area: cli", 7
    )
    bundle = active(pulls)
    assert (bundle.head["buckets"] >= STARTS[-2]).any()
    assert bundle.rules.files == FILES_LEARNT
    assert {number for _, number in bundle.rows.keys} >= set(range(3001, 3061))
    manual = opened(pulls, 4001, changed("documentation", 77))
    pulls.github.requests.clear()
    assert pulls.run("label", f"--store={HOME}", "--dry-run") == 0
    assert pulls.outputs["would-label"] == {"4001": ["documentation"]}
    assert (pulls.writes, manual.label_names) == ([], [])
    for _ in range(2):
        assert pulls.run("label", f"--store={HOME}") == 0
        assert manual.label_names == ["documentation"]
    assert pulls.writes == ["mutation addLabelsToLabelable"]
    manual.remove_labels(["documentation"], "marit-oh")
    assert pulls.run("label", f"--store={HOME}", "--issue=4001") == 0
    assert manual.label_names == []

    # The same title with other files, more than GitHub lists at once: the first hundred are enough.
    command = opened(pulls, 4002, [f"src/cli/deep/{i}.go" for i in range(300)])
    pulls.github.requests.clear()
    assert pulls.run("label", f"--store={HOME}") == 0
    assert command.label_names == ["area: cli"]
    assert [r for r in pulls.github.requests if "MoreFiles" in str(r.body)] == []
    requests = len(pulls.github.requests)

    # The same title without files gives nothing to judge by; an issue costs as many requests.
    for number, pull in ((4003, True), (4004, False)):
        silent = pulls.repository.add_issue("Update", "", "somebody", pull=pull, number=number)
        pulls.happen(silent)
        pulls.github.requests.clear()
        assert pulls.run("label", f"--store={HOME}") == 0
        assert (silent.label_names, len(pulls.github.requests)) == ([], requests - 1)
        assert "its text says nothing to judge by" in pulls.out

    folder = pulls.folder / "plan"
    late = opened(pulls, 4005, changed("documentation", 78), "Small fixes")
    source = (f"--from={FERRY}", f"--store={HOME}", f"--out={folder}", "--issue=4005")
    assert pulls.run("backfill", *source) == 0
    assert pulls.run("backfill", f"--apply={folder / 'plan.jsonl'}", FAST) == 0
    assert late.label_names == ["documentation"]
    assert pulls.run("undo", str(folder / "plan.journal.jsonl"), FAST) == 0
    assert late.label_names == []


@pytest.mark.parametrize("read", [True, False])
def test_an_evaluation_counts_files_as_labelling_does(pulls: Step, read: bool) -> None:
    """Where nothing but files tells labels, the product finds them all, and without files it does not."""
    rows, config, out = (pulls.folder / name for name in ("rows.jsonl", "triage.yml", "evaluation"))
    config.write_text(f"learn: {{pull_requests: {str(read).lower()}}}\n", "utf-8")
    labels = list(FILES)
    past = [
        {"repo": FERRY, "body": "", "number": i + 1, "title": f"{TITLES[i % 5]} {i}", "author": f"writer-{i}"}
        | {"labels": [labels[i % 2]], "created_at": (OPENED + timedelta(days=i)).isoformat()}
        | ({"is_pull_request": True, "files": changed(labels[i % 2], i)} if read else {})
        for i in range(120)
    ]
    rows.write_text("".join(json.dumps(row) + "\n" for row in past), "utf-8")
    options = (f"--from={rows}", f"--config={config}", f"--out={out}", "--methods=adapted", "--slices=60")
    assert pulls.run("evaluate", *options) == 0
    (run,) = json.loads((out / "results.json").read_text("utf-8"))["runs"]
    assert (run["one"]["micro_f1"] > 0.9) == read


def test_a_title_like_no_other_is_no_reason_where_files_tell(pulls: Step) -> None:
    """The encoder knows nothing of files, so that it is asked about texts alone; nor are duplicates looked for."""
    assert pulls.run(*RETRAIN) == 0
    title = "Renew the licence headers"
    same = opened(pulls, 4001, changed("documentation", 77), title)
    assert pulls.run("label", f"--store={HOME}") == 0
    assert same.label_names == ["documentation"]
    # Without files, the same title tells nothing.
    silent = opened(pulls, 4002, [], title)
    assert pulls.run("label", f"--store={HOME}") == 0
    assert silent.label_names == []
    assert UNFAMILIAR in pulls.out
    # Thirty pull requests of this title were learnt.
    again = opened(pulls, 4003, changed("area: cli", 79))
    assert pulls.run("label", f"--store={HOME}") == 0
    assert (again.label_names, pulls.outputs["duplicates"]) == (["area: cli"], {})


def test_rows_of_a_file_teach_by_their_files_too(pulls: Step) -> None:
    """As `gh pr list --json files` prints them; without files, the same title gets nothing."""
    rows, config, store = (pulls.folder / name for name in ("rows.jsonl", "triage.yml", "own"))
    config.write_text(KINDS, "utf-8")
    base = {"repo": FERRY, "body": "", "is_pull_request": True}
    labels = list(FILES)
    past = [
        base
        | {"number": i + 1, "title": TITLES[i % 5], "labels": [labels[i % 2]], "author": f"writer-{i}"}
        | {"files": [{"path": path} for path in changed(labels[i % 2], i)]}
        | {"created_at": (OPENED + timedelta(days=i)).isoformat()}
        for i in range(100)
    ]
    rows.write_text("".join(json.dumps(row) + "\n" for row in past), "utf-8")
    assert pulls.run("retrain", f"--from={rows}", f"--store={store}", f"--config={config}") == 0
    new = [base | {"title": "Update", "files": changed("documentation", 500)}, base | {"title": "Update"}]
    rows.write_text("".join(json.dumps(row) + "\n" for row in new), "utf-8")
    options = (f"--from={rows}", f"--store={store}", f"--config={config}", "--json")
    assert pulls.run("label", *options) == 0
    first, second = map(json.loads, pulls.out.splitlines())
    assert (first["labels"], second["labels"]) == (["documentation"], [])
    assert second["reason"].startswith("its text says nothing to judge by")
