"""`--json`: one value on standard output and nothing else, for every command whose result a program may want."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.backfilling import Desk, entry
from tests.fake_github.fixtures import DEMO
from tests.learning import RETRAIN
from tests.live import FERRY, Step
from tests.sample import LEARNT_FROM, Trained
from triage.cli import main


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    """The whole of standard output, as JSON."""
    return json.loads(capsys.readouterr().out)


def test_a_retraining_reports_its_bundle_labels_and_gate(past: Step) -> None:
    """Then, with nothing new, that there was nothing to do."""
    assert past.run(*RETRAIN, "--json") == 0, past.err
    report = json.loads(past.out)
    assert report["bundle"] == re.findall(r"bundle<<.*\n(.*)", (past.folder / "output").read_text("utf-8"))[0]
    assert report["state"] == "active"
    assert report["gate"]["objections"] == []
    assert report["labels"]["bug"]["set"].startswith("from ")
    assert report["manifest"]["labels"] == len(report["labels"])
    assert past.run(*RETRAIN, "--json") == 0
    assert json.loads(past.out) == {
        "bundle": None,
        "active": report["bundle"],
        "new_issues": 0,
        "min_new": 5,
    }


def test_the_labels_are_told_on_the_terminal_as_in_the_summary(trained: Trained) -> None:
    """With their examples, and what sets them."""
    table = trained.out.partition("\n\n")[2].splitlines()
    assert table[0].split("  ")[1:2] == ["label"]
    assert [line.split()[0] for line in table[1:3]] == ["bug", "area:"]


def test_a_check_reports_its_findings_and_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each as fine, wrong or doubtful."""
    config = tmp_path / "triage.yml"
    config.write_text("labels: {allow: [bug], deny: [bug]}\n", "utf-8")
    assert main(["check", f"--config={config}", "--json"]) == 4
    found = told(capsys)
    assert found["code"] == 4
    assert [one["finding"] for one in found["findings"]] == ["fine", "wrong"]
    assert "nothing can be set" in found["findings"][1]["text"]


def test_the_models_of_this_machine_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """With their size in bytes."""
    assert main(["models", "list", "--json"]) == 0
    found = {model["name"]: model for model in told(capsys)}
    assert found["issue-encoder"]["bytes"] > 1_000_000


def test_a_plan_is_reported_with_its_files_and_totals(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the report has them."""
    out = f"--out={tmp_path}"
    argv = ["backfill", f"--from={LEARNT_FROM}", f"--store={trained.folder}", "--limit=5", out, "--json"]
    assert main(argv) == 0
    found = told(capsys)
    assert Path(found["plan"]) == tmp_path / "plan.jsonl"
    assert (found["issues"], found["planned"]) == (5, sum(one["planned"] for one in found["labels"].values()))


def test_an_applied_plan_is_reported_issue_by_issue_and_so_is_a_dry_run_of_it(desk: Desk) -> None:
    """What was not done has another name."""
    desk.issues(1)
    desk.plan(entry(1, "bug"))
    for options, done, named in (
        (("--dry-run",), "would be labelled", "would-label"),
        ((), "labelled", "labels"),
    ):
        assert desk.apply("--json", *options) == 0
        found = json.loads(desk.out)
        assert (found["repo"], found["total"], found[done]) == (DEMO, 1, 1)
        assert found["dry_run"] == bool(options)
        assert [(one["number"], one[named]) for one in found["issues"]] == [(1, ["bug"])]
    assert desk.undo("--json") == 0
    assert json.loads(desk.out)["undone"] == 1


def test_an_error_leaves_standard_output_empty(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Its words are on standard error, as ever; the exit code tells."""
    assert main(["bundle", "show", f"--store={tmp_path}", "--json"]) == 7
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: {tmp_path} has no active bundle")


@pytest.mark.usefixtures("ferry")
def test_an_issue_left_alone_is_json_too(step: Step) -> None:
    """No line is plain text."""
    assert step.label(f"--repo={FERRY}", "--issue=938,99999", "--json") == 0
    assert [sorted(json.loads(line))[-1] for line in step.out.splitlines()] == ["text_version", "repo"]
