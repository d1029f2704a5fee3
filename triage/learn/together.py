"""Several repositories at once: a few threads, results in the order of the names, every failure kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from triage.errors import TriageError
from triage.world.refusals import PartlyRead, RateLimited

S = TypeVar("S")
T = TypeVar("T")


def together(
    items: Iterable[S], work: Callable[[S], T], width: int, stop: Callable[[], None]
) -> list[T | TriageError]:
    """What `work` makes of each, in their order, or why it cannot; one failure does not keep the others back.

    Anything else that is raised, an interruption above all, ends everything: `stop` is called so that those under
    way give up, and it is raised again.
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


def whole(names: Sequence[str], outcomes: Sequence[T | TriageError]) -> list[T]:
    """The results where there are all. Raises the failure where only one was tried or GitHub's limits are the only
    reason, else PartlyRead that names each: nothing is ever learnt from less than was asked for.
    """
    failures = {n: out for n, out in zip(names, outcomes, strict=True) if isinstance(out, TriageError)}
    if not failures:
        return [out for out in outcomes if not isinstance(out, TriageError)]
    lasting = {name: error for name, error in failures.items() if not isinstance(error, RateLimited)}
    if len(names) == 1 or not lasting:
        raise next(iter(failures.values()))
    raise PartlyRead(len(names), lasting)
