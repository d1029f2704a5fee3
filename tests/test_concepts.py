"""Concepts: which labels mean the same, the head that is learnt for them, and how labels for kinds are scored by it."""

from __future__ import annotations

import dataclasses
import pickle
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.learning import Material
from triage.arrays import Floats
from triage.config import Config
from triage.config import ZeroShotConfig as Settings
from triage.engine import model_folder as models
from triage.engine.encoder import Encoder
from triage.engine.zero_shot import (
    CONCEPT,
    CONCEPTS,
    KIND,
    KIND_CONCEPTS,
    OTHER,
    ConceptHead,
    ConceptZeroShot,
    SimilarityZeroShot,
    concept_of,
    open_zero_shot,
)
from triage.errors import DataError, ModelError
from triage.issue import Issue
from triage.learn.head import columns
from triage.text import LabelText
from triage.training import concepts as training
from triage.training.corpus import corpus
from triage.training.held_out import kept_aside

BUG, FEATURE, QUESTION = LabelText("kind/bug"), LabelText("enhancement"), LabelText("question")
TAUGHT = [name for name in (f"team/project-{i}" for i in range(80)) if not kept_aside(name)][:6]
ASIDE = next(name for name in (f"team/project-{i}" for i in range(40)) if kept_aside(name))


@pytest.mark.parametrize(
    ("name", "concept"),
    [
        ("bug", "bug"),
        ("kind/bug", "bug"),
        ("C-bug", "bug"),
        ("type: bug", "bug"),
        ("Type: Bug Report", "bug"),
        (":bug:", "bug"),
        ("🐛", "bug"),
        ("🐞 Bug", "bug"),
        ("confirmed bug", "bug"),
        ("[outdated] type: bug", "bug"),
        ("enhancement", "feature"),
        ("✨ feature request", "feature"),
        ("T-support", "question"),
        ("area/docs", "documentation"),
        ("OS-Windows", "windows"),
        ("a11y", "accessibility"),
        ("tech-debt", "refactoring"),
        ("non bug", None),
        ("not a bug", None),
        ("sig/storage-x", None),
        ("P1", None),
        ("", None),
    ],
)
def test_names_that_mean_the_same_are_one_concept(name: str, concept: str | None) -> None:
    """Whatever a label is sorted by and however it is decorated; a negation is no qualifier."""
    assert concept_of(LabelText(name)) == concept


def test_a_description_of_github_tells_too() -> None:
    """A default label that was renamed keeps its description; the name counts first."""
    assert concept_of(LabelText("zzz", "Something isn't working")) == "bug"
    assert concept_of(LabelText("docs", "Something isn't working")) == "documentation"
    assert concept_of(LabelText("zzz", "Something else")) is None


def test_every_name_of_the_table_belongs_to_one_concept() -> None:
    """No name stands twice, and each is found in the table as a label would spell it."""
    names = [name for concept in CONCEPTS.values() for name in concept]
    assert sorted(names) == sorted(set(names))
    for concept, own in CONCEPTS.items():
        assert {concept_of(LabelText(name)) for name in own} == {concept}
    assert set(KIND_CONCEPTS) <= set(CONCEPTS)


def issues_of(repo: str, count: int, labels: Sequence[str]) -> list[Issue]:
    return [
        Issue(
            repo,
            number,
            f"{labels[number % len(labels)]} {number}",
            repo,
            labels=(labels[number % len(labels)],),
        )
        for number in range(1, count + 1)
    ]


def vectors_of(issues: Sequence[Issue], words: Sequence[str], *, seed: int = 0) -> Floats:
    """Unit vectors that point to the first word of the title, with noise."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(0, 0.3, (len(issues), len(words) + 2))
    for vector, issue in zip(vectors, issues, strict=True):
        vector[words.index(issue.title.split()[0])] += 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32)


WORDS = ("bug", "enhancement", "question", "windows")


@pytest.fixture(scope="module")
def found() -> training.Examples:
    """Half of the repositories have no label for questions, half none for windows."""
    schemes = (WORDS[:3], (*WORDS[:2], WORDS[3]))
    issues = [i for at, repo in enumerate(TAUGHT) for i in issues_of(repo, 60, schemes[at % 2])]
    return training.examples(corpus(issues))


def test_a_repository_teaches_only_what_it_has_labels_for(found: training.Examples) -> None:
    """An issue says nothing about concepts that its repository has no label for."""
    assert found.names == ("bug", "feature", "question", "windows")
    first = [repo == TAUGHT[0] for repo in found.repositories]
    assert found.known[first].all(axis=0).tolist() == [True, True, True, False]
    assert not found.known[first, 3].any()
    assert (found.carries <= found.known).all()


def test_large_repositories_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most so many issues of a repository and concept are read."""
    monkeypatch.setattr(training, "MOST", 20)
    groups = corpus([i for repo in TAUGHT for i in issues_of(repo, 90, WORDS[:3])])
    found = training.examples(groups)
    assert found.carries.sum(axis=0).tolist() == [20 * len(TAUGHT)] * 3


