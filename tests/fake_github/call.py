"""One REST request on its way to its handler: routes, permissions, redirects, pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import unquote, urlencode

from tests.fake_github.issue import Issue
from tests.fake_github.render import Render
from tests.fake_github.repository import Repository
from tests.fake_github.state import Level, Token, World
from tests.fake_github.wire import Json, Refusal, Reply, Request

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """A request matched to its route."""

    world: World
    request: Request
    args: dict[str, str]
    token: Token | None

    @property
    def render(self) -> Render:
        """JSON for this client."""
        return Render(self.request.base_url)

    @property
    def body(self) -> dict[str, Json]:
        """The JSON object sent; 400 for anything else."""
        if not isinstance(self.request.body, dict):
            raise Refusal(400, "Problems parsing JSON")
        return self.request.body

    def text(self, key: str) -> str:
        """A string out of the body; 422 without it."""
        value = self.body.get(key)
        if not isinstance(value, str):
            raise Refusal(422, f'Invalid request.\n\n"{key}" wasn\'t supplied.')
        return value

    def repository(self, scope: str, level: Level, *others: str) -> Repository:
        """The repository in the path, if the token may do this (`others`: scopes that do as well)."""
        full_name = f"{self.args['owner']}/{self.args['repo']}"
        found = self.world.repository(full_name)
        if found is None:
            self._redirect_renamed(full_name)
            raise Refusal(404, "Not Found")
        if found.private and not (self.token and self.token.sees(found.full_name)):
            raise Refusal(404, "Not Found")
        if level == "read" and (not found.private or scope == "metadata"):
            return found
        if self.token is None:
            raise Refusal(401, "Requires authentication")
        if not any(self.token.may(name, level) for name in (scope, *others)):
            raise Refusal(403, self.token.refusal, x_accepted_github_permissions=f"{scope}={level}")
        return found

    def issue(self, level: Level) -> Issue:
        """The issue in the path: 404 never there, 410 deleted, 301 transferred."""
        issue = self.repository("issues", level, "pull_requests").issues.get(int(self.args["issue_number"]))
        if issue is None or issue.is_discussion:
            raise Refusal(404, "Not Found")
        if issue.deleted:
            raise Refusal(410, "This issue was deleted")
        if issue.moved_to is not None:
            here = f"{self.args['owner']}/{self.args['repo']}/issues/{issue.number}"
            rest = self.request.path.removeprefix(f"/repos/{here}")
            target = issue.moved_to
            self.moved(f"/repositories/{target.repository.id}/issues/{target.number}{rest}")
        return issue

    def moved(self, path: str) -> None:
        """Answer 301 to `path` on this host."""
        url = self.request.base_url + path
        raise Refusal(301, "Moved Permanently", location=url)

    def _redirect_renamed(self, full_name: str) -> None:
        target = self.world.repository(self.world.renamed.get(full_name.casefold(), ""))
        if target:
            self.moved(f"/repositories/{target.id}" + self.request.path.removeprefix(f"/repos/{full_name}"))

    def page(self, items: Iterable[T], show: Callable[[T], Json]) -> Reply:
        """The page asked for (30 a page unless told, 100 at most), with the `Link` header."""
        every, query = list(items), self.request.query
        size, number = min(_count(query.get("per_page"), 30), 100), _count(query.get("page"), 1)
        last = max(1, -(-len(every) // size))
        targets = {"prev": number - 1, "next": number + 1, "last": last, "first": 1}
        wanted = ["prev", "first"] * (number > 1) + ["next", "last"] * (number < last)
        links = ", ".join(f'<{self._page_url(targets[rel])}>; rel="{rel}"' for rel in wanted)
        shown = [show(item) for item in every[(number - 1) * size : number * size]]
        return Reply(200, shown, {"Link": links} if links else {})

    def _page_url(self, number: int) -> str:
        query = dict(self.request.query) | {"page": str(number)}
        return f"{self.request.base_url}{self.request.path}?{urlencode(query)}"


def _count(value: str | None, default: int) -> int:
    # what is not a positive number is passed over in silence
    return int(value) if value and value.isdecimal() and int(value) > 0 else default


Handler = Callable[[Call], Reply]
ROUTES: list[tuple[str, re.Pattern[str], Handler]] = []


def route(method: str, template: str) -> Callable[[Handler], Handler]:
    """Register a handler; `{name}` takes one segment, `{name+}` the rest of the path, `{some_number}` digits."""
    pattern = re.sub(r"\{(\w+)\+\}", r"(?P<\1>.+)", template)
    pattern = re.sub(r"\{(\w+_number)\}", r"(?P<\1>\\d+)", pattern)
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)

    def register(handler: Handler) -> Handler:
        ROUTES.append((method, re.compile(pattern), handler))
        return handler

    return register


def handle(world: World, request: Request) -> Reply:
    """Answer one REST request; a path that is not faked raises NotImplementedError."""
    path = by_name(world, request.path)
    for method, pattern, handler in ROUTES:
        match = pattern.fullmatch(path)
        if match and method == request.method:
            args = {name: unquote(value) for name, value in match.groupdict().items()}
            try:
                return handler(Call(world, request, args, request.token))
            except Refusal as refusal:
                return refusal.reply
    raise NotImplementedError(f"the fake does not serve {request.method} {path}")


def by_name(world: World, path: str) -> str:
    """`/repositories/ID/…`, where redirects lead, as `/repos/OWNER/NAME/…`."""
    match = re.match(r"/repositories/(\d+)(?=/|$)", path)
    repository = match and world.nodes.get(f"R_{match[1]}")
    if match and isinstance(repository, Repository):
        return f"/repos/{repository.full_name}{path[match.end() :]}"
    return path
