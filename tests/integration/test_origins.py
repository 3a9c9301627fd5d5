"""Origins against real servers: `git daemon`, HTTP on loopback, the package index."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from builder.console import Reporter
from builder.errors import BuilderError, ExitCode, MachineError, SourceError, UsageError
from builder.paths import Paths
from builder.process import Runner
from builder.source.desk import Request
from builder.source.prepare import prepare
from builder.source.tree import SourceTree
from builder.upstream.git import settings_as_environment
from builder.upstream.selection import Policy
from tests.ports import free_port

OPTIONS = 'cmake_minimum_required(VERSION 3.14)\noption(GGML_CUDA "ggml: use CUDA" OFF)\n'
DEAD = "git://127.0.0.1:1/llama.cpp"
WAITING = 9
"""Seconds, just fewer than those for which a server is waited for that does not answer."""
REPOSITORY_AT_WORK = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.invalid",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.invalid",
    "GIT_CONFIG_GLOBAL": os.devnull,
}

Prepare = Callable[..., SourceTree]


def git(folder: Path, *args: str) -> str:
    environment = {**os.environ, **REPOSITORY_AT_WORK}
    done = subprocess.run(["git", "-C", folder, *args], check=True, capture_output=True, text=True, env=environment)
    return done.stdout.strip()


def commit(folder: Path, text: str, *tags: str) -> str:
    (folder / "CMakeLists.txt").write_text(OPTIONS + f"# {text}\n")
    (folder / f"{text}.cpp").write_text(f"// {text}\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", text)
    for tag in tags:
        git(folder, "tag", "--annotate", "--message", tag, tag)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """A repository with the shape of upstream's: nightly and release tags, a branch beside."""
    folder = tmp_path / "served" / "llama.cpp"
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=master")
    for number in (1, 2, 3):
        commit(folder, f"n{number}", f"b{number}")
    git(folder, "branch", "gg/side", "HEAD~1")
    commit(folder, "release", "b1004", "v0.5.0")
    commit(folder, "tip")
    git(folder, "config", "uploadpack.allowFilter", "true")
    return folder


