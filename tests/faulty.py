"""Faulty answers of a server: what a proxy, another server or a broken one sends in place of GitHub's answer."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping

from tests.fake_github.faults import Kind, Raw, raw, redirect

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
CHUNKED = f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode()
DIGITS = "9" * 400
PAGE = b"<html><head><title>Sign in &middot; Example</title></head></html>"
BOMB = gzip.compress(bytes(70_000_000))
DAY_AFTER_TOMORROW = "172800"

# Another attempt would fail in the same way: one try.
PERMANENT: Mapping[str, Kind] = {
    "a web page": raw(PAGE, Content_Type="text/html"),
    "a web page that is missing": raw(PAGE, "404 Not Found", Content_Type="text/html"),
    "a web page that forbids": raw(PAGE, "403 Forbidden", Content_Type="text/html"),
    "a page as JSON": raw(PAGE),
    "a redirect to another host": redirect("https://other.example/", 301),
    "a redirect to a file": redirect("file:///etc/passwd"),
    "a redirect to nowhere": redirect("http://[::1"),
    "a redirect to a bad port": redirect("http://127.0.0.1:99999999/"),
    "a redirect to bytes": raw(b"{}", "302 Found", Location="http://\xff\xfe/"),
    "a proxy that wants a password": raw(b"", "407 Proxy Authentication Required"),
    "gzip that unpacks to 70 MB": raw(BOMB, Content_Encoding="gzip"),
    "an encoding not asked for": raw(b"{}", Content_Encoding="br"),
    "two encodings": raw(b"{}", Content_Encoding="gzip, gzip"),
    "errors that are a number": raw(b'{"errors": 5}'),
    "errors that are a word": raw(b'{"errors": "no"}'),
    "errors that are numbers": raw(b'{"errors": [5, null]}'),
    "an error of another shape": raw(b'{"errors": [{"type": ["X"], "message": {"a": 1}}]}'),
    "a teapot": raw(b'{"message": 5}', "418 Teapot"),
    "a number": raw(b"5"),
    "a list": raw(b"[[[]]]"),
    "nothing": raw(b"null"),
    "an object": raw(b"{}"),
    "data of another shape": raw(b'{"data": [], "object": 7}'),
    "no content": raw(b"", "204 No Content"),
    "a part": raw(b'{"data"', "304 Not Modified"),
}
# Another attempt may succeed: five tries.
PASSING: Mapping[str, Kind] = {
    "not ready": raw(b"{}", "202 Accepted"),
    "an empty answer": raw(b""),
    "an empty answer, said to be compressed": raw(b"", Content_Encoding="gzip"),
    "deep JSON": raw(b"[" * 100_000 + b"]" * 100_000),
    "deep objects": raw(b'{"data":' * 100_000 + b"1" + b"}" * 100_000),
    "a number of 400 digits": raw(b'{"data": {"n": %s}}' % DIGITS.encode()),
    "a number of 5000 digits": raw(b'{"data": {"n": %s}}' % (b"9" * 5_000)),
    "invalid UTF-8": raw(b'{"data": "\xff\xfe\x80"}'),
    "half of UTF-16": raw('{"data": {}}'.encode("utf-16")[:-1]),
    "another type": raw(b"\x89PNG\r\n", Content_Type="image/png"),
    "half of JSON": raw(b'{"data": {"repository"'),
    "a body cut short": raw(b'{"data"', length=False, Content_Length="1000"),
    "chunks cut short": Raw(CHUNKED + b"5\r\n{}"),
    "chunks of no size": Raw(CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"),
    "a chunk without end": Raw(CHUNKED + b"F" * 70_000),
    "gzip that is none": raw(b"{}", Content_Encoding="gzip"),
    "gzip cut short": raw(gzip.compress(b'{"data": {}}' * 9)[:30], Content_Encoding="gzip"),
    "no HTTP": Raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "another version": Raw(b"HTTP/9.9 200 OK\r\n\r\n{}"),
    "no status": Raw(b"HTTP/1.1 OK\r\n\r\n"),
    "a status of 400 digits": Raw(f"HTTP/1.1 {DIGITS} OK\r\n\r\n".encode()),
    "a status above all": raw(b"{}", "999 Lost"),
    "a header without end": Raw(HEAD.encode() + b"X-Long: " + b"a" * 70_000 + b"\r\n\r\n"),
    "headers without end": Raw(HEAD.encode() + b"X: y\r\n" * 500 + b"\r\n"),
    "two lengths": raw(b"{}", length=False, Content_Length="2, 7"),
    "a length of 400 digits": raw(b"{}", length=False, Content_Length=DIGITS),
    "an outage": raw(PAGE, "502 Bad Gateway", Content_Type="text/html"),
    "silence": Raw(b""),
}
# Absurd times: a limit is waited for within bounds, and then given up.
ABSURD = (
    DIGITS,
    "9" * 5_000,
    "1000000000000",
    "-5",
    "1.5",
    "soon",
    "",
    "\xb2",
    "Fri, 31 Dec 9999 23:59:59 GMT",
)
LIMITS: Mapping[str, Kind] = {
    **{
        f"Retry-After: {value[:20]}": raw(
            b'{"message": "slow down"}', "429 Too Many Requests", Retry_After=value
        )
        for value in ABSURD
    },
    **{
        f"X-RateLimit-Reset: {value[:20]}": raw(
            b'{"message": "API rate limit exceeded"}',
            "403 Forbidden",
            X_RateLimit_Remaining="0",
            X_RateLimit_Reset=value,
        )
        for value in ABSURD
    },
    **{
        f"Date: {value[:20]}": raw(
            b'{"message": "API rate limit exceeded"}',
            "403 Forbidden",
            Date=value,
            X_RateLimit_Remaining="0",
            X_RateLimit_Reset=DAY_AFTER_TOMORROW,
        )
        for value in (*ABSURD, "Mon, 01 Jan 0001 00:00:00 +2359", "Thu, 01 Jan 1970 00:00:00 GMT")
    },
}
# These take as long as they like, and are cut off.
ENDLESS: Mapping[str, Kind] = {
    "a byte at a time": Raw(f"{HEAD}Content-Length: 100000\r\n\r\n".encode(), b" ", 0.02),
    "a byte at a time, without a length": Raw(f"{HEAD}\r\n".encode(), b" ", 0.02),
    "a chunk at a time": Raw(CHUNKED, b"1\r\n \r\n", 0.02),
    "headers at a time": Raw(HEAD.encode(), b"X", 0.02),
    "continue, continue": Raw(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.02),
}
# Whose headers are absurd and whose content is right.
STRANGE_HEADERS: Mapping[str, str] = {
    "X-RateLimit-Limit": DIGITS,
    "X-RateLimit-Remaining": "many",
    "X-RateLimit-Reset": DIGITS,
    "X-OAuth-Scopes": ",,,",
    "Date": "Fri, 31 Dec 9999 23:59:59 GMT",
    "Location": "http://[::1",
    "Retry-After": DIGITS,
    "Content-Type": "\xff/\xfe; charset=klingon",
}


def flood() -> Raw:
    """A body without end, as fast as it goes."""
    return Raw(f"{HEAD}\r\n".encode(), b" " * 2**20)


def with_strange_headers(answer: object) -> Kind:
    """The answer under headers that make no sense."""
    return raw(
        json.dumps(answer).encode(),
        **{name.replace("-", "_"): value for name, value in STRANGE_HEADERS.items()},
    )
