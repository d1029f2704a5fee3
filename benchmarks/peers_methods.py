"""The peers of `peers.py`, each learnt and asked in a process of its own. Needs nothing of this project.

    python peers_methods.py tune METHOD OPTIONS TASK FOLDER   FOLDER/tuned.json: the scores of the tuning window
    python peers_methods.py fit METHOD OPTIONS TASK FOLDER    under FOLDER/chosen.json; FOLDER/fitted.json and /model
    python peers_methods.py label METHOD FOLDER TEXTS COUNT   on standard output: the labels of the first text

TASK is what `peers_ours.py prepare` wrote: texts, labels and windows. OPTIONS is a JSON object; SetFit reads
`weights`, `pairs`, `tokens`, `blocks` and `bfloat16`. METHOD is a name of METHODS.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

# Nothing is asked of a model hub, and no run is reported to anybody.
os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

SEED = 0
# The scores of each text, [q][L], by setting.
Scores = Mapping[str, Sequence[Sequence[float]]]
Options = Mapping[str, Any]
Labels = Sequence[Sequence[int]]


class OneForEach:
    """TF-IDF, and a classifier for each label; one that none or all of the texts carry gets its share as its score."""

    modules: Sequence[str] = ("sklearn.feature_extraction.text",)
    settings: Sequence[str] = ()
    words: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, options: Options) -> None:
        del options

    def fit(self, texts: Sequence[str], labels: Labels, settings: Sequence[str]) -> None:
        """`labels` are 0 or 1, [n][L]."""
        import numpy as np
        from sklearn.feature_extraction.text import TfidfVectorizer

        targets = np.array(labels, dtype=bool)
        self.weights = TfidfVectorizer(sublinear_tf=True, **self.words)
        features = self.weights.fit_transform(texts)
        self.models = {
            setting: [
                self.one(setting).fit(features, truth) if truth.any() and not truth.all() else truth.mean()
                for truth in targets.T
            ]
            for setting in self.fitted(settings)
        }
        self.asked = settings

    def scores(self, texts: Sequence[str]) -> Scores:
        """The scores under each setting that was fitted."""
        features, found = self.weights.transform(texts), {}
        for setting in self.asked:
            models = self.models[self.fitted([setting])[0]]
            columns = [
                [float(model)] * len(texts)
                if isinstance(model, float)
                else self.score(model, features, setting)
                for model in models
            ]
            found[setting] = [list(row) for row in zip(*columns, strict=True)]
        return found

    def save(self, folder: Path) -> None:
        """Into a folder."""
        (folder / "model.pickle").write_bytes(pickle.dumps(self))

    @staticmethod
    def load(folder: Path) -> Any:
        """From a folder that `save` wrote."""
        # As a script would do it. The file is this program's own, written by `fit` in the folder of --work.
        return pickle.loads((folder / "model.pickle").read_bytes())

    def fitted(self, settings: Sequence[str]) -> Sequence[str]:
        """The settings for which models are fitted; others are ways to ask these."""
        return settings

    def one(self, setting: str) -> Any:
        """A classifier that is not fitted yet."""
        raise NotImplementedError

    def score(self, model: Any, features: Any, setting: str) -> Sequence[float]:
        """The scores of one label, above 0."""
        raise NotImplementedError


class LinearSvm(OneForEach):
    """scikit-learn's LinearSVC on words and pairs of words, in two texts at least; C is the setting."""

    modules = (*OneForEach.modules, "sklearn.svm")
    settings = ("0.1", "1", "10")
    words: ClassVar[Mapping[str, Any]] = {"ngram_range": (1, 2), "min_df": 2}

    def one(self, setting: str) -> Any:
        """See the class."""
        from sklearn.svm import LinearSVC

        return LinearSVC(C=float(setting), random_state=SEED)

    def score(self, model: Any, features: Any, setting: str) -> Sequence[float]:
        """The distance from the plane, bent to between 0 and 1, which keeps its order."""
        del setting
        import numpy as np

        scores: Sequence[float] = (0.5 + 0.5 * np.tanh(0.5 * model.decision_function(features))).tolist()
        return scores


