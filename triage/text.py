"""The one rendering of an issue to text, and of a label, used for training and serving alike.

Time is linear in the length of any text: every step reads its input once, and the repetitions in regular expressions
are bounded or do not overlap.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice

# Part of every bundle and every cache key. Raise it with any change to what `render` returns.
TEXT_VERSION = 1

# Encoders read about 256 tokens, and word features gain little from more.
MAX_BODY_READ = 32_000
MAX_TITLE = 300
MAX_RENDERED = 4_000

MAX_LINE = 2_000
MAX_CODE_LINE = 200
MAX_WORD = 60
CODE_LINES_KEPT = 5
LOG_LINES_KEPT = 3
ERROR_LINES_KEPT = 4

_CONTROL = {c: " " for c in (*range(9), *range(11, 32), *range(127, 160))} | {0x2028: "\n", 0x2029: "\n"}
_COMMAND = re.compile(r"/[a-z][a-z-]{1,30}(?:\s|$)")
_CHECKBOX = re.compile(r"(?:[-*+]|\d{1,3}\.)\s{1,4}\[[ xX]?\](?:\s|$)")
# Three backticks that close on the same line are code within a line, not a fence.
_FENCE = re.compile(r"(`{3,}(?=[^`]*$)|~{3,})")
_HEADING = re.compile(r"#{1,6}\s")
_RULE = re.compile(r"[-=_*|:+\s]{3,}$")
_IMAGE = re.compile(r"!\[([^\[\]\n]{0,200})\]\([^()\s]{0,500}\)")
_LINK = re.compile(r"\[([^\[\]\n]{1,200})\]\(<?(?:https?://|#|/)[^()\s]{0,500}\)")
_URL = re.compile(r"https?://(?:www\.)?([\w.-]{1,100})\S{0,2000}")
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]{0,300}>")
_LONG_WORD = re.compile(rf"(\S{{{MAX_WORD}}})\S+")
_SPACE = re.compile(r"[ \t\u00a0\u200b-\u200d\ufeff]+")
_ERROR = re.compile(
    r"error|exception|panic|fatal|fail|traceback|abort|segfault|sigsegv|denied|cannot|undefined", re.I
)
_STAMP = re.compile(r"(?:\[?\d{4}-\d\d-\d\d[T ]|\[?\d\d:\d\d:\d\d|[IWEF]\d{4} \d\d:|\[\s{0,8}\d{1,8}\.\d+\])")
_FRAME = re.compile(r"(?:at \S|File \"|\.{3} \d+ more|\S+\.go:\d+ \+0x|#\d+ +0x|goroutine \d)")
_NO_ANSWER = {"_no response_", "no response", "n/a", "none", "_none_", "null", "-"}
# Requests of an issue form, which are the same in every issue.
_BOILERPLATE = re.compile(
    r"(?:please (?:search|make sure|read|fill|check|use|answer|provide|note|do not|describe)\b"
    r"|i(?: have|'ve) (?:searched|read|checked|looked)\b"
    r"|thank(?:s| you) for (?:taking|filing|reporting|opening|contributing)\b"
    r"|before (?:submitting|opening|filing|you)\b"
    r"|is there an existing issue\b|code of conduct\b)",
    re.I,
)

_SHORTCODE = re.compile(r"(?<!\w):([a-z0-9_+-]{1,40}):(?!\w)")
# `C-bug`, `a:sdk` and `m: Provider` sort labels by a letter without a meaning.
_LETTER = re.compile(r"\b(?:[A-Z]-(?=[a-z])|[^\W\d_]:)")
# `kind/bug` and `type: bug` are bugs.
_SORT = re.compile(r"^(?:kind|type|issue type|category|issue|t|c) (?=\S)")
KINDS = frozenset(
    (
        *("bug", "defect", "crash", "regression", "feature", "new feature", "feature request", "enhancement"),
        *("improvement", "question", "support", "documentation", "docs", "performance"),
    )
)
_JOINT = re.compile(r"[\s/:_-]+")
_PICTURES = {"So", "Sk", "Cf", "Me"}
_VARIATION = "\ufe0f"


def render(title: str, body: str | None) -> str:
    """The text of an issue: its title, then its cleaned body, at most MAX_RENDERED characters.

    Never empty and always encodable as UTF-8: null bytes, lone surrogates and the like become spaces or replacement
    characters. Leaves out comments, check-lists, form boilerplate, images, command lines and long dumps; keeps the
    first lines of code and logs and the lines that name an error.
    """
    head = " ".join(_printable(title[: MAX_TITLE * 4]).split())[:MAX_TITLE]
    text = f"{head}\n{clean(body or '')}".strip()[:MAX_RENDERED].rstrip()
    return text or "(empty)"


def digest(text: str) -> str:
    """A hash of a rendered text and the text version: issues with the same one are duplicates."""
    return hashlib.sha256(f"{TEXT_VERSION}\0{text}".encode()).hexdigest()


def clean(body: str) -> str:
    """The body without the parts that `render` leaves out."""
    text = _without_comments(_printable(body[:MAX_BODY_READ]))
    lines = _without_empty_sections(_prose(_shortened(text.split("\n"))))
    return "\n".join(lines)


def _printable(text: str) -> str:
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return whole.replace("\r\n", "\n").replace("\r", "\n").translate(_CONTROL)


def _without_comments(text: str) -> str:
    kept, at = [], 0
    while (start := text.find("<!--", at)) >= 0:
        kept.append(text[at:start])
        end = text.find("-->", start + 4)
        if end < 0:
            # GitHub hides the rest of the block, not the next paragraph.
            end = text.find("\n\n", start)
            at = len(text) if end < 0 else end
            break
        at = end + 3
    kept.append(text[at:])
    return "".join(kept)


def _shortened(lines: Iterable[str]) -> Iterator[str]:
    """Code blocks and `<details>` cut to their first lines and the lines that name an error."""
    block: list[str] | None = None
    closing, keep = "", 0
    for raw in lines:
        line = raw[:MAX_LINE].strip()
        if block is not None:
            if _closes(line, closing):
                yield from _excerpt(block, keep)
                block = None
            else:
                block.append(line[:MAX_CODE_LINE])
        elif fence := _FENCE.match(line):
            block, closing, keep = [], fence.group(1), CODE_LINES_KEPT
        elif line[:8].lower() == "<details" and not _closes(line, "</details>"):
            block, closing, keep = [], "</details>", 1
        else:
            yield line
    if block is not None:
        # Never closed: usually a forgotten fence in the middle of prose.
        yield from _excerpt(block, CODE_LINES_KEPT * 2)


def _closes(line: str, closing: str) -> bool:
    if closing == "</details>":
        return closing in line.lower()
    return line.startswith(closing) and not line.strip(closing[0])


def _excerpt(block: list[str], keep: int) -> Iterator[str]:
    lines = [line for line in block if line and not _FENCE.match(line)]
    if sum(map(_is_log, lines)) * 2 > len(lines):
        keep = min(keep, LOG_LINES_KEPT)
    yield from lines[:keep]
    errors = (line for line in lines[keep:] if _ERROR.search(line) and not _FRAME.match(line))
    yield from islice(errors, ERROR_LINES_KEPT)


def _is_log(line: str) -> bool:
    return bool(_STAMP.match(line) or _FRAME.match(line))


def _prose(lines: Iterable[str]) -> Iterator[str]:
    logs = 0
    for line in lines:
        text = line.lstrip("> ")
        if not text or _COMMAND.match(text) or _CHECKBOX.match(text) or _RULE.match(text):
            continue
        if _BOILERPLATE.match(text.lstrip("#*- ")):
            continue
        logs = logs + 1 if _is_log(text) else 0
        if logs > LOG_LINES_KEPT and (_FRAME.match(text) or not _ERROR.search(text)):
            continue
        if text := _plain(text):
            yield text


def _plain(text: str) -> str:
    """A line without markup, addresses and long words; most lines have none, and no pattern is tried on them."""
    if "](" in text:
        text = _LINK.sub(r"\1", _IMAGE.sub(r"\1", text))
    if "://" in text:
        text = _URL.sub(r"\1", text)
    if "<" in text:
        text = _TAG.sub(" ", text)
    text = text.replace("`", "").replace("**", "")
    if len(text) > MAX_WORD:
        text = _LONG_WORD.sub(r"\1", text)
    if "  " in text or "\t" in text or not text.isascii():
        text = _SPACE.sub(" ", text)
    return text.strip()


def _without_empty_sections(lines: Iterable[str]) -> Iterator[str]:
    """Headings without their marks, and without those followed by "No response" only."""
    heading = ""
    for line in lines:
        if _HEADING.match(line):
            heading = line.lstrip("# ").rstrip("# ")
        elif line.lower() not in _NO_ANSWER:
            if heading:
                yield heading
                heading = ""
            yield line


@dataclass(frozen=True)
class LabelText:
    """A label's name as the repository spells it, and its description, if any."""

    name: str
    description: str = ""

    @cached_property
    def phrase(self) -> str:
        """`kind/bug` described as "It broke" reads "kind bug: It broke"; never empty."""
        name, meaning = readable(self.name), " ".join(self.description.split())
        return f"{name}: {meaning}" if meaning else name


# The same labels are read for every issue.
@lru_cache(maxsize=1 << 12)
def readable(name: str) -> str:
    """A label's name without emoji, shortcodes, sorting letters and punctuation that joins words.

    If nothing else is left, an emoji or a shortcode is spelled out: `:bug:` and `🐛` are both "bug".
    """
    plain = "".join(" " if _is_picture(c) else c for c in _SHORTCODE.sub(" ", name)).strip()
    if words := _words(_LETTER.sub("", plain, count=1)):
        return words
    spelled = _SHORTCODE.sub(r" \1 ", name)
    pictures = [unicodedata.name(c, "").lower() for c in spelled if unicodedata.category(c) == "So"]
    return _words(" ".join(pictures) or spelled) or name


def names_kind(name: str) -> bool:
    """Whether a label says which kind of issue it is, as most issues have one: `bug`, `kind/feature`, `type: docs`."""
    return _SORT.sub("", readable(name).casefold()) in KINDS


def _words(name: str) -> str:
    return _JOINT.sub(" ", name).strip()


def _is_picture(character: str) -> bool:
    return character == _VARIATION or unicodedata.category(character) in _PICTURES
