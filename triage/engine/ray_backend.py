"""Work on many cores and machines by Ray (the extra `ray`), which is imported here only.

Work is sent as tasks of Ray Data, not to a pool of its actors: the processes that run tasks outlive a call and keep
the models they opened, while a pool is started again for every data set. Ray replaces a process that dies and runs its
task again.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from triage import __version__
from triage.engine.encoder import usable_cores
from triage.errors import ClusterError, TriageError, install

T = TypeVar("T")
R = TypeVar("R")

# Items of one task: about two seconds of encoding, which is lost when a worker dies.
PART = 64
# Items for each worker between two savings of results; at 40 items a second a killed run loses under a minute.
ROUND = 1_000
# A task that fails is given to another worker this many times.
RETRIES = 3
SECONDS = 10.0
# No usage statistics are sent; connecting to a wrong address fails within two minutes. The processes of a cluster that
# runs already do not get these: their telemetry of onnxruntime is off because unpickling a task imports this package.
ENVIRONMENT = {
    "ORT_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_NUM_REDIS_GET_RETRIES": "2",
}


@dataclass(frozen=True)
class Parcel:
    """A value that Ray Data sends unchanged; it converts plain lists to columns."""

    content: Any


class RemoteJob(Generic[T, R]):
    """A job that the workers of a cluster have received."""

    def __init__(self, job: Callable[[Sequence[T]], Sequence[R]]) -> None:
        import ray

        self._order = ray.put(job)

    def __call__(self, items: Sequence[T], *, progress: Callable[[int], None] | None = None) -> list[R]:
        """The results in the order of the items; `progress` gets the number done.

        Raises the TriageError that the job raises, and ClusterError where it fails RETRIES + 1 times.
        """
        results: dict[int, list[R]] = {}
        done = 0
        for at, answer in self._answers([items[i : i + PART] for i in range(0, len(items), PART)]):
            if isinstance(answer, TriageError):
                raise answer
            results[at] = answer
            done += len(answer)
            if progress:
                progress(done)
        return [result for at in sorted(results) for result in results[at]]

    def _answers(self, parts: Sequence[Sequence[T]]) -> Iterator[tuple[int, list[R] | TriageError]]:
        import ray

        if not parts:
            return
        rows = [{"at": i, "parcel": Parcel(list(part))} for i, part in enumerate(parts)]
        try:
            with warnings.catch_warnings():
                # The only way to bound retries before Ray 2.64, which pyproject.toml excludes.
                warnings.simplefilter("ignore", DeprecationWarning)
                answers = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
                    _work,
                    fn_kwargs={"order": self._order, "version": __version__},
                    num_cpus=1,
                    max_retries=RETRIES,
                )
            for row in answers.iter_rows():
                yield row["at"], row["parcel"].content
        except ray.exceptions.RayError as error:
            raise said_by_ray(error, RETRIES) from error


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster that this process is connected to, with one of `workers` for each processor core."""

    workers: int

    @property
    def round(self) -> int:
        """The number of items to process between two savings of results."""
        return ROUND * self.workers

    def hire(self, job: Callable[[Sequence[T]], Sequence[R]]) -> RemoteJob[T, R]:
        """Send the job to each machine once; each result must depend on its own item only."""
        return RemoteJob(job)


