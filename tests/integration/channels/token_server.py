"""Gives tokens that Debian's registry takes: signed by a certificate that it knows."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from builder.process import Runner

IDENTITY = "identity-of-the-lab"
ISSUER, SERVICE = "lab issuer", "lab registry"


@dataclass
class TokenServer:
    """A running server.

    Attributes:
        lifetime: seconds for which its tokens hold.
        asked: `METHOD scope` of every request.
    """

    folder: Path
    login: str
    host: str = ""
    lifetime: int = 300
    asked: list[str] = field(default_factory=list)

    @property
    def setting(self) -> Mapping[str, object]:
        """The setting of a registry that wants its tokens."""
        realm = f"http://{self.host}/token"
        bundle = str(self.folder / "issuer.crt")
        return {"token": {"realm": realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": bundle}}

    def token(self, scope: str) -> str:
        """A token for what is asked for."""
        certificate = ssl.PEM_cert_to_DER_cert((self.folder / "issuer.crt").read_text())
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(certificate).decode()]}
        kind, name, actions = scope.split(":")
        access = [{"type": kind, "name": name, "actions": actions.split(",")}]
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": "lab", "aud": SERVICE, "access": access, "jti": str(time.monotonic_ns())}
        times = {"iat": now, "nbf": now - 5, "exp": now + self.lifetime}
        signed = ".".join(_text(json.dumps(part).encode()) for part in (header, {**claims, **times}))
        sign = ["openssl", "dgst", "-sha256", "-sign", str(self.folder / "issuer.key")]
        done = subprocess.run(sign, input=signed.encode(), capture_output=True, timeout=20, check=True)
        return f"{signed}.{_text(done.stdout)}"


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, *args: object, server_of_tokens: TokenServer) -> None:
        self._tokens = server_of_tokens
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        wanted = f"Basic {base64.b64encode(self._tokens.login.encode()).decode()}"
        self._answer(asked, allowed=self.headers.get("Authorization") == wanted)

    def do_POST(self) -> None:
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        allowed = asked.get("refresh_token") == [IDENTITY] and asked.get("grant_type") == ["refresh_token"]
        self._answer(asked, allowed=allowed)

    def _answer(self, asked: dict[str, list[str]], *, allowed: bool) -> None:
        scope = asked["scope"][0]
        self._tokens.asked.append(f"{self.command} {scope}")
        allowed = allowed and asked["service"] == [SERVICE]
        name = "access_token" if self.command == "POST" else "token"
        body = json.dumps({name: self._tokens.token(scope)} if allowed else {"details": "no"}).encode()
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def serve_tokens(folder: Path, login: str, runner: Runner) -> Iterator[TokenServer]:
    """Give tokens to who knows the login."""
    new = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lab issuer")
    made = runner.run([*new, "-keyout", str(folder / "issuer.key"), "-out", str(folder / "issuer.crt")], timeout=60)
    assert made.returncode == 0, made.stderr
    tokens = TokenServer(folder, login)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, server_of_tokens=tokens)) as server:
        tokens.host = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield tokens
        finally:
            server.shutdown()
            thread.join(20)


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
