"""A local mirror of a repository that is reached by a URL: made once, then fetched.

It is bare, holds every branch and tag, and from servers that can leave them out, no file contents: those come
when a commit is first written out. Credentials of the URL reach git through its environment alone.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from builder.console import Reporter
from builder.process import Runner, credentials_in
from builder.staging import exclusive, staged
from builder.upstream.git import LATEST, Damaged, Git, Repository, Unreachable, is_full_commit, newest_tag
from builder.upstream.origin import GitUrl

_ANSWER = 10.0
"""Seconds in which a server must say that it is there."""
_FETCH = 3600.0
_OFFERS_FILTER = re.compile(r"< .*\bfilter\b")
_HELPER = '!f() { printf \'username=%s\\npassword=%s\\n\' "$BUILDER_GIT_USER" "$BUILDER_GIT_PASSWORD"; }; f'
"""Hands the credentials of a URL to git where a server asks for them; they stand in no command line."""
_TOKEN = 8
"""A user name of at least so many characters without a password may be a token."""
_REFS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


@dataclass(frozen=True)
class Answer:
    """What a server says of a repository.

    Attributes:
        default: full name of its default branch, if it tells.
        filters: whether it can leave file contents out. A plain file server cannot, and git that is told to leave
            them out there asks for each missing object by a process that does the same, without end.
    """

    default: str | None
    filters: bool


@dataclass(frozen=True)
class Mirror:
    """The mirror of one URL.

    Attributes:
        folder: where it is, or will be.
    """

    origin: GitUrl
    folder: Path
    git: Git
    reporter: Reporter

    @classmethod
    def of(cls, origin: GitUrl, mirrors: Path, runner: Runner, reporter: Reporter) -> Mirror:
        """The mirror of a URL among the others; nothing is asked or made yet."""
        return cls(origin, mirrors / folder_name(origin), _git_for(origin, runner), reporter)

    @property
    def repository(self) -> Repository:
        """What is mirrored so far."""
        return Repository(self.git, self.folder)

    def ask(self) -> Answer:
        """Ask whether the repository is there.

        Raises:
            Unreachable: no answer within ten seconds, or no git repository.
        """
        with tempfile.TemporaryDirectory() as folder:
            trace = Path(folder, "packets")
            env = {"GIT_TRACE_PACKET": str(trace)}
            said = self.git.read("ls-remote", "--symref", "--", self.origin.name, "HEAD", timeout=_ANSWER, env=env)
            packets = trace.read_text(encoding="utf-8", errors="replace") if trace.exists() else ""
        found = re.search(r"^ref: (refs/heads/\S+)\tHEAD$", said, re.MULTILINE)
        return Answer(found[1] if found else None, filters=bool(_OFFERS_FILTER.search(packets)))

    def repository_with(self, ref: str) -> Repository:
        """The mirror, brought up to date as far as this ref needs it.

        A whole object name that is here already needs nothing. Where upstream cannot be asked, a tag or a commit
        that is here is used, with a warning; a branch or `latest` may have moved and is not.

        Raises:
            Unreachable: it cannot be asked, and the ref is not here for certain.
        """
        if is_full_commit(ref) and self.folder.is_dir() and self.repository.holds(ref):
            return self.repository
        try:
            self._refresh(ref)
        except Unreachable as error:
            if not self._has(ref):
                raise self._with_hint(error) from error
            self.reporter.warning(f"{error.cause} Using `{ref}` as it was mirrored before.")
        return self.repository

    def _has(self, ref: str) -> bool:
        if ref == LATEST or not self.folder.is_dir():
            return False
        branches = self.repository.read("for-each-ref", "--format=%(refname:strip=2)", "refs/heads").splitlines()
        return bool(self.repository.find_tag(ref) or (ref not in branches and self.repository.find(ref)))

    def _with_hint(self, error: Unreachable) -> Unreachable:
        if not self.folder.is_dir() or not (names := self.repository.read("tag", "--list").split()):
            return error
        return Unreachable(error.cause, f"{error.remedy} Mirrored before: `--ref {newest_tag(names) or names[-1]}`.")

    def _refresh(self, ref: str) -> None:
        answer = self.ask()
        with exclusive(self.folder.with_suffix(".lock"), self.reporter.notice):
            if not self.folder.is_dir():
                self._clone(answer)
                return
            try:
                self._update(answer)
            except Damaged as damage:
                self.reporter.warning(f"{damage.cause} Mirroring it anew.")
                self._clone(answer)
        self._fetch_stray(ref)

    def _update(self, answer: Answer) -> None:
        partial = self.git.attempt(f"--git-dir={self.folder}", "config", "remote.origin.promisor").stdout.strip()
        if partial and not answer.filters:
            raise Damaged(f"{self.origin.name} no longer gives single files.", "Mirror it anew.")
        self._fetch(self.folder, answer)

    def _clone(self, answer: Answer) -> None:
        self.reporter.notice(f"Mirroring {self.origin.name} (once).")
        with staged(self.folder.parent, f"{self.folder.name}-") as scratch:
            fresh = scratch / "mirror"
            self.git.read("init", "--quiet", "--bare", "--template=", str(fresh))
            self.git.read(f"--git-dir={fresh}", "config", "remote.origin.url", self.origin.name)
            self._fetch(fresh, answer)
            if self.folder.exists():
                self.folder.rename(scratch / "damaged")
            fresh.rename(self.folder)

    def _fetch(self, folder: Path, answer: Answer) -> None:
        partial = ("--filter=blob:none",) if answer.filters and not self.origin.url.startswith("file:") else ()
        options = ("--quiet", "--prune", "--force", "--no-tags", "--update-shallow", "--no-write-fetch-head")
        self.git.read(f"--git-dir={folder}", "fetch", *options, *partial, "origin", *_REFS, timeout=_FETCH)
        if answer.default:
            self.git.read(f"--git-dir={folder}", "symbolic-ref", "HEAD", answer.default)

    def _fetch_stray(self, ref: str) -> None:
        """Fetch a commit that no branch or tag holds any more, or not yet, where the server lets it go."""
        if is_full_commit(ref) and not self.repository.holds(ref):
            options = ("--quiet", "--no-tags", "--no-write-fetch-head", "origin", ref)
            self.git.attempt(f"--git-dir={self.folder}", "fetch", *options, timeout=_FETCH)


def _git_for(origin: GitUrl, runner: Runner) -> Git:
    userinfo = credentials_in(origin.url).removesuffix("@")
    if not userinfo:
        return Git(runner, origin.name)
    scheme = origin.url.partition("://")[0]
    user, _, password = userinfo.partition(":")
    asked_for = scheme.lower() in ("http", "https")
    secret = password or (user if asked_for and len(user) >= _TOKEN else "")
    forms = {f"{userinfo}@", secret, unquote(secret)} - {""}
    secrets = tuple(sorted(forms, key=len, reverse=True))
    if asked_for:
        variables = {"BUILDER_GIT_USER": unquote(user), "BUILDER_GIT_PASSWORD": unquote(password)}
        return Git(runner, origin.name, {f"credential.{origin.name}.helper": _HELPER}, secrets, variables)
    named = origin.name.replace("://", f"://{user}@", 1)
    return Git(runner, origin.name, {f"url.{named}.insteadOf": origin.name}, secrets)


def folder_name(origin: GitUrl) -> str:
    """A file name for a URL: its readable part and a digest; the same with and without credentials."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", origin.name.partition("://")[2] or origin.name).strip("-")[-60:]
    return f"{readable}-{hashlib.sha256(origin.name.encode()).hexdigest()[:12]}.git"
