"""Labelling talks to the API's host and to nobody else: every connection and every name asked for is watched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lacking import lack
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
    argv = ["label", f"--from={sample}", f"--store={step.store}"]
    keep = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    subprocess.run(
        [sys.executable, "-c", WATCHED, str(told), *argv],
        env=keep,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        check=True,
    )
    assert json.loads(told.read_text("utf-8")) == [0, []]


ROOT = Path(__file__).parents[1]
ENCODED = """
import sys, time
from triage.engine.encoder import Encoder
Encoder.load().encode(["ferry push fails"])
time.sleep(float(sys.argv[1]))
"""


def test_loading_the_encoder_leaves_nothing_of_telemetry_at_home(tmp_path: Path) -> None:
    """onnxruntime keeps a device id and a queue of events in ~/.cache; a user's own setting does not matter."""
    for setting in ({}, {"ORT_DISABLE_TELEMETRY": "0"}):
        keep = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **setting}
        subprocess.run([sys.executable, "-c", ENCODED, "0"], env=keep, cwd=ROOT, check=True)
        assert list(tmp_path.rglob("*")) == []


def test_native_code_looks_up_no_name_and_opens_no_connection(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """The first report would leave ten seconds after the start; Python's audit hooks do not see it."""
    if not shutil.which("strace"):
        lack(pytestconfig, "--no-strace", "strace is not installed")
    trace = tmp_path / "trace"
    watched = ["strace", "-f", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", str(trace)]
    keep = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}
    subprocess.run([*watched, sys.executable, "-c", ENCODED, "13"], env=keep, cwd=ROOT, check=True)
    assert [
        line for line in trace.read_text("utf-8").splitlines() if "AF_INET" in line or "send" in line
    ] == []