def test_held_out_repositories_do_not_teach_concepts() -> None:
    """Neither those drawn by the hash nor those that results are checked on."""
    issues = [i for repo in (*TAUGHT, ASIDE, "golang/go") for i in issues_of(repo, 60, WORDS[:3])]
    assert set(training.examples(corpus(issues)).repositories) == set(TAUGHT)
    with pytest.raises(DataError, match="no concept has enough"):
        training.examples(corpus(issues_of(ASIDE, 90, WORDS[:3])))


def test_the_head_tells_concepts_apart(found: training.Examples) -> None:
    """On issues of a repository that it was not learnt from, kinds and others alike."""
    head = training.fit(
        found, vectors_of(found.issues, WORDS), *training.chosen(found, vectors_of(found.issues, WORDS))
    )
    new = issues_of("other/one", 80, WORDS)
    logits = head.logits(vectors_of(new, WORDS, seed=1))
    truth = np.array([WORDS.index(issue.labels[0]) for issue in new])
    kinds = truth < 3
    assert (logits[kinds, :3].argmax(axis=1) == truth[kinds]).mean() > 0.9
    assert logits[truth == 3, 3].min() > np.median(logits[truth != 3, 3])


def test_a_kind_without_a_label_is_not_held_against_it(found: training.Examples) -> None:
    """Issues called bugs where there is no label for questions do not teach that questions are bugs."""
    vectors = vectors_of(found.issues, WORDS)
    lacking = ~found.known[:, 2]
    moved = vectors.copy()
    # There, half of the bugs are questions in all but name.
    moved[lacking & found.carries[:, 0]] = vectors[found.carries[:, 2]][
        : (lacking & found.carries[:, 0]).sum()
    ]
    head = training.fit(found, moved, training.KIND_PENALTIES[0], 1.0)
    asked = head.logits(vectors[found.carries[:, 2]])
    assert (asked[:, :3].argmax(axis=1) == 2).mean() > 0.9


def encoder_folder(tmp_path: Path) -> Path:
    return shutil.copytree(models.shipped(models.BUILTIN_ENCODER), tmp_path / "encoder")


def make_head(dimension: int = 384, seed: int = 3) -> ConceptHead:
    rng = np.random.default_rng(seed)
    names = ("bug", "feature", "question", "windows")
    return ConceptHead(
        names, rng.normal(size=(4, dimension)).astype(np.float32), rng.normal(size=4).astype(np.float32)
    )


@pytest.mark.real_models
def test_a_head_is_added_to_an_encoder_and_read_again(tmp_path: Path) -> None:
    """File, hash, names and card; vectors and so bundles do not depend on it, and twice is as good as once."""
    folder, head = encoder_folder(tmp_path), make_head()
    before = Encoder.load(folder).digest
    training.add(folder, head, "## Concept head\n\nfirst\n")
    training.add(folder, head, "## Concept head\n\nsecond\n")
    encoder = Encoder.load(folder)
    read = ConceptHead.load(encoder)
    assert read is not None
    assert (read.names, read.digest) == (head.names, head.digest)
    assert encoder.digest == before
    assert models.verify(folder).concepts == head.names
    card = (folder / "MODEL_CARD.md").read_text("utf-8")
    assert card.count("## Concept head") == 1
    assert card.endswith("second\n")
    assert "## Background vectors" in card


