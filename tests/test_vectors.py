"""The embedding cache: what was embedded before is not embedded again, and never changes a vector."""

from __future__ import annotations

import dataclasses
import io
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.killing import Killed
from tests.learning import Material
from tests.sample import LEARNT_FROM
from triage.arrays import Floats
from triage.bundle.local_store import LocalStore
from triage.engine.encoder import Encoder
from triage.issue import Issue
from triage.learn import vectors
from triage.learn.vectors import NAME, Embedded, embed
from triage.sources.issue_file import read_issues


@dataclass
class Run:
    """Embeds some of the sample's issues; `pieces` is what the cache was after each piece, `told` the progress."""

    encoder: Encoder
    pieces: list[bytes] = field(default_factory=list)
    told: list[int] = field(default_factory=list)

    def of(self, issues: list[Issue], kept: bytes | None = None) -> Embedded:
        return embed(issues, self.encoder, kept, self.pieces.append, lambda total: self.told.append)


@pytest.fixture
def run(material: Material, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Saves after every piece, however long that takes."""
    monkeypatch.setattr(vectors, "PATIENCE", 0.0)
    return Run(material.engines.encoder)


@pytest.fixture
def issues(material: Material) -> list[Issue]:
    return list(material.data.issues[:12])


def test_vectors_are_those_of_the_encoder(run: Run, issues: list[Issue]) -> None:
    """In the order of the issues, to the last bit."""
    found = run.of(issues)
    assert found.computed == 12
    assert np.array_equal(found.vectors, run.encoder.encode([issue.text for issue in issues]))


def test_what_is_cached_is_taken_as_it_is(run: Run, issues: list[Issue]) -> None:
    """Nothing is computed and nothing written; the vectors are the same bits in whatever order."""
    first = run.of(issues)
    again = run.of(issues[::-1], run.pieces[-1])
    assert (again.computed, len(run.pieces)) == (0, 1)
    assert np.array_equal(again.vectors, first.vectors[::-1])


def test_only_new_texts_are_embedded(run: Run, issues: list[Issue]) -> None:
    """A text that was edited counts as new, and what is no longer there leaves the cache."""
    run.of(issues[:10])
    edited = dataclasses.replace(issues[9], title="Another title")
    now = [*issues[2:9], edited, *issues[10:]]
    found = run.of(now, run.pieces[-1])
    assert found.computed == 3
    assert np.array_equal(found.vectors, run.encoder.encode([issue.text for issue in now]))
    assert run.of(issues[:2], run.pieces[-1]).computed == 2


def test_a_text_that_comes_twice_is_embedded_once(run: Run, issues: list[Issue]) -> None:
    """Under both numbers it is the same vector."""
    twin = dataclasses.replace(issues[0], number=7000)
    found = run.of([issues[0], twin])
    assert found.computed == 1
    assert np.array_equal(found.vectors[0], found.vectors[1])


def test_nothing_to_embed_is_no_failure(run: Run) -> None:
    """Not even an empty cache is written."""
    assert run.of([]).vectors.shape == (0, run.encoder.dimension)
    assert (run.pieces, run.told) == ([], [])


def test_the_vectors_of_another_encoder_are_not_used(run: Run, issues: list[Issue]) -> None:
    """One that reads fewer tokens is another encoder."""
    run.of(issues)
    other = Run(Encoder.load(budget=16))
    found = other.of(issues, run.pieces[-1])
    assert found.computed == 12
    assert np.array_equal(found.vectors, other.encoder.encode([issue.text for issue in issues]))


def test_the_vectors_of_another_rendering_are_not_used(
    run: Run, issues: list[Issue], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text version is part of what the vectors are of."""
    run.of(issues)
    monkeypatch.setattr(vectors, "TEXT_VERSION", vectors.TEXT_VERSION + 1)
    assert run.of(issues, run.pieces[-1]).computed == 12


@pytest.mark.parametrize("damage", ["empty", "cut short", "another file", "bit flipped", "not finite"])
def test_a_damaged_cache_counts_as_none(run: Run, issues: list[Issue], damage: str) -> None:
    """It is only a cache."""
    first = run.of(issues)
    good = run.pieces[-1]
    spoilt = {
        "empty": b"PK",
        "cut short": good[: len(good) // 2],
        "another file": b"%PDF-1.7",
        # In the middle of the vectors: the archive's own checksum notices.
        "bit flipped": good[: len(good) // 2]
        + bytes([good[len(good) // 2] ^ 1])
        + good[len(good) // 2 + 1 :],
        "not finite": vectors._write(
            [issue.digest for issue in issues],
            np.full((len(issues), run.encoder.dimension), np.nan, np.float32),
            f"{run.encoder.digest} {vectors.TEXT_VERSION}",
        ),
    }
    found = run.of(issues, spoilt[damage])
    assert found.computed == 12
    assert np.array_equal(found.vectors, first.vectors)


def archive(vectors_: bytes, how: int = zipfile.ZIP_STORED) -> bytes:
    """A cache whose vectors are these bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as made:
        for name, data in (("stamp.npy", b""), ("digests.npy", b""), ("vectors.npy", vectors_)):
            made.writestr(name, data)
    return out.getvalue()


def test_no_wrong_bit_of_a_cache_is_an_error() -> None:
    """Each bit of it, and each place where it may end: it counts as none, or what is in it is unchanged."""
    numbers = np.eye(2, 3, dtype=np.float32)
    good = vectors._write(["00" * 32, "11" * 32], numbers, "stamp")
    assert np.array_equal(vectors._read(good, "stamp", 3)[1], numbers)
    for place in range(8 * len(good)):
        spoilt = bytearray(good)
        spoilt[place // 8] ^= 1 << place % 8
        for data in (bytes(spoilt), good[: place // 8]):
            digests, found = vectors._read(data, "stamp", 3)
            assert (digests == [] and found.shape == (0, 3)) or np.array_equal(found, numbers)


def test_a_compressed_cache_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes could become more than the machine holds."""
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    assert vectors._read(archive(bytes(10**7), zipfile.ZIP_DEFLATED), "stamp", 3)[0] == []


def test_a_run_that_was_killed_goes_on_where_it_was(
    run: Run, issues: list[Issue], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every piece is kept when it is done; the result is that of a run in one go."""
    monkeypatch.setattr(vectors, "PIECE", 5)
    store, saved = LocalStore(tmp_path), list[int]()

    def keep(data: bytes) -> None:
        store.put(NAME, data)
        saved.append(len(data))
        if len(saved) == 2:
            raise Killed

    with pytest.raises(Killed):
        embed(issues, run.encoder, None, keep)
    assert saved[0] < saved[1]
    found = run.of(issues, store.get(NAME))
    assert found.computed == 2
    assert np.array_equal(found.vectors, run.encoder.encode([issue.text for issue in issues]))


def test_progress_counts_what_is_embedded_alone(
    run: Run, issues: list[Issue], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over all pieces, up to their sum."""
    monkeypatch.setattr(vectors, "PIECE", 4)
    run.of(issues[:2])
    run.told.clear()
    run.of(issues, run.pieces[-1])
    assert run.told == sorted(run.told)
    assert run.told[-1] == 10


def test_the_cache_holds_no_word_of_an_issue(run: Run, issues: list[Issue]) -> None:
    """Hashes and numbers alone are at rest."""
    run.of(issues)
    words: set[str] = {word for issue in issues for word in issue.text.split() if len(word) > 7}
    assert len(words) > 50
    assert [word for word in words if word.encode() in run.pieces[-1]] == []


def test_vectors_are_single_precision(run: Run, issues: list[Issue]) -> None:
    """From the encoder and from the cache alike."""
    fresh: Floats = run.of(issues).vectors
    assert (fresh.dtype, run.of(issues, run.pieces[-1]).vectors.dtype) == (np.float32, np.float32)


def test_another_encodes_in_the_encoders_place(run: Run, issues: list[Issue]) -> None:
    """In pieces as large as it takes, each kept when it is there; the vectors are those it gave."""
    asked: list[list[str]] = []

    def elsewhere(
        texts: Sequence[str], /, *, progress: Callable[[int], None] | None = None
    ) -> Iterable[Floats]:
        asked.append(list(texts))
        assert progress is not None
        progress(len(texts))
        return iter(run.encoder.encode(texts))

    found = embed(
        issues,
        run.encoder,
        None,
        run.pieces.append,
        lambda total: run.told.append,
        encode=elsewhere,
        piece=5,
    )
    assert [len(texts) for texts in asked] == [5, 5, 2]
    assert (len(run.pieces), run.told) == (3, [5, 10, 12])
    assert np.array_equal(found.vectors, run.of(issues).vectors)


def test_saving_takes_a_small_share_of_the_time(
    run: Run, issues: list[Issue], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it takes ten times as long as a piece, most pieces wait for the next saving; the last one does not."""
    now = [0.0]
    monkeypatch.setattr(vectors.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(vectors, "PATIENCE", 0.3)
    saved: list[int] = []

    def encode(texts: Sequence[str], /, *, progress: Callable[[int], None] | None = None) -> Iterable[Floats]:
        now[0] += 1.0
        return run.encoder.encode(texts)

    def keep(data: bytes) -> None:
        now[0] += 10.0
        saved.append(len(vectors._read(data, f"{run.encoder.digest} {vectors.TEXT_VERSION}", 384)[0]))

    embed(issues, run.encoder, None, keep, encode=encode, piece=1)
    assert saved == [1, 4, 7, 10, 12]


# Embeds in pieces of four, and is killed while the third of them is under way.
KILLED = """
import os, pathlib, signal, sys
from triage.bundle.local_store import LocalStore
from triage.engine.encoder import Encoder
from triage.learn import vectors
from triage.sources.issue_file import read_issues
store, encoder, pieces = LocalStore(pathlib.Path(sys.argv[1])), Encoder.load(), []
vectors.PATIENCE = 0.0
def encode(texts, progress=None):
    pieces.append(texts)
    if len(pieces) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return encoder.encode(texts)
issues = read_issues(pathlib.Path(sys.argv[2]))[:12]
vectors.embed(issues, encoder, None, lambda held: store.put(vectors.NAME, held), encode=encode, piece=4)
"""


def test_a_process_killed_while_it_embeds_loses_one_piece(run: Run, tmp_path: Path) -> None:
    """`kill -9`: the two pieces that were done are in the store, and the rest alone is embedded afterwards."""
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(LEARNT_FROM)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    issues = read_issues(LEARNT_FROM)[:12]
    found = run.of(issues, LocalStore(tmp_path).get(NAME))
    assert found.computed == 4
    assert np.array_equal(found.vectors, run.encoder.encode([issue.text for issue in issues]))
