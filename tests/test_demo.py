"""`make demo-github` tells its story to the end, and the story is true."""

from __future__ import annotations

import os
import re
import runpy
import sys
from unittest import mock

import pytest


@pytest.mark.usefixtures("published", "trained")  # the specifications, and what the models answered
def test_one_issue_is_followed_through_a_repository(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The label arrives, a person removes it, it stays away; retraining, a backfill, and undo."""
    monkeypatch.setattr(sys, "argv", ["demo", "--fast"])
    with mock.patch.dict(os.environ), pytest.raises(SystemExit) as end:
        runpy.run_module("tests.fake_github.demo", run_name="__main__")
    out, err = capsys.readouterr()
    assert end.value.code == 0, err
    parts = dict(re.findall(r"(?s)^── (.*?)\n(.*?)(?=^── |\Z)", out, re.MULTILINE))
    assert list(parts) == [
        "A repository",
        "Somebody opens an issue",
        "A person disagrees",
        "The week after",
        "The backlog",
        "Undo",
        "That is all",
    ]
    assert "is active" in parts["A repository"]
    assert re.search(
        r"┃ It sets \d+ of 12 labels, on \d+% of issues, (more than )?\d+ in 10 right", parts["A repository"]
    )
    opened = parts["Somebody opens an issue"]
    [number] = re.findall(r"ferry#(\d+): bug, area: storage", opened)
    assert f"┃ #{number} got bug area: storage\n" in opened
    assert re.search(r"┃ \d+ of the \d+ most similar issues are bug, \d+ area: storage\.", opened)
    assert re.search(rf"  #{number} .* +bug, area: storage\n", opened)
    assert "removes the label “bug”" in parts["A person disagrees"]
    assert "a person has set or removed labels on it" in parts["A person disagrees"]
    assert re.search(rf"  #{number} .* {{2}}area: storage\n", parts["A person disagrees"])
    assert "bundle 2026" in parts["The week after"]
    labels = re.findall(r"  #\d+ .{60}  (.*)", parts["The backlog"])
    assert len(labels) == 9
    assert any(label != "no label" for label in labels)
    assert re.findall(r"  #\d+ .{60}  (.*)", parts["Undo"]) == ["area: storage", *["no label"] * 9]