@pytest.mark.real_models
@pytest.mark.parametrize(
    "rows",
    [np.zeros((3, 385), np.float32), np.zeros((4, 385), np.float64), np.full((4, 385), np.nan, np.float32)],
    ids=["short", "kind", "nan"],
)
def test_a_head_that_does_not_fit_is_refused(tmp_path: Path, rows: Floats) -> None:
    """In words that name the file and what belongs there."""
    folder = encoder_folder(tmp_path)
    training.add(folder, make_head(), "## Concept head\n")
    np.save(folder / models.CONCEPTS_FILE, rows)
    manifest = models.read_manifest(folder)
    files = {**manifest.files, models.CONCEPTS_FILE: models.sha256_of(folder / models.CONCEPTS_FILE)}
    models.write_manifest(folder, dataclasses.replace(manifest, files=files))
    with pytest.raises(ModelError, match=r"not \(4, 385\) finite numbers of float32"):
        ConceptHead.load(Encoder.load(folder))


@pytest.mark.real_models
def test_concept_and_similarity_count_as_the_label_is_known() -> None:
    """A kind by its concept alone, another concept by both, any other label by similarity; issues do not mix."""
    encoder, head = Encoder.load(), make_head()
    similar = SimilarityZeroShot.load(encoder)
    model = ConceptZeroShot(head, similar)
    texts = ["It crashes\nwith a traceback", "How do I install it?"]
    labels = [BUG, LabelText("OS-Windows"), LabelText("billing")]
    vectors = encoder.encode(texts)
    raw, likeness, logits = (
        model.raw(texts, vectors, labels),
        similar.raw(texts, vectors, labels),
        head.logits(vectors),
    )
    for column, (weights, concept) in enumerate(((KIND, "bug"), (CONCEPT, "windows"), (OTHER, None))):
        known = logits[:, head.names.index(concept)] if concept else 0.0
        expected = weights.logit * known + weights.similarity * likeness[:, column] + weights.intercept
        assert raw[:, column] == pytest.approx(expected, abs=1e-4)
    alone = np.vstack([model.raw([t], v[None], labels) for t, v in zip(texts, vectors, strict=True)])
    assert (alone == raw).all()
    assert len({model.digest, similar.digest, ConceptZeroShot(make_head(seed=4), similar).digest}) == 3


@pytest.mark.real_models
def test_the_shipped_head_knows_the_kinds_of_issues() -> None:
    """What the action opens by default answers for bugs, wishes, questions and documentation without a model's run."""
    encoder = Encoder.load()
    head = ConceptHead.load(encoder)
    assert head is not None
    assert set(KIND_CONCEPTS) < set(head.names) <= set(CONCEPTS)
    texts = {
        "Crash on start\nIt ends with a traceback since the last version, expected a window.": "bug",
        "Please add dark mode\nIt would be great to have a dark theme.": "feature",
        "How can I change the port?\nI could not find out how to do that. Can somebody help me?": "question",
        "Typo in the installation guide\nThe page names an option that does not exist.": "documentation",
    }
    labels = [LabelText(name) for name in KIND_CONCEPTS]
    model = open_zero_shot(Settings(), encoder)
    assert isinstance(model, ConceptZeroShot)
    raw = model.raw(list(texts), encoder.encode(list(texts)), labels)
    assert [KIND_CONCEPTS[best] for best in raw.argmax(axis=1)] == list(texts.values())


def test_a_repositorys_head_starts_from_the_kinds_that_its_labels_mean(
    material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other labels are learnt as under an encoder that knows no concepts."""
    recipe = material.study(Config(), "head")
    rows = recipe.split.test.known
    told, _ = recipe.adapted(rows)
    monkeypatch.setattr(ConceptHead, "load", lambda _: None)
    alone, _ = material.study(Config(), "head").adapted(rows)
    assert told and alone
    changes = np.abs(told.dense - alone.dense).max(axis=0)
    names = [recipe.data.names[j] for j in columns(recipe.data.targets[rows])]
    changed = {name for name, change in zip(names, changes, strict=True) if change > 1e-4}
    assert changed == {"bug", "documentation", "enhancement", "question"}


def test_workers_get_the_classifier_with_its_labels_or_without(
    material: Material, new_issues: list[Issue]
) -> None:
    """A process of a cluster gets it by pickle, before it has scored a label and after."""
    zero_shot = material.engines.zero_shot
    texts, vectors = [issue.text for issue in new_issues[:1]], material.vectors[:1]
    for _ in range(2):
        sent = pickle.loads(pickle.dumps(zero_shot))
        here, there = (each.raw(texts, vectors, [BUG, LabelText("web")]) for each in (zero_shot, sent))
        assert here.tobytes() == there.tobytes()
