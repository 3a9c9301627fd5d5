"""What stands between us and a registry when things go wrong: it drops, refuses, cuts and lies on demand."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PATIENCE = 20.0


@dataclass(frozen=True)
class Answer:
    """What goes back.

    Attributes:
        sent: how much of the body is sent; None is all. Its length is told as that of the whole.
        dropped: nothing goes back at all.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    sent: int | None = None
    dropped: bool = False


Change = Callable[[Answer], Answer]


@dataclass
class Fault:
    """What goes wrong with some requests.

    Attributes:
        asked: pattern of `METHOD /path`.
        change: what becomes of the answer of the registry.
        times: how often; then all is well.
        before: the registry never hears of the request.
        wait: seconds until anything happens, whether who asked is still there or not.
        spared: how many requests go well first.
    """

    asked: str
    change: Change
    times: int = 1_000_000
    before: bool = True
    wait: float = 0.0
    spared: int = 0


@dataclass
class Proxy:
    """A running proxy.

    Attributes:
        host: where it listens.
        seen: every request, as `METHOD /path`.
        tunnels: where it was to lead; it leads nowhere.
    """

    host: str
    target: str
    faults: list[Fault] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    tunnels: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, asked: str) -> Fault | None:
        """The first fault that is due for a request."""
        with self.lock:
            self.seen.append(asked)
            for fault in self.faults:
                if fault.times <= 0 or not re.search(fault.asked, asked):
                    continue
                if not fault.spared:
                    fault.times -= 1
                    return fault
                fault.spared -= 1
        return None


def drop(answer: Answer) -> Answer:
    """The connection ends without a word."""
    return replace(answer, dropped=True)


def refuse(status: int, **headers: str) -> Change:
    """Another status, and words of no registry."""
    return lambda _: Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, b"no\n")


def cut(answer: Answer) -> Answer:
    """The connection ends in the middle of the body."""
    return replace(answer, sent=len(answer.body) // 2) if answer.body else drop(answer)


def shorten(answer: Answer) -> Answer:
    """Half of the body as if it were all."""
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def say(**headers: str) -> Change:
    """Headers that are not the registry's."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda answer: replace(answer, headers={**answer.headers, **told})


def exchange(body: bytes, **headers: str) -> Change:
    """Another body."""
    return lambda answer: say(**headers)(replace(answer, body=body))


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, *args: object, proxy: Proxy) -> None:
        self._proxy = proxy
        super().__init__(*args)  # type: ignore[arg-type]

    def _serve(self) -> None:
        fault = self._proxy.fault(f"{self.command} {self.path}")
        body = self._body()
        time.sleep(fault.wait if fault else 0)
        answer = Answer(500, {}, b"") if fault and fault.before else self._asked(body)
        self._send(fault.change(answer) if fault else answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815

    def _body(self) -> bytes:
        """What is sent along, which Docker's engine sends in chunks."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def do_CONNECT(self) -> None:
        self._proxy.tunnels.append(self.path)
        self.send_error(502)

    def _asked(self, body: bytes) -> Answer:
        connection = http.client.HTTPConnection(self._proxy.target, timeout=_PATIENCE)
        try:
            headers = {name: value for name, value in self.headers.items() if name.title() != "Transfer-Encoding"}
            if "Transfer-Encoding" in self.headers:
                headers["Content-Length"] = str(len(body))
            connection.request(self.command, self.path, body or None, headers)
            response = connection.getresponse()
            content = response.read()
            kept = {n.title(): v for n, v in response.getheaders() if n.lower() not in ("connection", "date")}
            return Answer(response.status, kept, content)
        finally:
            connection.close()

    def _send(self, answer: Answer) -> None:
        self.close_connection = True
        if answer.dropped:
            return
        self.send_response(answer.status)
        headers = {name.title(): value for name, value in answer.headers.items()}
        if self.command != "HEAD":
            headers["Content-Length"] = str(len(answer.body))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: answer.sent])

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def faulty(target: str) -> Iterator[Proxy]:
    """A proxy before a registry on loopback, without any fault at first."""
    proxy = Proxy("", target)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, proxy=proxy)) as server:
        proxy.host = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join(_PATIENCE)
