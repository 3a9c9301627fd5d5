"""A small upstream and patches made on it, all with real git.

lab = Lab(tmp_path)
base = lab.commit({"a.c": numbered(20)})
patch = lab.patch(base, {"a.c": edited(numbered(20), {5: "five"})}, "0001-five.patch")
newer = lab.commit({"a.c": b"// on top\\n" + numbered(20)})
lab.judge(newer, patch).statuses
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from builder.process import Runner
from builder.source.patches.bench import Bench, bench_on
from builder.source.patches.judge import Judgement, judge
from builder.source.patches.patch import Patch, parse_patch
from builder.upstream.git import Git
from builder.upstream.repository import Repository

FILE, PROGRAM, LINK, SUBMODULE = "100644", "100755", "120000", "160000"
_HERMETIC = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "LC_ALL": "C"}


@dataclass(frozen=True)
class File:
    """What a path holds.

    Attributes:
        content: of a submodule the name of its commit.
    """

    content: bytes
    mode: str = FILE


Changes = Mapping[str, "bytes | File | None"]
"""New contents by path; None removes the file."""


@dataclass(frozen=True)
class Lab:
    """A repository in a folder; its default branch is `master`.

    Attributes:
        names: how its objects are named, `sha1` or `sha256`.
    """

    folder: Path
    names: str = "sha1"

    def __post_init__(self) -> None:
        if not (self.folder / "up.git").exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            options = ("--quiet", "--bare", "--initial-branch=master", f"--object-format={self.names}")
            run_git(self.folder, "init", *options, str(self.git_folder))

    @property
    def git_folder(self) -> Path:
        """Of the bare repository."""
        return self.folder / "up.git"

    def git(self, *args: str, stdin: bytes | None = None) -> bytes:
        """What a git command in the repository prints."""
        return run_git(self.git_folder, *args, stdin=stdin)

    def commit(
        self, changes: Changes, message: str = "change", *, branch: str = "master", parents: Sequence[str] = ()
    ) -> str:
        """Put a commit on a branch.

        Args:
            parents: what it is based on, instead of the branch's tip; more than one is a merge.
        """
        ref = f"refs/heads/{branch}"
        if not parents:
            parents = self.git("for-each-ref", "--format=%(objectname)", ref).decode().split()
        when = 1_700_000_000 + 60 * (int(self.git("rev-list", "--count", *parents)) if parents else 0)
        person = f"A Person <person@example.invalid> {when} +0000"
        said = message.encode()
        stream = f"commit {ref}\nauthor {person}\ncommitter {person}\ndata {len(said)}\n".encode() + said + b"\n"
        for word, parent in zip(("from", *["merge"] * len(parents)), parents, strict=False):
            stream += f"{word} {parent}\n".encode()
        stream += b"".join(order(path, content) for path, content in changes.items())
        self.git("fast-import", "--quiet", "--force", stdin=stream)
        return self.git("rev-parse", ref).decode().strip()

    def mail(self, base: str, changes: Changes, *options: str, message: str = "local: change") -> bytes:
        """What `git format-patch` writes of a change to a commit."""
        made = self.commit(changes, message, branch="work", parents=[base])
        return self.git("format-patch", "--stdout", "-1", "--binary", *options, made)

    def patch(self, base: str, changes: Changes, name: str, *options: str) -> Patch:
        """The same, read."""
        return parse_patch(name, self.mail(base, changes, *options, message=name.removesuffix(".patch")))

    def made(self) -> str:
        """The commit of the patch that was written last: another can be made on it."""
        return self.git("rev-parse", "refs/heads/work").decode().strip()

    def repository(self, record: Path | None = None) -> Repository:
        """As the product sees it."""
        return Repository(Git(Runner(record), "the lab"), self.git_folder)

    @contextmanager
    def bench(self, commit: str) -> Iterator[Bench]:
        """A bench on a commit."""
        with bench_on(self.repository(), commit) as bench:
            yield bench

    def judge(self, commit: str, *patches: Patch) -> Judged:
        """Judge a queue on a commit, and keep what came of it."""
        with self.bench(commit) as bench:
            judgement = judge(bench, patches)
            return Judged(judgement, contents_of(bench, judgement.tree))


@dataclass(frozen=True)
class Judged:
    """A judgement and the files of its tree, by path."""

    judgement: Judgement
    files: Mapping[str, File]

    @property
    def standings(self) -> list[str]:
        """In order."""
        return [str(status.standing) for status in self.judgement.statuses]

    @property
    def details(self) -> list[str]:
        """In order."""
        return [status.detail for status in self.judgement.statuses]


def contents_of(bench: Bench, tree: str) -> dict[str, File]:
    """Every file of a tree."""
    git, folder = bench.repository.git, f"--git-dir={bench.repository.folder}"
    listed = [line.partition("\t") for line in bench.repository.read("ls-tree", "-r", "-z", tree).split("\0") if line]
    names = "".join(f"{facts.split()[2]}\n" for facts, _, _ in listed)
    given = BytesIO(git.succeed(folder, "cat-file", "--batch=%(objectsize)", stdin=names.encode()).raw)
    files = {}
    for facts, _, path in listed:
        files[path] = File(given.read(int(given.readline())), facts.split()[0])
        given.readline()
    return files


def run_git(folder: Path, *args: str, stdin: bytes | None = None) -> bytes:
    """What a git command in a folder prints; no settings of the machine count."""
    env = {**os.environ, **_HERMETIC}
    return subprocess.run(["git", *args], cwd=folder, check=True, capture_output=True, input=stdin, env=env).stdout


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of a folder: whether it may be run, and its bytes or where it leads."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode & 0o170100,
            os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes(),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def numbered(lines: int, word: str = "line") -> bytes:
    """`line 1` and so on."""
    return b"".join(f"{word} {number}\n".encode() for number in range(1, lines + 1))


def edited(content: bytes, lines: Mapping[int, str]) -> bytes:
    """Contents with some lines, by number from 1, replaced; a text of several lines makes them more."""
    parts = content.splitlines(keepends=True)
    for number, text in lines.items():
        parts[number - 1] = text.encode() + b"\n" if text else b""
    return b"".join(parts)


def order(path: str, content: bytes | File | None) -> bytes:
    """For `git fast-import`."""
    quoted = b'"' + b"".join(b"\\%03o" % byte for byte in os.fsencode(path)) + b'"'
    if content is None:
        return b"D " + quoted + b"\n"
    file = content if isinstance(content, File) else File(content)
    if file.mode == SUBMODULE:
        return f"M {SUBMODULE} ".encode() + file.content + b" " + quoted + b"\n"
    order = f"M {file.mode} inline ".encode() + quoted + f"\ndata {len(file.content)}\n".encode()
    return order + file.content + b"\n"
