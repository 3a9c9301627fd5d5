"""A git repository on this machine: what a name means there, what is known of a commit, its tree.

A repository is always named by its own folder, so that one which lies around it is never taken for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.errors import SourceError
from builder.upstream.git import READING, WRITING, Git, tells_of_damage
from builder.upstream.refs import TIP, is_full_commit, nearest, newest_release
from builder.upstream.revision import BUILD_TAG, UNKNOWN_BUILD_NUMBERS, Revision, moment
from builder.upstream.supply import Traces

_COMMIT = re.compile(r"[0-9a-f]{4,64}")
OFFLINE = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}
"""Variables by which git fetches nothing, whatever a partial repository lacks."""
_NO_COMMIT = re.compile(r"Needed a single revision|bad revision|bad object")


@dataclass(frozen=True)
class Repository:
    """A repository on this machine.

    Attributes:
        git: how to run git on it.
        folder: its git folder, or the `.git` file of a work tree.
    """

    git: Git
    folder: Path

    def read(
        self,
        *args: str,
        timeout: float = READING,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
    ) -> str:
        """Run one git command on this repository."""
        return self.git.read(f"--git-dir={self.folder}", *args, timeout=timeout, env=env, stdin=stdin)

    def lines(self, *args: str) -> list[str]:
        """Run one git command and give the lines that it prints; a name may hold what only Python takes for an end."""
        return [line for line in self.read(*args).split("\n") if line]

    def find(self, ref: str) -> str | None:
        """The commit that a tag, a branch or an object name stands for, in this order; None if there is none.

        Raises:
            SourceError: an abbreviated object name fits more than one commit.
        """
        if ref == "HEAD":
            return self.commit_of(ref)
        for prefix in ("refs/tags/", "refs/heads/", "refs/remotes/origin/"):
            if commit := self.commit_of(prefix + ref):
                return commit
        return self.commit_of(ref) if _COMMIT.fullmatch(ref.lower()) else None

    def find_tag(self, ref: str) -> str | None:
        """The commit that a tag stands for."""
        return self.commit_of(f"refs/tags/{ref}")

    def commit_of(self, name: str) -> str | None:
        """The commit that a full name of a ref or an object name stands for; None if there is none.

        Raises:
            SourceError: an abbreviated object name fits more than one commit.
            Damaged: the repository is broken.
        """
        done = self.git.attempt(
            f"--git-dir={self.folder}", "rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}"
        )
        if "is ambiguous" in done.stderr and done.returncode:
            raise SourceError(f"`{name}` fits more than one commit of {self.git.name}.", "Write more of its digits.")
        if done.returncode and (not _NO_COMMIT.search(done.stderr) or tells_of_damage(done.stderr, str(self.folder))):
            raise self.git.explained(done)
        return None if done.returncode else done.stdout.strip()

    def holds(self, commit: str) -> bool:
        """Whether a whole object name is a commit that is here already; nothing is fetched to find out."""
        if not is_full_commit(commit):
            return False
        inquiry = ("cat-file", "-e", f"{commit}^{{commit}}")
        return not self.git.attempt(f"--git-dir={self.folder}", *inquiry, env=OFFLINE).returncode

    def resolve(self, ref: str) -> str:
        """The commit that a ref stands for.

        Raises:
            SourceError: there is none; the nearest names are in the remedy.
        """
        if commit := self.find("HEAD" if ref == TIP else ref):
            return commit
        if kind := self._kind_of_tag(ref):
            raise SourceError(f"The tag `{ref}` of {self.git.name} names a {kind}, no commit.", "Name another tag.")
        near = nearest(ref, self.names())
        hint = f"Nearest: {', '.join(near)}." if near else "Name a tag, a branch or a commit of it, or `latest`."
        raise SourceError(f"{self.git.name} has no tag, branch or commit `{ref}`.", hint)

    def names(self) -> list[str]:
        """Tags and branches, each once."""
        return list(dict.fromkeys(self.tags() + self._names("refs/heads") + self._remote_branches()))

    def tags(self) -> list[str]:
        """Tags that name a commit; one that names a file or a folder is passed over."""
        form = "--format=%(refname:strip=2)%00%(objecttype)%00%(type)"
        entries = (line.split("\0") for line in self.lines("for-each-ref", form, "refs/tags"))
        return [name for name, kind, named in entries if (named or kind) in ("commit", "tag")]

    def revision(self, commit: str, *, origin: str, ref: str) -> Revision:
        """What is known of a commit; its number only where the whole history is here or a tag says it."""
        tags = self.lines("for-each-ref", f"--points-at={commit}", "--format=%(refname:strip=2)", "refs/tags")
        committed = self.read("show", "--no-patch", "--no-show-signature", "--format=%ct", commit)
        return Revision(
            commit=commit,
            build_number=self._number(commit, tags),
            release=newest_release(tags),
            committed=moment(int(committed)),
            origin=origin,
            ref=ref,
        )

    def write(self, commit: str, folder: Path) -> None:
        """Check a commit's files out into an empty folder, every one of them, as the repository has them.

        `read-tree -u` asks a partial clone's server for all missing files at once; `git archive` would ask for each.
        """
        folder.mkdir(parents=True, exist_ok=True)
        index = folder.with_name(folder.name + ".index")
        try:
            self.git.read(
                f"--git-dir={self.folder}",
                f"--work-tree={folder}",
                "read-tree",
                "--reset",
                "-u",
                commit,
                timeout=WRITING,
                env={"GIT_INDEX_FILE": str(index)},
                cwd=folder,
            )
        finally:
            index.unlink(missing_ok=True)

    def _kind_of_tag(self, ref: str) -> str | None:
        """What a tag names that names no commit: `blob` or `tree`; None where there is no such tag."""
        name = f"refs/tags/{ref}"
        if not self.git.attempt(f"--git-dir={self.folder}", "rev-parse", "--verify", "--quiet", name).stdout:
            return None
        return self.read("cat-file", "-t", f"{name}^{{}}").strip()

    def _names(self, prefix: str) -> list[str]:
        return self.lines("for-each-ref", "--format=%(refname:strip=2)", prefix)

    def _remote_branches(self) -> list[str]:
        return self.lines("for-each-ref", "--format=%(refname:strip=3)", "refs/remotes/origin")

    def _number(self, commit: str, tags: list[str]) -> int | None:
        number = max((int(match[1]) for tag in tags if (match := BUILD_TAG.fullmatch(tag))), default=0)
        if not number and self.read("rev-parse", "--is-shallow-repository").strip() == "false":
            number = int(self.read("rev-list", "--count", commit))
        return None if number in UNKNOWN_BUILD_NUMBERS else number


def have_all(_objects: Sequence[str]) -> None:
    """For a repository that is whole: there is nothing to fetch."""


@dataclass(frozen=True)
class CommitSupply:
    """One commit of a repository.

    Attributes:
        ensure: has contents fetched, by their whole object names, that a partial repository may lack.
    """

    repository: Repository
    revision: Revision
    commit: str
    ensure: Callable[[Sequence[str]], None] = have_all

    @property
    def identity(self) -> str | None:
        """The object name: it stands for every byte of the tree."""
        return f"commit-{self.commit}"

    def write(self, folder: Path) -> Traces:
        """Check the commit's files out."""
        self.repository.write(self.commit, folder)
        return Traces()
