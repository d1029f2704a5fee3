"""The text of the bot's one comment on an issue. Its parts stand under hidden marks, so that each is updated alone.

One of them offers labels, and tells what people said of those that were offered.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from triage.issue import Names
from triage.markdown import code

# The first line of the comment, by which it is found again.
MARKER = "<!-- triage: reasons -->"
# In the order in which they are shown: why the labels were set, what may be accepted, what the issue may repeat,
# whom the labels concern, and the answer to the last command.
PARTS = ("reasons", "suggestions", "duplicates", "owners", "answer")
MARK = re.compile(r"^<!-- triage: part (\w+) -->$\n?", re.MULTILINE)
# The text of a part, or what makes it from the text of the comment before.
Part = str | Callable[[str], str]
# The part of the suggested labels: its name and its lines.
SUGGESTIONS = "suggestions"
INTRODUCTION = "**These labels may fit too.** A maintainer who ticks one sets it."
NONE = "none of these"
# The label's id, by which it is found again after it was renamed; see `id_mark`.
ID = r"(?: <!-- label (?P<id>[\w+/=~]+) -->)?"
# The code of a label's name has no `<` of its own: see `triage.markdown.code`.
BOX = re.compile(
    rf"^- \[(?P<tick>[ xX])\] (?P<what><code>[^<\n]*</code>|{NONE})(?P<rest>[^<\n]*?){ID}$", re.MULTILINE
)
ANSWERED = re.compile(
    r"^- [✓✗] (?P<what><code>[^<\n]*</code>), (?P<word>accepted|refused) by (?P<login>[\w.\[\]-]+)"
    rf"{ID}$",
    re.MULTILINE,
)


def is_own(text: str) -> bool:
    """Whether it is the text of such a comment."""
    return text.startswith(MARKER)


def parts_of(text: str) -> dict[str, str]:
    """The parts of the comment with this text, by name; what stands before the first mark are its reasons.

    Windows line ends, which GitHub's editor writes, become those of Unix.
    """
    text = text.replace("\r\n", "\n").removeprefix(MARKER).lstrip("\n")
    first, *rest = MARK.split(text)
    parts = dict(zip(rest[::2], map(str.strip, rest[1::2]), strict=True))
    return {name: part for name, part in ({"reasons": first.strip()} | parts).items() if part}


def merged(text: str, new: Mapping[str, Part]) -> str:
    """The comment's text with `new` in place of its parts of these names; an empty part goes, and without any the text.

    `text` is that of the comment as it is ("": there is none). Raises KeyError for a name that is not in PARTS.
    """
    made = {name: part if isinstance(part, str) else part(text) for name, part in new.items()}
    parts = {**parts_of(text), **made}
    if unknown := new.keys() - set(PARTS):
        raise KeyError(*unknown)
    shown = [f"<!-- triage: part {name} -->\n{parts[name].strip()}\n" for name in PARTS if parts.get(name)]
    return "\n".join([MARKER, *shown]) if shown else ""


def united(texts: Iterable[str]) -> str:
    """The text of one comment in place of several, which runs began at the same time; the first has the last word."""
    texts = list(texts)
    if len(texts) < 2:
        return "".join(texts)
    parts = {name: part for text in reversed(texts) for name, part in parts_of(text).items()}
    return merged("", {name: part for name, part in parts.items() if name in PARTS})


@dataclass(frozen=True)
class SuggestionAnswer:
    """A person's word on a suggested label, whose name `what` is as code; `at`: when it was given, if that is known.

    `label_id` is empty for a label that did not exist when it was offered.
    """

    what: str
    accepted: bool
    login: str
    at: datetime | None = field(default=None, compare=False)
    label_id: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        """The name of the label."""
        return html.unescape(self.what.removeprefix("<code>").removesuffix("</code>"))

    def line(self) -> str:
        """The answer as the comment tells it."""
        mark, word = ("✓", "accepted") if self.accepted else ("✗", "refused")
        return f"- {mark} {self.what}, {word} by {self.login}{id_mark(self.label_id)}"


@dataclass(frozen=True)
class Offer:
    """A line that offers a label, whose name `what` is as code, or NONE; `rest` is what follows the name."""

    what: str
    rest: str = ""
    ticked: bool = False
    label_id: str = ""

    def line(self) -> str:
        """The offer as the comment has it: not ticked."""
        return f"- [ ] {self.what}{self.rest}{id_mark(self.label_id)}"


def id_mark(label_id: str) -> str:
    """What hides a label's id in a line; two hyphens would end a comment in HTML."""
    return f" <!-- label {label_id.replace('-', '~')} -->" if label_id else ""


def answers_in(text: str) -> list[SuggestionAnswer]:
    """The answers that a comment tells."""
    found = ANSWERED.finditer(parts_of(text).get(SUGGESTIONS, ""))
    return [SuggestionAnswer(m["what"], m["word"] == "accepted", m["login"], label_id=_id(m)) for m in found]


def under_present_names(
    answers: Iterable[SuggestionAnswer], ids: Mapping[str, str]
) -> list[SuggestionAnswer]:
    """The answers under what their labels are called now, given the repository's `ids` by name.

    A label is found by its id, or else, where it was deleted or is younger than the offer, by its name.
    """
    now, here = {label_id: name for name, label_id in ids.items()}, Names(ids)
    names = ((answer, now.get(answer.label_id) or here.spelt(answer.name)) for answer in answers)
    return [replace(answer, what=code(name)) for answer, name in names]


def boxes(text: str) -> dict[str, bool]:
    """What the comment offers, the last box included, and whether it is ticked."""
    return {offer.what: offer.ticked for offer in offers_in(text)}


def offers_in(text: str) -> list[Offer]:
    """The lines of the comment that offer something, the last box included."""
    found = BOX.finditer(parts_of(text).get(SUGGESTIONS, ""))
    return [Offer(m["what"], m["rest"], m["tick"] != " ", _id(m)) for m in found]


def _id(match: re.Match[str]) -> str:
    return (match["id"] or "").replace("~", "-")


def suggestions_part(offers: Sequence[Offer], answers: Iterable[SuggestionAnswer]) -> str:
    """The part of the comment: a line for each label on offer, and what was answered; empty without either."""
    told = [answer.line() for answer in answers]
    listed = [INTRODUCTION, "", *(offer.line() for offer in (*offers, Offer(NONE)))] if offers else []
    return "\n".join([*listed, *([""] if listed and told else []), *told])
