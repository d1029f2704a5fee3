"""Whether an issue says anything that a label could be judged by, and in which language. Pure: works on text alone."""

from __future__ import annotations

import re
from collections import Counter

from triage.text import MAX_BODY_READ, MAX_TITLE, clean

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