class Boosting(OneForEach):
    """LightGBM on words in five texts at least; the setting is how many of the trees are asked."""

    modules = (*OneForEach.modules, "lightgbm")
    settings = ("25", "50", "100")
    words: ClassVar[Mapping[str, Any]] = {"min_df": 5}

    def fitted(self, settings: Sequence[str]) -> Sequence[str]:
        """The largest alone: its first trees are those of the smaller ones."""
        del settings
        return self.settings[-1:]

    def one(self, setting: str) -> Any:
        """See the class."""
        from lightgbm import LGBMClassifier

        return LGBMClassifier(n_estimators=int(setting), random_state=SEED, n_jobs=1, verbose=-1)

    def score(self, model: Any, features: Any, setting: str) -> Sequence[float]:
        """The probability."""
        scores: Sequence[float] = model.predict_proba(features, num_iteration=int(setting))[:, 1].tolist()
        return scores


class FastText:
    """fastText's own classifier, one label against the others, on words and pairs; epochs are the setting."""

    modules = ("fasttext",)
    settings = ("25", "50")
    FIXED: ClassVar[Mapping[str, Any]] = {
        "loss": "ova",
        "lr": 0.5,
        "dim": 50,
        "wordNgrams": 2,
        "minCount": 2,
        # The default of two million rows for pairs of words takes hundreds of MiB, whatever is learnt.
        "bucket": 200_000,
        "thread": 1,
        "seed": SEED,
        "verbose": 0,
    }

    def __init__(self, options: Options) -> None:
        del options

    def fit(self, texts: Sequence[str], labels: Labels, settings: Sequence[str]) -> None:
        """See `OneForEach`."""
        import fasttext

        self.count = len(labels[0])
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
            for text, carried in zip(texts, labels, strict=True):
                names = " ".join(f"__label__{j}" for j, one in enumerate(carried) if one)
                file.write(f"{names} {self.tokens(text)}\n")
            file.flush()
            self.models = {
                setting: fasttext.train_supervised(file.name, epoch=int(setting), **self.FIXED)
                for setting in settings
            }

    def scores(self, texts: Sequence[str]) -> Scores:
        """See `OneForEach`."""
        return {
            setting: [self.score(model, text) for text in texts] for setting, model in self.models.items()
        }

    def score(self, model: Any, text: str) -> list[float]:
        """The probability of each label. `predict` itself fails with numpy 2; this is what it calls."""
        scores = [0.0] * self.count
        for probability, name in model.f.predict(f"{self.tokens(text)}\n", -1, 0.0, "strict"):
            scores[int(name.removeprefix("__label__"))] = float(probability)
        return scores

    def save(self, folder: Path) -> None:
        """See `OneForEach`; the model of the only setting."""
        ((setting, model),) = self.models.items()
        model.save_model(str(folder / "model.bin"))
        (folder / "model.json").write_text(json.dumps({"setting": setting, "count": self.count}))

    @staticmethod
    def load(folder: Path) -> FastText:
        """See `OneForEach`."""
        import fasttext

        saved, made = json.loads((folder / "model.json").read_text()), FastText({})
        made.count = saved["count"]
        made.models = {saved["setting"]: fasttext.load_model(str(folder / "model.bin"))}
        return made

    @staticmethod
    def tokens(text: str) -> str:
        """Words and marks apart, small letters, on one line: as fastText's own examples prepare texts."""
        return " ".join(re.findall(r"\w+|[^\w\s]", text.lower()))


