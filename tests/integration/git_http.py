"""A real smart HTTP git server on loopback, with basic authentication: `git http-backend` behind Python's server.

with serve_http(folder, "user:password") as host:   # every repository in that folder
    url = f"http://user:password@{host}/llama.cpp.git"
"""

from __future__ import annotations

import os
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_PATIENCE = 30.0


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, *args: object, folder: Path, login: str) -> None:
        self._folder = folder
        self._wanted = f"Basic {b64encode(login.encode()).decode()}"
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if self.headers.get("Authorization") == self._wanted:
            self._hand_on()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="x"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.do_GET()

    def _hand_on(self) -> None:
        path, _, query = self.path.partition("?")
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            "GIT_PROJECT_ROOT": str(self._folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        answer = subprocess.run(
            ["git", "http-backend"], input=body, env=environment, capture_output=True, timeout=_PATIENCE, check=False
        )
        head, _, content = answer.stdout.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        self.send_response(int(dict(fields).get("Status", "200").split()[0]))
        for name, value in fields:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def serve_http(folder: Path, login: str) -> Iterator[str]:
    """Serve every repository below a folder to who knows the login; gives host and port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, folder=folder, login=login)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(_PATIENCE)
