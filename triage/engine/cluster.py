"""The only home of Ray (the extra `ray`): one piece of work done by the processes of many cores and machines.

Work goes out as tasks of Ray Data, not to a pool of its actors: the processes that run tasks outlive a call and keep
the models they opened, where a pool is started anew for every data set. A process that dies is replaced by another,
and its task is given to that one.
"""

from __future__ import annotations

import functools
import logging
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from triage import __version__
from triage.engine.cluster_words import refused, said_by_ray
from triage.engine.encoder import usable_cores
from triage.errors import ClusterError, TriageError

T = TypeVar("T")
R = TypeVar("R")
T_contra = TypeVar("T_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)

# Items of one task: some two seconds of encoding, which is what the death of a worker costs.
PART = 64
# Items that a worker gets before what is done is saved; at some 40 a second a killed run loses under a minute.
ROUND = 1_000
# So often is a task given to another worker.
RETRIES = 3
SECONDS = 10.0
# Nothing is told to Ray's makers; a wrong address is given up within a minute or two.
ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_NUM_REDIS_GET_RETRIES": "2"}


class Job(Protocol[T_contra, R_co]):
    """What is to be done, as a value that travels; a worker opens it once."""

    def open(self) -> Callable[[Sequence[T_contra]], Sequence[R_co]]:
        """What turns items into as many results, each of them of its item alone."""
        ...


@dataclass(frozen=True)
class Parcel:
    """What travels as it is: of plain lists Ray Data would make columns of its own kinds."""

    content: Any


class Hired(Generic[T, R]):
    """A job that the workers of a cluster know."""

    def __init__(self, job: Job[T, R]) -> None:
        import ray

        self._order = ray.put(job)

    def __call__(self, items: Sequence[T], *, progress: Callable[[int], None] | None = None) -> list[R]:
        """The results, in the order of the items; `progress` gets how many are there.

        Raises what the job does, and ClusterError where a task fails again and again.
        """
        found: dict[int, list[R]] = {}
        done = 0
        for at, answer in self._answers([items[i : i + PART] for i in range(0, len(items), PART)]):
            if isinstance(answer, TriageError):
                raise answer
            found[at] = answer
            done += len(answer)
            if progress:
                progress(done)
        return [result for at in sorted(found) for result in found[at]]

    def _answers(self, parts: Sequence[Sequence[T]]) -> Iterator[tuple[int, list[R] | TriageError]]:
        import ray

        if not parts:
            return
        rows = [{"at": i, "parcel": Parcel(list(part))} for i, part in enumerate(parts)]
        try:
            with warnings.catch_warnings():
                # The one way to bound retries until Ray 2.64, which pyproject.toml leaves out.
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
    """A Ray that this process is connected to; each of its `workers` (processor cores) does one task at a time."""

    workers: int

    @property
    def round(self) -> int:
        """How many items are best handed over together."""
        return ROUND * self.workers

    def hire(self, job: Job[T, R]) -> Hired[T, R]:
        """Make the job known to the workers; its data travel to each machine once."""
        return Hired(job)


@contextmanager
def connected(address: str = "") -> Iterator[Cluster]:
    """The cluster at HOST:PORT, or that which this machine is part of ("auto"); "" starts one of this machine alone.

    Raises ClusterError where it cannot be reached, or is of another version.
    """
    os.environ.update({name: value for name, value in ENVIRONMENT.items() if name not in os.environ})
    _check_address(address)
    import ray
    import ray.data

    # What Ray's threads print about workers must not mix with what a command answers.
    with redirect_stdout(sys.stderr):
        try:
            _connect(address)
            yield Cluster(max(1, int(ray.cluster_resources().get("CPU", 1))))
        finally:
            ray.shutdown()


def _connect(address: str) -> None:
    import ray

    alone: Mapping[str, Any] = {"num_cpus": usable_cores(), "include_dashboard": False}
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            **({} if address else alone),
        )
    except (ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:
        raise refused(address, error, ray.__version__) from error
    # Failures are told in our words, progress by our bar.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    ray.data.DataContext.get_current().enable_progress_bars = False


def _check_address(address: str) -> None:
    """Ray itself would wait for minutes, and tell nothing."""
    host, colon, port = address.rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host, int(port)), SECONDS).close()
    except OSError as error:
        raise refused(address, error, "") from error


def _work(row: dict[str, Any], order: Any, version: str) -> dict[str, Any]:
    """In a worker: the answer to a part; an error that we have words for is an answer too."""
    return {"at": row["at"], "parcel": Parcel(_answer(row["parcel"].content, order, version))}


def _answer(part: Sequence[Any], order: Any, version: str) -> list[Any] | TriageError:
    if version != __version__:
        return ClusterError(
            f"a worker has triage {__version__}, and this is {version}",
            likely="the machines of the cluster were not brought up to date together",
            next_step=f'install the same everywhere: pip install "triage[ray]=={version}"',
        )
    try:
        return list(_opened(order)(part))
    except TriageError as error:
        return error


@functools.lru_cache(maxsize=2)
def _opened(order: Any) -> Callable[[Sequence[Any]], Sequence[Any]]:
    import ray

    job: Job[Any, Any] = ray.get(order)
    return job.open()
