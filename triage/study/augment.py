"""Changed copies of texts: synonyms, random insertion, swap and deletion of words.

Source: Wei and Zou, EDA (2019): each operation touches a tenth of the words. What needs a model (substitution by a
masked language model, back-translation) is in `augment_models`. Nothing is downloaded.

Changed copies of texts that take a model: substitution and insertion in context, and back-translation.

See triage.study.mlm_augment and triage.study.translate. Each is used where its model was named.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from triage.errors import DataError, ModelError
from triage.study.methods.fine_tuned import adapted
from triage.study.protocol import LabellingTask, MethodContext
from triage.study.user_models import ADAPTED, UserModels, home, needed, why_not

if TYPE_CHECKING:
    from triage.finetune.weights import Weights
    from triage.study.translate import Translator

SHARE = 0.1
_WORD = re.compile(r"[^\W\d_]{3,}")

Random = np.random.Generator


class Augmenter(Protocol):
    """A way to change texts without changing what they are about."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str:
        """Changes with whatever changes the copies."""
        ...

    def unavailable(self) -> str:
        """What it lacks here; "" where it can be used."""
        ...

    def augment(self, texts: Sequence[str], seed: int) -> list[str]:
        """One changed copy of each text, in order; equal texts and seeds give equal copies."""
        ...


@dataclass(frozen=True)
class Changed:
    """An augmenter that changes the words of one text at a time."""

    name: str
    change: Callable[[list[str], int, Random], list[str]]
    lacks: str = ""
    identity: str = ""

    def unavailable(self) -> str:
        """See `Augmenter`."""
        return self.lacks

    def augment(self, texts: Sequence[str], seed: int) -> list[str]:
        """See `Augmenter`. The title stays a line of its own."""
        rng = np.random.default_rng(seed)
        return [self._changed(text, rng) for text in texts]

    def _changed(self, text: str, rng: Random) -> str:
        title, newline, body = text.partition("\n")
        lines = [self._line(title, rng), self._line(body, rng)] if newline else [self._line(title, rng)]
        return newline.join(lines)

    def _line(self, line: str, rng: Random) -> str:
        words = line.split()
        return " ".join(self.change(words, max(1, round(SHARE * len(words))), rng)) if words else line


def insert(words: list[str], times: int, rng: Random) -> list[str]:
    """A word of the text once more, at a random place."""
    for _ in range(times):
        words = list(words)
        words.insert(int(rng.integers(len(words) + 1)), words[int(rng.integers(len(words)))])
    return words


def swap(words: list[str], times: int, rng: Random) -> list[str]:
    """Two words change places."""
    words = list(words)
    for _ in range(times):
        a, b = rng.integers(len(words), size=2)
        words[a], words[b] = words[b], words[a]
    return words


def delete(words: list[str], times: int, rng: Random) -> list[str]:
    """Words are left out, never all."""
    gone = set(rng.choice(len(words), size=min(times, len(words) - 1), replace=False).tolist())
    return [word for i, word in enumerate(words) if i not in gone]


def synonymous(table: Mapping[str, Sequence[str]]) -> Callable[[list[str], int, Random], list[str]]:
    """Words that `table` knows (in lower case) give way to one of their synonyms."""

    def replace(words: list[str], times: int, rng: Random) -> list[str]:
        known = [i for i, word in enumerate(words) if _bare(word) in table]
        words = list(words)
        for i in rng.permutation(known)[:times].tolist():
            others, found = table[_bare(words[i])], _WORD.search(words[i])
            if found:
                other = others[int(rng.integers(len(others)))]
                words[i] = words[i][: found.start()] + other + words[i][found.end() :]
        return words

    return replace


def _bare(word: str) -> str:
    found = _WORD.search(word)
    return found[0].lower() if found else ""


def augmenters(synonyms: Mapping[str, Sequence[str]] | None) -> list[Augmenter]:
    """Those that need no model; without `synonyms` their replacement says what it lacks."""
    lacks = "" if synonyms else "no WordNet was found (Debian: wordnet-base; or --model synonyms=FOLDER)"
    table = hashlib.sha256(repr(sorted((synonyms or {}).items())).encode()).hexdigest()
    return [
        Changed("synonyms", synonymous(synonyms or {}), lacks, f"synonyms 1 {table}"),
        Changed("insertion", insert, identity="insertion 1"),
        Changed("swap", swap, identity="swap 1"),
        Changed("deletion", delete, identity="deletion 1"),
    ]


# Where Debian and NLTK put WordNet.
WORDNET = (Path("/usr/share/wordnet"), Path.home() / "nltk_data" / "corpora" / "wordnet")


