"""Trees with a patch queue on them, from every kind of origin, and after a builder that was killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.console import Reporter
from builder.paths import Paths
from builder.process import Runner
from builder.source.desk import Request
from builder.source.patches.lay import PatchesFail
from builder.source.patches.queue import QueuePlace, load_queue
from builder.source.patches.status import Standing
from builder.source.prepare import prepare
from builder.source.tree import SourceTree
from tests.integration.git_server import Server, serve
from tests.integration.upstreams import Upstream, small_upstream

MODEL = "src/llama-model.cpp"
SERVER = "tools/server/server.cpp"
CHILD = """
import sys
from pathlib import Path
from builder.console import Reporter
from builder.paths import Paths
from builder.process import Runner
from builder.source.patches.queue import load_queue
from builder.source.desk import Request
from builder.source.prepare import prepare
origin, cache, queue = sys.argv[1:]
prepare(Request(origin), paths=Paths(Path(cache)), runner=Runner(), reporter=Reporter(), queue=load_queue(Path(queue)))
"""

Take = Callable[..., SourceTree]


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return small_upstream(tmp_path)


@pytest.fixture
def server(upstream: Upstream) -> Iterator[Server]:
    with serve(upstream.folder.parent) as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "cache")


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    folder = tmp_path / "patches"
    folder.mkdir()
    return folder


@pytest.fixture
def take(cache: Paths, queue: Path) -> Take:
    """A tree with the queue on it."""

    def call(origin: str, ref: str | None = None, place: Path = queue) -> SourceTree:
        runner = Runner(cache.logs / "commands.sh")
        request = Request(origin, ref)
        return prepare(request, paths=cache, runner=runner, reporter=Reporter(), queue=load_queue(place))

    return call


def add_patch(
    queue: Path, upstream: Upstream, name: str, changes: dict[str, bytes | None], base: str = "master"
) -> None:
    """A patch as a person would make it on a branch of their own, with abbreviated blob names."""
    upstream.commit(changes, f"local : {name}", branch="local", parent=base)
    written = upstream.git("format-patch", "--stdout", "--no-signature", "--abbrev=9", "-1", "local")
    upstream.delete("refs/heads/local")
    (queue / name).write_text(written + "\n")
    with (queue / "series").open("a") as series:
        series.write(f"{name}\n")


def edited(upstream: Upstream, path: str, line: int, text: bytes, base: str = "master") -> bytes:
    lines = upstream.read(path, base).split(b"\n")
    lines[line] += text
    return b"\n".join(lines)


def unpack(upstream: Upstream, ref: str, folder: Path) -> Path:
    archive = folder.with_suffix(".tar")
    upstream.git("archive", "--format=tar", f"--output={archive}", ref)
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder


def test_patched_tree_is_the_same_from_a_server_a_bare_repository_and_a_folder(
    take: Take, server: Server, upstream: Upstream, queue: Path, tmp_path: Path
) -> None:
    add_patch(queue, upstream, "0001-edit.patch", {MODEL: edited(upstream, MODEL, 20, b" // local", "b290")}, "b290")
    add_patch(queue, upstream, "0002-make.patch", {"local/new.txt": b"made here\n"})
    add_patch(queue, upstream, "0003-remove.patch", {SERVER: None})
    before = upstream.git("rev-parse", "master")
    served = take(server.url(upstream.folder.name), "b300")
    bare = take(str(upstream.folder), "b300")
    folder = take(str(unpack(upstream, "b300", tmp_path / "tree")))
    assert served.digest == bare.digest == folder.digest
    assert served.patches_digest == folder.patches_digest != None  # noqa: E711
    assert [status.name for status in served.patches] == ["0001-edit.patch", "0002-make.patch", "0003-remove.patch"]
    assert b" // local" in (served.path / MODEL).read_bytes()
    assert (served.path / "local/new.txt").read_text() == "made here\n"
    assert not (served.path / SERVER).exists()
    assert served.revision.build_number == 300, "patches do not add to the number"
    assert served.revision.commit == before == upstream.git("rev-parse", "b300")


def test_unpatched_tree_is_another_and_stays_as_it_was(take: Take, upstream: Upstream, queue: Path) -> None:
    plain = take(str(upstream.folder), "b300")
    assert (plain.patches, plain.patches_digest) == ((), None)
    add_patch(queue, upstream, "0001-edit.patch", {MODEL: edited(upstream, MODEL, 20, b" // local")})
    patched = take(str(upstream.folder), "b300")
    assert patched.digest != plain.digest
    assert b" // local" not in (plain.path / MODEL).read_bytes()
    assert take(str(upstream.folder), "b300") == patched


def test_patch_that_upstream_has_is_left_out_and_named(take: Take, upstream: Upstream, queue: Path) -> None:
    changed = edited(upstream, MODEL, 20, b" // everybody's")
    add_patch(queue, upstream, "0001-landed.patch", {MODEL: changed})
    add_patch(queue, upstream, "0002-local.patch", {SERVER: edited(upstream, SERVER, 10, b" // local")})
    upstream.commit({MODEL: changed}, "llama : everybody's (#20301)", tags=("b301",))
    upstream.build(edits="README.md")
    tree = take(str(upstream.folder))
    landed, local = tree.patches
    assert (landed.standing, local.standing) == (Standing.UPSTREAM, Standing.CLEAN)
    assert landed.since is not None
    assert (landed.since.name, landed.since.subject) == ("b301", "llama : everybody's (#20301)")
    assert tree.patches_digest == load_queue(queue).digest_of(["0002-local.patch"])


def test_patch_that_fails_fails_the_build_and_names_every_one_that_does(
    take: Take, upstream: Upstream, queue: Path, cache: Paths
) -> None:
    add_patch(queue, upstream, "0001-stale.patch", {MODEL: edited(upstream, MODEL, 20, b" // mine")})
    add_patch(queue, upstream, "0002-good.patch", {SERVER: edited(upstream, SERVER, 10, b" // local")})
    add_patch(queue, upstream, "0003-gone.patch", {"README.md": edited(upstream, "README.md", 0, b" mine")})
    upstream.commit({MODEL: edited(upstream, MODEL, 20, b" // theirs"), "README.md": None}, tags=("b301",))
    with pytest.raises(PatchesFail) as failure:
        take(str(upstream.folder))
    assert failure.value.cause == "2 of 3 patches do not apply to b301."
    assert [line.partition(":")[0] for line in failure.value.excerpt] == ["0001-stale.patch", "0003-gone.patch"]
    assert list(cache.trees.glob("*-patches-*")) == []


def test_link_and_program_survive_in_a_folder(take: Take, upstream: Upstream, queue: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    subprocess.run(["git", "clone", "--quiet", str(upstream.folder), str(work)], check=True)
    (work / "local.sh").write_text("#!/bin/sh\n")
    (work / "local.sh").chmod(0o755)
    (work / "docs-link").symlink_to("README.md")
    git = ["git", "-C", str(work), "-c", "user.name=A", "-c", "user.email=a@example.invalid"]
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "local : link"], check=True)
    written = subprocess.run([*git, "format-patch", "--stdout", "-1"], check=True, capture_output=True).stdout
    (queue / "0001-link.patch").write_bytes(written)
    (queue / "series").write_text("0001-link.patch\n")
    tree = take(str(unpack(upstream, "b300", tmp_path / "tree")))
    assert (tree.path / "local.sh").stat().st_mode & 0o111
    assert str((tree.path / "docs-link").readlink()) == "README.md"


def test_file_takes_the_place_of_a_folder_and_a_folder_that_of_a_file(
    take: Take, upstream: Upstream, queue: Path, tmp_path: Path
) -> None:
    upstream.commit({"old/one.txt": b"1\n", "old/two.txt": b"2\n", "flat": b"3\n"}, tags=("b301",))
    swapped = {"old/one.txt": None, "old/two.txt": None, "old": b"file\n", "flat": None, "flat/deep.txt": b"4\n"}
    add_patch(queue, upstream, "0001-swap.patch", swapped)
    folder = take(str(unpack(upstream, "b301", tmp_path / "tree")))
    assert (folder.path / "old").read_text() == "file\n"
    assert (folder.path / "flat/deep.txt").read_text() == "4\n"
    assert folder.digest == take(str(upstream.folder), "b301").digest


def test_queue_that_a_person_named_must_be_there(tmp_path: Path) -> None:
    assert QueuePlace(tmp_path / "none", required=False).load().patches == ()
    with pytest.raises(Exception, match="There is no patch queue"):
        QueuePlace(tmp_path / "none", required=True).load()


def test_killed_at_any_moment_the_next_run_is_right(
    take: Take, server: Server, upstream: Upstream, queue: Path, cache: Paths
) -> None:
    for number in range(1, 7):
        path = f"local/{number}.txt" if number % 2 else MODEL
        content = b"made here\n" if number % 2 else edited(upstream, MODEL, 10 * number, b" // local")
        add_patch(queue, upstream, f"{number:04}-local.patch", {path: content})
    url = server.url(upstream.folder.name)
    chance = random.Random(3)  # noqa: S311
    child = [sys.executable, "-c", CHILD, url, str(cache.cache), str(queue)]
    started = time.monotonic()
    subprocess.run(child, check=True, capture_output=True, timeout=120)
    whole = time.monotonic() - started
    wanted = take(url).digest
    struck = 0
    for attempt in range(25):
        if attempt % 5 == 0:
            upstream.build(edits="README.md")
            wanted = take(str(upstream.folder)).digest
        for note in cache.trees.glob("*-patches-*"):
            note.unlink()
        for note in cache.patches.glob("*.json"):
            note.unlink()
        with subprocess.Popen(child, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(chance.uniform(0.1, whole))
            struck += process.poll() is None
            process.send_signal(signal.SIGKILL)
        tree = take(url)
        assert tree.digest == wanted
        assert all(status.standing is Standing.CLEAN for status in tree.patches)
    assert struck, "some were killed in the middle"
    assert list(cache.cache.rglob(".new-*")) == []