@dataclass
class Daemon:
    """A real `git daemon` on loopback."""

    base: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"git://127.0.0.1:{self.port}/llama.cpp"

    def start(self) -> None:
        args = ["daemon", "--listen=127.0.0.1", f"--port={self.port}", f"--base-path={self.base}", "--export-all"]
        self.process = subprocess.Popen(
            ["git", *args, "--reuseaddr"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **settings_as_environment(self.settings.items())},
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        raise TimeoutError("git daemon does not answer")

    def stop(self) -> None:
        if self.process:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait()
            self.process = None


@pytest.fixture
def daemon(upstream: Path) -> Iterator[Daemon]:
    served = Daemon(upstream.parent, free_port())
    served.start()
    yield served
    served.stop()


@pytest.fixture
def cache(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "cache")


@pytest.fixture
def take(cache: Paths) -> Prepare:
    """The entry, with what a test does not care about filled in."""

    def call(
        origin: str,
        ref: str | None = None,
        build_number: int | None = None,
        paths: Paths = cache,
        reporter: Reporter | None = None,
        **changes: object,
    ) -> SourceTree:
        asked = {"repository": DEAD, "fallback": "pypi:llama-cpp-python", **changes}
        request = Request(origin, ref, **asked)  # type: ignore[arg-type]
        runner, reporter = Runner(cache.logs / "commands.sh"), reporter or Reporter()
        return prepare(request, build_number=build_number, paths=paths, runner=runner, reporter=reporter)

    return call


def leftovers(cache: Paths) -> list[Path]:
    return list(cache.cache.rglob(".new-*"))


# --- git ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("filtered", [True, False])
def test_a_served_repository_is_mirrored_and_fetched(
    daemon: Daemon, upstream: Path, take: Prepare, cache: Paths, filtered: bool
) -> None:
    git(upstream, "config", "uploadpack.allowFilter", str(filtered).lower())
    first = take(daemon.url)
    assert first.revision.ref == "b1004"
    assert first.revision.build_number == 1004
    assert first.revision.release == "0.5.0"
    assert first.revision.commit == git(upstream, "rev-parse", "b1004^{commit}")
    assert first.revision.committed is not None
    assert first.revision.committed.tzinfo is not None
    assert {path.name for path in first.path.iterdir()} == {
        "CMakeLists.txt",
        *(f"{n}.cpp" for n in ("n1", "n2", "n3", "release")),
    }
    mirror = next(cache.mirrors.glob("*.git"))
    inode = mirror.stat().st_ino
    commit(upstream, "newer", "b1010")
    second = take(daemon.url)
    assert second.revision.name == "b1010"
    assert second.digest != first.digest
    assert [path.stat().st_ino for path in cache.mirrors.glob("*.git")] == [inode]
    assert ("filter=blob:none" in (cache.logs / "commands.sh").read_text()) == filtered
    assert leftovers(cache) == []


def test_every_kind_of_ref(daemon: Daemon, upstream: Path, take: Prepare) -> None:
    third = git(upstream, "rev-parse", "b3^{commit}")
    assert take(daemon.url, "b3").revision.build_number == 3
    assert take(daemon.url, "v0.5.0").revision.build_number == 1004
    assert take(daemon.url, third).digest == take(daemon.url, third[:7]).digest
    assert take(daemon.url, "gg/side").revision.build_number == 2
    tip = take(daemon.url, "master").revision
    assert tip.build_number == 5
    assert tip.release is None
    assert take(daemon.url, "latest").revision.ref == "b1004"


def test_without_tags_the_channel_branch_has_the_default_branchs_tip(
    daemon: Daemon, upstream: Path, take: Prepare
) -> None:
    git(upstream, "tag", "--delete", *git(upstream, "tag").split())
    with pytest.raises(SourceError, match="no nightly build") as refusal:
        take(daemon.url)
    assert "--channel branch" in refusal.value.remedy
    revision = take(daemon.url, policy=Policy("branch")).revision
    assert revision.commit == git(upstream, "rev-parse", "master")
    assert revision.build_number == 5


def test_a_number_of_one_is_unknown(tmp_path: Path, take: Prepare) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    git(folder, "init", "--quiet")
    commit(folder, "first", "b1")
    assert take(f"file://{folder}", "b1").revision.build_number is None


def test_a_shallow_repository_has_no_number(upstream: Path, tmp_path: Path, take: Prepare) -> None:
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth=2", "--no-tags", f"file://{upstream}", shallow], check=True)
    for origin in (f"file://{shallow}", str(shallow)):
        revision = take(origin, "master").revision
        assert revision.commit == git(upstream, "rev-parse", "master")
        assert revision.build_number is None
    assert take(str(shallow), "master", build_number=4321).revision.name == "b4321"


@pytest.mark.parametrize(("ref", "near"), [("b1005", "b1004"), ("mastr", "master"), ("deadbeef", "Name a tag")])
def test_an_unknown_ref_names_the_nearest(daemon: Daemon, take: Prepare, ref: str, near: str) -> None:
    with pytest.raises(SourceError, match=f"`{ref}`") as refusal:
        take(daemon.url, ref)
    assert near in refusal.value.remedy


@pytest.mark.parametrize("ref", ["--upload-pack=touch x", "a b", "a..b", "x^{commit}", "b1:b2", "-b1", ""])
def test_a_ref_that_is_no_name_reaches_no_command(daemon: Daemon, take: Prepare, cache: Paths, ref: str) -> None:
    with pytest.raises(UsageError):
        take(daemon.url, ref)
    assert not (cache.logs / "commands.sh").exists()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (DEAD, "refused"),
        ("git://user:hunter2-secret@127.0.0.1:1/x", "cannot be used"),
        ("https://user:hunter2-secret@127.0.0.1:1/x", "refused"),
        ("https://user:hunter2-secret@no-such-host.invalid/x", "does not resolve"),
        ("file:///nonexistent/repository", "no git repository"),
        pytest.param(
            "ssh://user:hunter2-secret@127.0.0.1:1/x",
            "refused",
            marks=pytest.mark.skipif(not shutil.which("ssh"), reason="there is no ssh client here"),
        ),
    ],
)
def test_out_of_reach_is_one_line_without_credentials(
    take: Prepare, cache: Paths, capfd: pytest.CaptureFixture[str], url: str, reason: str
) -> None:
    with pytest.raises(SourceError, match=reason) as refusal:
        take(url)
    assert refusal.value.exit_code == ExitCode.SOURCE
    assert "\n" not in refusal.value.cause
    shown = refusal.value.cause + refusal.value.remedy + (cache.logs / "commands.sh").read_text()
    assert "hunter2" not in shown + "".join(capfd.readouterr())


