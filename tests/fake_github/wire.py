"""What goes over HTTP between a client and the fake GitHub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.fake_github.state import Token

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
DOCS = "https://docs.github.com/rest"


@dataclass
class Request:
    """One request as it arrived; `path` without `/api/v3`, still percent-encoded; `status` once answered."""

    api: Literal["rest", "graphql"]
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Json
    base_url: str
    operation: str = ""
    token: Token | None = None
    status: int | None = None
    fault: str | None = None

    def __str__(self) -> str:
        """`GET /repos/o/r` or `mutation addLabelsToLabelable`."""
        return self.operation or f"{self.method} {self.path}"

    @property
    def writes(self) -> bool:
        """Whether it asks for a change."""
        return self.operation.startswith("mutation") if self.api == "graphql" else self.method != "GET"


@dataclass(frozen=True)
class Reply:
    """One response; a `body` of None sends no bytes, a str is sent as it stands (an HTML error page)."""

    status: int
    body: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """A REST error in GitHub's form."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body: Json = {"message": message, "documentation_url": DOCS, "status": str(status)}
        self.reply = Reply(status, body, named)
