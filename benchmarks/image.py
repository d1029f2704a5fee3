"""The layers of an image: how large each is, and how much of it a runner pulls.

    docker save triage | python -m benchmarks.image

Reads an image as `docker save` writes it, with uncompressed layers. Of each layer: megabytes as stored, and compressed
as registries hold it (gzip at level 6). The layers of the base image are added up.
"""

from __future__ import annotations

import argparse
import json
import sys
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import IO

MEGA = 1e6
PIECE = 1 << 20


def sizes(layer: IO[bytes]) -> tuple[int, int]:
    """(bytes, bytes when compressed) of a layer."""
    packer, stored, packed = zlib.compressobj(6), 0, 0
    while piece := layer.read(PIECE):
        stored += len(piece)
        packed += len(packer.compress(piece))
    return stored, packed + len(packer.flush())


def table(archive: Path, base: str) -> str:
    """The layers of the image as a Markdown table: first what comes before the first step that mentions `base`."""
    with tarfile.open(archive) as image:

        def read(name: str) -> IO[bytes]:
            found = image.extractfile(image.getmember(name))
            assert found is not None
            return found

        [manifest] = json.load(read("manifest.json"))
        history = [
            step for step in json.load(read(manifest["Config"]))["history"] if not step.get("empty_layer")
        ]
        measured = [sizes(read(name)) for name in manifest["Layers"]]
    steps = [str(step["created_by"]) for step in history]
    # The steps of the base image say nothing that could be told apart from ours, but for the folder that we copy.
    first = next((i for i, step in enumerate(steps) if base in step), len(steps))
    rows = [("the base image", [sum(column) for column in zip(*measured[:first], strict=True)] or [0, 0])]
    rows += [
        (step.removeprefix("/bin/sh -c #(nop) ")[:60], list(size))
        for step, size in zip(steps, measured, strict=True)
    ][first:]
    rows.append(("beyond the base image", [sum(column) for column in zip(*measured[first:], strict=True)]))
    lines = ["| layer | MB | MB to pull |", "|---|---|---|"]
    return "\n".join(lines + [f"| {name} | {a / MEGA:.1f} | {b / MEGA:.1f} |" for name, (a, b) in rows])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "archive", type=Path, nargs="?", help="a file that `docker save` wrote (default: standard input)"
    )
    parser.add_argument("--base", default="/opt/venv", help="text of our first step that makes a layer")
    options = parser.parse_args()
    if options.archive:
        print(table(options.archive, options.base))
        return
    with tempfile.NamedTemporaryFile() as file:
        while piece := sys.stdin.buffer.read(PIECE):
            file.write(piece)
        file.flush()
        print(table(Path(file.name), options.base))


if __name__ == "__main__":
    main()
