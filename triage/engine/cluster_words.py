"""What Ray says when it fails, in words that lead on. No import of Ray: errors are told apart by their names."""

from __future__ import annotations

import re

from triage.errors import ClusterError

# A process or a machine ended under a task, by itself or for lack of memory.
DEATHS = {"WorkerCrashedError", "NodeDiedError", "OutOfMemoryError", "LocalRayletDiedError", "ActorDiedError"}
LINE = 300


def refused(address: str, error: Exception, ours: str) -> ClusterError:
    """Why the cluster at `address` ("" is one of this machine) cannot be used by Ray `ours`."""
    text = str(error)
    versions = re.findall(r"Ray: (\S+)", text)
    if "ersion mismatch" in text and versions:
        return _another_version(address, text, versions[0], ours)
    if not address:
        return ClusterError(
            f"Ray does not start on this machine: {first_line(text)}",
            likely="too little memory, or /dev/shm or /tmp cannot be written",
            next_step="leave --engine out: this machine's cores are used without Ray, too",
        )
    return ClusterError(
        f"no Ray cluster answers at {address}: {first_line(text)}",
        likely="it is not running; the port is not that of `ray start --head` (6379; 10001 is Ray Client's); this "
        "machine is not part of it; or it asks for a token (RAY_AUTH_MODE=token)",
        next_step="run the command on a machine of the cluster, where `ray status` answers, "
        "with --engine ray://auto",
    )


def said_by_ray(error: Exception, retries: int) -> Exception:
    """Why a task failed; the error itself where it is a defect of ours."""
    names = {each.__name__ for each in type(error).__mro__}
    if names & DEATHS:
        return ClusterError(
            f"the same work was given out {retries + 1} times, and each time its worker died",
            likely="the machine is short of memory, or its processor lacks what onnxruntime needs",
            next_step="look at `ray status` and the memory of the machines, then run the same command again: "
            "what was done is kept",
        )
    if missing := re.search(r"No module named '([\w.]+)'", str(error)):
        return ClusterError(
            f"a worker has no Python module {missing[1]}",
            likely="triage is not installed on every machine of the cluster",
            next_step='there: pip install "triage[ray]", in the same version',
        )
    if "RayTaskError" in names:
        return error
    return ClusterError(f"the cluster failed: {first_line(str(error)) or type(error).__name__}")


def first_line(text: str) -> str:
    """The first line with something on it, cut to a bearable length."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")[:LINE]


def _another_version(address: str, text: str, theirs: str, ours: str) -> ClusterError:
    python = re.findall(r"Python: (\d+\.\d+)", text)
    if theirs == ours and len(set(python)) == 2:
        return ClusterError(
            f"the cluster runs Python {python[0]}, and this is Python {python[1]}",
            likely="its machines were set up with another image",
            next_step=f"use Python {python[0]} here, as Ray wants the same everywhere",
        )
    return ClusterError(
        f"the cluster at {address} runs Ray {theirs}, and this is Ray {ours}",
        likely="one of the two was brought up to date and the other was not",
        next_step=f'pip install "ray[data]=={theirs}" here, or bring the cluster to {ours}',
    )
