"""Zero-shot classification: labels scored by their names and descriptions, without any example.

Concepts are what labels of many repositories mean: `kind/bug`, `C-bug`, `type: bug` and a beetle are one. The concept
head says how well an issue fits each. It is linear in the encoder's vector, learnt once over many repositories
(`triage.training.concepts`), and lies in the encoder's folder: no model runs for labels for the kind of an issue.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from triage.arrays import Floats, Ints
from triage.config import ZeroShotConfig as Settings
from triage.engine.encoder import Encoder, OnnxModel, in_threads
from triage.engine.head import sigmoid
from triage.engine.model_folder import BUILTIN, CONCEPTS_FILE, ModelManifest, Pins, resolve
from triage.errors import ConfigError, ModelError
from triage.text import LabelText, readable

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


# The concepts, each with the names that labels for it have, as `text.readable` spells them.
TABLE = """
bug: bug, bugs, bug report, defect, fault, error, malfunction, beetle, lady beetle, broken, fix, incorrect
    behavior, incorrect behaviour, erreur, fehler, 缺陷, 错误, バグ
feature: feature, features, feature request, feature requests, new feature, new features, enhancement,
    enhancements, enhancement request, improvement, improvements, rfe, wish, wishlist, suggestion, idea, ideas,
    new module, sparkles, 功能, 功能 建议, 建议, ajout de fonctionnalité, missing feature, request, feature suggestion,
    feature idea, story, user story
question: question, questions, support, support request, help, usage, usage question, how to, howto, user
    question, user support, need help, frage, 问题, 咨询, 提问, question mark, q&a, qa, community support, user issue,
    user error
discussion: discussion, discussions, discuss, proposal, proposals, rfc, design proposal, brainstorming, in
    discussion, discussion needed
documentation: documentation, docs, doc, documentation issue, document, documents, manual, javadoc, readme,
    website, tutorial, tutorials, guide, examples, doc fix, docs fix, 文档, memo, books, documentation bug,
    documentation improvement
performance: performance, perf, slow, slowness, optimization, optimisation, speed, latency, efficiency,
    performance issue, performance regression, zap, high voltage
    sign, 性能, scalability
memory: memory, memory leak, leak, memory usage, oom, out of memory, gc, garbage collector
build: build, builds, build system, building, compilation, compile, compiler error, build failure, build ci,
    build problem, build issue, cmake, dev build system, build release, build tools, builders, buildchange,
    packaging, package, distribution, bazel, gradle, maven
installation: installation, install, installer, installing, setup, set up, upgrade, migration, installation
    trouble, installation issue, installation problem
continuous integration: ci, ci cd, ci cd pipeline, continuous integration, github actions, actions, workflow,
    build infra, pipeline, pipelines, devops, infrastructure, infra
test: test, tests, testing, unit test, unit tests, test failure, flaky test, flaky tests, flake, flaky, failing
    test, test suite, test flake, coverage, e2e, e2e test, test infrastructure, tests ci, testing ci, ci tests,
    ci test, automated tests, white check mark
security: security, security issue, vulnerability, vulnerabilities, cve, lock, security vulnerability, 安全,
    privacy
crash: crash, crashes, crashing, crash report, panic, segfault, segmentation fault, exception, ice, hang,
    freeze, deadlock, hang crash
regression: regression, regressions, regression bug
user interface: ui, ux, ui ux, ux ui, uiux, gui, user interface, user experience, design, usability, frontend,
    front end, web ui, webui, web interface, layout, styling, style, theme, themes, visual, art, artist
    palette, lipstick, look and feel, client, css, dark mode, dashboard
accessibility: accessibility, a11y, wheelchair, wheelchair symbol, screen reader
localisation: i18n, l10n, internationalization, internationalisation, localization, localisation, translation,
    translations, globe with meridians, language, locale, unicode
refactoring: refactoring, refactor, technical debt, tech debt, debt, cleanup, clean up, code quality, code
    cleanup, code health, maintenance, chore, housekeeping, recycle, dev code quality, dead code, deprecation,
    deprecated, deprecations, code smell, architecture
dependencies: dependencies, dependency, deps, dependency update, dependency upgrade, dependencies update,
    upstream, third party, 3rd party, vendor, requirements, dependabot
windows: windows, win, win32, windows only, windows 10, windows 11
macos: macos, mac, mac os, mac osx, osx, os x, darwin, apple
linux: linux, ubuntu, debian, linux only
mobile: mobile, android, ios, iphone, ipad, tablet
containers: docker, container, containers, docker deployment, kubernetes, k8s, helm, podman, dockerfile, docker
    compose
deployment: deployment, deployments, deploy, server deployment, localhost deployment, hosting, cloud, release,
    releases, releasing
command line: cli, command line, command line interface, terminal, console, shell, cmd
api: api, apis, rest api, rest, public api, api design, sdk, client api, backend api, api change, breaking
    change, breaking, openapi
authentication: authentication, auth, login, oauth, sso, authorization, permissions, permission, rbac, identity,
    ldap, oidc, auth oauth, access control, auth scheme, accounts
network: network, networking, http, https, tls, ssl, dns, proxy, websocket, websockets, connection, transport,
    connectivity, protocol, grpc
storage: database, db, storage, sql, postgres, postgresql, mysql, sqlite, persistence, cache, caching,
    filesystem, file system, volume, volumes, backup, backup restore