def test_an_http_server_that_is_no_repository(tmp_path: Path, take: Prepare) -> None:
    with served(tmp_path) as url, pytest.raises(SourceError, match="no git repository"):
        take(f"{url}/llama.cpp.git")


def test_credentials_reach_the_server_and_nothing_else(upstream: Path, take: Prepare, cache: Paths) -> None:
    """Dumb HTTP with basic authentication: the mirror works, and the password is nowhere on the disk."""
    git(upstream, "update-server-info")
    with served(upstream.parent, password="user:hunter2-secret") as url:
        host = url.removeprefix("http://")
        with pytest.raises(SourceError, match="wants credentials"):
            take(f"{url}/llama.cpp/.git")
        tree = take(f"http://user:hunter2-secret@{host}/llama.cpp/.git", "b3")
    assert tree.revision.origin == f"{url}/llama.cpp/.git"
    for file in cache.cache.rglob("*"):
        assert "hunter2" not in file.name
        assert not file.is_file() or b"hunter2" not in file.read_bytes()


def test_what_is_mirrored_works_without_the_server(
    daemon: Daemon, upstream: Path, take: Prepare, capfd: pytest.CaptureFixture[str]
) -> None:
    online = take(daemon.url, "b3")
    daemon.stop()
    assert take(daemon.url, "b3") == online
    assert "mirrored before" in capfd.readouterr().err
    full = git(upstream, "rev-parse", "b3^{commit}")
    assert take(daemon.url, full).digest == online.digest
    assert "warning" not in capfd.readouterr().err
    for moving in ("latest", "master"):
        with pytest.raises(SourceError, match="refused") as refusal:
            take(daemon.url, moving)
        assert "b1004" in refusal.value.remedy


def test_a_damaged_mirror_is_made_anew(daemon: Daemon, take: Prepare, cache: Paths) -> None:
    take(daemon.url, "b2")
    mirror = next(cache.mirrors.glob("*.git"))
    (mirror / "packed-refs.lock").touch()
    (mirror / "HEAD.lock").touch()
    assert take(daemon.url, "b3").revision.build_number == 3
    assert not (mirror / "HEAD.lock").exists()


def test_a_folder_is_read_where_it_lies(upstream: Path, tmp_path: Path, take: Prepare, cache: Paths) -> None:
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", upstream, bare], check=True)
    assert take(str(bare)).revision.name == "b1004"
    assert take(str(upstream), "b3").revision.name == "b3"
    assert list(cache.mirrors.iterdir()) == []


def test_a_repository_around_git_itself_is_not_taken(
    upstream: Path, tmp_path: Path, take: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a hook, where git points at its own repository by variables."""
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "index"))
    assert take(f"file://{upstream}").revision.name == "b1004"
    assert take(str(upstream)).revision.build_number == 5


CHILD = """
import sys
from pathlib import Path
from builder.cli.app import _interrupt
import signal
signal.signal(signal.SIGTERM, _interrupt)
from builder.console import Reporter
from builder.paths import Paths
from builder.process import Runner
from builder.source.desk import Request
from builder.source.prepare import prepare
prepare(Request(sys.argv[1]), paths=Paths(Path(sys.argv[2])), runner=Runner(), reporter=Reporter())
"""


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_ended_in_the_middle_of_the_first_clone(
    daemon: Daemon, take: Prepare, cache: Paths, tmp_path: Path, signum: signal.Signals
) -> None:
    began, held = tmp_path / "began", tmp_path / "held"
    held.touch()
    hook = tmp_path / "hook"
    hook.write_text(f'#!/bin/sh\ntouch {began}\nwhile [ -e {held} ]; do sleep 0.1; done\nexec "$@"\n')
    hook.chmod(0o755)
    daemon.stop()
    daemon.settings["uploadpack.packObjectsHook"] = str(hook)
    daemon.start()
    process = subprocess.Popen([sys.executable, "-c", CHILD, daemon.url, str(cache.cache)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not began.exists():
        assert time.monotonic() < deadline, "the clone did not begin"
        assert process.poll() is None
        time.sleep(0.02)
    assert leftovers(cache) != []
    process.send_signal(signum)
    process.wait(120)
    assert list(cache.mirrors.glob("*.git")) == []
    if signum != signal.SIGKILL:
        assert leftovers(cache) == []
        assert not running_on(cache.cache)
    held.unlink()
    assert take(daemon.url).revision.name == "b1004"
    assert leftovers(cache) == []


def running_on(folder: Path) -> list[str]:
    """Command lines of processes that name the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in line:
                found.append(line)
    return found


def test_two_at_once_make_one_mirror_and_one_tree(daemon: Daemon, cache: Paths) -> None:
    command = [sys.executable, "-c", CHILD, daemon.url, str(cache.cache)]
    both = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(300) for process in both] == [0, 0]
    assert len(list(cache.mirrors.glob("*.git"))) == 1
    assert leftovers(cache) == []


