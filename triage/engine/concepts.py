"""Concepts: what labels of many repositories mean. `kind/bug`, `C-bug`, `type: bug` and a beetle are one concept.

`TABLE` names the concepts, each with the names that labels for it have, as `text.readable` spells them. A label
belongs to a concept by its name, or by one of GitHub's descriptions of its default labels.

The concept head says how well an issue fits each concept. It is linear in the encoder's vector, learnt once over many
repositories (`triage.training.concepts`), and lies in the encoder's folder. Labels for the kind of an issue are scored
by it without a run of any model.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from triage.arrays import Floats
from triage.engine.encoder import Encoder
from triage.engine.model_folder import CONCEPTS_FILE
from triage.errors import ModelError
from triage.text import LabelText, readable

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