observability: logging, logs, log, monitoring, observability, metrics, telemetry, tracing, diagnostics,
    instrumentation, alerting, error message, error messages, error reporting
configuration: configuration, config, settings, options, preferences, environment variables
search: search, indexing, query, queries, filter, filters
concurrency: concurrency, threading, threads, async, asyncio, race condition, race, parallelism
types: typing, types, type hints, typescript, type system, annotations, type annotations
editor: editor, ide, vscode, vs code, text editor, entry editor, formatting, syntax highlighting
data: data, dataset, dataset request, datasets, dataset bug, dataset viewer, data model, schema
machine learning model: model, models, new model, training, inference, fine tuning, embeddings
integration: integration, integrations, plugin, plugins, extension, extensions, connector, addon
developer experience: developer experience, dx, devex, developer tools, tooling, debugging, debugger
"""
CONCEPTS: Mapping[str, tuple[str, ...]] = {
    concept: tuple(name.strip() for name in names.split(","))
    for concept, _, names in (
        line.partition(":") for line in TABLE.replace("\n    ", " ").strip().split("\n")
    )
}
# Of these an issue has one, as a rule.
KIND_CONCEPTS = ("bug", "feature", "question", "documentation")
# GitHub's descriptions of the labels that a new repository has.
DESCRIPTIONS: Mapping[str, str] = {
    "something isn't working": "bug",
    "new feature or request": "feature",
    "further information is requested": "question",
    "improvements or additions to documentation": "documentation",
    "pull requests that update a dependency file": "dependencies",
}
# What a label sorts by comes first: `kind/bug`, `type: bug`, `area/testing`, `OS-Windows`, `[outdated] type: bug`.
_SORT = re.compile(
    r"^(?:(?:#|\[[^\]]*\]|(?:kind|type|ty|discussion category|category|issue|t|c|area|a|topic|theme|component|comp"
    r"|module|mod|os|platform|tag|concerns|scope|sig|pkg|feature|label|dev|contributor|lang)\b)[ :]*)+(?=\w)"
)
# Words before a concept that leave its meaning: a critical bug is a bug.
_QUALIFIER = re.compile(
    r"^(?:confirmed|critical|minor|major|blocker|possible|potential|likely|small|big|new|general|known|other|severe"
    r"|non critical|serious) (?=\w)"
)
_BY_NAME: Mapping[str, str] = {name: concept for concept, names in CONCEPTS.items() for name in names}


def concept_of(label: LabelText) -> str | None:
    """The concept that a label means by its name, or else by its description; None for any other label."""
    name = readable(label.name).casefold()
    for known in (name, _SORT.sub("", name), _QUALIFIER.sub("", _SORT.sub("", name))):
        if known in _BY_NAME:
            return _BY_NAME[known]
    return DESCRIPTIONS.get(" ".join(label.description.split()).casefold().rstrip("."))


@dataclass(frozen=True)
class ConceptHead:
    """A linear classifier of concepts: the logit of concept `names[c]` is `vector @ weights[c] + intercepts[c]`.

    `weights` [C, dimension] and `intercepts` [C] are for unit vectors of one encoder.
    """

    names: tuple[str, ...]
    weights: Floats
    intercepts: Floats

    @classmethod
    def load(cls, encoder: Encoder) -> ConceptHead | None:
        """The head in the encoder's folder, which was checked when it was opened; None where there is none.

        Raises ModelError where the file does not fit the manifest.
        """
        rows, names = encoder.array(CONCEPTS_FILE), encoder.manifest.concepts
        if rows is None:
            return None
        expected = len(names), encoder.dimension + 1
        if rows.shape != expected or rows.dtype != np.float32 or not np.isfinite(rows).all():
            raise ModelError(
                f"{encoder.folder / CONCEPTS_FILE} holds {rows.dtype} {rows.shape}, not {expected} finite "
                "numbers of float32: weights and intercept of each concept in the manifest"
            )
        numbers = rows.astype(np.float32)
        return cls(names, numbers[:, :-1], numbers[:, -1])

    @cached_property
    def digest(self) -> str:
        """sha256 (hex): equal digests, equal logits."""
        state = hashlib.sha256("\n".join(self.names).encode())
        state.update(self.rows().astype("<f4").tobytes())
        return state.hexdigest()

    def rows(self) -> Floats:
        """Weights and intercept of each concept, [C, dimension + 1], as they are stored."""
        return np.hstack([self.weights, self.intercepts[:, None]])

    def kinds(self, labels: Iterable[LabelText]) -> Floats:
        """The weights [L, dimension] of the kind of an issue that each label means, zeros for any other label."""
        rows = dict(zip(self.names, self.weights, strict=True))
        known = {name: rows[name] for name in KIND_CONCEPTS if name in rows}
        nothing = np.zeros(self.weights.shape[1], dtype=np.float32)
        meant = [known.get(concept_of(label) or "", nothing) for label in labels]
        return np.array(meant, dtype=np.float32).reshape(-1, len(nothing))

    def logits(self, vectors: Floats) -> Floats:
        """[n, C] for unit vectors [n, dimension]."""
        # Row by row, since a product of matrices rounds differently with another number of rows.
        rows = [(self.weights * vector).sum(axis=1) + self.intercepts for vector in vectors]
        return np.array(rows, dtype=np.float32).reshape(len(vectors), len(self.names))
