"""Source distributions from a Python package index, by `pypi-simple`, checksums verified, kept."""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.console import Reporter, spell_size
from builder.errors import SourceError
from builder.process import Runner, without_credentials
from builder.staging import disk_errors, exclusive, staged, write_whole
from builder.upstream.origin import Package
from builder.upstream.revision import Revision
from builder.upstream.sdist import ArchiveSupply, sha256_of

if TYPE_CHECKING:
    from packaging.version import Version
    from pypi_simple import DistributionPackage, PyPISimple

DEFAULT_INDEX = "https://pypi.org/simple/"
_CONNECT = 5.0
_READ = 30.0
"""Seconds without a byte."""
_SUFFIXES = (".tar.gz", ".zip", ".tar.bz2", ".tar.xz")
_CERTIFICATES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


class IndexUnreachable(SourceError):
    """The package index does not answer."""


@dataclass(frozen=True)
class Kept:
    """A source distribution that is here, with the checksum it had when it was fetched."""

    file: Path
    version: Version
    sha256: str


@dataclass(frozen=True)
class Index:
    """A package index and the archives that came from it.

    Attributes:
        url: of the index's simple interface; may hold credentials and is never shown.
        archives: folder where archives are kept.
    """

    url: str
    archives: Path
    runner: Runner
    reporter: Reporter

    def take(self, package: Package) -> Iterator[ArchiveSupply]:
        """The wanted version, or all versions from the newest on, each fetched when it is come to.

        A pinned version that is kept needs no network. Where the index cannot be asked for the newest, the newest
        that is kept is taken, with a warning.

        Raises:
            IndexUnreachable: the index does not answer and nothing is kept.
            SourceError: there is no such project or version, or a file is not what the index says.
        """
        kept = self.kept(package.project)
        if package.version is not None:
            pinned = next((item for item in kept if str(item.version) == package.version), None)
            yield self._supply(package, pinned or self._fetch_version(package))
            return
        try:
            offered = self._offered(package.project)
        except IndexUnreachable as error:
            if not kept:
                raise
            self.reporter.warning(f"{error.cause} Using {kept[0].file.name}, which was fetched before.")
            yield from (self._supply(package, item) for item in kept)
            return
        for version, distribution in _newest_first(offered):
            here = next((item for item in kept if item.version == version), None)
            yield self._supply(package, here or self._fetch(distribution, version))

    def kept(self, project: str) -> list[Kept]:
        """Archives of a project that are here, newest first; whether one is still whole is seen when it is supplied."""
        from packaging.utils import InvalidSdistFilename, parse_sdist_filename

        found = []
        for note in self.archives.glob("*.sha256"):
            file = note.with_suffix("")
            try:
                name, version = parse_sdist_filename(file.name)
            except InvalidSdistFilename:
                continue
            if name == project and file.is_file():
                found.append(Kept(file, version, note.read_text(encoding="ascii", errors="replace").strip()))
        return sorted(found, key=lambda item: item.version, reverse=True)

    def _supply(self, package: Package, kept: Kept) -> ArchiveSupply:
        if sha256_of(kept.file) != kept.sha256:
            self.reporter.warning(f"{kept.file.name} has changed since it was fetched; fetching it again.")
            kept.file.unlink()
            kept = self._fetch_version(Package(package.project, str(kept.version)))
        origin = f"pypi:{package.project}=={kept.version}"
        revision = Revision(None, None, None, None, origin=origin, ref=str(kept.version))
        return ArchiveSupply(kept.file, kept.sha256, revision, self.runner)

    def _fetch_version(self, package: Package) -> Kept:
        from packaging.version import Version

        assert package.version is not None
        wanted = Version(package.version)
        offered = self._offered(package.project)
        if wanted not in offered:
            raise SourceError(
                f"{self._shown} has no source distribution of {package.project} {package.version}.",
                f"Nearest: {', '.join(_near(wanted, list(offered)))}.",
            )
        return self._fetch(offered[wanted], wanted)

    def _offered(self, project: str) -> dict[Version, DistributionPackage]:
        from packaging.version import InvalidVersion, Version
        from pypi_simple import NoSuchProjectError

        with self._client() as client, self._clear_errors():
            try:
                page = client.get_project_page(project, timeout=(_CONNECT, _READ))
            except NoSuchProjectError:
                raise SourceError(f"{self._shown} has no project {project}.", "Check the spelling.") from None
        offered = {}
        for distribution in page.packages:
            if distribution.package_type == "sdist" and distribution.filename.endswith(_SUFFIXES):
                try:
                    offered[Version(distribution.version or "")] = distribution
                except InvalidVersion:
                    continue
        if not offered:
            raise SourceError(f"{self._shown} has no source distribution of {project}.", "Take another origin.")
        return offered

    def _fetch(self, distribution: DistributionPackage, version: Version) -> Kept:
        expected = distribution.digests.get("sha256")
        if not expected:
            raise SourceError(
                f"{self._shown} gives no SHA-256 for {distribution.filename}.", "Take an index that gives checksums."
            )
        target = self.archives / _plain_name(distribution.filename)
        with exclusive(self.archives / ".lock", self.reporter.notice), staged(self.archives) as scratch:
            size = f" ({spell_size(distribution.size)})" if distribution.size else ""
            self.reporter.notice(f"Fetching {target.name}{size} from {self._shown}.")
            self._download(distribution, scratch / target.name)
            with disk_errors(self.archives):
                (scratch / target.name).rename(target)
            write_whole(target.with_name(target.name + ".sha256"), expected.encode() + b"\n")
        return Kept(target, version, expected)

    def _download(self, distribution: DistributionPackage, file: Path) -> None:
        from pypi_simple import DigestMismatchError

        with self._client() as client, self._clear_errors():
            try:
                client.download_package(distribution, file, timeout=(_CONNECT, _READ))
            except DigestMismatchError as error:
                raise SourceError(
                    f"{distribution.filename} is not what {self._shown} says: its {error.algorithm} is "
                    f"{error.actual_digest}, not {error.expected_digest}.",
                    "Do not use it; try again later or from another index.",
                ) from error

    @contextmanager
    def _client(self) -> Iterator[PyPISimple]:
        import requests
        from pypi_simple import PyPISimple

        with requests.Session() as session:
            bundle = next((file for name in _CERTIFICATES if (file := os.environ.get(name))), None)
            if bundle and Path(bundle).exists():
                session.verify = bundle
            with PyPISimple(self.url, session=session) as client:
                yield client

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        import requests
        from pypi_simple import NoDigestsError, UnsupportedContentTypeError, UnsupportedRepoVersionError

        try:
            yield
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else "with an error"
            raise self._unreachable(f"it answers {status}") from error
        except requests.RequestException as error:
            raise self._unreachable(_reason(error)) from error
        except (NoDigestsError, UnsupportedContentTypeError, UnsupportedRepoVersionError, ValueError) as error:
            raise self._unreachable("what answers is no package index") from error

    def _unreachable(self, why: str) -> IndexUnreachable:
        return IndexUnreachable(
            f"The package index {self._shown} cannot be used: {why}.",
            "Check the network and PIP_INDEX_URL, or take another origin.",
        )

    @property
    def _shown(self) -> str:
        return without_credentials(self.url)


