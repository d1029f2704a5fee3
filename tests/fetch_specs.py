"""Fetch what GitHub publishes about its API, by npm, pinned and verified, into `.cache/specs/`.

Run by the tests themselves when the files are not there yet, or by hand: `python tests/fetch_specs.py`.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

HOME = Path(__file__).resolve().parents[1] / ".cache" / "specs"


class SpecsMissing(Exception):
    """The published descriptions are not here and cannot be fetched now; `str()` says why."""


@dataclass(frozen=True)
class Package:
    """One npm package: the sha512 of its tarball as the registry states it, and the one file needed."""

    name: str
    version: str
    sha512: str
    member: str

    @property
    def file(self) -> Path:
        """Where the needed file lies once fetched."""
        return HOME / f"{self.name.removeprefix('@octokit/')}-{self.version}" / Path(self.member).name


OPENAPI = Package(
    "@octokit/openapi",
    "23.0.2",
    "pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRBXGDhg==",
    "package/generated/api.github.com.json",
)
ENTERPRISE = replace(OPENAPI, member="package/generated/ghes-3.17.json")
GRAPHQL = Package(
    "@octokit/graphql-schema",
    "15.26.1",
    "RFDC2MpRBd4AxSRvUeBIVeBU7ojN/SxDfALUd7iVYOSeEK3gZaqR2MGOysj4Zh2xj2RY5fQAUT+Oqq7hWTraMA==",
    "package/schema.graphql",
)
WEBHOOKS = Package(
    "@octokit/webhooks-examples",
    "7.6.1",
    "De6U3XB6O3DtCa7bKgCMzTHdeopqqZ6SNivMYJnK65ierKL1AnNIA0tkRYCRS7lwGT792d+Ps1WbfHlso6MynQ==",
    "package/api.github.com/index.json",
)


def ensure(package: Package) -> Path:
    """The package's file, fetched if it is not there; raises `SpecsMissing` without npm or a registry."""
    if not package.file.exists():
        HOME.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=HOME) as scratch:
            _unpack(package, _pack(package, Path(scratch)), Path(scratch))
    return package.file


def _pack(package: Package, folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise SpecsMissing(f"npm is missing: {package.name} {package.version} cannot be fetched")
    spec = f"{package.name}@{package.version}"
    command = [npm, "pack", spec, "--pack-destination", str(folder), "--fetch-retries=1", "--loglevel=error"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        raise SpecsMissing(f"npm did not fetch {spec} within 300 s") from None
    packed = sorted(folder.glob("*.tgz"))
    if done.returncode != 0 or not packed:
        raise SpecsMissing(f"npm cannot fetch {spec}: {done.stderr.strip()[-300:]}")
    return packed[0]


def _unpack(package: Package, tarball: Path, folder: Path) -> None:
    found = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if found != package.sha512:
        raise ValueError(f"{package.name} {package.version}: sha512 is {found}, pinned is {package.sha512}")
    with tarfile.open(tarball) as archive:
        member = archive.extractfile(package.member)
        if member is None:
            raise ValueError(f"{package.name} {package.version} holds no file {package.member}")
        part = folder / "part"
        with part.open("wb") as out:
            shutil.copyfileobj(member, out)
    package.file.parent.mkdir(parents=True, exist_ok=True)
    part.replace(package.file)


if __name__ == "__main__":
    try:
        for wanted in (OPENAPI, ENTERPRISE, GRAPHQL, WEBHOOKS):
            print(ensure(wanted).relative_to(HOME.parents[1]))
    except SpecsMissing as missing:
        sys.exit(str(missing))
