"""Held-out repositories, on which results are checked: no shipped model was trained on any of their issues."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from triage.errors import DataError
from triage.issue import matches

EVALUATED = (
    "bitcoin-core/*",
    "bitcoin/bitcoin",
    "datalad/datalad",
    "dotnet/*",
    "facebook/react",
    "golang/go",
    "huggingface/datasets",
    "huggingface/transformers",
    "keycloak/keycloak",
    "kubernetes/kubernetes",
    "matomo-org/matomo",
    "microsoft/vscode",
    "opencv/opencv",
    "rust-lang/rust",
    "scikit-learn/scikit-learn",
    "tensorflow/tensorflow",
)
# Of all other repositories one in this many is held out as well, to measure the models elsewhere.
ONE_IN = 5


def kept_aside(repo: str) -> bool:
    """Whether `repo` is held out, whatever the case of its name: listed, or drawn by a hash of the name."""
    name = repo.lower()
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    return matches(name, EVALUATED) or int.from_bytes(digest[:4], "big") % ONE_IN == 0


def refuse_held_out(repos: Iterable[str]) -> None:
    """Raise DataError where a held-out repository is among those to train on."""
    if aside := next(filter(kept_aside, repos), None):
        raise DataError(f"issues of {aside} are held out to check results on, and reached the training")
