"""Zero-shot classification by entailment, against transformers' own pipeline on models trained here."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from triage.config import Config
from triage.config import ZeroShotConfig as Settings
from triage.engine import model_folder as models
from triage.engine.encoder import Encoder
from triage.engine.zero_shot import EntailmentZeroShot, calibrated, contradiction, open_zero_shot
from triage.errors import ConfigError, ModelError
from triage.finetune.export import export
from triage.learn.recipe import Engines
from triage.options import ExportOptions
from triage.study.methods.zero_shot import Inference
from triage.study.protocol import LabellingTask, MethodContext, Texts
from triage.text import LabelText

TOPICS = ("crash", "docs", "speed", "theme")
LABELS = tuple(LabelText(name) for name in TOPICS)
FILLERS = ("the", "a", "when", "opening", "file", "window", "after", "update", "shows", "with")
HYPOTHESIS = ("this", "issue", "is", "about", ".")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *FILLERS, *HYPOTHESIS, *TOPICS]
TEMPLATE = "This issue is about {}."
LIMIT = 48
THREE = ("contradiction", "neutral", "entailment")
NONE = np.zeros((0, 0), dtype=np.float32)
TEXTS = (
    "the window shows a crash",
    "docs with the file",
    "speed after update : crash when opening a file",
    "crash after update with the " + "file " * 200 + "theme",
    "file " * 100,
    "",
    "theme speed 💥 \ud800 <script> [SEP]",
)


def build(folder: Path, classes: tuple[str, ...], seed: int) -> transformers.BertForSequenceClassification:
    """A tiny BERT with random weights, and its tokenizer in `folder`."""
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    tokenizer = transformers.BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=LIMIT)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=LIMIT,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        id2label=dict(enumerate(classes)),
        label2id={name: at for at, name in enumerate(classes)},
        initializer_range=0.2,
    )
    return transformers.BertForSequenceClassification(config)


def example(draw: random.Random) -> tuple[str, str, int]:
    """A premise about one topic or none, a hypothesis, and whether it follows (an index into THREE)."""
    topic, asked = draw.choice([*TOPICS, None]), draw.choice(TOPICS)
    if topic and draw.random() < 0.4:
        asked = topic
    words = draw.choices(FILLERS, k=draw.randint(2, 8))
    if topic:
        words.insert(draw.randrange(len(words)), topic)
    return " ".join(words), TEMPLATE.format(asked), 1 if topic is None else 2 if topic == asked else 0


def learn(model: transformers.BertForSequenceClassification, folder: Path) -> None:
    """Some seconds of training on examples drawn as they are needed, until it makes hardly a mistake."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    draw = random.Random(5)
    model.train()
    sure = 0
    for _ in range(600):
        premises, hypotheses, follows = zip(*(example(draw) for _ in range(32)), strict=True)
        batch = tokenizer(list(premises), list(hypotheses), padding=True, return_tensors="pt")
        loss = model(**batch, labels=torch.tensor(follows)).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        sure = sure + 1 if loss.item() < 0.005 else 0
        if sure == 20:
            break
    model.eval()


def exported(weights: Path, out: Path) -> EntailmentZeroShot:
    """The weights as an fp32 model folder of the project, opened."""
    export(ExportOptions(str(weights), "tiny", kind="zero-shot", int8=False), out)
    return EntailmentZeroShot(out, TEMPLATE)


def by_pipeline(weights: Path, texts: tuple[str, ...]) -> np.ndarray:
    """The scores of transformers' zero-shot-classification pipeline, [texts, labels]."""
    judge = transformers.pipeline("zero-shot-classification", model=str(weights), device="cpu")
    names = [label.phrase for label in LABELS]
    rows = []
    for text in texts:
        result = judge(text, names, hypothesis_template=TEMPLATE, multi_label=True)
        found = dict(zip(result["labels"], result["scores"], strict=True))
        rows.append([found[name] for name in names])
    return np.array(rows)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, EntailmentZeroShot]:
    """Weights that learnt which words belong to which topic, and their export."""
    weights = tmp_path_factory.mktemp("nli") / "weights"
    # Two threads of so small a model mostly wait for each other.
    torch.set_num_threads(1)
    model = build(weights, THREE, seed=5)
    learn(model, weights)
    model.save_pretrained(weights)
    return weights, exported(weights, weights.parent / "tiny")


