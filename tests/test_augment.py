"""Augmented texts say the same in other words, and the same ones under the same seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from triage.errors import DataError
from triage.study.augment import Augmenter, augmenters, synonyms_at

TEXTS = [
    "Crash when saving a file\nThe program stops at once, whatever I do, and the file is empty.",
    "One",
    "",
]
TABLE = {"crash": ["breakdown"], "file": ["document"]}


def named(name: str) -> Augmenter:
    """The augmenter of this name."""
    return next(one for one in augmenters(TABLE) if one.name == name)


@pytest.mark.parametrize("name", ["synonyms", "insertion", "swap", "deletion"])
def test_equal_seeds_give_equal_copies(name: str) -> None:
    """And other seeds other ones; a copy for each text."""
    one = named(name)
    assert one.augment(TEXTS, 3) == one.augment(TEXTS, 3)
    assert len(one.augment(TEXTS, 3)) == len(TEXTS)
    if name != "synonyms":
        assert len({str(one.augment(TEXTS, seed)) for seed in range(5)}) > 1


@pytest.mark.parametrize("name", ["insertion", "swap", "deletion"])
def test_no_word_comes_from_elsewhere(name: str) -> None:
    """Insertion repeats, swapping reorders and deletion leaves out words that were there."""
    for text, copy in zip(TEXTS, named(name).augment(TEXTS, 1), strict=True):
        assert set(copy.split()) <= set(text.split())
    before, after = len(TEXTS[0].split()), len(named(name).augment(TEXTS, 1)[0].split())
    assert {"insertion": after > before, "swap": after == before, "deletion": after < before}[name]
    assert named(name).augment(["One"], 0)[0] in {"One", "One One"}


def test_synonyms_take_the_place_of_words() -> None:
    """With the punctuation around them kept; unknown words stay, and the title stays a line of its own."""
    copy = named("synonyms").augment(["Crash: file, lost!\nno word known here"], 0)[0]
    assert copy in {
        "breakdown: file, lost!\nno word known here",
        "Crash: document, lost!\nno word known here",
    }


def test_without_synonyms_it_says_what_is_missing() -> None:
    """And the others work."""
    lacking = {one.name: one.unavailable() for one in augmenters(None)}
    assert "WordNet" in lacking.pop("synonyms")
    assert set(lacking.values()) == {""}


def test_wordnet_is_read_as_it_is_shipped(tmp_path: Path) -> None:
    """Words of one meaning are synonyms of each other; words of several parts and the licence are left out."""
    (tmp_path / "data.noun").write_text(
        "  1 This is the licence at the top of the file\n"
        "00001740 04 n 03 crash 0 wreck 0 smash_up 1 001 @ 00001234 n 0000 | a serious accident\n"
        "00001741 04 n 02 crash 0 collapse 0 000 | a sudden failure\n"
        "00001742 04 n 01 lonely 0 000 | alone\n"
    )
    assert synonyms_at(str(tmp_path)) == {
        "crash": ["collapse", "wreck"],
        "wreck": ["crash"],
        "collapse": ["crash"],
    }


def test_a_folder_without_wordnet_is_refused(tmp_path: Path) -> None:
    """Where it was named; a missing one that nobody named is none."""
    with pytest.raises(DataError, match="holds no `data"):
        synonyms_at(str(tmp_path))
