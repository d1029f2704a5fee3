"""How suggested labels, and what people said of them, stand in the bot's one comment."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from triage.comment import parts_of

PART = "suggestions"
INTRODUCTION = "**These labels may fit too.** A maintainer who ticks one sets it."
NONE = "none of these"
# The code of a label's name has no `<` of its own: see `triage.markdown.code`.
BOX = re.compile(
    rf"^- \[(?P<tick>[ xX])\] (?P<what><code>[^<\n]*</code>|{NONE})(?P<rest>[^<\n]*)$", re.MULTILINE
)
ANSWERED = re.compile(
    r"^- [✓✗] (?P<what><code>[^<\n]*</code>), (?P<word>accepted|refused) by (?P<login>[\w.\[\]-]+)$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class SuggestionAnswer:
    """A person's word on a suggested label, whose name `what` is as code; `at`: when it was given, if that is known."""

    what: str
    accepted: bool
    login: str
    at: datetime | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """The name of the label."""
        return html.unescape(self.what.removeprefix("<code>").removesuffix("</code>"))

    def line(self) -> str:
        """The answer as the comment tells it."""
        mark, word = ("✓", "accepted") if self.accepted else ("✗", "refused")
        return f"- {mark} {self.what}, {word} by {self.login}"


def answers_in(text: str) -> list[SuggestionAnswer]:
    """The answers that a comment tells."""
    found = ANSWERED.finditer(parts_of(text).get(PART, ""))
    return [SuggestionAnswer(match["what"], match["word"] == "accepted", match["login"]) for match in found]


def boxes(text: str) -> dict[str, bool]:
    """What the comment offers, the last box included, and whether it is ticked."""
    found = BOX.finditer(parts_of(text).get(PART, ""))
    return {match["what"]: match["tick"] != " " for match in found}


def part_of(offers: Sequence[str], answers: Iterable[SuggestionAnswer]) -> str:
    """The part of the comment: a line for each label on offer, and what was answered; empty without either."""
    told = [answer.line() for answer in answers]
    listed = [INTRODUCTION, "", *(f"- [ ] {offer}" for offer in offers), f"- [ ] {NONE}"] if offers else []
    return "\n".join([*listed, *([""] if listed and told else []), *told])
