"""Threads: the next item of a series is prefetched while one is processed, and several are processed at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Queue
from typing import Generic, TypeVar

from triage.errors import TriageError

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class _Ended(Generic[T]):
    """The end of a series: an error, or None after the last item."""

    error: BaseException | None


def prefetch(series: Iterable[T]) -> Iterator[T]:
    """The same items in the same order, read up to two ahead in a thread; raises what reading them raises.

    The thread is a daemon: an interrupted program ends at once, whatever the series waits for.
    """
    made: Queue[T | _Ended[T]] = Queue(1)

    def make() -> None:
        try:
            for item in series:
                made.put(item)
            made.put(_Ended(None))
        except BaseException as error:
            made.put(_Ended(error))

    threading.Thread(target=make, daemon=True).start()
    while not isinstance(item := made.get(), _Ended):
        yield item
    if item.error:
        raise item.error


def map_concurrently(
    items: Iterable[S], work: Callable[[S], T], width: int, stop: Callable[[], None]
) -> list[T | TriageError]:
    """The result of `work` for each item, in order, or the TriageError that it raised, on `width` threads.

    Any other exception, such as an interruption, ends everything: `stop` is called to make running work give up,
    and the exception is raised again.
    """

    def attempt(item: S) -> T | TriageError:
        try:
            return work(item)
        except TriageError as error:
            return error

    with ThreadPoolExecutor(width) as pool:
        try:
            return list(pool.map(attempt, items))
        except BaseException:
            stop()
            raise
