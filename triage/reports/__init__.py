"""What people read: terminal, Markdown, and HTML pages from the files in `templates/`.

A page loads nothing. Its policy forbids everything but its own style and script, and every value is escaped where a
template puts it: titles and names of labels come from strangers.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
# Pieces of a page that are written together.
PIECES = 100
# What others wrote and a page holds too, by the page; see vendor/README.md.
LIBRARIES = {"evaluation": ("vendor/uPlot",)}


def render(name: str, **values: object) -> Iterator[str]:
    """`NAME.html` with `base.css` and NAME.css as `style`, `base.js` and NAME.js as `script`.

    The page comes in pieces as `values` are consumed. Raises UndefinedError where a template misses a value.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    # Neither autoescape nor StrictUndefined is the default of Jinja, which also sorts the keys of JSON.
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    environment.filters["digest"] = _digest
    parts = ("base", *LIBRARIES.get(name, ()), name)
    style, script = (Markup(_read(*(f"{part}.{kind}" for part in parts))) for kind in ("css", "js"))  # noqa: S704
    stream = environment.get_template(f"{name}.html").stream(style=style, script=script, **values)
    stream.enable_buffering(PIECES)
    yield from stream


def _read(*names: str) -> str:
    return "".join((TEMPLATES / name).read_text("utf-8") for name in names)


def _digest(text: str) -> str:
    """The source expression of a content security policy for this very text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
