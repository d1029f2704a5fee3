"""Links of the site: pages link to files beside `docs/` by path, so that they also work on GitHub and in a checkout."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

LINK = re.compile(r"(?<=\]\()(\.\./[^)\s]*)(?=\))")


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, **_: object) -> str:
    """The page, its links to files outside `docs/` replaced by their addresses in the repository."""
    folder = posixpath.dirname(posixpath.join("docs", page.file.src_uri))

    def address(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, link[0]))
        inside = path == "docs" or path.startswith("docs/")
        return link[0] if inside else f"{config.extra['repository']}/blob/main/{path}"

    return LINK.sub(address, markdown)


def on_post_page(output: str, **_: object) -> str:
    """The page, where what the theme leaves without a name has one for screen readers."""
    return output.replace(' role="dialog"', ' role="dialog" aria-label="Search"')
