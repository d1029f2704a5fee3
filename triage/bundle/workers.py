"""`--engine`: issues are encoded and evidence is gathered in this process, or by the workers of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from triage.bundle.open import need, serving_with
from triage.config import ZeroShotConfig
from triage.issue import Issue

if TYPE_CHECKING:
    from triage.arrays import Floats
    from triage.bundle.bundle import Bundle
    from triage.bundle.model import ServingModel
    from triage.decide import Evidence
    from triage.engine.encoder import Encoder, PackedEncoder
    from triage.engine.ray_backend import Cluster, RemoteJob
    from triage.engine.zero_shot import PackedZeroShot

LOCAL = "local"


def check_engine(engine: str) -> None:
    """Raise MissingExtra where the packages for `engine` are not installed: before work begins."""
    if engine != LOCAL:
        need("ray", "ray", "pyarrow", "pandas", to="--engine ray")


@contextmanager
def workers(engine: str) -> Iterator[Cluster | None]:
    """The cluster that `--engine` names, from `with` to its end; None is this process. Raises ClusterError."""
    if engine == LOCAL:
        yield None
        return
    from triage.engine.ray_backend import connected

    with connected(engine.removeprefix("ray").removeprefix("://")) as cluster:
        yield cluster


def encoding(cluster: Cluster | None, encoder: Encoder) -> RemoteJob[str, Floats] | None:
    """The encoder on the workers of the cluster, if there is one. Raises ModelError."""
    return cluster.hire(EncodeTask(encoder.packed())) if cluster else None


def deciding(
    cluster: Cluster | None, model: ServingModel, found: tuple[str, Bundle] | None, settings: ZeroShotConfig
) -> RemoteJob[Issue, Evidence] | None:
    """The model, as opened from that bundle, on the workers of the cluster, if there is one. Raises ModelError."""
    if cluster is None:
        return None
    if found is not None:
        # The encoder is packed already.
        found = found[0], replace(found[1], encoder={})
    return cluster.hire(
        EvidenceTask(model.encoder.packed(), model.zero_shot.packed(), settings, found, model.descriptions)
    )


@dataclass(frozen=True)
class EncodeTask:
    """Encode texts."""

    encoder: PackedEncoder

    def open(self) -> Callable[[Sequence[str]], Sequence[Floats]]:
        """See `WorkerTask`. Raises ModelError."""
        encoder = self.encoder.open()
        # One worker a core: more threads would be in each other's way.
        return lambda texts: list(encoder.encode(texts, threads=1))


@dataclass(frozen=True)
class EvidenceTask:
    """Gather the evidence on issues, as the model of this bundle and these descriptions does."""

    encoder: PackedEncoder
    zero_shot: PackedZeroShot
    settings: ZeroShotConfig
    found: tuple[str, Bundle] | None
    descriptions: Mapping[str, str]

    def open(self) -> Callable[[Sequence[Issue]], Sequence[Evidence]]:
        """See `WorkerTask`. Raises ModelError and BundleError."""
        encoder = self.encoder.open()
        engines = encoder, self.zero_shot.open(encoder)
        model = serving_with(engines, self.settings, self.found, self.descriptions)
        return lambda issues: list(model.evidence(issues, threads=1))
