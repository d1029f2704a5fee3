"""Repositories on which results are checked: no model that is shipped has seen a word of them."""

from __future__ import annotations

import hashlib

from triage.decide.policy import matches

EVALUATED = (
    "bitcoin/bitcoin",
    "dotnet/*",
    "facebook/react",
    "golang/go",
    "huggingface/datasets",
    "huggingface/transformers",
    "kubernetes/kubernetes",
    "microsoft/vscode",
    "opencv/opencv",
    "rust-lang/rust",
    "scikit-learn/scikit-learn",
    "tensorflow/tensorflow",
)
# Of all other repositories one in so many is kept aside as well, to see what the models are worth elsewhere.
ONE_IN = 5


def kept_aside(repo: str) -> bool:
    """Whether nothing may be learnt from `repo` (any spelling of case): by name, or by a hash of its name."""
    name = repo.lower()
    return matches(name, EVALUATED) or _draw(name) % ONE_IN == 0


def _draw(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:4], "big")
