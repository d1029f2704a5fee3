"""The way to GitHub's API: address, certificates, proxy, and answers with a deadline and a greatest size.

A fault that another attempt does not mend (certificate, proxy, address) is told apart from an outage here: the first
raises Unreachable, the second Broken.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import ssl
import threading
import weakref
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from triage.errors import DataError, UsageError
from triage.github.errors import Unreachable, UnusableAnswer

if TYPE_CHECKING:
    from requests.adapters import HTTPAdapter

# Seconds without any progress, and for a whole answer. GitHub gives up a request after ten.
TIMEOUT = 30.0
DEADLINE = 120.0
# A page of the hundred longest issues has 40 MB at most, a part of a bundle 6.
MOST_BYTES = 64 * 2**20
PIECE = 2**16
# The first that is set names the trusted authorities: the variables of requests, curl and OpenSSL.
AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
Origin = tuple[str, str | None, int | None]
PORTS = {"https": 443, "http": 80}
TUNNEL = re.compile(r"Tunnel connection failed: (\d+) ?(.*)")
ADDRESSES = "GITHUB_API_URL and GITHUB_GRAPHQL_URL"
DOCS = "see docs/how-to/certificates-and-proxies.md"


class Broken(Exception):
    """No whole answer arrived; `str()` is the reason."""


@dataclass(frozen=True)
class Answer:
    """The status, the headers (names in lower case) and the content of an answer."""

    status: int
    headers: dict[str, str]
    content: bytes


def origin(url: str) -> Origin:
    """The scheme, host and port of an address. Raises ValueError where it is none."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme)


def checked_url(url: str) -> str:
    """The address of an API without a last slash. Raises UsageError unless it is https:// or on this machine."""
    step = f"set {ADDRESSES} to https://HOST/PATH, or unset them"
    shown = _without_password(url)
    try:
        scheme, host, _ = origin(url)
    except ValueError:
        scheme, host = "", None
    parts = url.partition("://")[2]
    if scheme not in PORTS or not host or re.search(r"[^!-~]|[?#@\\]", parts):
        raise UsageError(f"{shown!r:.200} is not an address of GitHub's API", next_step=step)
    if scheme == "http" and not _is_loopback(host):
        raise UsageError(
            f"{shown!r:.200} is not encrypted, and the token would be sent there",
            likely="http:// was written for https://",
            next_step=step,
        )
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _without_password(text: str) -> str:
    return re.sub(r"//[^/]*@", "//", text)


