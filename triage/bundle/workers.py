"""`--engine`: issues are encoded and evidence is gathered in this process, or by the workers of a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from triage.bundle.open import need
from triage.issue import Issue

if TYPE_CHECKING:
    from triage.arrays import Floats
    from triage.bundle.model import ServingModel
    from triage.decide import Evidence
    from triage.engine.encoder import Encoder
    from triage.engine.ray_backend import Cluster, RemoteJob

LOCAL = "local"


def check_engine(engine: str) -> None:
    """Raise MissingExtra where the packages for `engine` are not installed: before work begins."""
    if engine != LOCAL:
        need("ray", "ray", "pyarrow", "pandas", to="--engine ray")


@contextmanager
def workers(engine: str) -> Iterator[Cluster | None]:
    """The cluster that `--engine` names; None for this process. Raises ClusterError."""
    if engine == LOCAL:
        yield None
        return
    from triage.engine.ray_backend import connected

    with connected(engine.removeprefix("ray").removeprefix("://")) as cluster:
        yield cluster


def encoding(cluster: Cluster | None, encoder: Encoder) -> RemoteJob[str, Floats] | None:
    """The encoder on the workers of the cluster, if there is one. Raises ModelError."""
    return cluster.hire(partial(_encode, encoder)) if cluster else None


def deciding(cluster: Cluster | None, model: ServingModel) -> RemoteJob[Issue, Evidence] | None:
    """The model on the workers of the cluster, if there is one. Raises ModelError."""
    # A bundle holds the files of a fine-tuned encoder, which is sent as the encoder.
    return cluster.hire(partial(_gather, replace(model, bundle=None))) if cluster else None


# There is a worker for each core, so each works in one thread.
def _encode(encoder: Encoder, texts: Sequence[str]) -> list[Floats]:
    return list(encoder.encode(texts, threads=1))


def _gather(model: ServingModel, issues: Sequence[Issue]) -> list[Evidence]:
    return list(model.evidence(issues, threads=1))
