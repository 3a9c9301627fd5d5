"""What the origin in the configuration means."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from builder.errors import SourceError, UsageError
from builder.process import credentials_in, without_credentials

_FORMS = "Give auto, a git URL or path, a directory, an archive file, or pypi:PROJECT[==VERSION]."
_SCHEMES = ("https", "http", "ssh", "git", "file")
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*):(:|//)")
_SCP_LIKE = re.compile(r"^(?:[\w.+-]+@)?[\w][\w.-]*:(?!//)[^:]")
_PYPI = re.compile(r"^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:==\s*([^\s=,;]+))?$")


@dataclass(frozen=True)
class Auto:
    """The repository where it can be reached, the fallback elsewhere."""


@dataclass(frozen=True)
class GitUrl:
    """A repository that is reached by a URL and mirrored.

    Attributes:
        url: as given; may hold credentials and is never shown.
    """

    url: str

    @property
    def name(self) -> str:
        """The URL as it may be shown and stored."""
        return without_credentials(self.url)


@dataclass(frozen=True)
class GitFolder:
    """A bare repository on this machine, read where it lies."""

    path: Path


@dataclass(frozen=True)
class Directory:
    """A folder on this machine, taken as it lies; a git work tree too."""

    path: Path


@dataclass(frozen=True)
class ArchiveFile:
    """A source archive on this machine."""

    path: Path


@dataclass(frozen=True)
class Package:
    """A source distribution of a Python package index.

    Attributes:
        project: its normalised name.
        version: the one that is wanted; None is the newest.
    """

    project: str
    version: str | None


Origin = Auto | GitUrl | GitFolder | Directory | ArchiveFile | Package


def parse(text: str) -> Origin:
    """Read an origin; paths are looked up, nothing else is touched.

    Raises:
        UsageError: it has no form that is known.
        SourceError: it is a path, and nothing is there.
    """
    if text == "auto":
        return Auto()
    if not text.strip() or text.startswith("-") or any(ord(letter) < ord(" ") for letter in text):
        raise UsageError(f"{text!r} is no origin.", _FORMS)
    if text.startswith("pypi:"):
        return _package(text)
    if scheme := _SCHEME.match(text):
        return _url(text, scheme.group(1).lower(), helper=scheme.group(2) == ":")
    path = Path(text).expanduser() if not text.startswith("~") else _home(text)
    if not os.path.exists(path) and _SCP_LIKE.match(text):  # noqa: PTH110 - a name that is too long is none
        return GitUrl(text)
    return _path(path.absolute())


def _package(text: str) -> Package:
    from packaging.utils import canonicalize_name
    from packaging.version import InvalidVersion, Version

    match = _PYPI.match(text.removeprefix("pypi:"))
    if not match:
        raise UsageError(f"{text!r} names no package.", "Write pypi:PROJECT or pypi:PROJECT==VERSION.")
    project, version = match.groups()
    try:
        return Package(canonicalize_name(project), None if version is None else str(Version(version)))
    except InvalidVersion:
        raise UsageError(f"{version!r} in {text!r} is no version.", "Write it as 0.3.36.") from None


def _url(text: str, scheme: str, *, helper: bool) -> GitUrl:
    _refuse_unclear(text)
    shown = without_credentials(text)
    if helper or scheme not in _SCHEMES:
        raise UsageError(f"{shown!r} has a scheme that is not used here.", f"Known: {', '.join(_SCHEMES)}.")
    rest = shown.partition("://")[2]
    if not rest.strip("/") or (scheme != "file" and rest.startswith(("/", "-"))):
        raise UsageError(f"{shown!r} is no URL of a repository.", _FORMS)
    return GitUrl(text)


def _refuse_unclear(text: str) -> None:
    """Refuse a URL of which it cannot be said where its password ends; what it holds is not repeated."""
    if "://" in text and re.search(r"\s", text):
        raise UsageError("The URL of the origin has a blank in it.", "Write it as %20.")
    if re.search(r"[/?#]", credentials_in(text)):
        raise UsageError(
            "The URL of the origin has an `@` after its first `/`, `?` or `#`: where its password ends is not clear.",
            "Percent-encode: in a password / as %2F, ? as %3F and # as %23, elsewhere @ as %40.",
        )


def _home(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def _path(path: Path) -> Origin:
    try:
        if path.is_file():
            return ArchiveFile(path)
        if path.is_dir():
            return GitFolder(path) if _is_bare_repository(path) else Directory(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be looked at: {error.strerror}.", "Check its permissions.") from error
    raise SourceError(f"There is nothing at {path}.", _FORMS)


def _is_bare_repository(path: Path) -> bool:
    return (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()
