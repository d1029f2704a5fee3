"""Labelling talks to the API's host and to nobody else: every connection and every name asked for is watched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.live import STORAGE, Step

WATCHED = """
import json, socket, sys
seen = []
def watch(event, args):
    if event == "socket.connect" and args[0].family in (socket.AF_INET, socket.AF_INET6):
        seen.append(list(args[1][:2]))
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        seen.append([str(args[0]), args[1] if len(args) > 1 else None])
sys.addaudithook(watch)
from triage.cli import main
code = main(sys.argv[2:])
open(sys.argv[1], "w").write(json.dumps([code, seen]))
"""


def test_labelling_opens_no_connection_but_to_the_host_of_the_api(step: Step, tmp_path: Path) -> None:
    """In a process of its own, with every proxy and cache setting of this machine taken away."""
    step.happen(step.repository.issues[STORAGE])
    keep = {name: value for name, value in os.environ.items() if name.startswith(("GITHUB_", "PATH", "HOME"))}
    told = tmp_path / "seen.json"
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(told), "label", f"--store={step.store}"],
        env=keep,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    code, seen = json.loads(told.read_text("utf-8"))
    assert code == 0
    assert step.repository.issues[STORAGE].label_names == ["bug", "area: storage"]
    assert {tuple(address) for address in seen} == {("127.0.0.1", step.github.port)}


def test_a_file_of_issues_is_labelled_without_any_connection(step: Step, tmp_path: Path) -> None:
    """The models are on this machine."""
    told, sample = tmp_path / "seen.json", Path(__file__).parents[1] / "examples" / "sample" / "new.jsonl"
    argv = ["label", f"--file={sample}", f"--store={step.store}"]
    keep = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    subprocess.run(
        [sys.executable, "-c", WATCHED, str(told), *argv],
        env=keep,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        check=True,
    )
    assert json.loads(told.read_text("utf-8")) == [0, []]
