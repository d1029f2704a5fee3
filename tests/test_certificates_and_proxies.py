"""Certificates, proxies and addresses that are wrong are told at once, with the variable to set; right ones work."""

from __future__ import annotations

import gc
import socket
from pathlib import Path

import pytest

from tests.fake_github.server import FakeGitHub
from tests.live import Step
from tests.tracking import Sleeps, tracker_of
from tests.tunnels import Authority, Proxy, dribbling, tls
from triage.errors import TriageError, UsageError
from triage.github import transport
from triage.github.errors import Overloaded, Unreachable

DOCS = "see docs/how-to/certificates-and-proxies.md"
AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
HOST = "ghe.example"
NOWHERE = "https://127.0.0.1:9/api/v3"
FORMS = ("https_proxy", "HTTPS_PROXY", "ALL_PROXY")


def failing(github: FakeGitHub, api_url: str) -> tuple[TriageError, list[float]]:
    """The error of a read, and the waits between its attempts."""
    sleeps = Sleeps()
    with pytest.raises(TriageError) as raised, tracker_of(github, api_url=api_url, sleeps=sleeps) as tracker:
        tracker.labels()
    return raised.value, sleeps.seconds


@pytest.mark.parametrize("name", [*AUTHORITIES, "SSL_CERT_DIR"])
def test_a_file_of_authorities_that_is_not_there_is_named(
    github: FakeGitHub, bare: pytest.MonkeyPatch, name: str
) -> None:
    """Before anything is sent."""
    bare.setenv(name, "/nowhere/ca.pem")
    error, waits = failing(github, NOWHERE)
    assert str(error) == (
        f"{name} names '/nowhere/ca.pem', which cannot be used: there is no such file\n"
        "  likely cause: the file is not on this machine; "
        "a Docker action sees the workspace only, as /github/workspace\n"
        f"  next step: set {name} to a PEM file with the trusted authorities, or unset it; {DOCS}"
    )
    assert (error.exit_code, waits) == (8, [])


def test_the_run_is_annotated_with_it(step: Step, bare: pytest.MonkeyPatch) -> None:
    """As with every error of the action."""
    bare.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    bare.setenv("GITHUB_API_URL", NOWHERE)
    bare.setenv("GITHUB_GRAPHQL_URL", "")
    bare.setenv("INPUT_ISSUES", "938")
    assert step.run("action") == 8
    assert step.out.startswith("::error::REQUESTS_CA_BUNDLE names '/nowhere/ca.pem', which cannot be used:")
    assert "Traceback" not in step.err


