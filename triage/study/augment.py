"""Changed copies of texts, which keep their labels.

Synonyms, random insertion, swap and deletion of words need no model (Wei and Zou, EDA, 2019): each operation touches a
tenth of the words. Words in context and back-translation need a model that the user names
(`triage.study.model_augment`). Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from triage.errors import DataError, ModelError, UsageError
from triage.study.protocol import LabellingTask, MethodContext, why_not

if TYPE_CHECKING:
    from triage.finetune.weights import Weights
    from triage.study.model_augment import Translator

SHARE = 0.1
_WORD = re.compile(r"[^\W\d_]{3,}")

Random = np.random.Generator


class Augmenter(ABC):
    """A way to change texts that keeps their topic; `identity` changes with whatever changes the copies."""

    name: str

    @property
    @abstractmethod
    def identity(self) -> str:
        """See the class. Raises ModelError, and ModuleNotFoundError without torch, where a model is missing."""

    def unavailable(self) -> str:
        """What it lacks here; "" where it can be used."""
        return why_not(lambda: self.identity)

    def adapted(self, task: LabellingTask) -> Augmenter:  # noqa: ARG002 - for models that depend on the issues
        """The augmenter for these issues. Raises ModelError, MissingExtra."""
        return self

    @abstractmethod
    def augment(self, texts: Sequence[str], seed: int) -> list[str]:
        """One changed copy of each text, in order; equal texts and seeds give equal copies."""


@dataclass(frozen=True)
class Changed(Augmenter):
    """Changes the words of one text at a time; the title stays a line of its own. `data` is what it looks up."""

    name: str
    change: Callable[[list[str], int, Random], list[str]]
    lacks: str = ""
    data: str = ""

    @property
    def identity(self) -> str:
        return f"{self.name} 1 {self.data}".rstrip()

    def unavailable(self) -> str:
        return self.lacks

    def augment(self, texts: Sequence[str], seed: int) -> list[str]:
        rng = np.random.default_rng(seed)

        def changed(line: str) -> str:
            words = line.split()
            return " ".join(self.change(words, max(1, round(SHARE * len(words))), rng)) if words else line

        return ["\n".join(map(changed, text.split("\n", 1))) for text in texts]


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
    """Words of `table` (in lower case) are replaced by one of their synonyms."""

    def exchange(words: list[str], times: int, rng: Random) -> list[str]:
        words = list(words)
        matches = {i: match for i, word in enumerate(words) if (match := _WORD.search(word))}
        known = [i for i, match in matches.items() if match[0].lower() in table]
        for i in rng.permutation(known)[:times].tolist():
            match = matches[i]
            others = table[match[0].lower()]
            other = others[int(rng.integers(len(others)))]
            words[i] = words[i][: match.start()] + other + words[i][match.end() :]
        return words

    return exchange


def augmenters(synonyms: Mapping[str, Sequence[str]] | None) -> list[Augmenter]:
    """Those that need no model; without `synonyms` the replacement by them says what it lacks."""
    lacks = "" if synonyms else "no WordNet was found (Debian: wordnet-base; or --model synonyms=FOLDER)"
    table = hashlib.sha256(repr(sorted((synonyms or {}).items())).encode()).hexdigest()
    return [
        Changed("synonyms", synonymous(synonyms or {}), lacks, table),
        Changed("insertion", insert),
        Changed("swap", swap),
        Changed("deletion", delete),
    ]


# Where Debian and NLTK install WordNet. Where the home folder is unknown, `~` stays, which names no folder.
HOME = Path(os.path.expanduser("~"))  # noqa: PTH111 - that of pathlib raises
WORDNET = (Path("/usr/share/wordnet"), HOME / "nltk_data" / "corpora" / "wordnet")


def synonyms_at(folder: str | None = None) -> dict[str, list[str]] | None:
    """word → its synonyms, from WordNet's `data.*` files in `folder` or in the usual places; None: not there.

    Of a word with several meanings the synonyms of all; compounds are left out. Raises DataError where a folder that
    was named holds no WordNet.
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


class Contextual(Augmenter):
    """Words in context, inserted or replaced; `own` is a masked language model that was adapted to the issues.

    A text's copy depends on the seed and its place, not on the others.
    """

    def __init__(self, context: MethodContext, insert: bool, own: Path | None = None) -> None:
        self.name = "insertion in context" if insert else "substitution in context"
        self.context, self.insert, self.own = context, insert, own

    @cached_property
    def weights(self) -> Weights:
        """The masked language model, or the encoder to adapt. Raises ModelError; ModuleNotFoundError without torch."""
        models = self.context.models
        if "masked" not in models:
            raise ModelError("no masked language model was named (--model masked=FOLDER, or masked=adapted)")
        from triage.finetune.weights import find_weights

        return find_weights(str(self.own) if self.own else self.context.masked or models.get("weights"))

    @property
    def identity(self) -> str:
        weights = self.weights
        from triage.study.masked_lm import PLAN

        return f"{self.name} 1 {weights.digest()} {'as named' if self.context.masked else PLAN}"

    def adapted(self, task: LabellingTask) -> Contextual:
        if self.context.masked or self.own:
            return self
        from triage.study.methods.fine_tuned import adapted

        return Contextual(self.context, self.insert, adapted(self.weights, task, self.context.home).folder)

    def augment(self, texts: Sequence[str], seed: int) -> list[str]:
        from triage.study.model_augment import Rewriter

        rewriter = Rewriter(self.weights)
        return [rewriter.rewrite(text, self.insert, [seed, at]) for at, text in enumerate(texts)]


class BackTranslation(Augmenter):
    """By two translation models, there and back."""

    name = "back-translation"

    def __init__(self, context: MethodContext) -> None:
        self.context = context

    @cached_property
    def weights(self) -> tuple[Weights, Weights]:
        """Both models. Raises ModelError; ModuleNotFoundError without torch."""
        models = self.context.models
        if "there" not in models:
            raise ModelError("no translation models were named (--model there=FOLDER --model back=FOLDER)")
        from triage.finetune.weights import find_weights

        return find_weights(models["there"]), find_weights(models["back"])

    @cached_property
    def _translators(self) -> tuple[Translator, Translator]:
        from triage.study.model_augment import Translator

        there, back = self.weights
        return Translator(there), Translator(back)

    @property
    def identity(self) -> str:
        return f"{self.name} 1 {' '.join(weights.digest() for weights in self.weights)}"

    def augment(self, texts: Sequence[str], seed: int) -> list[str]:  # noqa: ARG002 - nothing is drawn
        there, back = self._translators
        return [back.translate(there.translate(text)) for text in texts]


def by_models(context: MethodContext) -> list[Augmenter]:
    """Those that need a model, each saying what it lacks. Raises UsageError for half a pair of translators."""
    if ("there" in context.models) != ("back" in context.models):
        raise UsageError(
            "back-translation takes two models", next_step="name both: --model there=… --model back=…"
        )
    return [Contextual(context, insert=False), Contextual(context, insert=True), BackTranslation(context)]