# --- directories -------------------------------------------------------------------------------------------------


def test_a_plain_folder_tells_nothing_of_a_repository_around_it(upstream: Path, take: Prepare) -> None:
    inner = upstream / "vendor" / "llama.cpp"
    inner.mkdir(parents=True)
    (inner / "CMakeLists.txt").write_text(OPTIONS)
    (inner / "build").mkdir()
    (inner / "build" / "CMakeCache.txt").write_text("")
    tree = take(str(inner))
    assert (tree.revision.commit, tree.revision.build_number, tree.revision.committed) == (None, None, None)
    assert [path.name for path in tree.path.iterdir()] == ["CMakeLists.txt"]
    with pytest.raises(UsageError, match="no git repository"):
        take(str(inner), "b3")


def test_a_work_tree_is_taken_as_it_lies(upstream: Path, take: Prepare, capfd: pytest.CaptureFixture[str]) -> None:
    (upstream / ".gitignore").write_text("build/\n")
    commit(upstream, "ignoring")
    (upstream / "build").mkdir()
    (upstream / "build" / "x.o").write_text("")
    clean = take(str(upstream))
    assert clean.revision.build_number == 6
    assert clean.revision.commit
    assert clean.revision.ref == "master"
    assert not (clean.path / "build").exists()
    assert "not committed" not in capfd.readouterr().err
    (upstream / "new.cpp").write_text("")
    (upstream / "tip.cpp").unlink()
    dirty = take(str(upstream))
    assert dirty.revision.commit == clean.revision.commit
    assert dirty.revision.ref == "master (dirty)"
    assert (clean.revision.name, dirty.revision.name) == ("b6", "b6-dirty")
    assert dirty.revision.described_commit(9) == f"{clean.revision.commit[:9]}-dirty"
    assert (dirty.path / "new.cpp").exists()
    assert not (dirty.path / "tip.cpp").exists()
    assert dirty.digest != clean.digest
    assert "not committed" in capfd.readouterr().err


def test_names_that_are_no_utf8_are_kept(upstream: Path, take: Prepare) -> None:
    for name in (b"caf\xe9.h", "caf\u00e9.h".encode()):
        (upstream / os.fsdecode(name)).write_text("//\n")
    git(upstream, "add", "--all")
    git(upstream, "commit", "--quiet", "--message", "names")
    (upstream / os.fsdecode(b"new\xe9.h")).write_text("//\n")
    names = {os.fsencode(path.name) for path in take(str(upstream)).path.iterdir()}
    assert {b"caf\xe9.h", "caf\u00e9.h".encode(), b"new\xe9.h"} <= names


@pytest.mark.parametrize("name", [b"n1.cpp", b"caf\xe9.h"])
def test_a_tracked_file_that_vanishes_meanwhile_is_an_error(
    upstream: Path, take: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: bytes
) -> None:
    for file in (name, b"untracked"):
        (upstream / os.fsdecode(file)).write_text("//\n")
    git(upstream, "add", "--", os.fsdecode(name))
    slow = tmp_path / "slow"
    slow.mkdir()
    removing = f'rm "{upstream}/untracked"; [ ! -e {slow}/too ] || rm "{upstream}"/{os.fsdecode(name)}'
    script = f'{shutil.which("git")} "$@" || exit; case "$*" in *ls-files*) {removing};; esac\n'
    (slow / "git").write_bytes(b"#!/bin/sh\n" + os.fsencode(script))
    (slow / "git").chmod(0o755)
    with monkeypatch.context() as changed:
        changed.setenv("PATH", str(slow), prepend=os.pathsep)
        assert not (take(str(upstream)).path / "untracked").exists()
        (upstream / "untracked").write_text("")
        (slow / "too").touch()
        with pytest.raises(SourceError, match="vanished") as refusal:
            take(str(upstream))
    assert name.decode(errors="backslashreplace") in refusal.value.cause