@pytest.mark.parametrize(
    "content", ["", "words", "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n"]
)
def test_a_file_that_is_not_pem_is_named(
    github: FakeGitHub, bare: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    """With the reason of OpenSSL."""
    path = tmp_path / "ca.pem"
    path.write_text(content, "utf-8")
    bare.setenv("SSL_CERT_FILE", str(path))
    error, _ = failing(github, NOWHERE)
    assert error.what.startswith(f"SSL_CERT_FILE names '{path}', which cannot be used: ")
    assert error.likely == "the file is not in PEM format, or may not be read"


@pytest.mark.parametrize("name", AUTHORITIES)
def test_the_named_authorities_are_trusted(
    github: FakeGitHub, bare: pytest.MonkeyPatch, authority: Authority, name: str
) -> None:
    """Each variable alone, as requests, curl and OpenSSL have it."""
    bare.setenv(name, str(authority.file))
    with (
        tls(github.port, authority.context("127.0.0.1")) as gate,
        tracker_of(github, api_url=f"https://127.0.0.1:{gate.port}/api/v3") as tracker,
    ):
        assert len(tracker.labels()) == 3


def test_an_unknown_authority_is_told_with_the_variable_to_set(
    github: FakeGitHub, bare: pytest.MonkeyPatch, authority: Authority, tmp_path: Path
) -> None:
    """In one attempt, with the whole reason; and which file lacks it, where one is named."""
    with tls(github.port, authority.context("127.0.0.1")) as gate:
        host = f"127.0.0.1:{gate.port}"
        error, waits = failing(github, f"https://{host}/api/v3")
        assert str(error) == (
            f"the certificate of {host} is not trusted: unable to get local issuer certificate\n"
            "  likely cause: an authority of your own signed it: the server's, or that of a proxy which reads along\n"
            f"  next step: set SSL_CERT_FILE to a PEM file with the certificate of that authority; {DOCS}"
        )
        assert (gate.met, waits, error.exit_code) == (1, [], 8)
        other = Authority.made(tmp_path / "other")
        bare.setenv("REQUESTS_CA_BUNDLE", str(other.file))
        error, _ = failing(github, f"https://{host}/api/v3")
    assert error.likely == (
        f"the authority that signed it is not among those of REQUESTS_CA_BUNDLE ({other.file})"
    )
    assert error.next_step.startswith("set REQUESTS_CA_BUNDLE to ")
    assert github.requests == []


@pytest.mark.parametrize(
    ("name", "days", "reason", "step"),
    [
        ("127.0.0.1", -1, "certificate has expired", "renew it, or set the clock"),
        (HOST, 9, "IP address mismatch, certificate is not valid for '127.0.0.1'", "set GITHUB_API_URL and "),
    ],
)
def test_a_certificate_that_is_too_old_or_of_another_host_is_told(
    github: FakeGitHub,
    bare: pytest.MonkeyPatch,
    authority: Authority,
    name: str,
    days: float,
    reason: str,
    step: str,
) -> None:
    """No variable for authorities helps there."""
    bare.setenv("SSL_CERT_FILE", str(authority.file))
    with tls(github.port, authority.context(name, days=days)) as gate:
        error, waits = failing(github, f"https://127.0.0.1:{gate.port}/api/v3")
    assert error.what == f"the certificate of 127.0.0.1:{gate.port} is not trusted: {reason}"
    assert error.next_step.startswith(step)
    assert (type(error), waits) == (Unreachable, [])


def test_a_port_without_tls_is_told(github: FakeGitHub, bare: pytest.MonkeyPatch) -> None:
    """It is not an outage."""
    error, waits = failing(github, f"https://127.0.0.1:{github.port}/api/v3")
    assert error.what.startswith(f"no TLS connection to 127.0.0.1:{github.port}: ")
    assert (type(error), waits) == (Unreachable, [])


@pytest.mark.parametrize("form", FORMS)
def test_an_enterprise_server_is_reached_through_a_proxy(
    github: FakeGitHub, bare: pytest.MonkeyPatch, authority: Authority, form: str
) -> None:
    """With the proxy's password and the server's own authority; the name is looked up by the proxy."""
    bare.setenv("SSL_CERT_FILE", str(authority.file))
    with (
        tls(github.port, authority.context(HOST)) as gate,
        Proxy(gate.port, "me:secret") as proxy,
    ):
        bare.setenv(form, f"http://me:secret@127.0.0.1:{proxy.port}")
        with tracker_of(github, api_url=f"https://{HOST}/api/v3") as tracker:
            assert len(tracker.labels()) == 3
        assert proxy.asked == [f"{HOST}:443"]


def test_a_host_in_no_proxy_is_reached_directly(
    github: FakeGitHub, bare: pytest.MonkeyPatch, authority: Authority
) -> None:
    """The proxy is not asked."""
    bare.setenv("SSL_CERT_FILE", str(authority.file))
    bare.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    bare.setenv("NO_PROXY", "127.0.0.1")
    with (
        tls(github.port, authority.context("127.0.0.1")) as gate,
        tracker_of(github, api_url=f"https://127.0.0.1:{gate.port}/api/v3") as tracker,
    ):
        assert len(tracker.labels()) == 3


@pytest.mark.parametrize(
    ("answer", "likely", "step"),
    [
        (
            "407 Proxy Authentication Required",
            "it wants a name and a password",
            "http://USER:PASSWORD@HOST:PORT",
        ),
        ("403 Forbidden by policy", "its rules do not allow the host", "a proxy that does"),
    ],
)
def test_a_proxy_that_refuses_is_told(
    github: FakeGitHub, bare: pytest.MonkeyPatch, answer: str, likely: str, step: str
) -> None:
    """In one attempt, and without the password."""
    with Proxy(9, answer=answer) as proxy:
        bare.setenv("HTTPS_PROXY", f"http://me:secret@127.0.0.1:{proxy.port}")
        error, waits = failing(github, f"https://{HOST}/api/v3")
    assert str(error) == (
        f"the proxy of HTTPS_PROXY does not connect to {HOST}: {answer}\n"
        f"  likely cause: {likely}\n"
        f"  next step: set HTTPS_PROXY to {step}, or list the host in NO_PROXY; {DOCS}"
    )
    assert (len(proxy.asked), waits, error.exit_code) == (1, [], 8)


def test_a_proxy_with_an_outage_is_asked_again(github: FakeGitHub, bare: pytest.MonkeyPatch) -> None:
    """Five times, as GitHub is."""
    with Proxy(9, answer="503 Service Unavailable") as proxy:
        bare.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        error, waits = failing(github, f"https://{HOST}/api/v3")
    assert error.what.endswith(": the proxy of HTTPS_PROXY answers 503 Service Unavailable")
    assert (type(error), waits) == (Overloaded, [0.5, 1.0, 2.0, 4.0])


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("http://me:secret@proxy:port", "HTTPS_PROXY does not name a proxy"),
        ("http://me:secret@proxy:99999", "HTTPS_PROXY does not name a proxy"),
        ("http://", "HTTPS_PROXY does not name a proxy"),
        ("ftp://me:secret@proxy:21", "HTTPS_PROXY does not name a proxy"),
        (
            "socks5h://me:secret@127.0.0.1:1080",
            "HTTPS_PROXY names a SOCKS proxy, and the package PySocks is not installed",
        ),
        (
            "http://me:secret@127.0.0.1:9",
            f"cannot reach {HOST} through the proxy of HTTPS_PROXY: connection refused",
        ),
    ],
)
def test_a_proxy_that_cannot_be_used_is_told(
    github: FakeGitHub, bare: pytest.MonkeyPatch, proxy: str, words: str
) -> None:
    """In one attempt, and without the password."""
    bare.setenv("HTTPS_PROXY", proxy)
    error, waits = failing(github, f"https://{HOST}/api/v3")
    assert error.what == words
    assert "secret" not in str(error)
    assert "set HTTPS_PROXY to " in error.next_step
    assert (type(error), waits) == (Unreachable, [])


