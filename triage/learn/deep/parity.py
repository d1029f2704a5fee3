"""How true an exported model is to the PyTorch weights that it was made from."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from triage.engine.onnx import Floats, OnnxModel

# Written for this purpose: short and long, prose, code, a trace, other scripts, next to nothing.
TEXTS = (
    "",
    "Crash",
    "Crash when the file is empty\n\nOpening an empty file ends with a segmentation fault, not a message.",
    "Please add a dark theme\n\nI work at night and the white background hurts. A setting would be enough.",
    "How do I change the port?\n\nThe manual names `--port`, but the server still listens on 8080.",
    "Typo in the installation guide\n\nIt says `pip instal`, there is an l missing at the end.",
    'TypeError in save()\n\nTraceback (most recent call last):\n  File "app.py", line 12, in <module>\n'
    "    save(None)\nTypeError: expected str, bytes or os.PathLike object, not NoneType",
    "Build fails on arm64\n\n```\nld: symbol(s) not found for architecture arm64\nmake: *** Error 1\n```",
    "ファイルを保存できない\n\n日本語の名前のファイルを保存すると、エラーになります。",
    "Die Suche findet keine Umlaute 🔍\n\nWer nach `Größe` sucht, bekommt keine Treffer.",
    "Memory grows without end\n\n" + "After each request the process keeps a few more kilobytes. " * 12,
    "Slow query\n\nSELECT name, COUNT(*) FROM events WHERE day > '2024-01-01' GROUP BY name takes 40 s; "
    "with an index on `day` it takes 0.2. Should the migration add that index for everybody?",
    "Release notes for 2.0 are missing\n\nThe tag is there, the page is not. Who writes them?",
    "Flaky test: test_retry_after\n\nFails about once in twenty runs on Windows, never on Linux.",
    "API: allow a callback for progress\n\ndef upload(path, on_progress=None): ...\n\nfor drawing a bar.",
    "Security: token printed in the debug log\n\nWith `--verbose` the Authorization header is in plain text.",
)


@dataclass(frozen=True)
class Parity:
    """Cosines of the exported model's outputs to PyTorch's in fp32, over `texts` texts.

    `speedup` is PyTorch's processor time over the exported model's, both one text at a time on one thread.
    """

    least: float
    mean: float
    texts: int
    speedup: float


def measure(source: str, revision: str, folder: Path) -> Parity:
    """Run both models over the same tokens and compare: pooled vectors, or centred logits of a classifier."""
    model = OnnxModel(folder)
    judging = model.manifest.kind == "zero-shot"
    family = AutoModelForSequenceClassification if judging else AutoModel
    reference = family.from_pretrained(source, revision=revision, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
    limit = model.manifest.max_tokens
    pair = "This issue is about a defect." if judging else None

    def theirs(text: str) -> Floats:
        encoded = tokenizer(text, pair, truncation="only_first", max_length=limit, return_tensors="pt")
        with torch.inference_mode():
            output: Floats = reference(**encoded)[0][0].numpy()
        return output

    def ours(text: str) -> Floats:
        return model.run(model.tokens(text, pair, max_tokens=limit))

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        expected, slow = _timed(theirs)
        found, fast = _timed(ours)
    finally:
        torch.set_num_threads(threads)
    cosines = [_cosine(_comparable(a), _comparable(b)) for a, b in zip(expected, found, strict=True)]
    return Parity(min(cosines), float(np.mean(cosines)), len(TEXTS), slow / fast)


def _comparable(output: Floats) -> Floats:
    """The mean over the tokens of hidden states; logits less their mean, which a softmax does not see."""
    pooled: Floats = output.mean(axis=0) if output.ndim > 1 else output - output.mean()
    return pooled


def _cosine(a: Floats, b: Floats) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def _timed(run: Callable[[str], Floats]) -> tuple[list[Floats], float]:
    """The outputs for the texts, and the processor time in seconds, after one run to warm up."""
    run(TEXTS[-1])
    start = time.process_time()
    outputs = [run(text) for text in TEXTS]
    return outputs, time.process_time() - start
