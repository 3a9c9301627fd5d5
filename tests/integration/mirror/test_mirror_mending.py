"""What a mirror does when something is broken: itself, the disk, the server, the way to it, its builder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.errors import MachineError, SourceError
from builder.paths import Paths
from builder.source.tree import SourceTree
from builder.upstream.git import Damaged, Unreachable
from builder.upstream.mirror import Mirror
from builder.upstream.remote import REMOTE
from tests.integration.git_server import Server, serve
from tests.integration.mirror.looking import DRIVER, copied, everything, mirror_of, offered, run, said, trusted
from tests.integration.upstreams import Upstream

Take = Callable[[str], SourceTree]


def packs(mirror: Mirror, suffix: str = ".pack") -> list[Path]:
    return sorted((mirror.folder / "objects" / "pack").glob(f"*{suffix}"))


def spoil_packs(mirror: Mirror) -> None:
    for pack in packs(mirror):
        pack.chmod(0o644)
        size = pack.stat().st_size
        with pack.open("r+b") as stream:
            stream.seek(20)
            stream.write(b"\xff" * (size - 60))


def cut_packs(mirror: Mirror) -> None:
    for pack in packs(mirror):
        pack.chmod(0o644)
        os.truncate(pack, pack.stat().st_size // 2)


def lose_packs(mirror: Mirror) -> None:
    for file in (mirror.folder / "objects" / "pack").iterdir():
        file.unlink()


def lose_indexes(mirror: Mirror) -> None:
    for file in packs(mirror, ".idx"):
        file.chmod(0o644)
        file.write_bytes(b"")


def empty_commit(mirror: Mirror) -> None:
    tip = run(mirror.folder, "rev-parse", "refs/heads/master")
    loose = mirror.folder / "objects" / tip[:2] / tip[2:]
    lose_packs(mirror)
    loose.parent.mkdir(exist_ok=True)
    loose.write_bytes(b"")


def put_file_in_its_place(mirror: Mirror) -> None:
    mirror.folder.rename(mirror.folder.with_suffix(".away"))
    mirror.folder.write_text("not a folder")


def spoil_graph(mirror: Mirror) -> None:
    for file in (mirror.folder / "objects" / "info" / "commit-graphs").iterdir():
        file.chmod(0o644)
        file.write_bytes(b"garbage")


def leave_locks(mirror: Mirror) -> None:
    for name in ("packed-refs.lock", "HEAD.lock", "config.lock", "refs/heads/master.lock"):
        (mirror.folder / name).touch()


DAMAGES: dict[str, Callable[[Mirror], object]] = {
    "corrupt packs": spoil_packs,
    "cut packs": cut_packs,
    "no packs": lose_packs,
    "empty indexes": lose_indexes,
    "an empty object": empty_commit,
    "no HEAD": lambda mirror: (mirror.folder / "HEAD").unlink(),
    "an empty HEAD": lambda mirror: (mirror.folder / "HEAD").write_bytes(b""),
    "a HEAD of garbage": lambda mirror: (mirror.folder / "HEAD").write_bytes(b"\xff\x00garbage"),
    "a config of garbage": lambda mirror: (mirror.folder / "config").write_bytes(b"[core\n\xff"),
    "an empty config": lambda mirror: (mirror.folder / "config").write_bytes(b""),
    "no config": lambda mirror: (mirror.folder / "config").unlink(),
    "no refs": lambda mirror: (mirror.folder / "packed-refs").unlink(),
    "refs of garbage": lambda mirror: (mirror.folder / "packed-refs").write_bytes(b"\xff\n" * 9),
    "a broken ref": lambda mirror: (mirror.folder / "refs" / "heads" / "master").write_bytes(b"\n"),
    "a ref to nothing": lambda mirror: (mirror.folder / "refs" / "heads" / "master").write_text("12" * 20 + "\n"),
    "a corrupt commit graph": spoil_graph,
    "a file in its place": put_file_in_its_place,
    "stale locks": leave_locks,
}


@pytest.mark.parametrize(
    ("damage", "changed"),
    [
        *((damage, False) for damage in DAMAGES),
        *((damage, True) for damage in ("corrupt packs", "no packs", "no refs")),
    ],
)
def test_a_broken_mirror_is_mended(mirror: Mirror, upstream: Upstream, take: Take, damage: str, changed: bool) -> None:
    """Whenever the damage shows: at the latest when a tree is written out that was not yet."""
    mirror.refresh()
    (mirror.folder / "refs" / "heads").mkdir(exist_ok=True, parents=True)
    DAMAGES[damage](mirror)
    if changed:
        upstream.build()
    tree = take("b290")
    assert tree.revision.commit == upstream.git("rev-parse", "b290")
    assert tree.revision.build_number == 290
    assert take("tip").revision.commit == upstream.git("rev-parse", "master")
    assert trusted(mirror) == copied(mirror) == offered(upstream)
    assert list(mirror.folder.parent.glob(".new-*")) == []
    run(mirror.folder, "fsck", "--connectivity-only")


def test_mending_forgets_nobody_that_moved(
    mirror: Mirror, upstream: Upstream, capfd: pytest.CaptureFixture[str]
) -> None:
    mirror.refresh()
    moved, withdrawn, branch = (upstream.git("rev-parse", name) for name in ("b290", "b210", "master"))
    upstream.tag("b290", "b280")
    upstream.delete("refs/tags/b210")
    upstream.commit({"x": b"x\n"}, parent="master~3")
    mirror.refresh()
    before = mirror.moves()
    lose_packs(mirror)
    capfd.readouterr()
    mirror.refresh()
    heard = said(capfd)
    assert "Mirroring it anew" in heard
    assert "Upstream moved the tag b290" in heard
    assert mirror.moves() == before
    assert (before.tags[0].ours, before.withdrawn[0].ours, before.branches[0].ours) == (moved, withdrawn, branch)


def test_a_mirror_that_cannot_be_mended_stays_as_it_is(mirror: Mirror, server: Server) -> None:
    mirror.refresh()
    server.daemon.stop()
    cut_packs(mirror)
    before = everything(mirror.folder)
    with pytest.raises(SourceError):
        mirror.repository_with("b290").resolve("b290")
    with pytest.raises(Unreachable):
        mirror.renew(Damaged("It is damaged.", ""))
    assert everything(mirror.folder) == before


# --- shallow -----------------------------------------------------------------------------------------------------


def test_a_shallow_mirror_gets_its_history(mirror: Mirror, upstream: Upstream) -> None:
    mirror.refresh()
    whole = run(mirror.folder, "rev-list", "--count", "master")
    run(mirror.folder, "fetch", "--quiet", "--depth=3", REMOTE, "+refs/heads/master:refs/heads/master")
    assert (mirror.folder / "shallow").read_text()
    mirror.refresh()
    assert run(mirror.folder, "rev-list", "--count", "master") == whole == upstream.git("rev-list", "--count", "master")
    assert not (mirror.folder / "shallow").exists()


def test_a_shallow_upstream_gives_numbers_by_tags_alone(
    upstream: Upstream, cache: Paths, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shallow = tmp_path / "shallow.git"
    url = f"file://{upstream.folder}"
    upstream.commit({"x": b"x\n"})
    subprocess.run(["git", "clone", "--quiet", "--bare", "--depth=20", url, shallow], check=True)
    run(shallow, "fetch", "--quiet", "--depth=20", "origin", "+refs/tags/b290:refs/tags/b290")
    mirror = mirror_of(f"file://{shallow}", cache)
    for _ in range(2):
        repository = mirror.refresh()
        assert "warning" in (heard := said(capfd))
        assert "build numbers come from tags only" in heard
    for ref, number in (("b290", 290), ("master", None)):
        assert repository.revision(run(mirror.folder, "rev-parse", ref), origin="", ref=ref).build_number == number
    run(shallow, "fetch", "--quiet", "--unshallow", "origin")
    repository = mirror.refresh()
    assert repository.revision(run(mirror.folder, "rev-parse", "master"), origin="", ref="").build_number == 301
    assert "warning" not in said(capfd)


# --- the server, the way to it, the disk ---------------------------------------------------------------------------


def test_a_server_that_is_gone_changes_nothing(mirror: Mirror, server: Server, upstream: Upstream) -> None:
    mirror.refresh()
    before = everything(mirror.folder)
    upstream.build()
    server.daemon.stop()
    with pytest.raises(Unreachable) as refusal:
        mirror.refresh()
    assert refusal.value.exit_code == 4
    assert everything(mirror.folder) == before


def test_a_connection_that_breaks_changes_nothing(mirror: Mirror, server: Server, upstream: Upstream) -> None:
    with_lines_cut(server, 20_000, mirror)
    assert not mirror.folder.exists()
    assert list(mirror.folder.parent.glob(".new-*")) == []
    server.proxy.cut_after = None
    mirror.refresh()
    before = everything(mirror.folder)
    moved = server.proxy.moved()
    mirror.refresh()
    listing = (server.proxy.moved() - moved).down
    upstream.commit({"noise": os.urandom(300_000)})
    upstream.commit({"noise": None, "x" * 200: os.urandom(10)})
    with_lines_cut(server, 2 * listing, mirror)
    assert everything(mirror.folder) == before
    server.proxy.cut_after = None
    mirror.refresh()
    assert trusted(mirror) == offered(upstream)


def with_lines_cut(server: Server, after: int, mirror: Mirror) -> None:
    server.proxy.cut_after = after
    with pytest.raises(SourceError) as refusal:
        mirror.refresh()
    assert refusal.value.exit_code == 4


def test_a_full_disk_changes_nothing(server: Server, upstream: Upstream, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)]
    if os.geteuid() or subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        upstream.git("config", "uploadpack.allowFilter", "false")
        mirror = mirror_of(server.url(upstream.folder.name), Paths(small))
        mirror.refresh()
        before = everything(mirror.folder)
        upstream.commit({"noise": os.urandom(6_000_000)})
        with pytest.raises(MachineError, match="full") as refusal:
            mirror.refresh()
        assert refusal.value.exit_code == 3
        assert everything(mirror.folder) == before
        subprocess.run([*mounting[:-3], "remount,size=40m", "tmpfs", str(small)], check=True)
        mirror.refresh()
        assert trusted(mirror) == offered(upstream)
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_disk_that_is_full_at_once(server: Server, upstream: Upstream, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=60k", "tmpfs", str(small)]
    if os.geteuid() or subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        mirror = mirror_of(server.url(upstream.folder.name), Paths(small))
        with pytest.raises(MachineError, match="full"):
            mirror.refresh()
        assert not mirror.folder.exists()
        assert list(small.rglob(".new-*")) == []
    finally:
        subprocess.run(["umount", small], check=True)


# --- a builder that is killed --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gate:
    """A server on which a fetch can be held up.

    Attributes:
        began: appears when a fetch has begun.
        held: holds it while this is there.
    """

    server: Server
    began: Path
    held: Path

    def close(self) -> None:
        """Hold up the next fetch."""
        self.began.unlink()
        self.held.touch()


@pytest.fixture
def gate(upstream: Upstream, tmp_path: Path) -> Iterator[Gate]:
    began, held, hook = tmp_path / "began", tmp_path / "held", tmp_path / "hook"
    hook.write_text(f'#!/bin/sh\ntouch {began}\nwhile [ -e {held} ]; do sleep 0.05; done\nexec "$@"\n')
    hook.chmod(0o755)
    with serve(upstream.folder.parent, uploadpack__packObjectsHook=str(hook)) as server:
        yield Gate(server, began, held)
        held.unlink(missing_ok=True)


def test_what_outlives_its_builder_is_waited_for(gate: Gate, cache: Paths, upstream: Upstream, tmp_path: Path) -> None:
    mirror = mirror_of(gate.server.url(upstream.folder.name), cache)
    mirror.refresh()
    tag, commit = upstream.build()
    gate.close()
    command = [sys.executable, "-c", DRIVER, mirror.origin.url, str(mirror.folder.parent)]
    first = subprocess.Popen([*command, str(tmp_path / "first")], stderr=subprocess.DEVNULL)
    _wait_for(gate.began.exists)
    first.send_signal(signal.SIGKILL)
    first.wait(60)
    heard = tmp_path / "heard"
    with heard.open("wb") as stream:
        second = subprocess.Popen([*command, str(tmp_path / "second")], stderr=stream)
        _wait_for(lambda: b"Waiting for another builder" in heard.read_bytes())
        time.sleep(0.3)
        assert second.poll() is None
        gate.held.unlink()
        assert second.wait(300) == 0
    assert mirror.repository.resolve(tag) == commit
    assert trusted(mirror) == copied(mirror) == offered(upstream)
    assert " fetch " not in (tmp_path / "second").read_text()


def test_a_builder_that_is_told_to_end_takes_its_fetch_with_it(
    gate: Gate, cache: Paths, upstream: Upstream, tmp_path: Path
) -> None:
    mirror = mirror_of(gate.server.url(upstream.folder.name), cache)
    mirror.refresh()
    upstream.build()
    before = everything(mirror.folder)
    gate.close()
    command = [sys.executable, "-c", DRIVER, mirror.origin.url, str(mirror.folder.parent)]
    builder = subprocess.Popen([*command, str(tmp_path / "log")], stderr=subprocess.DEVNULL)
    _wait_for(gate.began.exists)
    builder.send_signal(signal.SIGINT)
    builder.wait(120)
    gate.held.unlink()
    assert everything(mirror.folder) == before
    mirror.refresh()
    assert trusted(mirror) == offered(upstream)


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