def readable(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The texts that the pipeline accepts: it refuses empty ones and lone surrogates."""
    return tuple(text.encode("utf-8", "replace").decode("utf-8") for text in texts if text)


def test_scores_are_those_of_the_pipeline(trained: tuple[Path, EntailmentZeroShot]) -> None:
    """Within 1e-4 of transformers, a text of five times the limit included."""
    weights, method = trained
    texts = readable(TEXTS)
    scores = calibrated(method.raw(texts, NONE, LABELS), method.slope, method.intercept)
    assert scores == pytest.approx(by_pipeline(weights, texts), abs=1e-4)


def test_the_trained_model_tells_topics_apart(trained: tuple[Path, EntailmentZeroShot]) -> None:
    """On new sentences the right label is likelier than not and every other is not."""
    _, method = trained
    draw = random.Random(6)
    texts, wanted = [], []
    for topic in TOPICS * 5:
        words = [*draw.choices(FILLERS, k=5), topic]
        texts.append(" ".join(draw.sample(words, 6)))
        wanted.append([label.name == topic for label in LABELS])
    scores = calibrated(method.raw(texts, NONE, LABELS), method.slope, method.intercept)
    assert (scores >= 0.5).tolist() == wanted


@pytest.mark.parametrize("classes", [("entailment", "not_entailment"), ("not_entailment", "entailment")])
def test_models_of_two_classes_agree_as_well(tmp_path: Path, classes: tuple[str, ...]) -> None:
    """With two classes in either order the other class is the contradiction."""
    weights = tmp_path / "weights"
    build(weights, classes, seed=7).save_pretrained(weights)
    method = exported(weights, tmp_path / "tiny")
    texts = readable(TEXTS)
    scores = calibrated(method.raw(texts, NONE, LABELS), method.slope, method.intercept)
    assert scores == pytest.approx(by_pipeline(weights, texts), abs=1e-4)


def test_a_score_depends_on_no_batch_mate(trained: tuple[Path, EntailmentZeroShot]) -> None:
    """A text alone gets, bit for bit, what it gets among others, and a label likewise."""
    _, method = trained
    together = method.raw(TEXTS, NONE, LABELS)
    for i, text in enumerate(TEXTS):
        assert method.raw([text], NONE, LABELS)[0].tolist() == together[i].tolist()
    assert method.raw(TEXTS, NONE, LABELS[2:3])[:, 0].tolist() == together[:, 2].tolist()


def test_progress_counts_texts(trained: tuple[Path, EntailmentZeroShot]) -> None:
    """Progress tells each text as it is done, in order."""
    told: list[int] = []
    trained[1].raw(TEXTS[:3], NONE, LABELS, progress=told.append)
    assert told == [1, 2, 3]


def test_a_label_longer_than_the_model_is_refused(trained: tuple[Path, EntailmentZeroShot]) -> None:
    """A description that alone fills the model is an error of the configuration, with the way out."""
    _, method = trained
    with pytest.raises(ConfigError) as caught:
        method.raw(TEXTS[:1], NONE, [LabelText("crash", "file " * LIMIT)])
    assert str(caught.value) == (
        f"{('This issue is about crash: ' + 'file ' * LIMIT)[:80]!r} has more tokens than the 48 that tiny reads\n"
        "  likely cause: the description of a label is too long\n"
        "  next step: shorten it under `labels.descriptions`"
    )


def test_the_configuration_opens_a_folder(trained: tuple[Path, EntailmentZeroShot]) -> None:
    """A model folder in the configuration is opened with its template; another template, another digest."""
    folder = trained[0].parent / "tiny"
    encoder = Encoder.load()
    opened = open_zero_shot(Settings(model=str(folder), template=TEMPLATE), encoder)
    assert opened.digest == trained[1].digest
    assert opened.raw(TEXTS, NONE, LABELS).tolist() == trained[1].raw(TEXTS, NONE, LABELS).tolist()
    assert open_zero_shot(Settings(model=str(folder), template="{}"), encoder).digest != opened.digest


def test_the_contradicting_class_is_found_by_name(trained: tuple[Path, EntailmentZeroShot]) -> None:
    """Of three classes the one named contradiction counts wherever it stands; without one it is refused."""
    manifest = models.read_manifest(trained[0].parent / "tiny")
    moved = dataclasses.replace(manifest, labels=("Neutral", "Contradiction", "Entailment"))
    assert (contradiction(manifest), contradiction(moved)) == (0, 1)
    unknown = dataclasses.replace(manifest, labels=("LABEL_0", "LABEL_1", "entailment"))
    with pytest.raises(ModelError) as caught:
        contradiction(unknown)
    assert caught.value.what == "tiny has the classes LABEL_0, LABEL_1, entailment: which one contradicts?"


def test_the_study_asks_the_same_judge(trained: tuple[Path, EntailmentZeroShot]) -> None:
    """As a method it scores texts as labelling does, and without a model it says so."""
    folder = trained[0].parent / "tiny"
    encoder = Encoder.load()
    means = MethodContext(
        Config(zero_shot=Settings(template=TEMPLATE)),
        Engines(encoder, trained[1]),
        models={"nli": str(folder)},
    )
    none = Texts((), NONE)
    task = LabellingTask(
        [label.name for label in LABELS], none, np.zeros((0, len(LABELS)), dtype=bool), none, {}, 0
    )
    found = Inference(means).fit(task).scores(Texts(TEXTS, NONE))
    raw = trained[1].raw(TEXTS, NONE, LABELS)
    assert found.tolist() == calibrated(raw, 1.0, 0.0).astype(float).tolist()
    assert (
        Inference(dataclasses.replace(means, models={"nli": "nowhere"}))
        .unavailable()
        .startswith("no entailment model 'nowhere'")
    )
