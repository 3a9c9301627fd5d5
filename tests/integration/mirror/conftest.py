"""A generated history that a real `git daemon` serves, and its mirror."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.console import Reporter
from builder.paths import Paths
from builder.process import Runner
from builder.source.desk import Request
from builder.source.prepare import prepare
from builder.source.tree import SourceTree
from builder.upstream.mirror import Mirror
from tests.integration.git_server import Server, serve
from tests.integration.mirror.looking import mirror_of
from tests.integration.upstreams import Upstream, small_upstream


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    """Has the tags b100, b150, b200, b210, b280, b290 and b291, whatever others."""
    made = small_upstream(tmp_path)
    for number in (100, 150, 200, 210, 280, 290, 291):
        made.tag(f"b{number}", f"master~{300 - number}")
    return made


@pytest.fixture
def server(upstream: Upstream) -> Iterator[Server]:
    with serve(upstream.folder.parent) as served:
        yield served


@pytest.fixture
def cache(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "cache")


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    return tmp_path / "commands.sh"


@pytest.fixture
def mirror(server: Server, upstream: Upstream, cache: Paths, commands: Path) -> Mirror:
    return mirror_of(server.url(upstream.folder.name), cache, commands)


@pytest.fixture
def take(server: Server, upstream: Upstream, cache: Paths) -> Callable[[str], SourceTree]:
    """A tree by way of the mirror."""

    def call(ref: str) -> SourceTree:
        request = Request(server.url(upstream.folder.name), ref)
        return prepare(request, paths=cache, runner=Runner(), reporter=Reporter())

    return call