def synonyms_at(folder: str | None = None) -> dict[str, list[str]] | None:
    """word → its synonyms, out of WordNet's `data.*` files in `folder` or where they usually lie; None: not there.

    Of a word of several meanings the synonyms of all; words of several parts are left out. Raises DataError where
    a folder that was named holds no WordNet.
    """
    places = (Path(folder),) if folder else WORDNET
    for place in places:
        if files := sorted(place.glob("data.*")):
            return _wordnet(files)
    if folder:
        raise DataError(
            f"{folder}: holds no `data.*` files of WordNet",
            likely="another folder was meant",
            next_step="give the `dict` folder of WordNet",
        )
    return None


def _wordnet(files: Sequence[Path]) -> dict[str, list[str]]:
    table: dict[str, set[str]] = {}
    for file in files:
        for line in file.read_text("utf-8", "replace").splitlines():
            # synset_offset lex_filenum ss_type w_cnt word lex_id [word lex_id...] ..., see wndb(5WN)
            part = line.split(" ")
            if line.startswith(" ") or len(part) < 6:
                continue
            words = {word.lower() for word in part[4 : 4 + 2 * int(part[3], 16) : 2] if word.isalpha()}
            for word in words:
                if others := words - {word}:
                    table.setdefault(word, set()).update(others)
    return {word: sorted(others) for word, others in table.items()}


@runtime_checkable
class Suited(Protocol):
    """An augmenter whose model depends on the issues."""

    def suited(self, task: LabellingTask) -> Augmenter:
        """The augmenter for these issues. Raises ModelError, MissingExtra."""
        ...


@dataclass(frozen=True)
class Contextual:
    """See `Augmenter`; `masked` names the masked language model, `own` is one that was adapted to the issues."""

    insert: bool
    masked: str | None
    folder: Path
    base: str | None = None
    own: Path | None = None

    @property
    def name(self) -> str:
        return "insertion in context" if self.insert else "substitution in context"

    @cached_property
    def weights(self) -> Weights:
        """The masked language model, or what becomes one. Raises ModelError, MissingExtra."""
        if self.masked is None:
            raise ModelError("no masked language model was named (--model masked=FOLDER, or masked=adapted)")
        try:
            from triage.finetune.weights import named_weights
        except ModuleNotFoundError as error:
            raise needed(error, f"{self.name} of words") from None
        if self.own:
            return named_weights(str(self.own))
        return named_weights(self.base if self.masked == ADAPTED else self.masked)

    @property
    def identity(self) -> str:
        """See `Augmenter`; raises as `weights` does."""
        from triage.study.masked_lm import PLAN

        return f"{self.name} 1 {self.weights.digest()} {PLAN if self.masked == ADAPTED else 'as named'}"

    def unavailable(self) -> str:
        """See `Augmenter`."""
        return why_not(lambda: self.weights)

    def suited(self, task: LabellingTask) -> Contextual:
        """See `Suited`."""
        if self.masked != ADAPTED or self.own:
            return self
        return replace(self, own=adapted(self.weights, task, self.folder).folder)

    def augment(self, texts: Sequence[str], seed: int) -> list[str]:
        """See `Augmenter`. A text's copy depends on the seed and its place, not on the others."""
        from triage.study.mlm_augment import Rewriter

        rewriter = Rewriter(self.weights)
        return [rewriter.rewrite(text, self.insert, [seed, at]) for at, text in enumerate(texts)]


@dataclass(frozen=True)
class BackTranslation:
    """See `Augmenter`; `pair` names two translation models, there and back."""

    pair: tuple[str, str] | None
    name: str = "back-translation"

    @cached_property
    def weights(self) -> tuple[Weights, Weights]:
        """Both models. Raises ModelError, MissingExtra."""
        if self.pair is None:
            raise ModelError("no translation models were named (--model there=FOLDER --model back=FOLDER)")
        try:
            from triage.finetune.weights import named_weights
        except ModuleNotFoundError as error:
            raise needed(error, "back-translation") from None
        return named_weights(self.pair[0]), named_weights(self.pair[1])

    @cached_property
    def _translators(self) -> tuple[Translator, Translator]:
        from triage.study.translate import Translator

        there, back = self.weights
        return Translator(there), Translator(back)

    @property
    def identity(self) -> str:
        """See `Augmenter`; raises as `weights` does."""
        return f"{self.name} 1 {' '.join(each.digest() for each in self.weights)}"

    def unavailable(self) -> str:
        """See `Augmenter`."""
        return why_not(lambda: self.weights)

    def augment(self, texts: Sequence[str], seed: int) -> list[str]:  # noqa: ARG002 - nothing is drawn
        """See `Augmenter`. Raises ModelError."""
        from triage.study.translate import back_translated

        return back_translated(texts, *self._translators)


def by_models(means: MethodContext) -> list[Augmenter]:
    """Those that need a model, each saying what it lacks."""
    models = UserModels.of(means.models)
    found: list[Augmenter] = [
        Contextual(insert, models.masked, home(means), models.weights) for insert in (False, True)
    ]
    return [*found, BackTranslation(models.translate)]
