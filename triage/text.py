"""The text of an issue and of a label as everything reads it, what language it is in, and whether it says anything.

Time is linear in the length of any text: every step reads its input once, and the repetitions in regular expressions
are bounded or do not overlap.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
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


# What an issue must say at least: so many different words, one of them about something.
FEWEST_WORDS = 2
# Chinese and Japanese are written without spaces: so many different characters say as much.
FEWEST_CHARACTERS = 4
# As much as the encoder reads of most issues.
READ = 1_000

NOTHING = "its text says nothing to judge by: an empty form, a greeting, a test or a single word"

_WORD = re.compile(r"[^\W_]+(?:'[^\W\d_]+)?")
_LINE_OF_FORM = re.compile(r"\s*(?:#{1,6}\s.{0,120}|\*\*[^*]{1,120}\*\*:?\s*|__[^_]{1,120}__:?\s*)")
_ADDRESS = re.compile(
    r"!\[[^\[\]\n]{0,200}\]\([^()\s]{0,500}\)|(?:https?://|www\.)[^\s()<>\[\]]{1,2000}"
    r"|(?<!\w)@[\w-]{1,40}|\b[\w.+-]{1,64}@[\w-]{1,64}\.\w[\w.-]{0,100}"
)
# Lines of the issue templates that GitHub proposes, and of others like them.
_TEMPLATE = re.compile(
    r"(?:[-*>]|\d{1,2}\.)?\s*(?:a (?:clear and )?concise description\b|steps to reproduce\b|go to ['\"]|click on ['\"]"
    r"|scroll down to ['\"]|see error$|if applicable\b|add any other context\b|(?:os|device|browser|version|node)\b:?"
    r" ?\[e\.g|is your feature request related\b|describe (?:the|your|any|alternatives|what)\b|what (?:happened|did you"
    r"|went wrong)\W{0,3}$|(?:expected|actual|current) behaviou?r\W{0,3}$|additional context\W{0,3}$"
    r"|(?:your )?environment\W{0,3}$|screenshots?\W{0,3}$|no response\b|n/?a\W*$)",
    re.I,
)
_GREETINGS_WITHOUT_SPACES = re.compile(
    "你好|您好|大家好|谢谢|感谢|多谢|请问|测试|問題|问题|"
    "こんにちは|はじめまして|ありがとう(?:ございます)?|お願いします|よろしく|テスト"
)

# Words that are about nothing: grammar, courtesy, tests, and what every issue is.
_EMPTY = frozenset(
    """
    a an and are as at be been but by can could do does for from had has have he her hi his how i if in into is it its
    just me my no not of off on or our out please she so some than that the their them then there these they this those
    to too up us was we were what when where which who why will with would you your yes ok okay im i'm it's don't
    """.split()  # noqa: SIM905 - a list of words is read easier so
)
_FILLER = frozenset(
    """
    hello hey hallo hola bonjour salut ciao ola olá привет здравствуйте 안녕하세요 dear all everyone everybody team guys
    folks sir greetings good morning evening day thanks thank thx cheers regards gracias merci danke obrigado grazie
    spasibo спасибо 감사합니다 sorry help need want wanted wants ask say said pls plz ignore test tests testing tested
    tester prueba prova essai тест тестовое 테스트 demo sample example foo bar baz qux blah lorem ipsum dolor sit amet
    world title body text description summary comment content untitled new first issue issues bug bugs report problem
    problems question questions feature features request requests enhancement documentation docs support error errors
    fix todo tbd wip none null nothing something anything empty blank unknown asap urgent important version os linux
    windows macos mac ubuntu android ios browser chrome firefox safari latest stable response applicable know work
    works working github repo repository
    """.split()  # noqa: SIM905
)
_ROWS = "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "azertyuiop", "qsdfghjklm", "abcdefgh"
_REPEATED = re.compile(r"(.{1,3})\1+.?")


def says_nothing(title: str, body: str) -> bool:
    """Whether no label can be judged by this issue: its words are those of a form, a greeting or a test.

    The headings of a form say nothing about the issue, and neither do addresses or letters typed at random.
    """
    title = title[:MAX_TITLE]
    return not _says_something(title) and not _says_something(f"{title}\n{_answers(body[:MAX_BODY_READ])}")


def _answers(body: str) -> str:
    """The body without headings, addresses and lines of a template."""
    own = "\n".join(line for line in body.split("\n") if not _LINE_OF_FORM.fullmatch(line.rstrip("\r")))
    return "\n".join(line for line in clean(_ADDRESS.sub(" ", own)).split("\n") if not _TEMPLATE.match(line))


def _says_something(text: str) -> bool:
    plain = _GREETINGS_WITHOUT_SPACES.sub(" ", _ADDRESS.sub(" ", text.replace("\u2019", "'")))
    characters = {c for c in plain if c > "\u2fff" and _script(c) in WITHOUT_SPACES}
    if len(characters) >= FEWEST_CHARACTERS:
        return True
    found = {match.group().casefold().rstrip("0123456789") for match in _WORD.finditer(plain)}
    words = {word for word in found - _EMPTY if _typed_on_purpose(word)}
    telling = any(word not in _FILLER and _pronounceable(word) for word in words)
    return telling and len(words) + len(characters) >= FEWEST_WORDS


def _typed_on_purpose(word: str) -> bool:
    """Whether a word is none of `asdf`, `aaaa`, `xyxyxy`, numbers and single letters."""
    if len(word) < 2 or (len(word) > 2 and any(word in row or word in row[::-1] for row in _ROWS)):
        return False
    return not _REPEATED.fullmatch(word) or len(word) < 4


def _pronounceable(word: str) -> bool:
    return not word.isascii() or any(letter in "aeiouy" for letter in word)


# Languages that triage's own models were not trained on, by the characters that they are written with.
WITHOUT_SPACES = "Chinese", "Japanese"
_SCRIPTS = (
    ("Greek", 0x370, 0x3FF),
    ("Cyrillic script", 0x400, 0x52F),
    ("Hebrew", 0x590, 0x5FF),
    ("Arabic script", 0x600, 0x77F),
    ("an Indian script", 0x900, 0xDFF),
    ("Thai", 0xE00, 0xE7F),
    ("Georgian", 0x10A0, 0x10FF),
    ("Korean", 0x1100, 0x11FF),
    ("Japanese", 0x3040, 0x30FF),
    ("Chinese", 0x3400, 0x9FFF),
    ("Korean", 0xAC00, 0xD7AF),
    ("Chinese", 0x20000, 0x3FFFF),
)
# Letters of the Latin alphabet that say as much as one character.
_WEIGHTS = {"Chinese": 3, "Japanese": 3, "Korean": 2}
# By its most frequent words, without those that are frequent in English or in code.
_FREQUENT = {
    "German": "der das und ist nicht ich ein eine mit für auf wenn wird nach beim dem von kann werden sich auch",
    "French": "le les une est pas dans pour que je il des du de avec sur la lors mais ce qui vous nous au",
    "Spanish": "el los una está por para que se de la al cuando pero como hay muy lo puedo más este esta",
    "Portuguese": "os uma não para que se de da em ao quando mas como está meu mais foi isso você ele",
    "Italian": "il gli una che si di è quando ma come della sono nel più questo alla",
    "Dutch": "de het een niet met voor wordt bij kan ik dat en als naar zijn maar ook",
    "Polish": "nie jest się na że po przy jak od mam czy tylko dla już",
    "Turkish": "bir ve bu için değil ile olarak çok daha gibi sonra",
    "Vietnamese": "không là của và được khi tôi một cho bị với các này",
    "Indonesian": "yang tidak dan saya di untuk dengan ini bisa ke dari ada akan",
    "a Scandinavian language": "och inte att det är jag när ett ikke og jeg på til som med av kan",
    "Czech": "není je na se že při jako který když po pro",
}
_LANGUAGES = {name: frozenset(words.split()) for name, words in _FREQUENT.items()}
_FOREIGN = frozenset().union(*_LANGUAGES.values())
_ENGLISH = _EMPTY - _FOREIGN
_ACCENTED = re.compile(r"[\u00df-\u024f\u1e00-\u1eff]")
# A text is in another language where so many of its words, and this share of them, are frequent there or have accents.
_SHARE, _SEEN = 0.15, 3


def language(text: str) -> str:
    """The language of a rendered issue, where it is plainly not English; else empty.

    Title and text count the same: a log in the body is in English whatever its author speaks.
    """
    if text.isascii() and not _latin(text[:READ]):
        return ""
    title, _, _ = text.partition("\n")
    scripts: Counter[str] = Counter()
    for part in (title, text[:READ]):
        found = Counter(_script(c) for c in part if c.isalpha())
        weighed = {name: count * _WEIGHTS.get(name, 1) for name, count in found.items()}
        total = sum(weighed.values())
        scripts.update({name: weight / total for name, weight in weighed.items()})
    foreign = {name: share for name, share in scripts.items() if name}
    if sum(foreign.values()) >= sum(scripts.values()) / 2 > 0:
        # Japanese has Chinese characters too, but never the other way round.
        return "Japanese" if "Japanese" in foreign else max(foreign, key=lambda name: foreign[name])
    return _latin(text[:READ])


def _script(letter: str) -> str:
    """The language or script of a letter; empty for Latin and all that is not listed."""
    at = ord(letter)
    return (
        next((name for name, first, last in _SCRIPTS if first <= at <= last), "")
        if at >= _SCRIPTS[0][1]
        else ""
    )


def _latin(text: str) -> str:
    """The language of a text in Latin letters by its frequent words, where it is plainly not English."""
    words = {found.group().casefold() for found in _WORD.finditer(_ADDRESS.sub(" ", text))}
    foreign = {word for word in words if word in _FOREIGN or _ACCENTED.search(word)}
    if len(foreign) < max(_SEEN, _SHARE * len(words), 2 * len(words & _ENGLISH) + 1):
        return ""
    named = max(_LANGUAGES, key=lambda name: len(foreign & _LANGUAGES[name]))
    return named if foreign & _LANGUAGES[named] else "another language than English"
