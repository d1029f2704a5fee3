"""`make demo-github` tells its story to the end, and the story is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.fake_github.graphql import GraphQL
from tests.fake_github.validate import OpenApi

ROOT = Path(__file__).parents[1]


def test_one_issue_is_followed_through_a_repository(published: tuple[OpenApi, GraphQL]) -> None:
    """The label arrives, a person removes it, it stays away; retraining, a backfill, and undo."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fake_github.demo", "--fast"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    parts = dict(re.findall(r"(?s)^── (.*?)\n(.*?)(?=^── |\Z)", done.stdout, re.MULTILINE))
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
    assert re.search(r"┃ It sets \d+ of 12 labels, on \d+% of issues, \d+ in 10 right", parts["A repository"])
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
    assert len(labels) == 8
    assert any(label != "no label" for label in labels)
    assert re.findall(r"  #\d+ .{60}  (.*)", parts["Undo"]) == ["area: storage", *["no label"] * 8]