def test_a_sparse_checkout_is_taken_as_it_lies(upstream: Path, take: Prepare) -> None:
    git(upstream, "update-index", "--skip-worktree", "tip.cpp")
    (upstream / "tip.cpp").unlink()
    tree = take(str(upstream))
    assert not tree.revision.dirty
    assert not (tree.path / "tip.cpp").exists()


def test_a_change_is_seen_at_once_and_rest_costs_nothing(upstream: Path, take: Prepare) -> None:
    first = take(str(upstream))
    (upstream / "n1.cpp").write_text("// N1\n")
    assert take(str(upstream)).digest != first.digest


@pytest.mark.parametrize(
    ("file", "match"), [("README.md", "no CMakeLists.txt"), ("CMakeLists.txt", "is not llama.cpp")]
)
def test_a_folder_that_is_not_llama_cpp(tmp_path: Path, take: Prepare, file: str, match: str) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / file).write_text("project(other)\n")
    with pytest.raises(SourceError, match=match):
        take(str(tmp_path / "other"))


# --- archives ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["tar.gz", "zip"])
def test_what_git_archive_makes_tells_its_commit(upstream: Path, take: Prepare, tmp_path: Path, format_: str) -> None:
    archive = tmp_path / f"llama.cpp-b3.{format_}"
    git(upstream, "archive", "--prefix=llama.cpp-b3/", f"--output={archive}", "b3^{commit}")
    tree = take(str(archive))
    assert tree.revision.commit == git(upstream, "rev-parse", "b3^{commit}")
    assert tree.revision.build_number is None
    assert tree.digest == take(str(upstream), "b3").digest
    with pytest.raises(UsageError, match="no refs"):
        take(str(archive), "b3")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_bytes(file.read_bytes()[:-100]),
        lambda file: file.write_bytes(b"<html>404</html>"),
    ],
)
def test_a_bad_archive_leaves_nothing(
    upstream: Path, take: Prepare, cache: Paths, tmp_path: Path, spoil: object
) -> None:
    archive = tmp_path / "x.tar.gz"
    git(upstream, "archive", "--prefix=x/", f"--output={archive}", "b3")
    assert callable(spoil)
    spoil(archive)
    with pytest.raises(SourceError):
        take(str(archive))
    assert [path.name for path in cache.trees.iterdir()] == [".lock"]


def test_a_full_disk_is_the_machines_fault(upstream: Path, take: Prepare, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]
    if os.geteuid() or subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        (upstream / "noise").write_bytes(os.urandom(3_000_000))
        commit(upstream, "heavy", "b2000")
        archive = tmp_path / "x.tar.gz"
        git(upstream, "archive", "--prefix=x/", f"--output={archive}", "b2000")
        for origin in (str(archive), str(upstream), f"file://{upstream}"):
            with pytest.raises(MachineError, match="full"):
                take(origin, paths=Paths(small))
            assert list(small.rglob(".new-*")) == []
    finally:
        unmount(small)


def unmount(place: Path) -> None:
    """Take a file system away that nothing uses any more; what was told to end needs a moment for it."""
    deadline = time.monotonic() + 60
    while subprocess.run(["umount", place], check=False, capture_output=True).returncode:
        if time.monotonic() > deadline:
            subprocess.run(["umount", "--lazy", place], check=True)
            raise AssertionError(f"something that was left behind still uses {place}")
        time.sleep(0.05)


# --- the package index -------------------------------------------------------------------------------------------


class served:  # noqa: N801 - used as a context manager
    """A real HTTP server on loopback for one folder, with basic authentication if asked for."""

    def __init__(self, folder: Path, password: str = "") -> None:
        handler = partial(_Handler, directory=str(folder), password=password)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *args: object, password: str, **kwargs: object) -> None:
        self._password = password
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        from base64 import b64encode

        wanted = f"Basic {b64encode(self._password.encode()).decode()}"
        if self._password and self.headers.get("Authorization") != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        return


