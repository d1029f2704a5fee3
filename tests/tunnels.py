"""What stands between the program and GitHub: TLS with certificates of one's own, and proxies."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ENVIRONMENT = [
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *(form for name in ("http", "https", "all", "no") for form in (f"{name}_proxy", f"{name}_proxy".upper())),
]
DAY = dt.timedelta(days=1)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment without certificates and proxies of this machine."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@dataclass(frozen=True)
class Authority:
    """Signs certificates; `file` is its own."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    @property
    def file(self) -> Path:
        return self.folder / "authority.pem"

    @classmethod
    def made(cls, folder: Path) -> Authority:
        folder.mkdir(parents=True, exist_ok=True)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Own authority")])
        found = cls(folder, ec.generate_private_key(ec.SECP256R1()), name)
        found.file.write_bytes(found._signed(name, found.key, days=9, ca=True))
        return found

    def context(self, *names: str, days: float = 9) -> ssl.SSLContext:
        """A server's TLS with a certificate for these names, which ends in so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        pem = self._signed(subject, key, days=days, names=names)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = self.folder / "server.pem"
        path.write_bytes(pem + secret)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        days: float,
        ca: bool = False,
        names: tuple[str, ...] = (),
    ) -> bytes:
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder(self.name, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - 9 * DAY).not_valid_after(now + days * DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general(n) for n in names]), critical=False
            )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Gate:
    """A TCP server on loopback whose every connection is handled by `serve`; counts them."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        gate = self
        self.met = 0

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                gate.met += 1
                with suppress(OSError):
                    serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Gate:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def pipe(one: socket.socket, port: int) -> None:
    """Carry bytes between a connection and a port of this machine until one side ends."""
    with socket.create_connection(("127.0.0.1", port)) as other:
        back = threading.Thread(target=_pump, args=(other, one), daemon=True)
        back.start()
        _pump(one, other)
        back.join(10)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def tls(port: int, context: ssl.SSLContext) -> Gate:
    """TLS in front of a port of this machine."""

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as open_one:
            pipe(open_one, port)

    return Gate(serve)


class Proxy(Gate):
    """A proxy for CONNECT that leads every host to one port; `asked` are the hosts, `password` is what it wants."""

    def __init__(self, port: int, password: str = "", answer: str = "200 Connection established") -> None:
        self.asked: list[str] = []
        self._port, self._password, self._answer = port, password, answer
        super().__init__(self._serve)

    def _serve(self, connection: socket.socket) -> None:
        head = connection.recv(7)
        if head != b"CONNECT":
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return
        while b"\r\n\r\n" not in head and (data := connection.recv(65536)):
            head += data
        self.asked.append(head.split()[1].decode())
        wanted = b"Basic " + base64.b64encode(self._password.encode())
        answer = self._answer
        if self._password and wanted not in head:
            answer = "407 Proxy Authentication Required"
        connection.sendall(f"HTTP/1.1 {answer}\r\n\r\n".encode())
        if answer.startswith("200"):
            pipe(connection, self._port)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority that nobody trusts by itself."""
    return Authority.made(tmp_path / "authority")


def dribbling(first: bytes) -> Gate:
    """A server that sends these bytes and then a byte at a time, whatever it is asked."""

    def serve(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(b"H")
            time.sleep(0.02)

    return Gate(serve)
