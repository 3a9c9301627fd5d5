"""A real Prometheus that looks at what is given to it every second."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from builder.paths import Paths
from builder.staging import exclusive, staged
from tests.ports import free_port

_PATIENCE = 120.0


def program(name: str) -> str:
    """`prometheus` or `promtool`; taken out of their package where they are not installed."""
    if found := shutil.which(name):
        return found
    place = Paths.default().cache / "test-programs"
    place.mkdir(parents=True, exist_ok=True)
    with exclusive(place / "lock", lambda _: None):
        if not (place / name).exists():
            with staged(place) as folder:
                _unpack(folder)
                for each in ("prometheus", "promtool"):
                    (folder / "tree/usr/bin" / each).rename(place / each)
    return str(place / name)


def _unpack(folder: Path) -> None:
    got = subprocess.run(
        ["apt-get", "download", "prometheus"], cwd=folder, capture_output=True, timeout=120, check=False
    )
    packages = list(folder.glob("*.deb"))
    if got.returncode or not packages:
        pytest.skip("the package prometheus cannot be had from here")
    subprocess.run(["dpkg-deb", "-x", packages[0], folder / "tree"], timeout=120, check=True)


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    address: str

    def ask(self, expression: str) -> list[Mapping[str, Any]]:
        """What an expression comes to now."""
        answer = httpx.get(f"{self.address}/api/v1/query", params={"query": expression}, timeout=60)
        document = answer.json()
        assert document["status"] == "success", document
        found: list[Mapping[str, Any]] = document["data"]["result"]
        return found

    def await_looks(self, targets: int, looks: int) -> None:
        """Wait until every target was looked at so often."""
        until = monotonic() + _PATIENCE
        counted: list[Mapping[str, Any]] = []
        while monotonic() < until:
            counted = self.ask("count_over_time(up[5m]) and up == 1")
            if len(counted) == targets and all(float(one["value"][1]) >= looks for one in counted):
                return
            sleep(0.2)
        pytest.fail(f"Prometheus saw only {counted}")


@contextmanager
def prometheus(folder: Path, targets: Mapping[str, str]) -> Iterator[Prometheus]:
    """A Prometheus that lives as long as the context.

    Args:
        targets: `host:port` by the job's name.
    """
    import json

    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in targets.items()
        ],
    }
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(config), encoding="utf-8")
    port = free_port()
    words = (
        program("prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with (folder / "log").open("ab") as log, subprocess.Popen(words, stdout=log, stderr=log) as process:
        try:
            _await(f"http://127.0.0.1:{port}", process, folder / "log")
            yield Prometheus(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(60)


def _await(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = monotonic() + _PATIENCE
    while monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{address}/-/ready", timeout=2).is_success:
                return
        except httpx.HTTPError:
            pass
        sleep(0.1)
    pytest.fail(f"Prometheus did not start: {log.read_text(encoding='utf-8')[-2000:]}")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass


@contextmanager
def exporter(folder: Path, text: str) -> Iterator[str]:
    """Something that shows this text at /metrics; gives its `host:port`."""
    folder.mkdir()
    (folder / "metrics").write_text(text, encoding="utf-8")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(10)
