"""The next of a series is made while one is worked at: what waits for a network, beside what takes the processor."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from queue import Queue
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _Ended(Generic[T]):
    """Why there is no more; None: it was the last."""

    error: BaseException | None


def prefetch(series: Iterable[T]) -> Iterator[T]:
    """The same in the same order, and what making it raises, with at most two that nobody asked for yet.

    They are made in a thread of their own, one after the other. Nobody waits for it: whoever is interrupted ends
    at once, whatever the series waits for.
    """
    made: Queue[T | _Ended[T]] = Queue(1)

    def make() -> None:
        try:
            for each in series:
                made.put(each)
            made.put(_Ended(None))
        except BaseException as error:
            made.put(_Ended(error))

    threading.Thread(target=make, daemon=True).start()
    while not isinstance(each := made.get(), _Ended):
        yield each
    if each.error:
        raise each.error
