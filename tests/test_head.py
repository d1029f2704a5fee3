"""The head: neighbours that share labels, without having seen the labels of the issues they are found among."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from triage.engine.head import FORMAT, STARTS, VIEW_SHARES, Head, KeptFeatures, count
from triage.errors import BundleError
from triage.issue import FILES_LEARNT
from triage.learn import head as learning
from triage.learn.head import fit

D = 16
FILLER = [
    f"{a}{b}" for a in ("lor", "ips", "dol", "sit", "ame", "con") for b in ("em", "um", "or", "etur", "is")
]
TELLING = ("segfault", "feature", "documentation")


def unit(rng: np.random.Generator, n: int) -> npt.NDArray[np.float32]:
    vectors = rng.normal(size=(n, D))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def issues(
    n: int, *, seed: int = 0, telling: bool = True
) -> tuple[list[str], npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Texts of which one word may tell the label, vectors that tell nothing, and one of three labels each."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(len(TELLING), size=n)
    texts = []
    for kind in kinds:
        words = [str(word) for word in rng.choice(FILLER, size=20)]
        if telling:
            words.insert(int(rng.integers(20)), TELLING[kind])
        texts.append(" ".join(words[:5]) + "\n" + " ".join(words[5:]))
    return texts, unit(rng, n), np.eye(len(TELLING), dtype=np.bool_)[kinds]


def nearest(points: npt.NDArray[np.float32], queries: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    return np.asarray((queries @ points.T).argmax(axis=1))


def whole(space: learning._Space) -> npt.NDArray[np.float64]:
    """The kernel with both triangles."""
    lower = np.tril(space.kernel())
    return np.asarray(lower + np.tril(lower, -1).T)


def test_new_issues_land_beside_issues_with_their_label() -> None:
    """Where one word tells the label and the vectors tell nothing, the nearest point has the issue's label."""
    texts, vectors, targets = issues(300)
    head, points = fit(count(texts[:200]), vectors[:200], targets[:200])
    found = nearest(points, head.project(count(texts[200:]), vectors[200:]))
    by_vector = nearest(vectors[:200], vectors[200:])
    assert (targets[found] & targets[200:]).any(axis=1).mean() >= 0.9
    assert (targets[by_vector] & targets[200:]).any(axis=1).mean() < 0.5


def test_scores_of_indexed_issues_have_not_seen_their_own_labels() -> None:
    """With labels drawn by chance a model's own scores know them by heart; those that place the issues do not."""
    texts, vectors, targets = issues(200, telling=False)
    kernel = whole(learning._Space.of(count(texts), vectors))
    alpha, scores = learning._ridge(kernel.copy(), targets.astype(np.float64), targets.mean(axis=0))
    by_heart = kernel @ alpha
    assert by_heart[targets].mean() - by_heart[~targets].mean() > 0.2
    assert scores[targets].mean() - scores[~targets].mean() < 0.02


def test_scores_are_those_of_a_model_fitted_without_the_issue() -> None:
    """The shortcut to leave-one-out scores equals solving the regression anew without each row."""
    rng = np.random.default_rng(3)
    features, labels = rng.normal(size=(12, 5)), (rng.random((12, 2)) < 0.4).astype(np.float64)
    kernel = features @ features.T + 1
    expected = labels.mean(axis=0) + rng.normal(size=(12, 2))
    _, scores = learning._ridge(kernel.copy(), labels, expected)
    for i in range(12):
        rest = np.delete(np.arange(12), i)
        ridge = kernel[np.ix_(rest, rest)] + learning.RIDGE * np.eye(11)
        alone = kernel[i, rest] @ np.linalg.solve(ridge, labels[rest] - expected[rest])
        assert np.allclose(scores[i], expected[i] + alone)


