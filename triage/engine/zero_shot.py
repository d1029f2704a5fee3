"""Zero-shot classification: labels scored by their names and descriptions, without any example."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from triage.arrays import Floats, Ints
from triage.config import ZeroShotConfig as Settings
from triage.engine.concepts import KIND_CONCEPTS, ConceptHead, concept_of
from triage.engine.encoder import Encoder, OnnxModel, in_threads
from triage.engine.model_folder import BUILTIN, ModelManifest, Pins, resolve
from triage.errors import ConfigError, ModelError
from triage.metrics import sigmoid
from triage.text import LabelText

EMBEDDING = "embedding"
BACKGROUND_FILE = "background.npy"


class ZeroShotModel(Protocol):
    """Scores any label on any text.

    `digest` (hex) identifies the scores: equal digests, equal scores. `slope` and `intercept` turn a raw score into a
    probability, see `calibrated`. A `costly` model runs for every pair of text and label. Models can be pickled, for
    workers in other processes.
    """

    name: str
    digest: str
    costly: bool
    slope: float
    intercept: float

    def raw(
        self,
        texts: Sequence[str],
        vectors: Floats,
        labels: Sequence[LabelText],
        prior: Floats | None = None,
        *,
        progress: Callable[[int], None] | None = None,
    ) -> Floats:
        """Scores as float32 [texts, labels], comparable between labels; higher is likelier.

        `vectors` [texts, dimension] are the encoder's for the same texts; `prior` [dimension] is the mean over the
        repository's index, if there is one; `progress` gets the number of texts done. Raises ModelError.
        """


def calibrated(raw: Floats, slope: float, intercept: float) -> Floats:
    """sigmoid(slope * raw + intercept): scores 0 to 1 of any shape, in the order of `raw` for a positive slope."""
    return sigmoid(slope * raw.astype(np.float64) + intercept).astype(np.float32)


def open_zero_shot(settings: Settings, encoder: Encoder) -> ZeroShotModel:
    """The model that the configuration names; concepts and similarity are by the vectors of `encoder`.

    Raises ModelError, and UnavailableError where a pinned hub model cannot be downloaded.
    """
    if settings.model in {BUILTIN, EMBEDDING}:
        similar, head = SimilarityZeroShot.load(encoder), ConceptHead.load(encoder)
        return ConceptZeroShot(head, similar) if head and settings.model == BUILTIN else similar
    folder = resolve(settings.model, Pins(settings.revision, settings.sha256))
    return EntailmentZeroShot(folder, settings.template)


class SimilarityZeroShot:
    """By similarity: an issue's vector against the vectors of the labels' phrases.

    Some labels are similar to every issue ("question"), others to none ("P1"). So a raw score is the similarity minus
    the label's mean similarity: over the repository's index if there is one, else over the background vectors shipped
    with the encoder. Since similarity is an inner product, that is the issue's vector minus the mean vector, times the
    label's vector. The mean is never taken over a batch, so that a decision does not depend on other issues.

    Slope and intercept were fitted by `benchmarks/zero_shot.py` (benchmarks/README.md, "Zero-shot by similarity").
    """

    name = "embedding"
    slope = 18.6
    intercept = -1.09
    costly = False

    def __init__(self, encoder: Encoder, background: Floats | None) -> None:
        """`background` is a mean vector [dimension], or None for an encoder without one."""
        self._encoder = encoder
        self._background = background
        shift = b"" if background is None else background.astype("<f4").tobytes()
        # The same labels are scored for every issue.
        self._named = functools.lru_cache(maxsize=32)(encoder.encode)
        self.digest = hashlib.sha256(f"{encoder.digest} similarity ".encode() + shift).hexdigest()

    @classmethod
    def load(cls, encoder: Encoder) -> SimilarityZeroShot:
        """With the background vectors in the encoder's folder, if there are any; raises ModelError."""
        return cls(encoder, _background(encoder))

    def __reduce__(self) -> tuple[type[SimilarityZeroShot], tuple[object, ...]]:
        """Pickled without the cache."""
        return SimilarityZeroShot, (self._encoder, self._background)

    def raw(
        self,
        texts: Sequence[str],  # noqa: ARG002 - the Protocol's; similarity needs the vectors alone
        vectors: Floats,
        labels: Sequence[LabelText],
        prior: Floats | None = None,
        *,
        progress: Callable[[int], None] | None = None,
    ) -> Floats:
        """Similarities above the mean, float32 [len(vectors), labels], -2 to 2.

        `vectors` [n, dimension] are of unit length; `prior` [dimension] is the mean vector of the
        repository's index. Raises ModelError where there is neither a prior nor a background.
        """
        mean = self._background if prior is None else prior
        if mean is None:
            raise ModelError(
                f"{self._encoder.name} has no {BACKGROUND_FILE}, and there is no bundle yet",
                likely="the encoder is not the shipped one",
                next_step="run `triage retrain`, or see `python -m triage.training.background --help`",
            )
        named = self._named(tuple(label.phrase for label in labels))
        # Row by row, since a product of matrices rounds differently with another number of rows.
        scores = np.array([(named * (vector - mean)).sum(axis=1) for vector in vectors], dtype=np.float32)
        if progress:
            progress(len(vectors))
        return scores.reshape(len(vectors), len(labels))


