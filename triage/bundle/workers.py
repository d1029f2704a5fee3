"""`--engine`: where issues are encoded and looked at: in this process, or by the workers of a Ray cluster."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from triage.bundle.open import need, serving
from triage.config import Config
from triage.errors import UsageError
from triage.issue import Issue

if TYPE_CHECKING:
    from triage.arrays import Floats
    from triage.bundle.bundle import Bundle
    from triage.decide.decision import Evidence
    from triage.engine.encoder import Encoder
    from triage.engine.ray_backend import Cluster, RemoteJob

LOCAL = "local"
ENGINE = re.compile(r"local|ray(://(auto|[\w.-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}))?")
Files = Mapping[str, bytes]


def add_engine_option(parser: argparse._ActionsContainer) -> None:
    """Add `--engine`."""
    parser.add_argument(
        "--engine",
        default=LOCAL,
        metavar="local|ray[://ADDRESS]",
        help="what encodes: this process (default: local), or the workers of a Ray on this machine (ray), of the "
        "cluster this machine is part of (ray://auto), or of that at ray://HOST:PORT; needs the extra `ray`",
    )


def check_engine(engine: str) -> None:
    """Raise UsageError for what is no engine, MissingExtra where it is not installed: before work begins."""
    if not ENGINE.fullmatch(engine):
        raise UsageError(
            f"--engine {engine!r:.60} is no engine",
            next_step="write local, ray, ray://auto or ray://HOST:6379",
        )
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
    """What encodes in the encoder's place. Raises ModelError."""
    from triage.engine.model_folder import packed

    return cluster.hire(EncodeTask(packed(encoder.folder), encoder.max_tokens)) if cluster else None


def deciding(
    cluster: Cluster | None,
    config: Config,
    found: tuple[str, Bundle] | None,
    descriptions: Mapping[str, str],
) -> RemoteJob[Issue, Evidence] | None:
    """What finds evidence in the model's place. Raises ModelError."""
    if cluster is None:
        return None
    return cluster.hire(EvidenceTask(PackedModels.of(config, found), found, descriptions))


@dataclass(frozen=True)
class EncodeTask:
    """The job to encode texts with the encoder whose `files` these are, read up to `max_tokens` tokens."""

    files: Files
    max_tokens: int

    def open(self) -> Callable[[Sequence[str]], Sequence[Floats]]:
        """See `Job`; the files are checked against their hashes."""
        from triage.engine.encoder import Encoder
        from triage.engine.model_folder import unpacked

        encoder = Encoder.load(unpacked(self.files), budget=self.max_tokens)
        # One worker a core: more threads would be in each other's way.
        return lambda texts: list(encoder.encode(texts, threads=1))


@dataclass(frozen=True)
class PackedModels:
    """The models of a configuration by content, so that a worker needs neither their paths nor a download.

    Empty where none is needed: the bundle has an encoder of its own, or labels are judged by the encoder.
    """

    config: Config
    encoder: Files
    zero_shot: Files

    @classmethod
    def of(cls, config: Config, found: tuple[str, Bundle] | None) -> PackedModels:
        """What `open_engines` would open. Raises ModelError."""
        from triage.engine.model_folder import BUILTIN_ENCODER, Pins, packed, resolve
        from triage.engine.zero_shot import BUILTIN_ZERO_SHOT, EMBEDDING

        encoder, judge = config.encoder, config.zero_shot
        own = found is not None and bool(found[1].encoder)
        return cls(
            config,
            {} if own else packed(resolve(encoder.model, Pins(encoder.revision, encoder.sha256), BUILTIN_ENCODER)),
            {}
            if judge.model == EMBEDDING
            else packed(resolve(judge.model, Pins(judge.revision, judge.sha256), BUILTIN_ZERO_SHOT)),
        )  # fmt: skip

    def here(self) -> Config:
        """The configuration, naming folders of the machine that this is called on. Raises ModelError."""
        from triage.engine.model_folder import unpacked

        encoder, judge = self.config.encoder, self.config.zero_shot
        if self.encoder:
            encoder = replace(encoder, model=str(unpacked(self.encoder)))
        if self.zero_shot:
            judge = replace(judge, model=str(unpacked(self.zero_shot)))
        return replace(self.config, encoder=encoder, zero_shot=judge)


@dataclass(frozen=True)
class EvidenceTask:
    """The job to find the evidence on issues, as the model of this bundle and these descriptions does."""

    models: PackedModels
    found: tuple[str, Bundle] | None
    descriptions: Mapping[str, str]

    def open(self) -> Callable[[Sequence[Issue]], Sequence[Evidence]]:
        """See `Job`."""
        model = serving(self.models.here(), self.found, self.descriptions)
        return lambda issues: list(model.evidence(issues, threads=1))
