"""The fake GitHub as an HTTP server on loopback: `/api/v3` and `/api/graphql`, or `/` and `/graphql`."""

from __future__ import annotations

import json
import time
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, urlsplit

from github import Auth, Github, GithubRetry

from tests.fake_github import git_data, rest  # noqa: F401 - imported for the routes they register
from tests.fake_github.allowance import Allowance
from tests.fake_github.call import by_name, handle
from tests.fake_github.faults import Answer, Cut, Drop, Faults, Hook, Kind, Partial, Raw, Slow, damage
from tests.fake_github.graphql import GraphQL, operation_of
from tests.fake_github.loopback import Loopback
from tests.fake_github.state import Token, World
from tests.fake_github.validate import OpenApi
from tests.fake_github.wire import DOCS, Json, Reply, Request

REST_PREFIX, GRAPHQL_PATHS = "/api/v3", ("/api/graphql", "/graphql")
BAD_TOKEN = Reply(401, {"message": "Bad credentials", "documentation_url": DOCS, "status": "401"})


class FakeGitHub(Loopback):
    """The server: `world` is its state, `requests` what it was asked, `faults` what goes wrong next."""

    def __init__(self, openapi: OpenApi, graphql: GraphQL) -> None:
        self.world = World()
        self.faults = Faults()
        self.requests: list[Request] = []
        self.violations: list[str] = []
        self.points, self.calls = Allowance(self.world.clock), Allowance(self.world.clock)
        self._openapi, self._graphql = openapi, graphql
        super().__init__(type("Handler", (_Handler,), {"github": self}))
        self.server_url = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.server_url}{REST_PREFIX}"
        self.graphql_url = f"{self.server_url}/api/graphql"

    @property
    def tokens(self) -> dict[str, Token]:
        """The credentials that are let in."""
        return self.world.tokens

    @property
    def log(self) -> list[str]:
        """`GET /repos/o/r` or `mutation addLabelsToLabelable`, in the order of arrival."""
        return [str(request) for request in self.requests]

    def client(
        self, token: str, *, base_url: str | None = None, retry: int | GithubRetry | None = None
    ) -> Github:
        """The real PyGithub, without its courtesy pauses."""
        return Github(
            auth=Auth.Token(token),
            base_url=base_url or self.url,
            retry=retry,
            seconds_between_requests=0,
            seconds_between_writes=0,
        )

    def answer(self, request: Request, due: list[Kind]) -> Reply | None:
        """Apply the request between its faults; None where the connection is to be dropped."""
        hooks = [kind for kind in due if isinstance(kind, Hook)]
        other = next((kind for kind in due if not isinstance(kind, Hook)), None)
        request.fault = type(other).__name__ if other else None
        for hook in hooks:
            if hook.when == "before":
                hook.run(request)
        reply: Reply | None = None
        if not isinstance(other, Answer | Drop | Raw) or other.when == "after":
            with self.world.lock:
                reply = self._apply(request)
        for hook in hooks:
            if hook.when == "after":
                hook.run(request)
        if isinstance(other, Answer):
            self._check(request, other.reply, by_fault=True)
            return other.reply
        if isinstance(other, Partial) and reply:
            return Reply(reply.status, damage(reply.body, other), reply.headers)
        return None if isinstance(other, Drop | Raw) else reply

    def headers(self, reply: Reply, api: str) -> dict[str, str]:
        """What GitHub sends with every response, the clock's time included."""
        told = self.points if api == "graphql" else self.calls
        usual = {f"x-ratelimit-{name}": str(value) for name, value in told.told().items()}
        usual["x-ratelimit-resource"] = "graphql" if api == "graphql" else "core"
        usual["Date"] = format_datetime(self.world.clock.now, usegmt=True)
        html = isinstance(reply.body, str)
        usual["Content-Type"] = "text/html" if html else "application/json; charset=utf-8"
        return usual | dict(reply.headers)

    def _apply(self, request: Request) -> Reply:
        value = request.headers.get("authorization", "").partition(" ")[2]
        request.token = self.tokens.get(value)
        if value and request.token is None:
            return BAD_TOKEN
        if request.api == "graphql":
            before = len(self._graphql.violations)
            reply = self._graphql.handle(self.world, request, self.points)
            self.violations += self._graphql.violations[before:]
            return reply
        self.calls.spend(1)
        try:
            reply = self._limits() if request.path == "/rate_limit" else handle(self.world, request)
        except NotImplementedError as error:
            self.violations.append(str(error))
            return Reply(404, {"message": "Not Found", "documentation_url": DOCS, "status": "404"})
        self._check(request, reply)
        return reply

    def _check(self, request: Request, reply: Reply, *, by_fault: bool = False) -> None:
        if request.api == "rest":
            before = len(self._openapi.violations)
            path = by_name(self.world, request.path)
            self._openapi.check(request, path, reply, answered_by_fault=by_fault)
            self.violations += self._openapi.violations[before:]

    def _limits(self) -> Reply:
        core, graphql = (a.told() | {"used": a.limit - a.remaining} for a in (self.calls, self.points))
        return Reply(200, {"resources": {"core": core, "search": core, "graphql": graphql}, "rate": core})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # one packet a response: headers and body apart would wait for each other's acknowledgement
    wbufsize = -1
    disable_nagle_algorithm = True
    github: FakeGitHub

    def do_GET(self) -> None:
        request = self._request()
        self.github.requests.append(request)
        due = self.github.faults.strike(request)
        reply = self.github.answer(request, due)
        if reply is None:
            self.close_connection = True
            for kind in due:
                if isinstance(kind, Raw):
                    self._send_raw(kind)
            return
        request.status = reply.status
        self._send(reply, due, request.api)

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names that http.server looks for

    def _request(self) -> Request:
        url = urlsplit(self.path)
        graphql = url.path in GRAPHQL_PATHS
        prefix = REST_PREFIX if url.path.startswith(REST_PREFIX) else ""
        length = int(self.headers.get("Content-Length", "0"))
        raw = self.rfile.read(length)
        if len(raw) < length:
            raise ConnectionAbortedError("the client was gone before it had said everything")
        try:
            body: Json = json.loads(raw) if raw else None
        except ValueError:
            body = raw.decode(errors="replace")
        return Request(
            api="graphql" if graphql else "rest",
            method=self.command,
            path=url.path.removeprefix(prefix),
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
            base_url=f"http://{self.headers['Host']}{prefix}",
            operation=operation_of(body) if graphql else "",
        )

    def _send(self, reply: Reply, due: list[Kind], api: str) -> None:
        text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
        data = b"" if reply.body is None else text.encode()
        self.send_response_only(reply.status)
        for name, value in self.github.headers(reply, api).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        slow = next((kind for kind in due if isinstance(kind, Slow)), Slow(0, 1))
        size = max(1, -(-len(data) // slow.pieces))
        if any(isinstance(kind, Cut) for kind in due):
            data, self.close_connection = data[: len(data) // 2], True
        for start in range(0, len(data), size):
            self.wfile.flush()
            time.sleep(slow.pause)
            self.wfile.write(data[start : start + size])

    def _send_raw(self, raw: Raw) -> None:
        self.wfile.write(raw.data)
        self.wfile.flush()
        while raw.again:
            time.sleep(raw.pause)
            self.wfile.write(raw.again)
            self.wfile.flush()

    def log_message(self, *_: object) -> None: ...
