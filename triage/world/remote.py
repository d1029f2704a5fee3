"""One repository on one GitHub, reached with one token: what everything else there builds on."""

from __future__ import annotations

from functools import cached_property
from typing import Unpack

from triage.errors import UsageError
from triage.globs import NAME
from triage.world import queries
from triage.world.answer import Answer
from triage.world.connection import Connection, Settings
from triage.world.live import Repository
from triage.world.reply import Purpose


class Remote(Connection):
    """`repo` is OWNER/NAME as given; `repository` says what GitHub calls it now. Raises UsageError for what is
    no name, and whatever `Connection` does.
    """

    def __init__(self, repo: str, token: str, **settings: Unpack[Settings]) -> None:
        if not NAME.fullmatch(repo):
            raise UsageError(f"{repo!r} is not of the form OWNER/NAME")
        super().__init__(token, **settings)
        self.repo = repo

    @cached_property
    def repository(self) -> Repository:
        """Asked once. Raises NotFound where there is none or the token cannot see it."""
        purpose = Purpose(f"find {self.repo}", "`metadata: read`")
        found = self._http.graphql(queries.REPOSITORY, self._names, purpose).at("repository")
        branch = found.maybe("defaultBranchRef")
        return Repository(
            name=found.text("nameWithOwner"),
            node_id=found.text("id"),
            visibility=found.text("visibility").lower(),
            default_branch=branch.text("name") if branch else "",
        )

    def url(self, number: int) -> str:
        """The page of an issue."""
        return self.url_of(self.repo, number)

    def url_of(self, repo: str, number: int) -> str:
        """The page of an issue of any repository on the same GitHub."""
        return f"{self._server_url}/{repo}/issues/{number}"

    def _ask(self, document: str, doing: str, needs: str, **variables: object) -> Answer:
        """The `repository` of a query's answer."""
        purpose = self._purpose(doing, needs)
        return self._http.graphql(document, {**self._names, **variables}, purpose).at("repository")

    @property
    def _names(self) -> dict[str, str]:
        owner, _, name = self.repo.partition("/")
        return {"owner": owner, "name": name}

    def _path(self, rest: str) -> str:
        # A redirect from a former name would lose the query, so that the present name is asked for first.
        return f"/repos/{self.repository.name}{rest}"

    def _purpose(self, doing: str, needs: str, *, repeatable: bool = True) -> Purpose:
        return Purpose(f"{doing} in {self.repo}", needs, repeatable)
