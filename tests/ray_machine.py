"""A Ray with two workers to test with, one of which can be killed at its work."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

# What the command line of a process says while it works for us.
AT_WORK = b"ray::Map(_work)"
STAY = 60.0


@dataclass(frozen=True)
class Machine:
    """A Ray with two workers in processes of its own, which all belong to one session."""

    address: str
    session: int

    def processes(self, title: bytes = b"") -> list[int]:
        """Those whose command line begins so."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                session = int((folder / "stat").read_text().rpartition(")")[2].split()[3])
                if session == self.session and (folder / "cmdline").read_bytes().startswith(title):
                    found.append(int(folder.name))
            except OSError:  # it ended meanwhile
                continue
        return found

    def kill_one_at_work(self) -> int:
        """Wait until a worker has begun with a task, and end it at once."""
        until = time.monotonic() + STAY
        while not (found := self.processes(AT_WORK)):
            assert time.monotonic() < until, "no worker began"
            time.sleep(0.01)
        os.kill(found[0], signal.SIGKILL)
        return found[0]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def no_token() -> Iterator[None]:
    """No test writes a token into the home of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield


@pytest.fixture(scope="module")
def machine(no_token: None) -> Iterator[Machine]:
    """Started once for a file of tests."""
    # Ray's sockets lie in it, and a socket's path is short.
    folder, port = tempfile.mkdtemp(prefix="triage-ray-", dir="/tmp"), free_port()
    options = [
        "--head",
        "--num-cpus=2",
        "--include-dashboard=false",
        "--node-ip-address=127.0.0.1",
        "--block",
    ]
    start = "import sys; from ray.scripts.scripts import main; sys.exit(main())"
    head = subprocess.Popen(
        [sys.executable, "-c", start, "start", *options, f"--port={port}", f"--temp-dir={folder}"],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    there = Machine(f"127.0.0.1:{port}", head.pid)
    try:
        assert head.stdout is not None
        said = iter(head.stdout.readline, b"")
        assert any(b"Ray runtime started" in line for line in said)
        yield there
    finally:
        for process in there.processes():
            os.kill(process, signal.SIGKILL)
        head.wait(STAY)
        if head.stdout:
            head.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)