@dataclass
class Site:
    """A package index by PEP 503 in a folder."""

    folder: Path

    def offer(self, version: str, *, vendored: bool = True, digest: str | None = None) -> None:
        name = f"llama_cpp_python-{version}"
        top = self.folder / "src" / name
        tree = top / "vendor" / "llama.cpp"
        tree.mkdir(parents=True)
        if vendored:
            (tree / "CMakeLists.txt").write_text(OPTIONS + f"# {version}\n")
        (top / "PKG-INFO").write_text(f"Version: {version}\n")
        (top / "CHANGELOG.md").write_text(
            f"## [{version}]\n\n- feat: update llama.cpp to ggml-org/llama.cpp@0c1e57098\n"
        )
        page = self.folder / "simple" / "llama-cpp-python"
        page.mkdir(parents=True, exist_ok=True)
        with tarfile.open(page / f"{name}.tar.gz", "w:gz") as tar:
            tar.add(top, name)
        digest = digest or hashlib.sha256((page / f"{name}.tar.gz").read_bytes()).hexdigest()
        with (page / "index.html").open("a") as index:
            index.write(f'<a href="{name}.tar.gz#sha256={digest}">{name}.tar.gz</a><br/>\n')


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    folder = tmp_path / "site"
    (folder / "simple").mkdir(parents=True)
    with served(folder, password="user:hunter2-secret") as url:
        host = url.removeprefix("http://")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://user:hunter2-secret@{host}/simple/")
        yield Site(folder)


def test_the_newest_version_that_carries_a_tree(site: Site, take: Prepare) -> None:
    for version in ("0.3.9", "0.3.10", "0.4.0rc1"):
        site.offer(version)
    site.offer("0.3.11", vendored=False)
    tree = take("pypi:llama-cpp-python")
    assert tree.revision.origin == "pypi:llama-cpp-python==0.3.10"
    assert tree.revision.commit == "0c1e57098"
    assert tree.revision.name == "0c1e57098"


def test_a_lying_checksum(site: Site, take: Prepare, cache: Paths, capfd: pytest.CaptureFixture[str]) -> None:
    site.offer("0.3.9", digest="0" * 64)
    with pytest.raises(SourceError, match="is not what") as refusal:
        take("pypi:llama-cpp-python==0.3.9")
    assert "hunter2" not in refusal.value.cause + capfd.readouterr().err
    assert [path.name for path in cache.archives.iterdir()] == [".lock"]


def test_a_pinned_version_that_is_kept_needs_no_index(site: Site, take: Prepare, cache: Paths) -> None:
    site.offer("0.3.9")
    first = take("pypi:llama-cpp-python==0.3.9")
    shutil.rmtree(site.folder / "simple")
    assert take("pypi:llama-cpp-python==0.3.9") == first
    next(cache.archives.glob("*.tar.gz")).write_bytes(b"spoilt")
    with pytest.raises(SourceError):
        take("pypi:llama-cpp-python==0.3.9")


