"""Zero-shot classification by natural language inference: does the text entail "This issue is about …"?

Source: Yin et al., Benchmarking Zero-shot Text Classification (2019), scored as transformers'
zero-shot-classification pipeline does with `multi_label=True`: each pair alone, neutral left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from triage.arrays import Floats
from triage.engine.encoder import OnnxModel, in_threads
from triage.engine.model_folder import ModelManifest
from triage.errors import ConfigError, ModelError
from triage.text import LabelText


class EntailmentZeroShot:
    """An opened cross-encoder; a raw score is the logit of its probability of entailment."""

    slope = 1.0
    intercept = 0.0
    threshold = 0.5
    costly = True

    def __init__(self, folder: Path, template: str) -> None:
        """`template` has one `{}` for the label. Raises ModelError for another kind of model."""
        model = OnnxModel(folder)
        manifest = model.manifest
        if manifest.kind != "zero-shot" or manifest.entailment is None:
            raise ModelError(f"{folder} holds a model of the kind {manifest.kind}, expected zero-shot")
        self._model = model
        self._template = template
        self._yes, self._no = manifest.entailment, contradiction(manifest)
        self.name = manifest.name
        self.digest = hashlib.sha256(f"{manifest.digest()} {template}".encode()).hexdigest()

    def raw(
        self,
        texts: Sequence[str],
        vectors: Floats,  # noqa: ARG002 - the Protocol's; a cross-encoder reads the texts themselves
        labels: Sequence[LabelText],
        prior: Floats | None = None,  # noqa: ARG002 - as above
        *,
        progress: Callable[[int], None] | None = None,
    ) -> Floats:
        """Logits of entailment against contradiction, float32 [texts, labels]; a sigmoid gives the score.

        Runs the model once for each text and label. Raises ModelError where a logit is not finite,
        ConfigError where a label's description alone fills the model.
        """
        hypotheses = [self._template.replace("{}", label.phrase) for label in labels]
        scores = np.empty((len(texts), len(labels)), dtype=np.float32)

        def fill(at: int) -> int:
            scores[at] = [self._logit(texts[at], hypothesis) for hypothesis in hypotheses]
            return at + 1

        in_threads(fill, range(len(texts)), progress)
        return scores

    def _logit(self, text: str, hypothesis: str) -> float:
        limit = self._model.manifest.max_tokens
        pair = self._model.tokens(text, hypothesis, max_tokens=limit)
        if len(pair.ids) > limit:
            raise ConfigError(
                f"{hypothesis[:80]!r} has more tokens than the {limit} that {self.name} reads",
                likely="the description of a label is too long",
                next_step="shorten it under `labels.descriptions`",
            )
        logits = self._model.run(pair)
        if logits.shape != (len(self._model.manifest.labels),) or not np.isfinite(logits).all():
            raise ModelError(
                f"{self.name} gave {logits!r:.200}, not one finite logit for each of its classes"
            )
        return float(logits[self._yes] - logits[self._no])


def contradiction(manifest: ModelManifest) -> int:
    """The index of contradiction: the class of that name, or the other of two. Raises ModelError."""
    others = [at for at in range(len(manifest.labels)) if at != manifest.entailment]
    named = [at for at in others if manifest.labels[at].lower().startswith(("contra", "not_entail"))]
    if len(others) == 1 or len(named) == 1:
        return (named or others)[0]
    raise ModelError(f"{manifest.name} has the classes {', '.join(manifest.labels)}: which one contradicts?")
