"""What an image is called, read as Docker reads it and written in full.

The grammar is that of the module `reference` of the distribution project.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from builder.channels.registry.faults import BadReference

HUB = "docker.io"
_HUB_ALIASES = ("index.docker.io",)
_HUB_SERVER = "registry-1.docker.io"
_LIBRARY = "library"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(?::[0-9]{{1,5}})?")
_PART = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST = 255
"""Characters of host and repository together."""
_PORTS = range(1, 65536)


@dataclass(frozen=True)
class Reference:
    """A repository in a registry, with a tag, a digest, both or neither.

    Attributes:
        host: such as `docker.io`, `127.0.0.1:5000`, `[::1]:5000`.
        repository: such as `library/ubuntu`.
        tag: such as `latest`.
        digest: `sha256:...`.
    """

    host: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a name; what comes before the first slash is a host only if it could be no part of a repository.

        Raises:
            BadReference: it can be no image's.
        """
        rest, at, digest = text.partition("@")
        if at and not _DIGEST.fullmatch(digest):
            raise _bad(text, f"{digest!r} is no digest")
        name, tag = _without_tag(rest)
        if tag is not None and not _TAG.fullmatch(tag):
            raise _bad(text, f"{tag!r} is no tag")
        host, repository = _split(name)
        if not _HOST.fullmatch(host) or not _has_good_port(host):
            raise _bad(text, f"{host!r} is no host")
        if not all(_PART.fullmatch(part) for part in repository.split("/")):
            raise _bad(text, f"{repository!r} is no repository")
        if len(host) + 1 + len(repository) > _LONGEST:
            raise _bad(text, "it is too long")
        return cls(host, repository, tag, digest if at else None)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.host}/{self.repository}{tag}{f'@{self.digest}' if self.digest else ''}"

    @property
    def server(self) -> str:
        """The host, with its port if it has one, that is really asked."""
        return _HUB_SERVER if self.host == HUB else self.host

    def tagged(self, tag: str) -> Reference:
        """The same repository under a tag.

        Raises:
            BadReference: it is no tag.
        """
        if not _TAG.fullmatch(tag):
            raise _bad(tag, "it is no tag")
        return replace(self, tag=tag, digest=None)

    def pinned(self, digest: str) -> Reference:
        """The same repository with a digest and no tag.

        Raises:
            BadReference: it is no digest.
        """
        if not _DIGEST.fullmatch(digest):
            raise _bad(digest, "it is no digest")
        return replace(self, tag=None, digest=digest)


def _without_tag(text: str) -> tuple[str, str | None]:
    """The name and the tag: a colon before the last slash belongs to a port."""
    head, slash, last = text.rpartition("/")
    name, colon, tag = last.partition(":")
    return f"{head}{slash}{name}", tag if colon else None


def _split(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_host = slash and (any(letter in first for letter in ".:") or first == "localhost" or first != first.lower())
    host, repository = (first, rest) if is_host else (HUB, name)
    host = HUB if host in _HUB_ALIASES else host
    if host == HUB and "/" not in repository:
        repository = f"{_LIBRARY}/{repository}"
    return host, repository


def _has_good_port(host: str) -> bool:
    _, colon, port = host.rpartition("]")[2].rpartition(":")
    return not colon or int(port) in _PORTS


def _bad(text: str, why: str) -> BadReference:
    return BadReference(f"{text!r} cannot name an image: {why}.", "Write it as host:port/repository:tag.")
