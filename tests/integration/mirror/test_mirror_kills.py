"""A builder that is killed at any moment while it mirrors or fetches: the next run is right each time."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from builder.paths import Paths
from tests.integration.git_server import serve
from tests.integration.mirror.looking import DRIVER, copied, mirror_of, refs, run, said, trusted

KILLS = 50
COMMANDS = 8
"""How many commands a run has about: it is killed during any of them."""
COPYING = (b" clone ", b" fetch ")
"""What the longest of them says of itself in the log: every other kill waits for it, for chance alone may miss it."""
_TREE = 12


@dataclass
class Growing:
    """An upstream that grows by hundreds of commits, and rewrites some of its names, between two runs.

    Attributes:
        expected: what a mirror that saw every state must trust.
    """

    folder: Path
    chance: random.Random
    commits: int = 0
    expected: dict[str, str] = field(default_factory=dict)

    def grow(self, count: int) -> None:
        """Commit, tag, and rewrite."""
        stream = []
        for number in range(self.commits + 1, self.commits + count + 1):
            text = "".join(f"{number} {line} {self.chance.random()}\n" for line in range(20))
            stream.append(f"commit refs/heads/master\nmark :{number}\n")
            stream.append(f"committer a <a@example.invalid> {1_700_000_000 + number * 60} +0000\ndata 1\nc\n")
            if number == self.commits + 1 and self.commits:
                stream.append("from refs/heads/master^0\n")
            place = f"src/d{number % _TREE}/f{number % (_TREE * 9)}.cpp"
            stream.append(f"M 100644 inline {place}\ndata {len(text)}\n{text}\n")
            if number % 6 == 0:
                stream.append(f"reset refs/tags/b{number}\nfrom :{number}\n\n")
        self._git("fast-import", "--quiet", "--force", stdin="".join(stream))
        self.commits += count
        self._rewrite()

    def _rewrite(self) -> None:
        moved = self.chance.randrange(6, self.commits, 6)
        self._git("tag", "--force", f"b{moved}", f"master~{self.chance.randrange(50)}")
        self._git("branch", "--force", "side", f"master~{self.chance.randrange(50)}")
        there = {"swap", "swap/over"} & {name.removeprefix("heads/") for name in self.offered()}
        for name in there:
            self._git("update-ref", "-d", f"refs/heads/{name}")
        self._git("branch", "swap/over" if "swap" in there else "swap", "master")

    def offered(self) -> dict[str, str]:
        return refs(self.folder, "refs/heads", "refs/tags")

    def expect(self, *, anew: bool) -> dict[str, str]:
        """What a mirror must trust now.

        Args:
            anew: it is the first time that it sees upstream.
        """
        offered = self.offered()
        if anew:
            self.expected = offered
            return offered
        before = self.expected
        kept = {name: before.get(name, oid) for name, oid in offered.items() if name.startswith("tags/")}
        kept |= {name: oid for name, oid in before.items() if name.startswith("tags/")}
        for name in offered.keys() - kept.keys():
            kept[name] = offered[name] if self._goes_forward(before.get(name), offered[name]) else before[name]
        self.expected = kept
        return kept

    def _goes_forward(self, older: str | None, newer: str) -> bool:
        if older is None:
            return True
        asked = ["git", f"--git-dir={self.folder}", "merge-base", "--is-ancestor", older, newer]
        return not subprocess.run(asked, check=False).returncode

    def _git(self, *args: str, stdin: str = "") -> None:
        subprocess.run(["git", f"--git-dir={self.folder}", *args], input=stdin.encode(), check=True)


def test_killed_fifty_times(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(20_261_001)  # noqa: S311
    folder = tmp_path / "served" / "llama.cpp.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=master", folder], check=True)
    upstream = Growing(folder, chance)
    upstream.grow(2000)
    cache = Paths(tmp_path / "cache")
    hits: list[str] = []
    with serve(folder.parent, uploadpack__allowFilter="true") as server:
        mirror = mirror_of(server.url(folder.name), cache)
        for kill in range(KILLS):
            anew = kill % 5 == 0
            if anew and mirror.folder.exists():
                mirror.folder.rename(tmp_path / f"mirror-{kill}")
            upstream.grow(60)
            wanted = upstream.expect(anew=anew)
            log = tmp_path / f"{kill}.sh"
            command = [sys.executable, "-c", DRIVER, server.url(folder.name), str(cache.mirrors), str(log)]
            hits += _killed(command, log, chance, alone=bool(kill % 2), copying=kill % 4 < 2)

            mirror.refresh()

            assert "damaged" not in said(capfd), f"kill {kill}"
            assert copied(mirror) == upstream.offered(), f"kill {kill}"
            assert trusted(mirror) == wanted, f"kill {kill}"
            assert list(cache.mirrors.glob(".new-*")) == []
            run(mirror.folder, "fsck", "--connectivity-only", "--no-dangling")
    assert sum(hit in ("fetch", "clone") for hit in hits) >= KILLS // 10, hits
    assert len(set(hits)) >= 4, hits


def _killed(command: list[str], log: Path, chance: random.Random, *, alone: bool, copying: bool) -> list[str]:
    """Start a builder and kill it during one of its commands.

    Args:
        alone: without what it started.
        copying: not before the command that copies.

    Returns:
        The git commands that ran at that moment.
    """
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    during = chance.randint(1, COMMANDS)
    delay = chance.choice((0.0, chance.uniform(0, 0.02), chance.uniform(0, 0.3)))
    while process.poll() is None and not _come_to(log, during, copying=copying):
        time.sleep(0.001)
    time.sleep(delay)
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGSTOP)
    children = list(_descendants(process.pid))
    running = [name for _, name in children if name]
    process.send_signal(signal.SIGKILL)
    for pid, _ in () if alone else children:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(60)
    return running[:1]


def _come_to(log: Path, during: int, *, copying: bool) -> bool:
    said = log.read_bytes() if log.exists() else b""
    return any(word in said for word in COPYING) if copying else said.count(b"\n") >= during


def _descendants(pid: int) -> Iterator[tuple[int, str]]:
    """What a process started, with the git command that it runs, if it is one."""
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            words = Path(f"/proc/{child}/cmdline").read_bytes().decode(errors="replace").split("\0")
            command = next((word for word in words[1:] if word and not word.startswith("-")), "")
            yield int(child), command if words[0] == "git" else ""
            yield from _descendants(int(child))


def test_the_expectation_itself(tmp_path: Path) -> None:
    """What the test above expects is not simply what upstream offers: names are really rewritten."""
    folder = tmp_path / "llama.cpp.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=master", folder], check=True)
    upstream = Growing(folder, random.Random(1))  # noqa: S311
    upstream.grow(300)
    upstream.expect(anew=True)
    for _ in range(5):
        upstream.grow(60)
        wanted = upstream.expect(anew=False)
    assert wanted != upstream.offered()
    with pytest.raises(KeyError):
        wanted["heads/nowhere"]
