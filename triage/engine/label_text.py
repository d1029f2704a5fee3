"""Labels as a model reads them: names made readable, with their descriptions."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_SHORTCODE = re.compile(r"(?<!\w):([a-z0-9_+-]{1,40}):(?!\w)")
# `C-bug`, `a:sdk` and `m: Provider` sort labels by a letter that says nothing to a reader.
_LETTER = re.compile(r"\b(?:[A-Z]-(?=[a-z])|[^\W\d_]:)")
_JOINT = re.compile(r"[\s/:_-]+")
_PICTURES = {"So", "Sk", "Cf", "Me"}
_VARIATION = "\ufe0f"


@dataclass(frozen=True)
class LabelText:
    """A label's name as the repository spells it, and what it means, where that is known."""

    name: str
    description: str = ""

    @property
    def phrase(self) -> str:
        """`kind/bug` described as "It broke" reads "kind bug: It broke"; never empty."""
        meaning = " ".join(self.description.split())
        return f"{readable(self.name)}: {meaning}" if meaning else readable(self.name)


def readable(name: str) -> str:
    """A label's name without emoji, shortcodes, sorting letters and punctuation that joins words.

    Where nothing else is left, an emoji or a shortcode is read out: `:bug:` and `🐛` are both "bug".
    """
    words = _words(_LETTER.sub("", _plain(_SHORTCODE.sub(" ", name)), count=1))
    return words or _words(_SHORTCODE.sub(r" \1 ", name), pictures=True) or name


def _plain(name: str) -> str:
    return "".join(" " if _is_picture(c) else c for c in name).strip()


def _words(name: str, *, pictures: bool = False) -> str:
    if pictures:
        name = (
            " ".join(unicodedata.name(c, "").lower() for c in name if unicodedata.category(c) == "So") or name
        )
    return _JOINT.sub(" ", name).strip()


def _is_picture(character: str) -> bool:
    return character == _VARIATION or unicodedata.category(character) in _PICTURES
