"""The shipped encoder: what a vector depends on, and what no text can do to it."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from triage.engine import model_folder as models
from triage.engine.encoder import Encoder, OnnxModel
from triage.errors import ModelError

pytestmark = pytest.mark.real_models

WORDS = [
    "the",
    "build",
    "fails",
    "with",
    "an",
    "error",
    "when",
    "config",
    "is",
    "empty",
    "add",
    "docs",
    "for",
    "new",
    "option",
    "panic",
    "in",
    "parser",
]
ODD = [
    "",
    " ",
    "\0",
    "\ud800 lone",
    "🙂🙂",
    "漢字かな交じり文",
    "a\r\nb",
    "x" * 5000,
    "word " * 2000,
    "```\n\n```",
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.load()


def some_texts(seed: int, count: int) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=chance.randint(1, 40))) for _ in range(count)]


def test_vectors_are_unit_float32_rows(encoder: Encoder) -> None:
    """Every text, even an empty or a hostile one, becomes a finite row of length one."""
    vectors = encoder.encode(ODD)
    assert vectors.shape == (len(ODD), encoder.dimension) == (10, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_no_texts_give_no_rows(encoder: Encoder) -> None:
    """Encoding nothing gives an array of no rows and the right width."""
    assert encoder.encode([]).shape == (0, 384)


@pytest.mark.parametrize("seed", range(4))
def test_batch_mates_decide_nothing(encoder: Encoder, seed: int) -> None:
    """A text's vector is the same, bit for bit, alone, in any order and beside any other texts."""
    texts = [*some_texts(seed, 9), *random.Random(seed).sample(ODD, 3)]
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    order = random.Random(seed).sample(range(len(texts)), len(texts))
    together = encoder.encode([texts[at] for at in order])
    np.testing.assert_array_equal(together, alone[order])


def test_threads_decide_nothing(encoder: Encoder) -> None:
    """The number of threads does not change a bit of any vector."""
    texts = some_texts(7, 30)
    expected = encoder.encode(texts, threads=1)
    for threads in (2, 5):
        np.testing.assert_array_equal(encoder.encode(texts, threads=threads), expected)


def test_progress_counts_up_to_all_texts(encoder: Encoder) -> None:
    """Progress is told how many texts are done, rising to all of them."""
    told: list[int] = []
    encoder.encode(some_texts(1, 19), progress=told.append)
    assert told == [8, 16, 19]


def test_similarities_are_those_of_the_original(encoder: Encoder) -> None:
    """The shipped int8 model sees the same likeness between texts as the weights in PyTorch, in fp32."""
    vectors = encoder.encode(
        [
            "The program crashes when the file is empty",
            "Segmentation fault on opening an empty file",
            "Please add a dark colour theme",
            "Document the option --port of the server",
        ]
    )
    # Computed with transformers from the fp32 weights that training left.
    expected = [
        [1.000, 0.782, 0.316, 0.222],
        [0.782, 1.000, 0.260, 0.210],
        [0.316, 0.260, 1.000, 0.529],
        [0.222, 0.210, 0.529, 1.000],
    ]
    np.testing.assert_allclose(vectors @ vectors.T, expected, atol=0.03)


def test_budget_cuts_the_text(encoder: Encoder) -> None:
    """With a lower budget the end of a long text is not read, and caches can tell the encoders apart."""
    short = Encoder.load(budget=16)
    head = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    cut, whole = short.encode([f"{head} tail that nobody reads", head])
    np.testing.assert_array_equal(cut, whole)
    assert (short.max_tokens, encoder.max_tokens) == (16, 256)
    assert short.digest != encoder.digest == Encoder.load(budget=9999).digest


def test_tokens_never_exceed_the_limit() -> None:
    """A pair loses the end of its first text, never of its second, and keeps its special tokens."""
    model = OnnxModel(models.shipped(models.BUILTIN_ENCODER))
    second = model.tokens("this is about crashes", max_tokens=99).ids[1:]
    pair = model.tokens("word " * 500, "this is about crashes", max_tokens=32)
    assert len(pair.ids) == len(pair.type_ids) == 32
    assert pair.ids[-len(second) :] == second
    assert sum(pair.type_ids) == len(second)
    assert model.tokens("word " * 500, max_tokens=32).ids[-1] == second[-1]


def test_only_as_much_is_cut_into_tokens_as_is_read_and_they_are_the_same() -> None:
    """Beside the tokenizer on the whole text, for texts whose words end in all sorts of ways."""
    folder = models.shipped(models.BUILTIN_ENCODER)
    model, whole = OnnxModel(folder), Tokenizer.from_file(str(folder / models.TOKENIZER_FILE))
    whole.no_truncation()
    whole.no_padding()
    rng, pieces = (
        random.Random(5),
        [*WORDS, *ODD, "naïve", "e\u0301\u0323", "[MASK]", "中文", "a" * 150, "x.y()"],
    )
    for limit in (2, 3, 8, 32):
        for separator in (" ", "\n", "", "\u00a0", "\u0301 "):
            text = separator.join(rng.choices(pieces, k=400)).encode("utf-8", "replace").decode()
            ids = whole.encode(text).ids
            assert model.tokens(text, max_tokens=limit).ids == [*ids[:-1][: limit - 1], ids[-1]]


def test_a_zero_shot_model_is_no_encoder(tmp_path: Path) -> None:
    """A model of another kind is refused before it is used."""
    folder = shutil.copytree(models.shipped(models.BUILTIN_ENCODER), tmp_path / "model")
    values = models.read_manifest(folder).to_dict() | {
        "kind": "zero-shot",
        "labels": ["entailment"],
        "entailment": 0,
    }
    models.write_manifest(folder, models.ModelManifest.from_dict(values))
    with pytest.raises(ModelError) as caught:
        Encoder.load(folder)
    assert caught.value.what == f"{folder} holds a zero-shot model where an encoder is needed"


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    """Bytes that match their hash but are no ONNX model are refused with the name of the file."""
    folder = shutil.copytree(models.shipped(models.BUILTIN_ENCODER), tmp_path / "model")
    (folder / "model.onnx").write_bytes(b"not a model")
    values = models.read_manifest(folder).to_dict()
    files = {name: models.sha256_of(folder / name) for name in ("model.onnx", "tokenizer.json")}
    models.write_manifest(folder, models.ModelManifest.from_dict(values | {"files": files}))
    with pytest.raises(ModelError) as caught:
        Encoder.load(folder)
    assert caught.value.what.startswith(f"onnxruntime cannot load {folder / 'model.onnx'}: ")


def test_importing_the_encoder_loads_no_engine() -> None:
    """Neither onnxruntime nor tokenizers is loaded until a model is opened."""
    code = (
        "import sys, triage.engine.encoder, triage.cli.models; "
        "print({'onnxruntime', 'tokenizers', 'torch', 'urllib.request'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
