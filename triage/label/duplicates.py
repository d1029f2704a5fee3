"""The words on what an issue may repeat, for the comment and the summary."""

from __future__ import annotations

from collections.abc import Callable

from triage.decide import Decision
from triage.markdown import issue_link


def possible_duplicates(decision: Decision, url: Callable[[str, int], str]) -> str:
    """The issues that an issue may repeat, in Markdown, or empty; `url` gives the page of an issue."""
    links = [
        f"{issue_link(n.number, url(n.repo, n.number))} (similarity {n.encoder_similarity:.2f})"
        for n in decision.duplicates
    ]
    return f"**Possible duplicate of** {', '.join(links)}" if links else ""
