"""Issues without a label: those that no label fits get none, and those that nobody has labelled yet do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.sample import LEARNT_FROM
from triage.backfill.plan import open_plan
from triage.cli import main


def planned(folder: Path, keep: dict[int, list[str]], **others: object) -> dict[int, tuple[str, ...]]:
    """The labels that a backfill plans for the sample's issues without a label, where only `keep` are labelled.

    The `others` have these fields.
    """
    rows = [json.loads(line) for line in LEARNT_FROM.read_text("utf-8").splitlines()]
    rows = [
        {**row, "labels": keep[row["number"]]} if row["number"] in keep else {**row, "labels": [], **others}
        for row in rows
    ]
    source = folder / "issues.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert main(["retrain", f"--from={source}", f"--store={folder / 'store'}", "--adapt=none"]) == 0
    where = [f"--store={folder / 'store'}", f"--out={folder / 'out'}"]
    assert main(["backfill", f"--from={source}", *where, "--unlabelled"]) == 0
    return {entry.number: entry.labels for entry in open_plan(folder / "out" / "plan.jsonl").entries()}


def truth() -> dict[int, list[str]]:
    """The sample's labels."""
    rows = (json.loads(line) for line in LEARNT_FROM.read_text("utf-8").splitlines())
    return {row["number"]: row["labels"] for row in rows}


@pytest.mark.parametrize("names", [("bug",), ("bug", "enhancement"), ("documentation",)])
def test_who_labels_one_kind_alone_finds_the_others_left_alone(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    """Of the issues of another kind, which people left, hardly one gets a label."""
    known = {n: [x for x in labels if x in names] for n, labels in truth().items()}
    found = planned(tmp_path, {number: labels for number, labels in known.items() if labels})
    assert len(found) > 50
    assert sum(map(bool, found.values())) <= len(found) / 20


@pytest.mark.parametrize("count", [1, 9, 20, 60])
def test_whoever_begins_with_bugs_does_not_find_them_everywhere(tmp_path: Path, count: int) -> None:
    """Although nobody has looked at the other issues, so that nothing but the label's name tells what it means."""
    bugs = [number for number, labels in truth().items() if "bug" in labels]
    found = planned(tmp_path, {number: ["bug"] for number in bugs[:count]}, handled=False)
    told = [number for number, labels in found.items() if "bug" in labels]
    assert len(set(told) - set(bugs)) <= len(found) / 20
    assert len(set(told) & set(bugs)) >= len(set(bugs[count:])) / 4


def test_the_report_says_how_a_label_on_every_issue_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing shows what it does not mean."""
    rows = [json.loads(line) for line in LEARNT_FROM.read_text("utf-8").splitlines()]
    source = tmp_path / "bugs.jsonl"
    bugs = ({**row, "labels": ["bug"]} for row in rows if "bug" in row["labels"])
    source.write_text("".join(json.dumps(row) + "\n" for row in bugs), "utf-8")
    assert main(["retrain", f"--from={source}", f"--store={tmp_path / 'store'}", "--adapt=none"]) == 0
    out = capsys.readouterr().out
    assert "  labels         0 judged by votes, 1 by name and description\n" in out
    assert "by its description alone: hardly any learnt issue is without it" in out


def test_where_labelling_stopped_half_way_the_rest_gets_labels(tmp_path: Path) -> None:
    """Every other issue was labelled, whatever it is about: the others get labels that are right. So in turn."""
    found = dict[int, tuple[str, ...]]()
    for turn in (0, 1):
        folder = tmp_path / str(turn)
        folder.mkdir()
        found |= planned(folder, dict(list(truth().items())[turn::2]))
    right = sum(name in truth()[number] for number, names in found.items() for name in names)
    assert sum(map(bool, found.values())) >= len(found) / 3
    assert right >= 0.8 * sum(map(len, found.values()))