class Transport:
    """Carries requests to one host, one at a time."""

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).netloc
        self._site = f"{urlsplit(url).scheme}://{self._host}"
        self._route = Route.to(url)
        self._line = _Line()
        self._adapter = _adapter(self._line)
        weakref.finalize(self, self._line.close)

    def send(self, verb: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        """The answer, whatever it says; raises Broken, Unreachable, and DataError for one that is too large."""
        try:
            with self._line.watched(DEADLINE):
                answer = self._exchange(verb, path, body, headers)
            if not self._line.late:
                return answer
        except _breaks() as error:
            self.close()
            if not self._line.late:
                raise Broken(self._route.reason(error, self._host)) from None
        self.close()
        raise Broken(f"no whole answer from {self._host} within {DEADLINE:g} s")

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._adapter.close()
        self._line.close()

    def _exchange(self, verb: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        from requests import Request

        # No other encoding is undone below.
        named = {**headers, "Accept-Encoding": "gzip"}
        request = Request(verb, f"{self._site}{path}", headers=named, data=body).prepare()
        response = self._adapter.send(
            request,
            stream=True,
            timeout=TIMEOUT,
            verify=self._route.trusted or True,
            proxies=self._route.proxies,
        )
        try:
            if response.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
                raise self._route.refused(407, response.reason or "", self._host)
            names = {name.lower(): value for name, value in response.headers.items()}
            pieces = iter(lambda: response.raw.read(PIECE, decode_content=False), b"")
            content = b"".join(_bounded(_decoded(pieces, names.get("content-encoding", ""))))
            return Answer(response.status_code, names, content)
        finally:
            response.close()


def _bounded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    left = MOST_BYTES
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise DataError(
                f"GitHub's answer is larger than {MOST_BYTES // 2**20} MB",
                likely="a proxy or another server answers in GitHub's place",
                next_step=f"check {ADDRESSES} and the proxy",
            )
        yield piece


def _decoded(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """The content piece by piece, none much larger than what was read for it."""
    if encoding.lower() not in {"", "identity", "gzip"}:
        raise UnusableAnswer(f"GitHub's answer is encoded as {encoding!r:.40}, which was not asked for")
    if encoding.lower() != "gzip":
        yield from pieces
        return
    unpack, piece = zlib.decompressobj(31), b""
    for piece in pieces:
        yield unpack.decompress(piece, PIECE)
        while unpack.unconsumed_tail:
            yield unpack.decompress(unpack.unconsumed_tail, PIECE)
    # An answer without content may be declared as compressed.
    if piece and not unpack.eof:
        raise EOFError("the answer was cut short")


class _Line:
    """A second descriptor of the open connection.

    Shutting it down ends whatever the first one waits for: the proxy, TLS, the headers or the body.
    """

    def __init__(self) -> None:
        self.late = False
        self._end: socket.socket | None = None

    def follow(self, opened: socket.socket) -> None:
        """Take a new connection in the place of the one before. Raises TimeoutError where it comes too late."""
        self.close()
        self._end = opened.dup()
        self.check()

    def check(self) -> None:
        """Raises TimeoutError where the time is over."""
        if self.late:
            raise TimeoutError("too late")

    @contextmanager
    def watched(self, seconds: float) -> Iterator[None]:
        """Cut the connection if the block takes longer; then `late` is set."""
        self.late = False
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def close(self) -> None:
        if self._end:
            self._end.close()

    def _cut(self) -> None:
        self.late = True
        with suppress(OSError):
            if self._end:
                self._end.shutdown(socket.SHUT_RDWR)


def _adapter(line: _Line) -> HTTPAdapter:
    """An adapter whose connections `line` follows."""
    # It logs tracebacks for headers that make no sense.
    logging.getLogger("urllib3.connection").setLevel(logging.ERROR)
    from requests.adapters import HTTPAdapter

    class Watched(HTTPAdapter):
        def get_connection_with_tls_context(self, *args: Any, **more: Any) -> Any:
            pool = super().get_connection_with_tls_context(*args, **more)
            if not hasattr(pool.ConnectionCls, "line"):
                kind: Any = pool.ConnectionCls

                def connect(connection: Any) -> socket.socket:
                    opened: socket.socket = kind._new_conn(connection)
                    try:
                        line.follow(opened)
                    except BaseException:
                        opened.close()
                        raise
                    return opened

                def tunnel(connection: Any) -> None:
                    kind._tunnel(connection)
                    # A proxy's answer that was cut off looks like a short one.
                    line.check()

                own = {"_new_conn": connect, "_tunnel": tunnel, "line": line}
                pool.ConnectionCls = type(kind.__name__, (kind,), own)
            return pool

    return Watched(pool_connections=1, pool_maxsize=1)


def _breaks() -> tuple[type[Exception], ...]:
    """What an exchange can end with but an answer."""
    from http.client import HTTPException

    from urllib3.exceptions import HTTPError

    return OSError, ValueError, EOFError, zlib.error, HTTPException, HTTPError


@dataclass(frozen=True)
class Route:
    """What the environment says about the way to a host.

    `trusted` is the file or folder of the authorities, which the variable `trusting` names; `variable` names the proxy.
    """

    trusting: str
    trusted: str
    variable: str
    proxies: dict[str, str]

    @classmethod
    def to(cls, url: str) -> Route:
        """Raises Unreachable where a variable names a proxy or authorities that cannot be used."""
        from requests.utils import get_environ_proxies, select_proxy

        proxies: dict[str, str] = dict(get_environ_proxies(url))
        proxy = select_proxy(url, proxies)
        scheme = urlsplit(url).scheme
        names = [form for name in (f"{scheme}_proxy", "all_proxy") for form in (name, name.upper())]
        variable = next((name for name in names if os.environ.get(name)), names[1]) if proxy else ""
        if proxy:
            _check_proxy(variable, proxy)
        trusting = (
            next((name for name in AUTHORITIES if os.environ.get(name)), "") if scheme == "https" else ""
        )
        trusted = os.environ[trusting] if trusting else ""
        if trusting:
            _check_authorities(trusting, trusted)
        return cls(trusting, trusted, variable, proxies)

    def reason(self, error: BaseException, host: str) -> str:
        """Why no answer arrived; raises Unreachable where another attempt would fail in the same way."""
        from requests.exceptions import InvalidURL
        from urllib3.exceptions import LocationValueError, ProxyError

        chain = list(_chain(error))
        by_proxy = self.variable and any(isinstance(link, ProxyError) for link in chain)
        for link in chain:
            if isinstance(link, UnicodeError | InvalidURL | LocationValueError):
                raise self._nameless("not a name of a host", host)
            if isinstance(link, ssl.SSLError) and not _is_cut(link):
                raise self._tls(link, f"the proxy of {self.variable}" if by_proxy else host)
            if match := TUNNEL.fullmatch(str(link)):
                if int(match[1]) < 500:
                    raise self.refused(int(match[1]), match[2], host)
                return f"the proxy of {self.variable} answers {match[1]} {match[2]}"
            if isinstance(link, socket.gaierror) and link.errno != socket.EAI_AGAIN:
                raise self._nameless(str(link.strerror), host)
            if isinstance(link, ConnectionRefusedError) and self.variable:
                raise self._unproxied(host, "connection refused")
            if by_proxy and "only use HTTP and not HTTPS" in str(link):
                raise self._unproxied(host, "it does not speak TLS")
        way = f" through the proxy of {self.variable}" if self.variable else ""
        return f"no answer from {host}{way} ({_told(chain)})"

    def refused(self, status: int, said: str, host: str) -> Unreachable:
        """The proxy answered in GitHub's place that it does not let the request pass."""
        if status == 407:
            likely, step = "it wants a name and a password", "http://USER:PASSWORD@HOST:PORT"
        else:
            likely, step = "its rules do not allow the host", "a proxy that does"
        variable = self.variable or "HTTPS_PROXY"
        return Unreachable(
            f"the proxy of {variable} does not connect to {host}: {status} {said}".rstrip(),
            likely=likely,
            next_step=f"set {variable} to {step}, or list the host in NO_PROXY; {DOCS}",
        )

    def _unproxied(self, host: str, reason: str) -> Unreachable:
        return Unreachable(
            f"cannot reach {host} through the proxy of {self.variable}: {reason}",
            likely="its address is mistyped, or it does not run",
            next_step=f"set {self.variable} to http://HOST:PORT, unset it, or list the host in NO_PROXY; {DOCS}",
        )

    def _nameless(self, reason: str, host: str) -> Unreachable:
        if self.variable:
            return self._unproxied(host, f"there is no such proxy ({reason})")
        return Unreachable(
            f"there is no host {host}: {reason}",
            likely="the address is mistyped, or this machine reaches names outside through a proxy only",
            next_step=f"check {ADDRESSES}, or set HTTPS_PROXY to http://HOST:PORT; {DOCS}",
        )

    def _tls(self, error: ssl.SSLError, host: str) -> Unreachable:
        if not isinstance(error, ssl.SSLCertVerificationError):
            return Unreachable(
                f"no TLS connection to {host}: {_plain(error)}",
                likely="the port is that of http://, or the server wants a certificate or a version of TLS of its own",
                next_step=f"check {ADDRESSES}; {DOCS}",
            )
        message = error.verify_message.rstrip(".")
        variable = self.trusting or "SSL_CERT_FILE"
        likely = (
            f"the authority that signed it is not among those of {self.trusting} ({self.trusted})"
            if self.trusting
            else "an authority of your own signed it: the server's, or that of a proxy which reads along"
        )
        step = f"set {variable} to a PEM file with the certificate of that authority; {DOCS}"
        if "mismatch" in message or "not valid for" in message:
            likely, step = (
                "the address names another server",
                f"set {ADDRESSES} to a name that the certificate has",
            )
        elif "expired" in message or "not yet valid" in message:
            likely, step = (
                "it was not renewed, or this machine's clock is wrong",
                "renew it, or set the clock",
            )
        return Unreachable(
            f"the certificate of {host} is not trusted: {message}", likely=likely, next_step=step
        )


def _check_proxy(variable: str, proxy: str) -> None:
    # The address is not repeated: it may hold a password.
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url

    try:
        parts = parse_url(proxy if "://" in proxy else f"http://{proxy}")
        usable = bool(parts.host) and parts.scheme in {*PORTS, "socks4", "socks4a", "socks5", "socks5h"}
    except LocationParseError:
        usable, parts = False, None
    if parts is None or not usable:
        raise Unreachable(
            f"{variable} does not name a proxy",
            likely="a typing mistake in its host or port",
            next_step=f"set {variable} to http://HOST:PORT, or unset it; {DOCS}",
        )
    if str(parts.scheme).startswith("socks") and find_spec("socks") is None:
        raise Unreachable(
            f"{variable} names a SOCKS proxy, and the package PySocks is not installed",
            likely="the action's image speaks to HTTP proxies only",
            next_step=f"set {variable} to an HTTP proxy (http://HOST:PORT), or `pip install PySocks`; {DOCS}",
        )


def _check_authorities(variable: str, path: str) -> None:
    try:
        if not Path(path).is_dir():
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        elif variable == "SSL_CERT_FILE":
            raise IsADirectoryError(21, "it is a folder")
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        reason = "there is no such file" if missing else _plain(error)
        raise Unreachable(
            f"{variable} names {path!r:.200}, which cannot be used: {reason}",
            likely="the file is not on this machine; a Docker action sees the workspace only, as /github/workspace"
            if missing
            else "the file is not in PEM format, or may not be read",
            next_step=f"set {variable} to a PEM file with the trusted authorities, or unset it; {DOCS}",
        ) from None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it wraps: libraries keep them in `reason`, among the arguments, or as the cause."""
    pending, seen = [error], set[int]()
    while pending:
        link = pending.pop(0)
        if id(link) not in seen:
            seen.add(id(link))
            yield link
            inner = (getattr(link, "reason", None), *link.args, link.__cause__, link.__context__)
            pending += [other for other in inner if isinstance(other, BaseException)]


def _is_cut(error: ssl.SSLError) -> bool:
    """Whether the connection ended, and TLS did not fail."""
    return isinstance(error, ssl.SSLZeroReturnError) or any(
        word in str(error) for word in ("EOF", "timed out")
    )


def _told(chain: list[BaseException]) -> str:
    """The innermost error in words."""
    return _plain(next((link for link in reversed(chain) if str(link)), chain[0]))


def _plain(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    # The place in Python's source, and the library's way to name itself.
    text = re.sub(r" ?\(_ssl\.c:\d+\)$|^\[[A-Z0-9_: ]*\] ", "", str(text))
    return _without_password(re.sub(r"^<[^>]*>: |^\w+\([^()]*\): ", "", text))
