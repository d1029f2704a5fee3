"""The workflow with a matrix of shards, its jobs run one after another: the plan is that of one runner."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.live import FERRY, Step
from tests.sample import CONFIG
from tests.workflows import ROOT, Workflow
from triage.backfill.plan import open_plan

EXAMPLES = ROOT / "examples" / "workflows"
INPUTS = {"issues": "", "since": ""}


def test_shards_of_a_matrix_make_the_plan_of_one_runner_and_it_is_applied(step: Step, tmp_path: Path) -> None:
    """Each job as its file says, with no more permissions than it names; nothing is written before the last one."""
    step.configure(CONFIG.read_text("utf-8"))
    assert step.run("bundle", "publish", f"--of={step.store}", f"--store=github:{FERRY}") == 0
    step.github.requests.clear()
    matrix = Workflow(EXAMPLES / "triage-backfill-matrix.yml", step.github, tmp_path, INPUTS)
    single = Workflow(EXAMPLES / "triage-backfill.yml", step.github, tmp_path, INPUTS)

    shards = matrix.runs_of("shard")
    assert [run["matrix.shard"] for run in shards] == [str(i + 1) for i in range(len(shards))]
    for run in shards:
        matrix.run("shard", run)
    matrix.run("plan", {})
    single.run("plan", {})
    assert step.writes == []

    merged, whole = (open_plan(each.artifacts / "triage-plan" / "plan.jsonl") for each in (matrix, single))
    expected = sorted(whole.entries(), key=lambda one: one.number)
    assert sorted(merged.entries(), key=lambda one: one.number) == expected
    assert (merged.header.shard, merged.header.bundle) == ("", whole.header.bundle)
    parts = [
        len(list(open_plan(path).entries())) for path in matrix.artifacts.glob("triage-shard-*/plan-*.jsonl")
    ]
    assert (len(parts), sum(parts)) == (len(shards), len(expected))
    assert all(parts)

    matrix.run("apply", {})
    labels = {number: tuple(issue.label_names) for number, issue in step.repository.issues.items()}
    assert labels == {one.number: one.labels for one in expected}
    assert (matrix.artifacts / "triage-journal-1" / "plan.journal.jsonl").is_file()

    # The same labels are removed by the workflow that undoes the run, from its artifact.
    inputs = {"run": "7", "attempt": "1", "dry-run": "false"}
    undoing = Workflow(EXAMPLES / "triage-undo.yml", step.github, tmp_path, inputs)
    shutil.copytree(matrix.artifacts, undoing.artifacts)
    undoing.run("undo", {})
    assert [number for number, issue in step.repository.issues.items() if issue.labels] == []


def test_both_workflows_apply_a_plan_in_the_same_way() -> None:
    """What is approved is carried out by one job, word for word."""
    jobs = [
        Workflow(EXAMPLES / name, None, Path(), {}).jobs["apply"]  # type: ignore[arg-type]  # nothing is run
        for name in ("triage-backfill.yml", "triage-backfill-matrix.yml")
    ]
    assert jobs[0] == jobs[1]