def test_a_proxy_that_does_not_speak_tls_is_told(github: FakeGitHub, bare: pytest.MonkeyPatch) -> None:
    """https:// was written for http://."""
    with Proxy(9) as proxy:
        bare.setenv("HTTPS_PROXY", f"https://127.0.0.1:{proxy.port}")
        error, waits = failing(github, f"https://{HOST}/api/v3")
    assert "HTTPS_PROXY" in error.what
    assert (type(error), waits) == (Unreachable, [])


@pytest.mark.parametrize(
    ("code", "reason", "kind", "tries"),
    [
        (socket.EAI_NONAME, "Name or service not known", Unreachable, 1),
        (socket.EAI_AGAIN, "Temporary failure in name resolution", Overloaded, 5),
    ],
)
@pytest.mark.parametrize("proxy", ["", "http://proxy.example:3128"])
def test_a_name_that_does_not_exist_is_no_outage(
    github: FakeGitHub,
    bare: pytest.MonkeyPatch,
    code: int,
    reason: str,
    kind: type[TriageError],
    tries: int,
    proxy: str,
) -> None:
    """A resolver that does not answer is one."""
    asked: list[object] = []

    def resolve(name: object, *_: object, **__: object) -> None:
        asked.append(name)
        raise socket.gaierror(code, reason)

    bare.setattr(socket, "getaddrinfo", resolve)
    if proxy:
        bare.setenv("HTTPS_PROXY", proxy)
    error, _ = failing(github, f"https://{HOST}/api/v3")
    assert reason in error.what
    assert (type(error), len(asked)) == (kind, tries)
    if kind is Unreachable:
        assert ("HTTPS_PROXY" if proxy else "GITHUB_API_URL") in error.next_step
    assert asked[0] == ("proxy.example" if proxy else HOST)