@contextmanager
def connected(address: str = "") -> Iterator[Cluster]:
    """The cluster at HOST:PORT, or the one that this machine belongs to ("auto"); "" starts one on this machine.

    Raises ClusterError where it cannot be reached or runs another version.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    host, colon, port = address.rpartition(":")
    if colon:
        # Ray itself would wait for minutes without a message.
        try:
            socket.create_connection((host, int(port)), SECONDS).close()
        except OSError as error:
            raise refused(address, error, "") from error
    import ray
    import ray.data

    # Messages of Ray's threads about workers must not mix with a command's output.
    with redirect_stdout(sys.stderr):
        try:
            _connect(address)
            yield Cluster(max(1, int(ray.cluster_resources().get("CPU", 1))))
        finally:
            ray.shutdown()


def _connect(address: str) -> None:
    import ray

    alone: dict[str, Any] = {} if address else {"num_cpus": usable_cores(), "include_dashboard": False}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.CRITICAL, **alone)
    except (ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:
        raise refused(address, error, ray.__version__) from error
    # Errors and progress are reported by this program.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    ray.data.DataContext.get_current().enable_progress_bars = False


def _work(row: dict[str, Any], order: Any, version: str) -> dict[str, Any]:
    """In a worker: the results of a part, or the TriageError that was raised."""
    answer: list[Any] | TriageError
    try:
        if version != __version__:
            raise ClusterError(
                f"a worker has triage {__version__}, and this is {version}",
                likely="the machines of the cluster were not updated together",
                next_step=f"install {version} everywhere: {install('ray')}",
            )
        answer = list(_received(order)(row["parcel"].content))
    except TriageError as error:
        answer = error
    return {"at": row["at"], "parcel": Parcel(answer)}


@functools.lru_cache(maxsize=2)
def _received(order: Any) -> Callable[[Sequence[Any]], Sequence[Any]]:
    import ray

    try:
        job: Callable[[Sequence[Any]], Sequence[Any]] = ray.get(order)
    except ray.exceptions.RaySystemError as error:
        # Ray wraps what is raised while a value is unpickled.
        if isinstance(error.client_exc, TriageError):
            raise error.client_exc from None
        raise
    return job


# Errors of Ray, by name, that say that a process or a machine died during a task.
DEATHS = {"WorkerCrashedError", "NodeDiedError", "OutOfMemoryError", "LocalRayletDiedError", "ActorDiedError"}


def refused(address: str, error: Exception, ours: str) -> ClusterError:
    """The error for the cluster at `address` ("": of this machine), which Ray version `ours` cannot use."""
    text = str(error)
    rays, pythons = re.findall(r"Ray: (\S+)", text), re.findall(r"Python: (\d+\.\d+)", text)
    if "ersion mismatch" in text and rays[:1] == [ours] and len(set(pythons)) == 2:
        return ClusterError(
            f"the cluster runs Python {pythons[0]}, and this is Python {pythons[1]}",
            likely="Ray needs the same Python on all machines",
            next_step=f"use Python {pythons[0]} here",
        )
    if "ersion mismatch" in text and rays:
        return ClusterError(
            f"the cluster at {address} runs Ray {rays[0]}, and this is Ray {ours}",
            likely="Ray needs the same version on all machines",
            next_step=f'pip install "ray[data]=={rays[0]}" here, or install Ray {ours} on the cluster',
        )
    if not address:
        return ClusterError(
            f"Ray does not start on this machine: {_first_line(error)}",
            likely="too little memory, or /dev/shm or /tmp cannot be written",
            next_step="omit --engine: this machine's cores are used without Ray too",
        )
    return ClusterError(
        f"no Ray cluster answers at {address}: {_first_line(error)}",
        likely="it is not running, the port is not that of `ray start --head` (6379), this machine is not part of it, "
        "or it asks for a token (RAY_AUTH_MODE=token)",
        next_step="run the command where `ray status` answers, with --engine ray://auto",
    )


def said_by_ray(error: Exception, retries: int) -> Exception:
    """The ClusterError for a task that failed; the error itself if it is a defect of this program."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & DEATHS:
        return ClusterError(
            f"the same task was run {retries + 1} times, and each time its worker died",
            likely="the machine is short of memory, or its processor lacks what onnxruntime needs",
        )
    if missing := re.search(r"No module named '([\w.]+)'", str(error)):
        return ClusterError(
            f"a worker has no Python module {missing[1]}",
            likely="triage is not installed on every machine of the cluster",
            next_step=f"there, in the same version: {install('ray')}",
        )
    if "RayTaskError" in names:
        return error
    return ClusterError(f"the cluster failed: {_first_line(error) or type(error).__name__}")


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")[:300]