def _background(encoder: Encoder) -> Floats | None:
    """The mean of the background vectors in the encoder's folder; None where it has none."""
    vectors = encoder.array(BACKGROUND_FILE)
    if vectors is None:
        return None
    if vectors.shape[1:] != (encoder.dimension,) or not len(vectors) or not np.isfinite(vectors).all():
        path = encoder.folder / BACKGROUND_FILE
        raise ModelError(f"{path} holds {vectors.shape}, not finite rows of {encoder.dimension} numbers")
    mean: Floats = vectors.mean(axis=0, dtype=np.float32)
    return mean


@dataclass(frozen=True)
class LabelWeights:
    """The log-odds of a label: its concept's logit and its similarity, each times a weight, plus an intercept."""

    logit: float
    similarity: float
    intercept: float


# Fitted by `benchmarks/concepts.py` on repositories that no shipped model was trained on.
KIND = LabelWeights(0.95, 0.0, -0.47)
CONCEPT = LabelWeights(0.16, 10.61, -1.03)
OTHER = LabelWeights(0.0, 11.75, -0.82)


class ConceptZeroShot:
    """Zero-shot classification by concept and similarity, which triage uses unless another model is named.

    A label for a kind of issue is scored by the logit of its concept, another label that means a known concept by its
    logit and by how similar the issue is to the label's name and description, any other label by similarity. Neither
    runs a model: both are products of the issue's vector. Scores are log-odds.
    """

    name = "concepts"
    slope = 1.0
    intercept = 0.0
    costly = False

    def __init__(self, head: ConceptHead, similar: SimilarityZeroShot) -> None:
        """`head` is of the encoder whose vectors are scored."""
        self._head, self._similar = head, similar
        # The same labels are scored for every issue.
        self._weighed = functools.lru_cache(maxsize=32)(self._weights)
        parts = f"{similar.digest} {head.digest} {[astuple(each) for each in (KIND, CONCEPT, OTHER)]}"
        self.digest = hashlib.sha256(parts.encode()).hexdigest()

    def __reduce__(self) -> tuple[type[ConceptZeroShot], tuple[object, ...]]:
        """Pickled without the cache."""
        return ConceptZeroShot, (self._head, self._similar)

    def raw(
        self,
        texts: Sequence[str],
        vectors: Floats,
        labels: Sequence[LabelText],
        prior: Floats | None = None,
        *,
        progress: Callable[[int], None] | None = None,
    ) -> Floats:
        """Log-odds, float32 [texts, labels]; see `SimilarityZeroShot.raw`."""
        scores = self._similar.raw(texts, vectors, labels, prior, progress=progress)
        concepts, (logit, similarity, intercept) = self._weighed(tuple(labels))
        scores *= similarity
        scores += intercept
        scores += logit * self._head.logits(vectors)[:, concepts]
        return scores

    def _weights(self, labels: Sequence[LabelText]) -> tuple[Ints, Floats]:
        """The place of each label's concept in the head, 0 where it means none that is known, and weights [3, L]."""
        names, concepts, weights = self._head.names, np.zeros(len(labels), dtype=np.int64), []
        for column, label in enumerate(labels):
            concept = concept_of(label)
            if concept in names:
                concepts[column] = names.index(concept)
                weights.append(KIND if concept in KIND_CONCEPTS else CONCEPT)
            else:
                weights.append(OTHER)
        return concepts, np.array([astuple(each) for each in weights], dtype=np.float32).reshape(-1, 3).T


class EntailmentZeroShot:
    """By natural language inference: does the text entail "This issue is about …"?

    A raw score is the logit of the probability of entailment that a cross-encoder gives. Source: Yin et al.,
    Benchmarking Zero-shot Text Classification (2019), scored as transformers' zero-shot-classification pipeline does
    with `multi_label=True`: each pair alone, neutral left out.
    """

    slope = 1.0
    intercept = 0.0
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
