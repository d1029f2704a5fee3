"""`--engine`: issues are encoded and evidence is gathered in this process, or by the workers of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from triage.bundle.open import need
from triage.issue import Issue

if TYPE_CHECKING:
    from triage.arrays import Floats
    from triage.bundle.model import PackedServing, ServingModel
    from triage.decide import Evidence
    from triage.engine.encoder import Encoder, PackedEncoder
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
    return cluster.hire(EncodeTask(encoder.packed())) if cluster else None


def deciding(cluster: Cluster | None, model: ServingModel) -> RemoteJob[Issue, Evidence] | None:
    """The model on the workers of the cluster, if there is one. Raises ModelError."""
    return cluster.hire(EvidenceTask(model.packed())) if cluster else None


@dataclass(frozen=True)
class EncodeTask:
    """Encode texts."""

    encoder: PackedEncoder

    def open(self) -> Callable[[Sequence[str]], Sequence[Floats]]:
        """See `WorkerTask`. Raises ModelError."""
        encoder = self.encoder.open()
        # There is a worker for each core, so each encodes in one thread.
        return lambda texts: list(encoder.encode(texts, threads=1))


@dataclass(frozen=True)
class EvidenceTask:
    """Gather the evidence on issues."""

    model: PackedServing

    def open(self) -> Callable[[Sequence[Issue]], Sequence[Evidence]]:
        """See `WorkerTask`. Raises ModelError and BundleError."""
        model = self.model.open()
        return lambda issues: list(model.evidence(issues, threads=1))
