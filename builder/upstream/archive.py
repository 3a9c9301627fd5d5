"""Unpacking source archives that nobody vouches for.

Nothing is ever written outside the folder that is given, whatever the members are called and wherever links
point; what tries is refused by name. Size and number of members are bounded, and an archive that ends early is
told from one that is whole.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, Protocol, cast

from builder.errors import SourceError
from builder.staging import disk_errors

_CHUNK = 1 << 20
_END_OF_TAR = bytes(tarfile.BLOCKSIZE)
_MAX_TARGET = 4096
_TAR_MAGIC_AT = 257
_BAD_CONTENT = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    ArithmeticError,
    EOFError,
    LookupError,
    ValueError,
)
"""What the readers of the standard library raise for bytes that somebody made up."""


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to.

    Attributes:
        size: bytes in all.
        members: files, folders and links together.
    """

    size: int = 4 << 30
    members: int = 200_000


class Kind(Enum):
    """What a member is."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symbolic link"
    HARDLINK = "hard link"
    OTHER = "member"


@dataclass(frozen=True)
class Member:
    """One member of an archive, whatever its format.

    Attributes:
        name: as the archive spells it.
        target: where a link points.
        open: gives the content of a file.
    """

    name: str
    kind: Kind
    executable: bool
    target: str
    open: Callable[[], IO[bytes] | None]


class Reader(Protocol):
    """Reads one format of archive."""

    def __call__(self, file: BinaryIO, limits: Limits) -> Iterator[Member]:
        """Members in the order of the archive; the end is reached only if the archive is whole."""


def unpack(file: Path, folder: Path, *, limits: Limits | None = None, skip: Callable[[PurePosixPath], bool]) -> None:
    """Unpack an archive into an empty folder.

    Args:
        skip: whether a member is left out; its name is checked all the same.

    Raises:
        SourceError: it is damaged, cut off, too big, no archive, or has a member that reaches outside.
        MachineError: the disk is full.
    """
    limits = limits or Limits()
    with disk_errors(file.parent), file.open("rb") as stream:
        reader = _reader_for(stream, file)
        writer = _Writer(folder, file.name, limits)
        with disk_errors(folder), _clear_refusals(file.name), closing(reader(stream, limits)) as members:  # type: ignore[type-var]
            for number, member in enumerate(members, 1):
                if number > limits.members:
                    raise _too_big(file.name, f"more than {limits.members} members")
                path = writer.checked(member)
                if not skip(path):
                    writer.write(member, path)


def commit_in(file: Path) -> str | None:
    """The commit that `git archive` noted in the archive's comment, as GitHub's archives have it; None elsewhere."""
    try:
        with file.open("rb") as stream:
            if _reader_for(stream, file) is _zip_members:
                with zipfile.ZipFile(stream) as archive:
                    comment = archive.comment.decode("ascii", "replace")
            else:
                with tarfile.open(fileobj=_decompressed(stream), mode="r:") as tar:
                    comment = tar.pax_headers.get("comment", "")
    except (*_BAD_CONTENT, OSError):
        return None
    return comment if len(comment) in (40, 64) and all(digit in "0123456789abcdef" for digit in comment) else None


class _Writer:
    """Writes members below one folder and nowhere else.

    Every folder on the way to a member is one that was made here: a name that passes through a file or a link is
    refused. A link may step up only at the start of its target, from a folder that is known to be real, so what
    it names lies inside.
    """

    def __init__(self, folder: Path, archive: str, limits: Limits) -> None:
        self._folder = folder
        self._archive = archive
        self._limits = limits
        self._leaves: dict[PurePosixPath, Kind] = {}
        self._written = 0

    def checked(self, member: Member) -> PurePosixPath:
        """The path of a member below the folder.

        Raises:
            SourceError: it reaches outside, comes twice, or is a device.
        """
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or "\0" in member.name or not member.name:
            raise self._refusal(member, "climbs out of the archive's folder")
        if member.kind is Kind.OTHER:
            raise self._refusal(member, "is a device or a pipe")
        if any(parent in self._leaves for parent in path.parents):
            raise self._refusal(member, "leads through a file or a link")
        if path in self._leaves or (member.kind is not Kind.FOLDER and path == PurePosixPath(".")):
            raise self._refusal(member, "comes twice")
        if member.kind is Kind.SYMLINK and not _stays_inside(path, member.target):
            raise self._refusal(member, f"points outside, to {member.target!r}")
        return path

    def write(self, member: Member, path: PurePosixPath) -> None:
        """Write one checked member."""
        place = self._folder / path
        if member.kind is Kind.FOLDER:
            place.mkdir(parents=True, exist_ok=True)
            return
        if place.is_dir():
            raise self._refusal(member, "comes twice")
        place.parent.mkdir(parents=True, exist_ok=True)
        if member.kind is Kind.SYMLINK:
            place.symlink_to(member.target)
        elif member.kind is Kind.HARDLINK:
            self._copy(member, place)
        else:
            self._fill(member, place)
        self._leaves[path] = member.kind

    def _copy(self, member: Member, place: Path) -> None:
        original = PurePosixPath(member.target)
        if self._leaves.get(original) not in (Kind.FILE, Kind.HARDLINK):
            raise self._refusal(member, f"stands for {member.target!r}, which is no file that came before it")
        self._count((self._folder / original).stat().st_size)
        shutil.copy(self._folder / original, place)

    def _fill(self, member: Member, place: Path) -> None:
        content = member.open()
        if content is None:
            raise self._refusal(member, "has no content")
        with content, place.open("xb") as target:
            while chunk := content.read(_CHUNK):
                self._count(len(chunk))
                target.write(chunk)
        place.chmod(0o755 if member.executable else 0o644)

    def _count(self, size: int) -> None:
        self._written += size
        if self._written > self._limits.size:
            raise _too_big(self._archive, f"more than {self._limits.size} bytes")

    def _refusal(self, member: Member, what: str) -> SourceError:
        return SourceError(
            f"{self._archive}: the {member.kind.value} {member.name!r} {what}.",
            "Do not use this archive; get it again from where you trust it.",
        )


class _Watched:
    """A stream that cannot be read or skipped beyond a bound, and that remembers what was read last."""

    def __init__(self, stream: IO[bytes], name: str, limit: int) -> None:
        self._stream = stream
        self._name = name
        self._limit = limit
        self.last = b""

    def read(self, size: int) -> bytes:
        if size > self._limit:
            raise _too_big(self._name, f"a header of {size} bytes")
        self.last = self._stream.read(size)
        self._check()
        return self.last

    def seek(self, position: int) -> int:
        if position > self._limit:
            raise _too_big(self._name, f"more than {self._limit} bytes")
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()

    def drain(self) -> None:
        """Read to the end, so that the checksum of the compression is looked at."""
        while self._stream.read(_CHUNK):
            self._check()

    def _check(self) -> None:
        if self._stream.tell() > self._limit:
            raise _too_big(self._name, f"more than {self._limit} bytes")


def _reader_for(stream: BinaryIO, file: Path) -> Reader:
    start = stream.read(_TAR_MAGIC_AT + 5)
    stream.seek(0)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_members
    if start.startswith((b"\x1f\x8b", b"\xfd7zXZ\0", b"BZh")) or start[_TAR_MAGIC_AT:] == b"ustar":
        return _tar_members
    raise SourceError(f"{file} is no archive.", "Name a .tar.gz, .tar.xz, .tar.bz2, .tar or .zip file.")


def _decompressed(stream: BinaryIO) -> IO[bytes]:
    start = stream.read(6)
    stream.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=stream))
    if start.startswith(b"BZh"):
        return cast(IO[bytes], bz2.BZ2File(stream))
    return cast(IO[bytes], lzma.LZMAFile(stream)) if start.startswith(b"\xfd7zXZ") else stream


def _tar_members(file: BinaryIO, limits: Limits) -> Iterator[Member]:
    room = limits.size + (limits.members + 2) * 2 * tarfile.BLOCKSIZE
    watched = _Watched(_decompressed(file), Path(file.name).name, room)
    with tarfile.open(fileobj=cast(IO[bytes], watched), mode="r:", errorlevel=2) as tar:
        while info := tar.next():
            cast(Any, tar).members.clear()
            yield _tar_member(tar, info)
        if watched.last != _END_OF_TAR:
            raise EOFError("there is no end mark")
        watched.drain()


def _tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    kinds = (
        (info.isreg(), Kind.FILE),
        (info.isdir(), Kind.FOLDER),
        (info.issym(), Kind.SYMLINK),
        (info.islnk(), Kind.HARDLINK),
    )
    kind = next((kind for holds, kind in kinds if holds), Kind.OTHER)
    return Member(info.name, kind, bool(info.mode & 0o111), info.linkname, lambda: tar.extractfile(info))


def _zip_members(file: BinaryIO, limits: Limits) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        if len(archive.infolist()) > limits.members:
            raise _too_big(Path(file.name).name, f"more than {limits.members} members")
        for info in archive.infolist():
            yield _zip_member(archive, info)


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    mode = info.external_attr >> 16
    kinds = {0: Kind.FILE, stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.FOLDER, stat.S_IFLNK: Kind.SYMLINK}
    kind = Kind.FOLDER if info.filename.endswith("/") else kinds.get(stat.S_IFMT(mode), Kind.OTHER)
    target = ""
    if kind is Kind.SYMLINK:
        with archive.open(info) as content:
            target = os.fsdecode(content.read(_MAX_TARGET + 1))
    return Member(info.filename, kind, bool(mode & 0o111), target, lambda: archive.open(info))


def _stays_inside(path: PurePosixPath, target: str) -> bool:
    if not target or "\0" in target or len(target) > _MAX_TARGET or PurePosixPath(target).is_absolute():
        return False
    parts = PurePosixPath(target).parts
    rises = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    return rises < len(path.parts) and ".." not in parts[rises:]


@contextmanager
def _clear_refusals(name: str) -> Iterator[None]:
    try:
        yield
    except (*_BAD_CONTENT, RuntimeError, NotImplementedError) as error:
        raise _damaged(name, error) from error
    except OSError as error:
        if error.errno is None:
            raise _damaged(name, error) from error
        raise


def _damaged(name: str, error: Exception) -> SourceError:
    return SourceError(f"{name} is damaged or cut off: {error}.", "Get the archive again.")


def _too_big(name: str, what: str) -> SourceError:
    return SourceError(f"{name} unpacks to too much: {what}.", "This is no llama.cpp source archive; take another.")
