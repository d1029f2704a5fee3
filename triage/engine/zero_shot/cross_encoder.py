"""Zero-shot classification by a cross-encoder that reads an issue once, together with all labels.

The tokens of the issue are followed by those of each label. Attention is masked: the issue attends to itself, a label
to the issue and itself. So labels are scored independently of each other, and the issue is processed once, not once
for each label. `triage.training.cross_encoder` trains it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from triage.arrays import Floats, Ints, Mask
from triage.engine.encoder import OnnxModel, in_threads
from triage.engine.model_folder import packed, read_manifest, unpacked
from triage.engine.zero_shot.similarity import SimilarityZeroShot
from triage.errors import ModelError
from triage.text import LabelText

# Tokens that are read of a label with its description, and labels in one run.
LABEL_TOKENS = 24
LABELS_A_RUN = 32
# A label whose similarity to an issue is this far below its mean is not scored by the cross-encoder, but gets the
# median logit of such pairs: of 10,000 of them, in the repositories of `benchmarks/judge.py`, the cross-encoder would
# have made up for the low similarity of three.
HOPELESS, UNASKED = -0.03, -5.3
# Up to this many labels are all scored: there is little to save, and the order of unlikely labels still counts.
FEW = 10


@dataclass(frozen=True)
class Sheet:
    """The tokens of one run, all lists of one length: `segments` are 0 for the issue, 1, 2, … for the labels."""

    ids: list[int]
    types: list[int]
    positions: list[int]
    segments: list[int]


def lay_out(issue: Sequence[int], labels: Sequence[Sequence[int]]) -> Sheet:
    """The token ids of an issue and its labels, including special ones, in one sequence.

    The positions of each label begin at 0.
    """
    sheet = Sheet(list(issue), [0] * len(issue), list(range(len(issue))), [0] * len(issue))
    for number, label in enumerate(labels, start=1):
        sheet.ids.extend(label)
        sheet.types.extend([1] * len(label))
        sheet.positions.extend(range(len(label)))
        sheet.segments.extend([number] * len(label))
    return sheet


class CrossEncoder:
    """An opened cross-encoder; a raw score is the logit of a label's probability.

    The cross-encoder is best at the kind of an issue, similarity under the encoder at its topic. With a `similarity` in
    the manifest, the score is their weighted sum, and of many labels the least similar are not read. The model is
    loaded at its first use.
    """

    costly = True

    def __init__(self, folder: Path, similar: SimilarityZeroShot) -> None:
        """Raises ModelError for another kind of model."""
        manifest = read_manifest(folder)
        if manifest.kind != "zero-shot" or manifest.layout != "joint":
            raise ModelError(f"{folder} holds no cross-encoder that reads all labels at once")
        self._folder, self._similar, self._weight = folder, similar, manifest.similarity
        self.name = manifest.name
        parts = f"{manifest.digest()} {manifest.similarity} {similar.digest} {HOPELESS} {UNASKED} {FEW}"
        self.digest = hashlib.sha256(parts.encode()).hexdigest()
        self.slope, self.intercept = manifest.slope, manifest.intercept
        self.threshold = manifest.threshold

    @cached_property
    def _model(self) -> OnnxModel:
        return OnnxModel(self._folder)

    def __reduce__(self) -> tuple[Callable[..., CrossEncoder], tuple[object, ...]]:
        """See `OnnxModel`."""
        return _reopened, (packed(self._folder), self._similar)

    def raw(
        self,
        texts: Sequence[str],
        vectors: Floats,
        labels: Sequence[LabelText],
        prior: Floats | None = None,
        *,
        progress: Callable[[int], None] | None = None,
    ) -> Floats:
        """Logits, float32 [texts, labels]; see `read` and `SimilarityZeroShot.raw`."""
        if not self._weight:
            return self.read(texts, labels, progress)
        similar = self._similar.raw(texts, vectors, labels, prior)
        asked = None if len(labels) <= FEW else similar >= HOPELESS
        logits = self.read(texts, labels, progress, asked)
        logits += self._weight * similar
        return logits

    def read(
        self,
        texts: Sequence[str],
        labels: Sequence[LabelText],
        progress: Callable[[int], None] | None = None,
        asked: Mask | None = None,
    ) -> Floats:
        """The cross-encoder's logits: one run of the model for each text and LABELS_A_RUN labels.

        Labels that are not `asked` for (bool [texts, labels]; None: all are) get UNASKED. Which other labels are asked
        for changes a logit by rounding only, by 0.01 on average and at times by 0.1; other texts never change it.
        Raises ModelError where a logit is not finite.
        """
        model = self._model
        cut = [model.tokens(label.phrase, max_tokens=LABEL_TOKENS).ids for label in labels]
        scores = np.full((len(texts), len(labels)), UNASKED, dtype=np.float32)

        def fill(at: int) -> int:
            issue = model.tokens(texts[at], max_tokens=model.manifest.max_tokens).ids
            wanted = np.flatnonzero(asked[at]) if asked is not None else np.arange(len(cut))
            for first in range(0, len(wanted), LABELS_A_RUN):
                some = wanted[first : first + LABELS_A_RUN]
                scores[at, some] = self._logits(lay_out(issue, [cut[j] for j in some]), len(some))
            return at + 1

        in_threads(fill, range(len(texts)), progress)
        return scores

    def _logits(self, sheet: Sheet, labels: int) -> Floats:
        logits = self._model.answer(feeds(sheet, labels))
        if logits.shape != (labels,) or not np.isfinite(logits).all():
            raise ModelError(f"{self.name} gave {logits!r:.200}, not one finite logit for each label")
        return logits


def _reopened(files: Mapping[str, bytes], similar: SimilarityZeroShot) -> CrossEncoder:
    return CrossEncoder(unpacked(files), similar)


def feeds(sheet: Sheet, labels: int) -> dict[str, Ints]:
    """The inputs of the model for one sheet, as a batch of one."""
    return {
        "input_ids": np.array([sheet.ids], dtype=np.int64),
        "token_type_ids": np.array([sheet.types], dtype=np.int64),
        "position_ids": np.array([sheet.positions], dtype=np.int64),
        "segments": np.array([sheet.segments], dtype=np.int64),
        "numbers": np.arange(labels + 1, dtype=np.int64),
    }
