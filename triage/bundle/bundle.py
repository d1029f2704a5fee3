"""What learning leaves and serving loads, as values; `triage.bundle.files` tells how it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from triage.arrays import AnyArray, Floats
from triage.bundle.lazy_rows import LazyKeys
from triage.decide.rules import Rules
from triage.engine.ivf_index import IvfCodes
from triage.errors import BundleError
from triage.issue import Key
from triage.text import TEXT_VERSION

FORMAT = 1
FORMAT_COMPRESSED = 4


@dataclass(frozen=True)
class Compression:
    """How the compressed index was made.

    `recall` of the 25 nearest against exact search, with `queries` rows held out; `rows` is how many its lists were
    drawn from, `changed` how many have come or gone since; a search reads `probes` lists.
    """

    probes: int
    recall: float
    queries: int
    rows: int
    changed: int = 0


@dataclass(frozen=True)
class BundleManifest:
    """What a bundle says of itself.

    `figures` were measured on the newest window, unseen until then; `recipe` is what the gate compares; `bots` are
    the logins under which the bot has labelled; `after` is the bundle that was active when this one was learnt.
    """

    created_at: str
    triage_version: str
    encoder: str
    encoder_digest: str
    adaptation: str
    issues: int
    sources: tuple[str, ...]
    split: dict[str, str]
    figures: dict[str, float]
    files: dict[str, str] = field(default_factory=dict)
    zero_shot: str = ""
    text_version: int = TEXT_VERSION
    format: int = FORMAT
    head: dict[str, str] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    bots: tuple[str, ...] = ()
    after: str = ""
    index: Compression | None = None


@dataclass(frozen=True)
class Rows:
    """The indexed issues: keys and label names, one entry for each vector."""

    keys: Sequence[Key]
    labels: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Bundle:
    """A loaded or freshly learnt bundle. `head` holds the arrays of the projection, if there is one,
    `encoder` the files of the fine-tuned encoder. Where there are `codes`, they stand in the place of `vectors`."""

    manifest: BundleManifest
    rules: Rules
    vectors: Floats
    rows: Rows
    prior: Floats
    head: Mapping[str, AnyArray] = field(default_factory=dict)
    encoder: Mapping[str, bytes] = field(default_factory=dict)
    codes: IvfCodes | None = None

    def __post_init__(self) -> None:
        n, indexed = len(self.rows.keys), len(self.vectors if self.codes is None else self.codes)
        if not n == len(self.rows.labels) == indexed == self.manifest.issues:
            raise BundleError(f"{n} rows do not go with {indexed} vectors")
        if (self.codes is None) != (self.manifest.index is None):
            raise BundleError("the manifest tells of another kind of index than there is")
        if self.codes is not None and (self.codes.owners < 0).any() == (self.rules.shared == ()):
            raise BundleError("the lists of the index are not those that the rules search")
        if self.vectors.ndim != 2 or not np.isfinite(self.vectors).all():
            raise BundleError("the vectors are not finite rows")

    def verify(self) -> None:
        """Read what is only read when it is searched, too. Raises BundleError where it was changed."""
        if self.codes is not None:
            self.codes.verify()
        if isinstance(self.rows.keys, LazyKeys):
            self.rows.keys.table.verify()