@pytest.mark.parametrize("n", [1, 7, 8, 9, 30])
def test_the_factor_is_the_same_in_one_block_and_in_several(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    """Kernels that end within a block or with one; what is above the diagonal is not read."""
    rows = np.random.default_rng(n).normal(size=(n, 5))
    kernel = rows @ rows.T + np.eye(n)
    expected = np.linalg.inv(np.linalg.cholesky(kernel))
    monkeypatch.setattr(learning, "BLOCK", 8)
    found = learning._inverse_factor(np.tril(kernel) + np.triu(np.full((n, n), np.nan), 1))
    assert np.allclose(found, expected, atol=1e-12)
    assert not np.triu(found, 1).any()


def test_weights_of_features_score_as_the_kernel_does() -> None:
    """A text projected as new lands where the dual solution puts it, up to the rounding of 16-bit weights."""
    texts, vectors, targets = issues(60)
    space = learning._Space.of(count(texts), vectors)
    kernel, start = whole(space), np.random.default_rng(1).normal(size=(D, 3))
    alpha, _ = learning._ridge(kernel.copy(), targets.astype(np.float64), targets.mean(axis=0))
    logits = kernel @ alpha + space.around @ start + 0.25
    head = space.head(alpha, start, np.full(3, 0.25), 1.0)
    expected = head.join(1 / (1 + np.exp(-logits)), vectors)
    assert np.abs(head.project(count(texts), vectors) - expected).max() < 1e-3


def test_a_label_that_means_a_concept_needs_fewer_examples() -> None:
    """Issues of each label lie a little towards its concept, which thirty of them alone hardly show."""
    right = []
    for seed in range(4):
        texts, vectors, targets = issues(230, seed=seed, telling=False)
        concepts = unit(np.random.default_rng(seed + 10), 3)
        vectors += 0.4 * concepts[targets.argmax(axis=1)]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        known, new = slice(30), slice(30, None)
        for start in (None, concepts):
            head, _ = fit(count(texts[known]), vectors[known], targets[known], concepts=start)
            best = head.probabilities(count(texts[new]), vectors[new]).argmax(axis=1)
            right.append(targets[new][np.arange(200), best].mean())
    alone, told = np.reshape(right, (4, 2)).mean(axis=0)
    assert told > alone + 0.05


def test_labels_that_mean_no_concept_are_learnt_as_without_any() -> None:
    """Beside one that does, and where all issues fit the concept equally well."""
    texts, vectors, targets = issues(60)
    concepts = np.zeros((3, D), dtype=np.float32)
    concepts[0] = unit(np.random.default_rng(2), 1)
    (alone, _), (beside, _) = (
        fit(count(texts), vectors, targets),
        fit(count(texts), vectors, targets, concepts=concepts),
    )
    assert np.array_equal(alone.dense[:, 1:], beside.dense[:, 1:])
    assert np.abs(alone.dense[:, 0] - beside.dense[:, 0]).max() > 0.01
    same = np.tile(vectors[:1], (60, 1))
    (alone, _), (beside, _) = (
        fit(count(texts), same, targets),
        fit(count(texts), same, targets, concepts=concepts),
    )
    assert np.array_equal(alone.dense, beside.dense)


def test_points_have_length_one_and_a_number_for_each_label_with_five_examples() -> None:
    """A label with four examples gets no direction; one with five does."""
    texts, vectors, _ = issues(40)
    targets = np.zeros((40, 2), dtype=np.bool_)
    targets[:4, 0] = targets[:5, 1] = True
    head, points = fit(count(texts), vectors, targets)
    for found in (points, head.project(count(texts), vectors)):
        assert found.shape == (40, D + 1)
        assert found.dtype == np.float32
        assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_without_a_label_to_learn_the_space_is_the_encoders() -> None:
    """Where no label has examples enough, points are the vectors themselves."""
    texts, vectors, _ = issues(30)
    head, points = fit(count(texts), vectors, np.zeros((30, 2), dtype=np.bool_))
    assert np.allclose(points, vectors, atol=1e-6)
    assert np.allclose(head.project(count(texts), vectors), vectors, atol=1e-6)


@pytest.mark.parametrize("time_ordered", [True, False])
def test_more_issues_than_fit_are_projected_as_new_ones(
    monkeypatch: pytest.MonkeyPatch, time_ordered: bool
) -> None:
    """Of 80 issues where 50 fit, the newest (or a sample) are learnt from and 30 are placed by the head."""
    monkeypatch.setattr(learning, "MAX_ROWS", 50)
    texts, vectors, targets = issues(80)
    head, points = fit(count(texts), vectors, targets, time_ordered=time_ordered, seed=1)
    as_new = np.abs(points - head.project(count(texts), vectors)).max(axis=1) < 1e-6
    assert as_new.sum() == 30
    assert as_new[:30].all() == time_ordered


def test_fitting_twice_gives_the_same_bits() -> None:
    """Nothing in a fit is drawn by chance."""
    texts, vectors, targets = issues(60)
    (one, points), (other, again) = fit(count(texts), vectors, targets), fit(count(texts), vectors, targets)
    assert points.tobytes() == again.tobytes()
    for name, array in one.arrays().items():
        assert array.tobytes() == other.arrays()[name].tobytes()


@pytest.fixture(scope="module")
def learnt() -> Head:
    texts, vectors, targets = issues(80)
    return fit(count(texts), vectors, targets)[0]


def test_a_head_survives_being_saved(learnt: Head) -> None:
    """Arrays written as .npy without pickle and read back project to the same bits."""
    texts, vectors, _ = issues(20, seed=5)
    arrays = {}
    for name, array in learnt.arrays().items():
        file = io.BytesIO()
        np.save(file, array, allow_pickle=False)
        arrays[name] = np.load(io.BytesIO(file.getvalue()), allow_pickle=False)
    again = Head.from_parts(arrays, learnt.settings())
    assert again.project(count(texts), vectors).tobytes() == learnt.project(count(texts), vectors).tobytes()


def test_a_projection_does_not_depend_on_batch_mates(learnt: Head) -> None:
    """One issue alone and the same one among others land on the same point."""
    texts, vectors, _ = issues(10, seed=7)
    together = learnt.project(count(texts), vectors)
    for i in range(10):
        alone = learnt.project(count(texts[i : i + 1]), vectors[i : i + 1])[0]
        assert np.allclose(alone, together[i], atol=1e-6)
    assert learnt.project(count([]), vectors[:0]).shape == (0, D + 3)


@settings(max_examples=50)
@given(text=st.text(st.characters(exclude_categories=()), max_size=300))
def test_any_text_can_be_projected(learnt: Head, text: str) -> None:
    """Empty texts, lone surrogates, emoji and control characters give finite points."""
    vectors = unit(np.random.default_rng(0), 1)
    assert np.isfinite(learnt.project(count([text]), vectors)).all()


def test_a_head_of_another_program_is_refused(learnt: Head) -> None:
    """Format, names, shapes and numbers are checked, and the message says which is wrong."""
    arrays = learnt.arrays()

    def refusal(changed: dict[str, npt.NDArray[np.generic]], format_: str = FORMAT) -> str:
        with pytest.raises(BundleError) as caught:
            Head.from_parts(changed, {"format": format_})
        return caught.value.what

    assert refusal(arrays, "0.9") == f"the head has the format '0.9', this program reads '{FORMAT}'"
    assert refusal({"idf": arrays["idf"]}) == (
        "the head holds the arrays ['idf'] instead of "
        "['balance', 'buckets', 'dense', 'idf', 'intercept', 'words']"
    )
    features = len(arrays["idf"])
    assert refusal(arrays | {"words": arrays["words"][:, :2]}) == (
        f"the head's array `words` has the shape ({features}, 2) instead of ({features}, 3)"
    )
    broken = np.full(3, np.nan, dtype=np.float32)
    assert refusal(arrays | {"intercept": broken}) == (
        "the head's array `intercept` holds a number that is not finite, or out of range"
    )


def test_vectors_of_another_encoder_are_refused(learnt: Head) -> None:
    """A vector of the wrong dimension names both dimensions."""
    with pytest.raises(BundleError) as caught:
        learnt.project(count(["a"]), np.ones((1, D + 1), dtype=np.float32))
    assert caught.value.what == f"the head was learnt from vectors of {D} numbers, not {D + 1}"


def test_buckets_are_the_same_on_every_machine() -> None:
    """Hashes depend on no seed and no process: a change here must raise LEXICAL_VERSION."""
    counts = count(["Crash?\nIt crashed"])
    assert counts.buckets[:4].tolist() == [30516, 48197, 49840, 59204]
    assert int(counts.buckets.sum()) == 14107351
    assert counts.values.max() == pytest.approx(1 + np.log(3))


def paths_of(files: list[str]) -> set[int]:
    """The buckets of changed files."""
    buckets = count(["Same title"], [files]).buckets
    return {int(bucket) for bucket in buckets if bucket >= STARTS[-2]}


def test_files_are_known_by_folders_name_and_ending() -> None:
    """Two files share what their paths share, in any case of letters; without files there is no such feature."""
    here, moved = paths_of(["src/cli/Main.go"]), paths_of(["lib/cli/main.go"])
    assert len(here) == len({"src/", "src/cli/", "/src/", "/cli/", "/main.go", ".go", "main", "go"})
    assert len(here & moved) == len({"/cli/", "/main.go", ".go", "main", "go"})
    assert len(here & paths_of(["src/web/page.html"])) == len({"src/", "/src/"})
    assert len(paths_of(["Makefile"])) == len({"/makefile", "makefile"})
    assert paths_of([]) == set()


def test_files_do_not_change_what_is_read_of_a_text() -> None:
    """The features of an issue are those of heads that knew no files."""
    alone, both = count(["Crash?\nIt crashed"]), count(["Crash?\nIt crashed"], [["src/a.py"]])
    assert both.buckets[both.buckets < STARTS[-2]].tolist() == alone.buckets.tolist()


def test_no_path_takes_long(learnt: Head) -> None:
    """Of a path without end, and of files without end, only the first are read."""
    deep, vectors = "a/" * 100_000 + "b", unit(np.random.default_rng(0), 1)
    assert len(count(["x"], [[deep] * 10]).buckets) < 100
    assert len(paths_of([f"{i}" for i in range(500)])) <= FILES_LEARNT
    assert np.isfinite(learnt.project(count(["x"], [["\udc80/\0", "", "/"]]), vectors)).all()


def test_a_label_that_files_tell_is_learnt_without_a_word() -> None:
    """Texts and vectors tell nothing; labels that are certain give certain, finite probabilities."""
    texts, vectors, targets = issues(200, telling=False)
    folders = ("docs", "src/cli", "tests")
    files = [[f"{folders[int(row.argmax())]}/{i}.md"] for i, row in enumerate(targets)]
    head, points = fit(count(texts[:150], files[:150]), vectors[:150], targets[:150])
    found = nearest(points, head.project(count(texts[150:], files[150:]), vectors[150:]))
    assert (targets[found] & targets[150:]).any(axis=1).mean() == 1.0
    assert head.probabilities(count(texts[150:], files[150:]), vectors[150:])[targets[150:]].min() > 0.9
    without = head.probabilities(count(texts[150:]), vectors[150:])
    assert without[targets[150:]].mean() < 0.6


def test_curves_fit_scores_far_from_all_others() -> None:
    """A rare label scores a few issues far above the rest: full steps of Newton's method would end anywhere."""
    scores = np.zeros(2000)
    scores[:9], scores[9:12] = 9.5, 12.0
    labels = (np.arange(2000) < 9).astype(np.float64)
    slope, offset = learning._curves(scores[:, None], labels[:, None])
    z = (scores - scores.mean()) / (scores.std() + 1e-9)
    frequency = 9.5 / 2001
    start = np.array([1.0, np.log(frequency / (1 - frequency))])

    def loss(w: npt.NDArray[np.float64]) -> float:
        logits = z * w[0] + w[1]
        pull = np.array([learning.PRIOR_WEIGHT, 1e-3]) * (w - start) ** 2 / 2
        return float((np.logaddexp(0, logits) - labels * logits).sum() + pull.sum())

    best = minimize(loss, start).x
    found = np.array([slope[0] * scores.std(), offset[0] + slope[0] * scores.mean()])
    assert found == pytest.approx(best, rel=1e-3)


def test_each_view_of_a_text_weighs_its_share() -> None:
    """Long and short texts, with few and many changed files, weigh the same in each view that has a known feature."""
    texts, _, _ = issues(8, seed=9)
    counts = count(texts, [["src/a.py"] * (i + 1) for i in range(8)])
    kept = KeptFeatures.of(counts, least=1, most=1 << 16)
    found = counts.weighted(kept, VIEW_SHARES)
    view = np.searchsorted(STARTS[1:], kept.buckets[found.buckets], side="right")
    for row in range(8):
        for j, share in enumerate(VIEW_SHARES):
            values = found.values[(found.rows() == row) & (view == j)]
            assert (values**2).sum() == pytest.approx(share, rel=1e-5)


def test_only_the_most_frequent_buckets_are_kept() -> None:
    """`most` bounds the size of a head and `least` leaves out what a single text holds."""
    counts = count(["a b", "a b", "a c"])
    frequent = KeptFeatures.of(counts, least=2, most=1000)
    texts = np.bincount(counts.buckets)
    assert (texts[frequent.buckets] >= 2).all()
    assert len(frequent.buckets) == (texts >= 2).sum()
    assert (texts[KeptFeatures.of(counts, least=2, most=3).buckets] == 3).all()


def test_labelling_needs_no_learning_library() -> None:
    """Opening a head loads neither scikit-learn nor scipy."""
    code = "import sys, triage.engine.head; print([m for m in ('sklearn', 'scipy', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_head_with_a_label_too_many_cannot_exist(learnt: Head) -> None:
    """The parts of a head cannot be out of step."""
    with pytest.raises(BundleError) as caught:
        replace(learnt, intercept=np.zeros(4, dtype=np.float32))
    features = len(learnt.buckets)
    assert caught.value.what == (
        f"the head's array `words` has the shape ({features}, 3) instead of ({features}, 4)"
    )