def test_without_the_index_the_newest_that_is_kept(
    site: Site, take: Prepare, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple/")
    with pytest.raises(SourceError, match="refused"):
        take("pypi:llama-cpp-python")
    monkeypatch.undo()
    with served(site.folder) as url:
        monkeypatch.setenv("PIP_INDEX_URL", f"{url}/simple/")
        for version in ("0.3.9", "0.3.10"):
            site.offer(version)
            take(f"pypi:llama-cpp-python=={version}")
    capfd.readouterr()
    assert take("pypi:llama-cpp-python").revision.ref == "0.3.10"
    assert "fetched before" in capfd.readouterr().err


def test_unknown_projects_and_versions(site: Site, take: Prepare) -> None:
    site.offer("0.3.9")
    site.offer("0.3.10")
    with pytest.raises(SourceError, match=r"0\.3\.8") as refusal:
        take("pypi:llama-cpp-python==0.3.8")
    assert "0.3.9" in refusal.value.remedy
    with pytest.raises(SourceError, match="no project"):
        take("pypi:llama-cpp-pyhton")
    with pytest.raises(UsageError, match="no refs"):
        take("pypi:llama-cpp-python", "b3")


# --- auto --------------------------------------------------------------------------------------------------------


def test_auto_takes_the_repository(daemon: Daemon, take: Prepare) -> None:
    assert take("auto", repository=daemon.url).revision.name == "b1004"


def test_auto_falls_back_with_one_line(site: Site, take: Prepare, capfd: pytest.CaptureFixture[str]) -> None:
    site.offer("0.3.9")
    take("pypi:llama-cpp-python")
    capfd.readouterr()
    started = time.monotonic()
    tree = take("auto")
    assert time.monotonic() - started < WAITING, "what refuses is not waited for"
    assert tree.revision.ref == "0.3.9"
    said = capfd.readouterr().err.replace("\n", " ")
    assert said.count("Taking llama.cpp from") == 1
    assert "refused" in said


def test_auto_falls_back_where_there_is_no_git(
    site: Site, take: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    site.offer("0.3.9")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert take("auto").revision.ref == "0.3.9"
    assert "`git` is not installed" in capfd.readouterr().err
    with pytest.raises(MachineError, match="not installed"):
        take(DEAD)


def test_auto_falls_back_where_the_repository_is_a_path_that_is_gone(site: Site, take: Prepare) -> None:
    site.offer("0.3.9")
    assert take("auto", repository="/nonexistent/llama.cpp").revision.ref == "0.3.9"


def test_a_server_that_does_not_answer_is_waited_for_once(
    site: Site, take: Prepare, cache: Paths, capfd: pytest.CaptureFixture[str]
) -> None:
    site.offer("0.3.9")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        silent = f"git://127.0.0.1:{mute.getsockname()[1]}/llama.cpp"
        started = time.monotonic()
        take("auto", repository=silent)
        assert WAITING < time.monotonic() - started < 60
        assert " ago" not in capfd.readouterr().err
        started = time.monotonic()
        assert take("auto", repository=silent).revision.ref == "0.3.9"
        assert time.monotonic() - started < WAITING, "it is not waited for again"
        assert "(asked less than a minute ago)" in " ".join(capfd.readouterr().err.split())
        (mark,) = cache.mirrors.glob("*.unreachable")
        os.utime(mark, (time.time() - 125,) * 2)
        take("auto", repository=silent)
        assert "(asked 2 min ago)" in " ".join(capfd.readouterr().err.split())


@pytest.mark.parametrize("ref", ["b3", "master"])
def test_auto_never_takes_something_else_for_a_ref(take: Prepare, ref: str) -> None:
    with pytest.raises(SourceError, match=f"`{ref}`"):
        take("auto", ref)


def test_auto_does_not_fall_back_for_an_unknown_ref(daemon: Daemon, take: Prepare) -> None:
    with pytest.raises(SourceError, match="no tag"):
        take("auto", "b77", repository=daemon.url)


def test_every_refusal_has_a_remedy(take: Prepare, tmp_path: Path) -> None:
    for origin in ("", "pypi:", "ext::x", str(tmp_path / "absent"), str(tmp_path), DEAD):
        with pytest.raises(BuilderError) as refusal:
            take(origin)
        assert refusal.value.remedy


# --- real source distributions -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real() -> Callable[[str], SourceTree]:
    """Real trees, in the user's own cache so that they are fetched once."""

    def call(version: str) -> SourceTree:
        request = Request(f"pypi:llama-cpp-python=={version}", repository=DEAD)
        return prepare(request, paths=Paths.default(), runner=Runner(), reporter=Reporter())

    return call


@pytest.mark.parametrize(
    ("version", "commit_", "release"),
    [
        ("0.2.85", "398ede5efeb07b9adf9fbda7ea63f630d476a792", None),
        ("0.3.16", "4227c9be4268ac844921b90f31595f81236bd317", None),
        ("0.3.36", "0c1e57098bba43ac29e6e3b677cdceebdd22334f", "0.5.0-dev"),
    ],
)
def test_real_trees(real: Callable[[str], SourceTree], version: str, commit_: str, release: str | None) -> None:
    first = real(version)
    assert first.revision.commit == commit_
    assert first.revision.release == release
    assert first.revision.build_number is None
    assert first.revision.committed is not None
    assert (first.path / "ggml" / "CMakeLists.txt").is_file()
    assert not list(first.path.rglob(".git"))
    made = first.path.stat().st_ctime_ns
    assert real(version) == first
    assert first.path.stat().st_ctime_ns == made, "it was not unpacked again"
