"""The embedding cache: vectors by the hash of the text, so that a weekly run embeds only new issues.

It is stored with the bundles, belongs to one encoder and text version, and is never downloaded for labelling.
"""

from __future__ import annotations

import io
import struct
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from triage.arrays import Floats
from triage.bundle.store import Store
from triage.console import warning
from triage.engine.encoder import Encoder
from triage.errors import BundleError
from triage.files import view
from triage.issue import Issue
from triage.text import TEXT_VERSION

NAME = "embeddings"
# Texts embedded at a time; at about 50 a second a killed run loses less than a minute where saving is quick.
PIECE = 2_000
# Each save writes the whole cache; it may take at most a twentieth of the time.
PATIENCE = 20.0
# What zipfile raises for archives that are damaged or made to trap.
UNREADABLE = (
    OSError,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
)


class Encode(Protocol):
    """Encodes as `Encoder.encode` does, perhaps on other machines; see there for `progress`."""

    def __call__(
        self, texts: Sequence[str], /, *, progress: Callable[[int], None] | None = None
    ) -> Iterable[Floats]: ...


@dataclass(frozen=True)
class Embedded:
    """Vectors [n, d] in the order of the issues, and how many of them had to be computed."""

    vectors: Floats
    computed: int


def embedded_before(store: Store) -> bytes | None:
    """The cache in a store; None, with a warning, if it cannot be read: it is only a cache."""
    try:
        return store.get(NAME)
    except BundleError as error:
        warning(f"{error.what}; every text is encoded again")
        return None


def embed(
    issues: Sequence[Issue],
    encoder: Encoder,
    kept: bytes | None,
    keep: Callable[[bytes], None],
    progress: Callable[[int], Callable[[int], None]] | None = None,
    *,
    encode: Encode | None = None,
    piece: int = 0,
) -> Embedded:
    """Embed the issues that `kept`, an earlier cache, lacks; `keep` saves the cache when due, and at the end.

    `encode` (default: the encoder's own) gets at most `piece` texts at a time (default: PIECE). A cache of another
    encoder or text version is ignored, as is a damaged one. Takes two to three times the memory of the vectors, the
    earlier cache included.
    """
    stamp = f"{encoder.digest} {TEXT_VERSION}"
    wanted = {issue.digest: issue for issue in issues}
    digests, vectors, known = _start(_read(kept, stamp, encoder.dimension), wanted, encoder.dimension)
    missing = len(digests) - known
    listener = progress(missing) if progress and missing else None
    step, due = piece or PIECE, 0.0
    for start in range(known, len(digests), step):
        stop = min(start + step, len(digests))

        def report(done: int, before: int = start - known) -> None:
            if listener:
                listener(before + done)

        texts = [wanted[digest].text for digest in digests[start:stop]]
        for row, vector in zip(
            range(start, stop), (encode or encoder.encode)(texts, progress=report), strict=True
        ):
            vectors[row] = vector
        began = time.monotonic()
        if began >= due or stop == len(digests):
            keep(_write(digests[:stop], vectors[:stop], stamp))
            ended = time.monotonic()
            due = ended + PATIENCE * (ended - began)
    rows = {digest: row for row, digest in enumerate(digests)}
    return Embedded(vectors[[rows[issue.digest] for issue in issues]], missing)


def _start(
    held: tuple[Sequence[str], Floats], wanted: Iterable[str], dimension: int
) -> tuple[list[str], Floats, int]:
    """(digests, their vectors, how many of these are known): the known ones come first, in one block."""
    digests, kept = held
    places = dict(zip(digests, range(len(digests)), strict=True))
    distinct = list(dict.fromkeys(wanted))
    known = [digest for digest in distinct if digest in places]
    vectors = np.empty((len(distinct), dimension), dtype=np.float32)
    rows = np.array([places[digest] for digest in known], dtype=np.intp)
    # This mode avoids a copy.
    np.take(kept, rows, axis=0, out=vectors[: len(known)], mode="clip")
    return [*known, *(digest for digest in distinct if digest not in places)], vectors, len(known)


def _write(digests: Sequence[str], vectors: Floats, stamp: str) -> bytes:
    out = io.BytesIO()
    hashes = np.frombuffer(bytes.fromhex("".join(digests)), dtype=np.uint8).reshape(-1, 32)
    np.savez(out, stamp=np.array(stamp), digests=hashes, vectors=vectors)
    return out.getvalue()


def _read(data: bytes | None, stamp: str, dimension: int) -> tuple[list[str], Floats]:
    nothing: tuple[list[str], Floats] = [], np.empty((0, dimension), dtype=np.float32)
    try:
        held = _members(data or b"")
        if held["stamp.npy"] != _saved(stamp):
            return nothing
        digests, vectors = (view(held[name], name) for name in ("digests.npy", "vectors.npy"))
    except (BundleError, KeyError, ValueError, *UNREADABLE):
        return nothing
    kinds = digests.dtype == np.uint8 and vectors.dtype == np.float32
    fits = digests.shape == (len(vectors), 32) and vectors.shape[1:] == (dimension,)
    if not kinds or not fits or not np.isfinite(vectors).all():
        return nothing
    return [bytes(digest).hex() for digest in digests], vectors.astype(np.float32, copy=False)


def _members(data: bytes) -> dict[str, bytes]:
    """The files of an archive as numpy writes it: not compressed, so that they are no longer than it is."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
        if not stored or sum(member.file_size for member in members) > len(data):
            return {}
        return {member.filename: archive.read(member) for member in members}


def _saved(stamp: str) -> bytes:
    """The stamp as numpy saves it."""
    out = io.BytesIO()
    np.save(out, np.array(stamp))
    return out.getvalue()