class SetFit:
    """SetFit: the encoder is fine-tuned on pairs of texts, and a logistic regression learnt on its vectors."""

    modules = ("torch", "datasets", "setfit")
    settings = ("",)

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, texts: Sequence[str], labels: Labels, settings: Sequence[str]) -> None:
        """See `OneForEach`. Where each text has one label, the regression chooses among them."""
        del settings
        import torch
        from datasets import Dataset
        from setfit import SetFitModel, Trainer, TrainingArguments

        alone = all(sum(carried) == 1 for carried in labels)
        several = {} if alone else {"multi_target_strategy": "one-vs-rest"}
        self.count = len(labels[0])
        self.model = SetFitModel.from_pretrained(self.options["weights"], device="cpu", **several)
        self.model.model_body.max_seq_length = self.options["tokens"]
        targets = [carried.index(1) for carried in labels] if alone else labels
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder,
                batch_size=16,
                num_epochs=1,
                num_iterations=self.options["pairs"],
                seed=SEED,
                report_to="none",
                logging_strategy="no",
                save_strategy="no",
                show_progress_bar=False,
            )
            rows = Dataset.from_dict({"text": texts, "label": targets})
            with torch.autocast("cpu", torch.bfloat16, enabled=self.options["bfloat16"]):
                Trainer(model=self.model, args=arguments, train_dataset=rows).train()

    def scores(self, texts: Sequence[str]) -> Scores:
        """See `OneForEach`."""
        found = self.model.predict_proba(list(texts), as_numpy=True, show_progress_bar=False)
        if self.model.multi_target_strategy:
            return {"": found.tolist()}
        rows = [[0.0] * self.count for _ in texts]
        for row, scores in zip(rows, found.tolist(), strict=True):
            for name, score in zip(self.model.model_head.classes_.tolist(), scores, strict=True):
                row[name] = score
        return {"": rows}

    def save(self, folder: Path) -> None:
        """See `OneForEach`."""
        self.model.save_pretrained(str(folder))
        (folder / "count.json").write_text(json.dumps(self.count))

    @staticmethod
    def load(folder: Path) -> SetFit:
        """See `OneForEach`."""
        from setfit import SetFitModel

        made = SetFit({})
        made.model = SetFitModel.from_pretrained(str(folder), device="cpu")
        made.count = json.loads((folder / "count.json").read_text())
        return made


METHODS: Mapping[str, Any] = {
    "svm": LinearSvm,
    "boosting": Boosting,
    "fasttext": FastText,
    "setfit-minilm": SetFit,
    "setfit-mpnet": SetFit,
}


def tune(method: str, options: str, task: str, folder: str) -> None:
    """Each block of the tuning window, predicted from what is known before it."""
    given, asked = json.loads(Path(task).read_text()), json.loads(options)
    blocks = given["tune"][: asked.get("blocks")]
    scores: dict[str, list[Sequence[float]]] = {}
    seconds = 0.0
    for block in blocks:
        peer = METHODS[method](asked)
        found, used = learn(peer, given, block, peer.settings)
        seconds += used
        for setting, rows in found.items():
            scores.setdefault(setting, []).extend(rows)
    rows = [row for block in blocks for row in block["query"]]
    write(Path(folder) / "tuned.json", {"seconds": seconds, "rows": rows, "scores": scores})


def fit(method: str, options: str, task: str, folder: str) -> None:
    """Everything before the judged window, under the chosen setting."""
    given, home = json.loads(Path(task).read_text()), Path(folder)
    setting = json.loads((home / "chosen.json").read_text())["setting"]
    peer = METHODS[method](json.loads(options))
    found, seconds = learn(peer, given, given["test"], [setting])
    (home / "model").mkdir()
    peer.save(home / "model")
    write(home / "fitted.json", {"seconds": seconds, "scores": found[setting]})


def learn(
    peer: Any, given: Mapping[str, Any], block: Mapping[str, Any], settings: Sequence[str]
) -> tuple[Scores, float]:
    """The scores of the block's queries, and the processor seconds that learning and asking took, without imports."""
    for module in peer.modules:
        import_module(module)
    known, query = block["known"], block["query"]
    texts, labels = given["texts"], given["labels"]
    used = time.process_time()
    peer.fit([texts[i] for i in known], [labels[i] for i in known], settings)
    return peer.scores([texts[i] for i in query]), time.process_time() - used


def label(method: str, folder: str, texts: str, count: str) -> None:
    """One text after the other, as events come; milliseconds of the processor for each but the first, the median."""
    home = Path(folder)
    chosen = json.loads((home / "chosen.json").read_text())
    peer = METHODS[method].load(home / "model")
    labels, used = [], []
    for text in json.loads(Path(texts).read_text())[: int(count)]:
        start = time.process_time()
        (scores,) = peer.scores([text])[chosen["setting"]]
        used.append(1000 * (time.process_time() - start))
        reached = [score >= chosen["threshold"] for score in scores]
        labels.append([name for name, one in zip(chosen["names"], reached, strict=True) if one])
    print(json.dumps({"labels": labels, "milliseconds": statistics.median(used[1:] or used)}))


def write(path: Path, data: object) -> None:
    """As JSON."""
    path.write_text(json.dumps(data))


COMMANDS: Mapping[str, Callable[..., None]] = {"tune": tune, "fit": fit, "label": label}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