@pytest.mark.parametrize("url", ["http://ghe.example/api/v3", "http://10.0.0.1", "http://localhost.example"])
def test_an_address_without_encryption_is_refused(github: FakeGitHub, url: str) -> None:
    """The token would be sent there."""
    with pytest.raises(UsageError) as raised:
        tracker_of(github, api_url=url)
    assert str(raised.value) == (
        f"'{url}' is not encrypted, and the token would be sent there\n"
        "  likely cause: http:// was written for https://\n"
        "  next step: set GITHUB_API_URL and GITHUB_GRAPHQL_URL to https://HOST/PATH, or unset them"
    )
    with pytest.raises(UsageError, match="is not encrypted"):
        tracker_of(github, graphql_url=url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.2:8080/api/v3", "http://localhost/api", "http://[::1]:3/api"]
)
def test_this_machine_needs_no_encryption(github: FakeGitHub, url: str) -> None:
    """Nothing leaves it."""
    assert tracker_of(github, api_url=url).max_wait == 600


@pytest.mark.parametrize(
    "url",
    [
        *("https://", "https://[::1", "https://ghe.example:99999", "https://ghe.example:port", "ghe.example"),
        *("ftp://ghe.example", "https://ghe example", "https://ghe.example/?q=1", "https://ghé.example", " "),
        *("https://ghe.example/\n", "https://ghe.example/#", "https:\\\\ghe.example"),
    ],
)
def test_what_is_no_address_is_refused(github: FakeGitHub, url: str) -> None:
    """Before anything is sent."""
    with pytest.raises(UsageError, match="is not an address of GitHub's API"):
        tracker_of(github, api_url=url)


def test_a_password_in_an_address_is_not_repeated(github: FakeGitHub) -> None:
    """Nor used."""
    with pytest.raises(UsageError) as raised:
        tracker_of(github, api_url="https://me:secret@ghe.example/api/v3")
    assert raised.value.what == "'https://ghe.example/api/v3' is not an address of GitHub's API"


def test_an_address_that_no_host_can_have_is_told_at_once(
    github: FakeGitHub, bare: pytest.MonkeyPatch
) -> None:
    """A label of a name has 63 letters at most."""
    error, waits = failing(github, f"https://{'a' * 70}.example/api/v3")
    assert (type(error), waits) == (Unreachable, [])


# The ssl module of Python forgets to close a connection that is cut between TCP and TLS.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.parametrize("seconds", [0.1, 0.001])
def test_a_handshake_that_takes_too_long_is_cut_off(
    github: FakeGitHub, bare: pytest.MonkeyPatch, seconds: float
) -> None:
    """The deadline begins with the connection."""
    bare.setattr(transport, "DEADLINE", seconds)
    with dribbling(b"\x16\x03\x03\x40\x00") as gate:
        error, waits = failing(github, f"https://127.0.0.1:{gate.port}/api/v3")
    assert error.what.endswith(f": no whole answer from 127.0.0.1:{gate.port} within {seconds:g} s")
    assert (type(error), waits) == (Overloaded, [0.5, 1.0, 2.0, 4.0])
    assert gate.met == 5 or seconds < 0.1
    # The error's frames hold such connections, and the filter ends with this test.
    del error
    gc.collect()


def test_a_proxy_that_takes_too_long_is_cut_off(github: FakeGitHub, bare: pytest.MonkeyPatch) -> None:
    """Before it has connected, too."""
    bare.setattr(transport, "DEADLINE", 0.1)
    with dribbling(b"HTTP/1.1 200 OK\r\nX-Long: ") as gate:
        bare.setenv("HTTPS_PROXY", f"http://127.0.0.1:{gate.port}")
        error, _ = failing(github, f"https://{HOST}/api/v3")
    assert error.what.endswith(f": no whole answer from {HOST} within 0.1 s")
    assert (type(error), gate.met) == (Overloaded, 5)
