"""GraphQL's paging: cursors name a place in the order, so that a list may change while it is paged."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TypeVar

T = TypeVar("T")
Key = tuple[str | int, ...]
MOST = 100


class Problem(Exception):
    """A GraphQL error of GitHub's own `type`, e.g. NOT_FOUND, FORBIDDEN, UNPROCESSABLE."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def connection(
    name: str,
    items: Iterable[T],
    args: Mapping[str, object],
    key: Callable[[T], Key],
    *,
    descending: bool = False,
) -> dict[str, object]:
    """The page of `items` that `first`/`last`/`after`/`before` ask for, in the order of `key`."""
    every = sorted(items, key=key, reverse=descending)
    shown = [item for item in every if _between(key(item), args, descending)]
    size, from_end = _size(name, args)
    page = shown[len(shown) - min(size, len(shown)) :] if from_end else shown[:size]
    cursors = [_cursor(key(item)) for item in page]
    more = len(shown) > len(page)
    info = {
        "hasNextPage": "before" in args if from_end else more,
        "hasPreviousPage": more if from_end else "after" in args,
        "startCursor": cursors[0] if cursors else None,
        "endCursor": cursors[-1] if cursors else None,
    }
    edges = [{"node": item, "cursor": cursor} for item, cursor in zip(page, cursors, strict=True)]
    return {"nodes": page, "edges": edges, "totalCount": len(every), "pageInfo": info}


def moment(value: datetime) -> str:
    """A moment as a part of a key."""
    return value.isoformat(timespec="microseconds")


def _size(name: str, args: Mapping[str, object]) -> tuple[int, bool]:
    side = "first" if args.get("first") is not None else "last"
    size = args.get(side)
    if not isinstance(size, int):
        words = f"You must provide a `first` or `last` value to properly paginate the `{name}` connection."
        raise Problem("MISSING_PAGINATION_BOUNDARIES", words)
    if not 0 <= size <= MOST:
        words = (
            f"Requesting {size} records on the `{name}` connection exceeds the `{side}` limit of 100 records."
        )
        raise Problem("EXCESSIVE_PAGINATION", words)
    return size, side == "last"


def _between(key: Key, args: Mapping[str, object], descending: bool) -> bool:
    after, before = (_place(args.get(side)) for side in ("after", "before"))
    if descending:
        after, before = before, after
    return (after is None or key > after) and (before is None or key < before)


def _cursor(key: Key) -> str:
    return base64.b64encode(json.dumps(["cursor:v2", *key]).encode()).decode()


def _place(cursor: object) -> Key | None:
    if cursor is None:
        return None
    try:
        mark, *key = json.loads(base64.b64decode(str(cursor), validate=True))
    except ValueError:
        mark, key = "", []
    if mark != "cursor:v2":
        raise Problem("INVALID_CURSOR_ARGUMENTS", f"`{cursor}` does not appear to be a valid cursor.")
    return tuple(key)
