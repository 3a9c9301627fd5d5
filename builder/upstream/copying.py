"""The copy of a remote repository: a bare repository that is fetched, and what of it is trusted.

Call this under the lock of the copy. Every git command that writes holds the lock itself, so that one which outlives
its builder is waited for. Killed at any moment, the copy is one that the next update completes.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

from builder.errors import BuilderError, SourceError
from builder.process import Completed
from builder.staging import disk_errors
from builder.upstream.git import WRITING, Damaged, Failed, Unreachable
from builder.upstream.leftovers import discard, half_written, sweep
from builder.upstream.moves import HEADS, TAGS, UPSTREAM, Moves, Refs, clashing, compare
from builder.upstream.remote import REMOTE, Listing, noted_packets
from builder.upstream.repository import OFFLINE, Repository

FETCH = 3600.0
"""Seconds for a whole history over a slow line."""
_ALL = ("+refs/heads/*:refs/upstream/heads/*", "+refs/tags/*:refs/upstream/tags/*")
_HEAD = "+HEAD:refs/upstream/HEAD"
_EARLIER_REMOTE = "origin"
"""What mirrors of earlier versions call it."""
_NO_HEAD = re.compile(r"it has no HEAD\b")
_LACKING = re.compile(r"bad revision '([0-9a-f]{40,64})'")
_FILES_WITH_TAGS = 8
"""How many new tags may name files that are left out, before it is less work to make the copy anew."""
_SHA1_DIGITS = 40
_SHA256 = "[core]\nrepositoryFormatVersion = 1\n[extensions]\nobjectFormat = sha256\n"


@dataclass(frozen=True)
class Copy:
    """A copy of one remote repository.

    Attributes:
        repository: where it is; its git holds the lock.
        partial: file contents are left out where the server can do that.
    """

    repository: Repository
    partial: bool

    @property
    def folder(self) -> Path:
        """Its git folder."""
        return self.repository.folder

    @property
    def shallow(self) -> bool:
        """Whether it lacks the older part of the history."""
        file = self.folder / "shallow"
        return file.is_file() and file.stat().st_size > 0

    @property
    def lacks_files(self) -> bool:
        """Whether file contents were left out of it."""
        return self._configured("promisor") == "true"

    def create(self, url: str, listing: Listing) -> Moves:
        """Make it: everything is new, so everything is taken over.

        `git clone` writes all names into one file; `git fetch` would make a file for each of thousands.

        Raises:
            Unreachable: the server does not give what it lists.
            MachineError: the disk is full.
        """
        both = [word for refspec in _ALL for word in ("-c", f"remote.{REMOTE}.fetch={refspec}")]
        options = ("--quiet", "--bare", "--template=", f"--origin={REMOTE}", *self._filter(listing))
        self.repository.git.read("clone", *options, *both, "--", url, str(self.folder), timeout=FETCH)
        self._local("config", "--unset-all", f"remote.{REMOTE}.fetch")
        return self._take_over(self.refs(), None, fetched=True)

    def update(self, listing: Listing) -> Moves:
        """Bring it to what the server lists; nothing is fetched where that is here already.

        Raises:
            Damaged: it is broken.
            Unreachable: the server does not give what it lists.
            MachineError: the disk is full.
        """
        if not self._configured("url"):
            self._local("config", "--rename-section", f"remote.{_EARLIER_REMOTE}", f"remote.{REMOTE}")
        if not listing.filters and self.lacks_files:
            raise Damaged(f"{self.repository.git.name} no longer gives single files.", "Mirror it anew.")
        sweep(self.folder)
        refs, told, fetched = self.refs(), None, False
        if refs.theirs != listing.refs or self.shallow:
            told, fetched = self._fetch(refs, listing), True
        return self._take_over(self.whole_refs(), told, fetched)

    def refs(self) -> Refs:
        """All its names."""
        listed = self._local("for-each-ref", "--format=%(objectname) %(refname)").raw
        lines = (line.partition(" ") for line in os.fsdecode(listed).split("\n") if line)
        return Refs({name: oid for oid, _, name in lines})

    def whole_refs(self) -> Refs:
        """All its names, each of which stands for something; nothing is fetched to find that out.

        A partial copy would else ask its server for every object of a pack that is gone.

        Raises:
            Damaged: a name stands for nothing.
        """
        refs = self.refs()
        names = "".join(f"{oid}\n" for oid in sorted(set(refs.objects.values()))).encode()
        args = (f"--git-dir={self.folder}", "cat-file", "--batch-check=%(objecttype)")
        done = self.repository.git.attempt(*args, stdin=names, env=OFFLINE)
        if done.returncode or " missing" in done.stdout:
            raise Damaged(f"The mirror of {self.repository.git.name} lacks objects.", "Mirror it anew.")
        return refs

    def take_over(self) -> Moves:
        """Take over what may be trusted of what was fetched."""
        return self._take_over(self.refs(), None, fetched=False)

    def moves(self) -> Moves:
        """What upstream rewrote, as far as it was fetched."""
        return compare(self.refs(), self._goes_forward).moves

    def restore(self, trusted: Refs) -> list[str]:
        """Take over what an earlier copy trusted, where that is not what upstream has now.

        Returns:
            Full names whose earlier objects are not to be had.
        """
        now = self.refs()
        names, heads = now.below("refs/"), now.below(HEADS)
        tags = {TAGS + name: oid for name, oid in trusted.below(TAGS).items() if names.get(f"tags/{name}") != oid}
        wanted = tags | {HEADS + name: oid for name, oid in trusted.below(HEADS).items() if heads.get(name, oid) != oid}
        lost = [name for name, oid in wanted.items() if not self._obtain(oid)]
        lost += clashing(wanted.keys() - set(lost), now.objects)
        self.write(changed={name: oid for name, oid in wanted.items() if name not in lost})
        return lost

    def _obtain(self, oid: str) -> bool:
        """Whether an object is here, or comes where it is asked for by its name."""
        if not self.repository.git.attempt(f"--git-dir={self.folder}", "cat-file", "-e", oid).returncode:
            return True
        try:
            self.fetch(REMOTE, oid)
        except SourceError:
            return False
        return True

    def missing(self, oids: Sequence[str]) -> list[str]:
        """Which of these objects are not here.

        They are looked up by a repository that has the same objects and no server: git fetches from that whatever it
        does not find, or gives up.
        """
        wanted = list(dict.fromkeys(oids))
        with disk_errors(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory() as folder:
            bare = Path(folder)
            (bare / "refs").mkdir()
            (bare / "HEAD").write_text("ref: refs/heads/none", encoding="ascii")
            (bare / "config").write_text(_SHA256 if len(wanted[0]) > _SHA1_DIGITS else "", encoding="ascii")
            said = self.repository.git.read(
                *(f"--git-dir={bare}", "cat-file", "--batch-check=%(objectname)"),
                stdin="".join(f"{oid}\n" for oid in wanted).encode(),
                env={"GIT_OBJECT_DIRECTORY": str(self.folder / "objects")},
            )
        return [line.removesuffix(" missing") for line in said.split("\n") if line.endswith(" missing")]

    def write(self, gone: Iterable[str] = (), changed: Mapping[str, str] | None = None) -> None:
        """Delete names, then set others; each of the two as a whole or not at all."""
        for orders in (
            "".join(f"delete {name}\0\0" for name in gone),
            "".join(f"update {name}\0{oid}\0\0" for name, oid in (changed or {}).items()),
        ):
            if orders:
                self._local("update-ref", "-z", "--stdin", stdin=os.fsencode(orders))

    def fetch(self, *what: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> None:
        """Run `git fetch`; the half-written rest of one that fails is removed.

        Raises:
            Unreachable: it does not give that.
        """
        before = half_written(self.folder)
        options = ("--quiet", "--no-tags", "--refmap=", "--no-write-fetch-head", "--recurse-submodules=no")
        try:
            self.repository.read("fetch", *options, *what, timeout=FETCH, stdin=stdin, env=env)
        except BaseException:
            discard(half_written(self.folder) - before)
            raise

    def _fetch(self, refs: Refs, listing: Listing) -> str | None:
        """Copy branches and tags as they are; gives the name of the default branch where the server tells it."""
        theirs, listed = refs.theirs, listing.refs
        in_the_way = clashing(theirs.keys() - listed.keys(), listed.keys())
        self.write(gone=[UPSTREAM + name.removeprefix("refs/") for name in in_the_way])
        options = ["--atomic", "--prune", "--update-shallow"]
        options += ["--unshallow"] * self.shallow
        options += self._filter(listing)
        fresh = {*listed.values()} - {*theirs.values()}
        with noted_packets() as packets:
            try:
                self._fetch_with_files(fresh, *options, REMOTE, *[_HEAD] * bool(listed), *_ALL, env=packets.environment)
            except Unreachable as error:
                if not _NO_HEAD.search(error.cause):
                    raise
                self._fetch_with_files(fresh, *options, REMOTE, *_ALL, env=packets.environment)
            return packets.default

    def _fetch_with_files(self, fresh: Set[str], *what: str, env: Mapping[str, str]) -> None:
        """Run `git fetch`, and first for each file that a new tag names.

        A server does not send a file of a commit that is here, although it was told to leave it out before.

        Args:
            fresh: what new names stand for.
        """
        for _ in range(_FILES_WITH_TAGS):
            try:
                return self.fetch(*what, env=env)
            except Damaged as damage:
                lacking = _LACKING.search(damage.cause)
                if not lacking or lacking[1] not in fresh:
                    raise
                self.fetch_objects([lacking[1]])
        return self.fetch(*what, env=env)

    def fetch_objects(self, oids: Sequence[str]) -> None:
        """Have single objects sent, whatever the server believes to be here.

        Raises:
            Unreachable: it does not give them.
        """
        repository = self.repository
        git = replace(repository.git, settings=(*repository.git.settings, ("fetch.negotiationAlgorithm", "noop")))
        partial = ("--filter=blob:none",) if self.lacks_files else ()
        wanted = "".join(f"{oid}\n" for oid in oids).encode()
        replace(self, repository=replace(repository, git=git)).fetch(*partial, "--stdin", REMOTE, stdin=wanted)

    def _filter(self, listing: Listing) -> list[str]:
        return ["--filter=blob:none"] if self.partial and listing.filters else []

    def _take_over(self, refs: Refs, told: str | None, fetched: bool) -> Moves:
        """Take over what may be trusted, and put what was fetched in order."""
        due = compare(refs, self._goes_forward)
        self.write(due.gone, due.changed)
        current = self.default_branch
        default = refs.default_branch(told, current)
        if default and default != current:
            self._local("symbolic-ref", "HEAD", default)
        if fetched or due.gone or due.changed:
            self._local("pack-refs", "--all")
        if fetched:
            self._local("commit-graph", "write", "--reachable", "--split")
            self._local("gc", "--auto", "--quiet", timeout=FETCH)
        return due.moves

    @property
    def default_branch(self) -> str | None:
        """Full name of what is taken for upstream's default branch."""
        try:
            return (self.folder / "HEAD").read_text(encoding="utf-8").strip().removeprefix("ref: ")
        except (OSError, ValueError):
            return None

    def _configured(self, key: str) -> str:
        """What is set for the repository that this is a copy of."""
        return self.repository.git.attempt(
            f"--git-dir={self.folder}", "config", f"remote.{REMOTE}.{key}"
        ).stdout.strip()

    def _goes_forward(self, older: str, newer: str) -> bool:
        args = ("merge-base", "--is-ancestor", older, newer)
        done = self.repository.git.attempt(f"--git-dir={self.folder}", *args)
        if done.returncode not in (0, 1):
            raise _damaged(self.repository.git.explained(done))
        return not done.returncode

    def _local(self, *args: str, stdin: bytes | None = None, timeout: float = WRITING) -> Completed:
        """Run a command that no server has a part in: it fails only where the copy is broken or the disk is full."""
        git = self.repository.git
        try:
            return git.succeed(f"--git-dir={self.folder}", *args, stdin=stdin, timeout=timeout)
        except (Failed, Unreachable) as error:
            raise _damaged(error) from error


def _damaged(error: BuilderError) -> BuilderError:
    return Damaged(error.cause, error.remedy) if isinstance(error, Failed | Unreachable) else error
