"""Owners of labels for people to read: the table in force, and a suggestion for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from triage.label.answers import Answerers
from triage.markdown import columns, one_line

PEOPLE_SHOWN = 5


def table(owners: Mapping[str, Sequence[str]]) -> str:
    """The owners of each label, a line each."""
    if not owners:
        return "no label has owners; `triage owners --suggest` proposes some"
    return "\n".join(columns([("label", "owners"), *((label, ", ".join(o)) for label, o in owners.items())]))


def suggestions(found: Sequence[Answerers], within: str) -> str:
    """Who answered the issues of each label, and the lines of a configuration that would make them its owners."""
    if not found:
        return f"nobody of the project has answered an issue with a label ({one_line(within)})"
    rows = [("label", "issues answered", "by")]
    for one in found:
        people = ", ".join(f"{login} {count}" for login, count in one.people[:PEOPLE_SHOWN])
        rows.append((one.label, str(one.answered), people))
    lines = [f"  {json.dumps(one_line(o.label))}: [{', '.join(o.suggested)}]" for o in found if o.suggested]
    advice = (
        ["", "for .github/triage.yml:", "", "owners:", *lines]
        if lines
        else ["", "too few answers to suggest owners"]
    )
    return "\n".join([*columns(rows), *advice])


def as_rows(found: Sequence[Answerers]) -> list[dict[str, object]]:
    """The same for JSON."""
    return [
        {"label": o.label, "answered": o.answered, "people": dict(o.people), "suggested": list(o.suggested)}
        for o in found
    ]
