"""Mutated files of every kind that is read; see `tests/fuzz/`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import fuzz
from tests.fuzz.readers import READERS, Reader, of_bundle
from triage.errors import ModelError

# Of all readers together.
INPUTS = 2_000


@pytest.mark.parametrize("reader", [reader.name for reader in READERS])
def test_no_mutated_file_is_a_defect(reader: str) -> None:
    """It is read, or refused in words: no traceback, no hang, bounded memory, nothing half applied."""
    findings, counts = fuzz(INPUTS // len(READERS) + 1, only=reader)
    assert findings == []
    assert counts["read"] + counts["refused"] > INPUTS // len(READERS)


@pytest.mark.parametrize("reader", READERS, ids=[reader.name for reader in READERS])
def test_the_samples_that_are_mutated_are_valid(reader: Reader, tmp_path: Path) -> None:
    """Otherwise nothing but the first lines of a reader would be tried."""
    if "bundle" in reader.name:
        reader = Reader(
            reader.name,
            reader.samples,
            of_bundle("large" if "large" in reader.name else "small", lambda *_: None),
        )
    for i, sample in enumerate(reader.samples()):
        folder = tmp_path / str(i)
        folder.mkdir()
        (folder / "input").write_bytes(sample)
        with suppress(ModelError):
            # The sample's model is not there, and that is seen after its manifest was read.
            reader.read(folder / "input", Random(0))
