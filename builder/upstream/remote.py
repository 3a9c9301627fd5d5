"""A repository that is reached by a URL: its name on this machine, its credentials, what it lists."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from builder.process import Runner, credentials_in
from builder.staging import disk_errors
from builder.upstream.git import Git
from builder.upstream.origin import GitUrl

REMOTE = "builder-upstream"
"""What a mirror calls the repository that it is a mirror of. A person's own settings may say much of `origin`, such as
which names a fetch changes, and nothing of this."""
REMOTES = (REMOTE, "origin")
"""What a repository on this machine may call the one that it was made from: a mirror, and one of a person."""
_ANSWER = 20.0
"""Seconds in which a server must have listed its branches and tags."""
_OFFERS_FILTER = re.compile(r"< .*\bfilter\b")
_DEFAULT = re.compile(r"< .*\bHEAD symref-target:(refs/heads/\S+)|< .*\bsymref=HEAD:(refs/heads/\S+)")
_NO_OTHERS = ""
"""Takes the helpers away that a person has configured: they may know other credentials, and store these."""
_HELPER = '!f() { printf \'username=%s\\npassword=%s\\n\' "$BUILDER_GIT_USER" "$BUILDER_GIT_PASSWORD"; }; f'
"""Hands the credentials of a URL to git where a server asks for them; they stand in no command line."""
_TOKEN = 8
"""A user name of at least so many characters without a password may be a token."""


@dataclass(frozen=True)
class Listing:
    """What a server says of a repository.

    Attributes:
        refs: object name by full name, for every branch and tag.
        filters: whether it can leave file contents out. A plain file server cannot, and git that is told to leave
            them out there asks for each missing object by a process that does the same, without end.
    """

    refs: Mapping[str, str]
    filters: bool


class Packets:
    """What git and a server say to each other, as git notes it in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which git takes notes."""
        return {"GIT_TRACE_PACKET": str(self._file)}

    @property
    def text(self) -> str:
        """What was noted."""
        return self._file.read_text(encoding="utf-8", errors="replace") if self._file.exists() else ""

    @property
    def default(self) -> str | None:
        """Full name of the default branch, where the server told it."""
        found = _DEFAULT.search(self.text)
        return (found[1] or found[2]) if found else None


@contextmanager
def noted_packets() -> Iterator[Packets]:
    """Have git take notes until the end of the block."""
    with disk_errors(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory() as folder:
        yield Packets(Path(folder, "packets"))


def list_refs(git: Git, url: str) -> Listing:
    """Ask for branches and tags, in one round trip; nothing else, such as pull requests, is sent.

    Raises:
        Unreachable: no answer in time, or no git repository.
    """
    with noted_packets() as packets:
        args = ("ls-remote", "--heads", "--tags", "--refs", "--", url)
        said = git.succeed(*args, timeout=_ANSWER, env=packets.environment).raw
        filters = bool(_OFFERS_FILTER.search(packets.text))
    return Listing({name: oid for oid, name in _pairs(said)}, filters)


def _pairs(listed: bytes) -> Iterator[tuple[str, str]]:
    for line in os.fsdecode(listed).split("\n"):
        oid, tabulator, name = line.partition("\t")
        if tabulator:
            yield oid, name


def git_for(origin: GitUrl, runner: Runner) -> Git:
    """How to run git on a URL; credentials reach it through its environment alone."""
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
        helper = f"credential.{origin.name}.helper"
        return Git(runner, origin.name, ((helper, _NO_OTHERS), (helper, _HELPER)), secrets, variables)
    named = origin.name.replace("://", f"://{user}@", 1)
    return Git(runner, origin.name, ((f"url.{named}.insteadOf", origin.name),), secrets)


def folder_name(origin: GitUrl) -> str:
    """A file name for a URL: its readable part and a digest; the same with and without credentials."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", origin.name.partition("://")[2] or origin.name).strip("-")[-60:]
    return f"{readable}-{hashlib.sha256(origin.name.encode()).hexdigest()[:12]}.git"