def configured_index(environ: Mapping[str, str] = os.environ) -> str:
    """The index that pip uses on this machine: `PIP_INDEX_URL`, else pip's configuration files, else PyPI."""
    if url := environ.get("PIP_INDEX_URL"):
        return url
    if environ.get("PIP_CONFIG_FILE") == os.devnull:
        return DEFAULT_INDEX
    home = Path(environ.get("HOME") or "/nonexistent")
    config_home = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [
        Path("/etc/xdg/pip/pip.conf"),
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        config_home / "pip" / "pip.conf",
        Path(sys.prefix, "pip.conf"),
        *([Path(environ["PIP_CONFIG_FILE"])] if "PIP_CONFIG_FILE" in environ else []),
    ]
    parser = configparser.RawConfigParser()
    try:
        parser.read(files, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return DEFAULT_INDEX
    return parser.get("global", "index-url", fallback=DEFAULT_INDEX)


def _newest_first(offered: Mapping[Version, DistributionPackage]) -> list[tuple[Version, DistributionPackage]]:
    usable = {version: item for version, item in offered.items() if not item.is_yanked and not version.is_prerelease}
    return sorted((usable or offered).items(), key=lambda item: item[0], reverse=True)


def _near(wanted: Version, offered: list[Version], count: int = 3) -> list[str]:
    ordered = sorted(offered)
    place = next((number for number, version in enumerate(ordered) if version > wanted), len(ordered))
    start = max(0, min(place - count + 1, len(ordered) - count))
    return [str(version) for version in ordered[start : start + count]]


def _plain_name(name: str) -> str:
    if Path(name).name != name or name.startswith("."):
        raise SourceError(f"The index offers a file called {name!r}.", "Take another index.")
    return name


def _reason(error: Exception) -> str:
    text = without_credentials(str(error))
    for telling, reason in (
        ("Name or service not known", "its name does not resolve"),
        ("name resolution", "its name does not resolve"),
        ("Failed to resolve", "its name does not resolve"),
        ("Connection refused", "the connection was refused"),
        ("timed out", "it did not answer in time"),
        ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted"),
        ("No connection adapters", "its address has no scheme that is known"),
    ):
        if telling in text:
            return reason
    return f"{type(error).__name__}"
