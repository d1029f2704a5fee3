"""Reading ahead: the same in the same order, sooner."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from triage.concurrency import prefetch
from triage.errors import DataError

WAIT = 60.0


def test_the_next_is_made_while_one_is_worked_at() -> None:
    second = threading.Event()

    def numbers() -> Iterator[int]:
        yield 1
        second.set()
        yield 2

    found = prefetch(numbers())
    assert next(found) == 1
    assert second.wait(WAIT)
    assert list(found) == [2]


def test_no_more_than_two_are_made_beforehand() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    for number in prefetch(numbers()):
        assert len(made) <= number + 3
    assert made == list(range(10))


def test_what_making_raises_comes_after_what_was_made() -> None:
    def numbers() -> Iterator[int]:
        yield 1
        raise DataError("there is no second")

    found = prefetch(numbers())
    assert next(found) == 1
    with pytest.raises(DataError, match="no second"):
        next(found)


def test_whoever_leaves_early_waits_for_nobody() -> None:
    never = threading.Event()

    def numbers() -> Iterator[int]:
        yield 1
        never.wait(WAIT)
        yield 2

    found = prefetch(numbers())
    assert next(found) == 1
    found.close()  # type: ignore[attr-defined]  # it is a generator
    never.set()
