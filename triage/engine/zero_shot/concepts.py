"""Zero-shot classification of labels for the kind of an issue: by the concept head, without a run of any model.

A label such as `bug` or `kind/feature` is scored by the logit of its concept (`triage.engine.concepts`), any other
label by another zero-shot model. Scores of both are log-odds, on the scale of that model.

The constants were fitted by `benchmarks/concepts.py` on the 16 repositories that the cross-encoder was calibrated on;
neither was trained on them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from triage.arrays import Floats
from triage.engine.concepts import KIND_CONCEPTS, ConceptHead, concept_of
from triage.text import LabelText

if TYPE_CHECKING:
    from triage.engine.zero_shot import ZeroShotModel

# Log-odds of a label: LOGIT times the logit of its concept, plus INTERCEPT.
LOGIT, INTERCEPT = 1.37, -1.25


class ConceptZeroShot:
    """A concept head in front of another zero-shot model, `rest`, which scores labels that name no kind of issue."""

    def __init__(self, head: ConceptHead, rest: ZeroShotModel) -> None:
        """`head` is of the encoder whose vectors are scored."""
        self._head, self._rest = head, rest
        self._at = {name: c for c, name in enumerate(head.names) if name in KIND_CONCEPTS}
        self.name, self.costly, self.threshold = rest.name, rest.costly, rest.threshold
        self.slope, self.intercept = rest.slope, rest.intercept
        parts = f"{rest.digest} {head.digest} {LOGIT} {INTERCEPT}"
        self.digest = hashlib.sha256(parts.encode()).hexdigest()

    def raw(
        self,
        texts: Sequence[str],
        vectors: Floats,
        labels: Sequence[LabelText],
        prior: Floats | None = None,
        *,
        progress: Callable[[int], None] | None = None,
    ) -> Floats:
        """Scores, float32 [texts, labels]; see the model for other labels."""
        concepts = [self._at.get(concept_of(label) or "") for label in labels]
        kinds = [j for j, concept in enumerate(concepts) if concept is not None]
        others = [j for j, concept in enumerate(concepts) if concept is None]
        scores = np.empty((len(texts), len(labels)), dtype=np.float32)
        if kinds:
            logits = self._head.logits(vectors)[:, [concept for concept in concepts if concept is not None]]
            scores[:, kinds] = (LOGIT * logits + INTERCEPT - self.intercept) / self.slope
        if others:
            rest = [labels[j] for j in others]
            scores[:, others] = self._rest.raw(texts, vectors, rest, prior, progress=progress)
        elif progress:
            progress(len(texts))
        return scores
