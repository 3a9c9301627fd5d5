"""An upstream to test against: a generated history, served by a real `git daemon`, through a proxy that counts bytes.

upstream = small_upstream(tmp_path)             # a copy of its own, to commit to
with serve(tmp_path / "served") as server:      # every repository in that folder
    url = server.url(upstream.folder.name)      # git://127.0.0.1:PORT/llama.cpp.git, through the proxy
    ...
    moved = server.proxy.moved()                # bytes both ways so far
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.history import SMALL, Shape, offer_partial_clones, repository, write
from builder.paths import Paths

NAME = "llama.cpp.git"
_AT_WORK = {
    "GIT_AUTHOR_NAME": "A Person",
    "GIT_AUTHOR_EMAIL": "person@example.invalid",
    "GIT_COMMITTER_NAME": "A Person",
    "GIT_COMMITTER_EMAIL": "person@example.invalid",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


@dataclass(frozen=True)
class Upstream:
    """A bare repository that a test may change as upstream would.

    Attributes:
        ends: time of the newest commit of the generated history.
    """

    folder: Path
    ends: datetime

    def git(self, *args: str, stdin: bytes = b"") -> str:
        """Run git in it and give what it prints."""
        command = ["git", "-C", str(self.folder), *args]
        done = subprocess.run(command, input=stdin, check=True, capture_output=True, env={**os.environ, **_AT_WORK})
        return done.stdout.decode().strip()

    def commit(
        self,
        changes: Mapping[str, bytes | None],
        message: str = "server : change something (#30001)",
        *,
        branch: str = "master",
        parent: str | None = None,
        when: datetime | None = None,
        tags: tuple[str, ...] = (),
    ) -> str:
        """Put one commit on a branch.

        Args:
            changes: new content by path; None removes the file.
            parent: what it is based on; None is the branch's tip. Another one rewrites the branch, as a forced push.
            when: its time; None is ten minutes after its parent's.
            tags: names that it gets.

        Returns:
            Its object name.
        """
        base = self.git("rev-parse", f"{parent or branch}^{{commit}}")
        moment = int(when.timestamp()) if when else int(self.git("show", "-s", "--format=%ct", base)) + 600
        said = message.encode()
        person = f"A Person <person@example.invalid> {moment} +0000"
        stream = f"commit refs/heads/{branch}\nauthor {person}\ncommitter {person}\n".encode()
        stream += f"data {len(said)}\n".encode() + said + f"\nfrom {base}\n".encode()
        for path, content in changes.items():
            if content is None:
                stream += f"D {path}\n".encode()
            else:
                stream += f"M 100644 inline {path}\ndata {len(content)}\n".encode() + content + b"\n"
        self.git("fast-import", "--quiet", "--force", stdin=stream)
        commit = self.git("rev-parse", branch)
        for tag in tags:
            self.tag(tag, commit)
        return commit

    def build(self, *, when: datetime | None = None, edits: str = "src/llama-model.cpp") -> tuple[str, str]:
        """The next build: one commit that edits a file, and its build tag.

        Returns:
            Its tag and its object name.
        """
        number = int(self.git("rev-list", "--count", "master")) + 1
        content = self.read(edits) + f"// build {number}\n".encode()
        message = f"llama : build {number} (#{20_000 + number})"
        return f"b{number}", self.commit({edits: content}, message, when=when, tags=(f"b{number}",))

    def read(self, path: str, revision: str = "master") -> bytes:
        """A file's content."""
        command = ["git", "-C", str(self.folder), "cat-file", "blob", f"{revision}:{path}"]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def tag(self, name: str, commit: str) -> None:
        """Set a tag, or move it."""
        self.git("tag", "--force", name, commit)

    def delete(self, ref: str) -> None:
        """Remove `refs/tags/...` or `refs/heads/...`."""
        self.git("update-ref", "-d", ref)


def upstream_copy(shape: Shape, place: Path, name: str = NAME) -> Upstream:
    """A copy of a generated history to serve and to change; its packs are shared with the one in the cache."""
    made = repository(shape, Paths.default().cache / "histories")
    place.mkdir(parents=True, exist_ok=True)
    folder = place / name
    clone = ["git", "clone", "--quiet", "--mirror", "--local", "--template=", str(made), str(folder)]
    subprocess.run(clone, check=True, env={**os.environ, **_AT_WORK})
    upstream = Upstream(folder, shape.ends)
    upstream.git("remote", "remove", "origin")
    offer_partial_clones(folder)
    return upstream


def small_upstream(tmp_path: Path, name: str = NAME, *, ends: datetime | None = None) -> Upstream:
    """The small history in `tmp_path/served`: 300 commits, builds up to b300, releases up to v0.1.3.

    Args:
        ends: time of its newest commit, such as `hours_ago(1)`; None is `SMALL`'s, which comes from the cache.
    """
    place = tmp_path / "served"
    if ends is None:
        return upstream_copy(SMALL, place, name)
    place.mkdir(parents=True, exist_ok=True)
    write(replace(SMALL, ends=ends), place / name)
    return Upstream(place / name, ends)


def hours_ago(hours: float) -> datetime:
    """A time before now, to the second."""
    return (datetime.now(UTC) - timedelta(hours=hours)).replace(microsecond=0)
