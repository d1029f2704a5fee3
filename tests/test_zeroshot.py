"""Zero-shot classification by similarity: labels as they are read, scores that mean the same everywhere."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.config import ZeroShotConfig as Settings
from triage.engine import model_folder as models
from triage.engine.encoder import Encoder
from triage.engine.zero_shot import BACKGROUND_FILE, SimilarityZeroShot, calibrated, open_zero_shot
from triage.errors import ModelError
from triage.text import LabelText, readable

pytestmark = pytest.mark.real_models

BUG = LabelText("bug", "something does not work as expected")
DOCS = LabelText("documentation", "the guides or the reference are wrong or lack something")
SPEED = LabelText("performance", "it is slow or takes too much memory")
TEXTS = {
    "Crash when the configuration is empty\nIt ends with a traceback instead of an error message.": BUG,
    "Typo in the installation guide\nThe README names a command that is not there, the page needs mending.": DOCS,
    "Loading a large file takes ten minutes\nMost of the time goes into parsing, memory grows to 8 GB.": SPEED,
}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """The shipped encoder."""
    return Encoder.load()


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("kind/bug", "kind bug"),
        ("C-bug", "bug"),
        (":bug: bug", "bug"),
        (":bug:", "bug"),
        ("🐛 bug", "bug"),
        ("🐛", "bug"),
        ("🙋\u200d♀️ question", "question"),
        ("module:linear_model", "module linear model"),
        ("c:sdk:media", "sdk media"),
        ("Type: Feature Request", "Type Feature Request"),
        ("good-first-issue", "good first issue"),
        ("功能/建议", "功能 建议"),
        (".NET", ".NET"),
        ("C++", "C++"),
        ("---", "---"),
    ],
)
def test_a_name_is_read_as_words(name: str, read: str) -> None:
    """Emoji, shortcodes, sorting letters and joining punctuation go; what is nothing else is read out."""
    assert readable(name) == read


@given(st.text(min_size=1, max_size=60))
def test_every_name_reads_as_something(name: str) -> None:
    """Whatever a label is called, its phrase is not empty."""
    assert readable(name)
    assert LabelText(name).phrase == readable(name)


def test_a_description_follows_the_name() -> None:
    """A described label reads as its name, a colon and its description on one line."""
    assert LabelText("kind/bug", " It\nbroke. ").phrase == "kind bug: It broke."


@given(
    st.lists(st.floats(-200, 200, width=32), min_size=2, max_size=20), st.floats(0.1, 20), st.floats(-5, 5)
)
def test_calibration_keeps_the_order(raw: list[float], slope: float, intercept: float) -> None:
    """Calibrated scores lie between 0 and 1, and a higher raw score never gets a lower one."""
    scores = calibrated(np.array(sorted(raw), dtype=np.float32), slope, intercept)
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()
    assert (np.diff(scores) >= 0).all()


def test_calibration_is_the_logistic_function() -> None:
    """A raw score of zero gives the sigmoid of the intercept, and a slope steepens it."""
    scores = calibrated(np.array([[0.0, 0.5]], dtype=np.float32), 2.0, -1.0)
    assert scores == pytest.approx(np.array([[1 / (1 + np.e), 0.5]]), abs=1e-6)


@pytest.mark.parametrize("prior", [None, "own"])
def test_issues_find_their_labels(encoder: Encoder, prior: str | None) -> None:
    """With the shipped background or a repository's own mean, each issue's own label scores best."""
    vectors = encoder.encode(list(TEXTS))
    labels = (BUG, DOCS, SPEED)
    raw = SimilarityZeroShot.load(encoder).raw(
        list(TEXTS), vectors, labels, None if prior is None else vectors.mean(axis=0)
    )
    assert [labels[at] for at in raw.argmax(axis=1)] == list(TEXTS.values())


def test_a_score_is_the_similarity_above_the_usual(encoder: Encoder) -> None:
    """Raw scores are cosines less the mean cosine over the background, or over the given prior."""
    method = SimilarityZeroShot.load(encoder)
    vectors, named = encoder.encode(list(TEXTS)), encoder.encode([BUG.phrase, DOCS.phrase])
    shown = np.load(encoder.folder / BACKGROUND_FILE, allow_pickle=False).astype(np.float32)
    usual = (shown @ named.T).mean(axis=0)
    assert method.raw([], vectors, (BUG, DOCS)) == pytest.approx(vectors @ named.T - usual, abs=1e-5)
    prior = vectors[0]
    expected = vectors @ named.T - named @ prior
    assert method.raw([], vectors, (BUG, DOCS), prior) == pytest.approx(expected, abs=1e-5)


def test_a_score_depends_on_no_batch_mate_and_no_other_label(encoder: Encoder) -> None:
    """An issue alone and a label alone get, bit for bit, what they get among others."""
    method = SimilarityZeroShot.load(encoder)
    vectors = encoder.encode(list(TEXTS))
    together = method.raw([], vectors, (BUG, DOCS, SPEED))
    apart = [
        [method.raw([], vectors[i : i + 1], (label,))[0, 0] for label in (BUG, DOCS, SPEED)] for i in range(3)
    ]
    assert together.tolist() == np.array(apart).tolist()


def test_nothing_to_score_gives_an_empty_table(encoder: Encoder) -> None:
    """No issue or no label is no failure: the table has no row or no column."""
    method = SimilarityZeroShot.load(encoder)
    vectors = encoder.encode(list(TEXTS))
    assert method.raw([], vectors, ()).shape == (3, 0)
    assert method.raw([], vectors[:0], (BUG,)).shape == (0, 1)


def test_progress_tells_that_all_is_done(encoder: Encoder) -> None:
    """Progress ends at the number of issues."""
    told: list[int] = []
    SimilarityZeroShot.load(encoder).raw([], encoder.encode(list(TEXTS)), (BUG,), progress=told.append)
    assert told == [3]


def test_the_shipped_background_holds_vectors_of_many_issues(encoder: Encoder) -> None:
    """Its hash stands in the manifest; it is float16, at most 512 rows of unit length, no two the same."""
    shown = np.load(encoder.folder / BACKGROUND_FILE, allow_pickle=False)
    assert BACKGROUND_FILE in models.verify(encoder.folder).files
    assert shown.dtype == np.float16
    assert 256 <= len(shown) <= 512
    assert np.linalg.norm(shown.astype(np.float32), axis=1) == pytest.approx(1, abs=2e-3)
    assert len(np.unique(shown, axis=0)) == len(shown)


def model_folder(encoder: Encoder, folder: Path, background: np.ndarray | None) -> Path:
    """The shipped encoder with another background file, or with none."""
    for name in (models.MODEL_FILE, models.TOKENIZER_FILE):
        (folder / name).symlink_to(encoder.folder / name)
    manifest = models.read_manifest(encoder.folder)
    files = {n: manifest.files[n] for n in (models.MODEL_FILE, models.TOKENIZER_FILE)}
    if background is not None:
        np.save(folder / BACKGROUND_FILE, background, allow_pickle=True)
        files[BACKGROUND_FILE] = models.sha256_of(folder / BACKGROUND_FILE)
    models.write_manifest(folder, dataclasses.replace(manifest, files=files, concepts=()))
    return folder


def test_without_background_the_repository_must_be_learnt_from(encoder: Encoder, tmp_path: Path) -> None:
    """An encoder with no background file scores under a prior, and says what to do where there is none."""
    bare = SimilarityZeroShot.load(Encoder.load(model_folder(encoder, tmp_path, None)))
    vectors = encoder.encode(list(TEXTS))
    prior = vectors.mean(axis=0)
    full = SimilarityZeroShot.load(encoder)
    assert (bare.raw([], vectors, (BUG,), prior) == full.raw([], vectors, (BUG,), prior)).all()
    with pytest.raises(ModelError) as caught:
        bare.raw([], vectors, (BUG,))
    assert str(caught.value) == (
        "issue-encoder has no background.npy, and there is no bundle yet\n"
        "  likely cause: the encoder is not the shipped one\n"
        "  next step: run `triage retrain`, or see `python -m triage.training.background --help`"
    )


@pytest.mark.parametrize(
    ("background", "what"),
    [
        (np.ones((4, 7), dtype=np.float16), "holds (4, 7), not finite rows of 384 numbers"),
        (np.ones((0, 384), dtype=np.float16), "holds (0, 384), not finite rows of 384 numbers"),
        (np.full((2, 384), np.nan, dtype=np.float16), "holds (2, 384), not finite rows of 384 numbers"),
        (np.array([{"a": 1}]), "not an array (its header is not that of rows of plain numbers)"),
    ],
)
def test_an_unusable_background_is_refused(
    encoder: Encoder, tmp_path: Path, background: np.ndarray, what: str
) -> None:
    """Wrong shapes, numbers that are not finite and pickled objects are named, not used."""
    folder = model_folder(encoder, tmp_path, background)
    with pytest.raises(ModelError) as caught:
        SimilarityZeroShot.load(Encoder.load(folder))
    assert what in caught.value.what
    assert str(folder / BACKGROUND_FILE) in caught.value.what


def test_the_digest_tells_encoders_and_backgrounds_apart(encoder: Encoder, tmp_path: Path) -> None:
    """The same files give the same digest, another background another one."""
    other = Encoder.load(model_folder(encoder, tmp_path, np.eye(2, 384, dtype=np.float16)))
    digests = [SimilarityZeroShot.load(each).digest for each in (encoder, Encoder.load(), other)]
    assert digests[0] == digests[1] != digests[2]
    assert len(digests[0]) == 64


def test_the_default_configuration_scores_by_concept_and_similarity(encoder: Encoder) -> None:
    """Similarity alone where it is named."""
    found = [open_zero_shot(settings, encoder) for settings in (Settings(), Settings(model="embedding"))]
    assert [method.name for method in found] == ["concepts", "embedding"]
    assert found[1].digest == SimilarityZeroShot.load(encoder).digest


def test_without_a_concept_head_similarity_decides(encoder: Encoder, tmp_path: Path) -> None:
    """An encoder of one's own has none."""
    other = Encoder.load(model_folder(encoder, tmp_path, np.eye(2, 384, dtype=np.float16)))
    assert open_zero_shot(Settings(), other).name == "embedding"


def test_an_encoder_is_no_entailment_model(encoder: Encoder) -> None:
    """A folder with another kind of model is refused by its kind."""
    with pytest.raises(ModelError) as caught:
        open_zero_shot(Settings(model=str(encoder.folder)), encoder)
    assert caught.value.what == f"{encoder.folder} holds a model of the kind encoder, expected zero-shot"
