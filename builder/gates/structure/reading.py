"""From the stream of an image's files to what is kept of them."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass, field, replace
from io import BufferedReader, BytesIO
from pathlib import Path
from tempfile import SpooledTemporaryFile, gettempdir
from typing import IO, Any

from builder.engine.client import Engine
from builder.gates.structure.digesting import Digesting
from builder.gates.structure.elf import MAGIC, Binary, DamagedBinary, read_binary
from builder.gates.structure.files import File, FileKind, Files, absolute
from builder.gates.structure.piping import piped
from builder.gates.structure.tokens import is_secret_in
from builder.plan.marks import FOLDER
from builder.staging import disk_errors

_TEXTS = ("/etc/ld.so.conf", "/etc/ld.so.cache", "/etc/passwd", "/etc/group", f"{FOLDER}/", "/usr/local/bin/")
"""What is kept whole, by the start of its path."""
SHIPPED = (f"{FOLDER}/", "/usr/local/bin/")
"""Where the build puts files, by the start of its path."""
PACKAGED = (
    *("/usr/bin/", "/usr/sbin/", "/usr/lib/", "/usr/lib32/", "/usr/lib64/", "/usr/libexec/", "/usr/libx32/"),
    *("/usr/share/", "/usr/include/", "/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/libx32/"),
    *("/proc/", "/sys/", "/dev/", "/var/lib/dpkg/", "/etc/ssl/certs/"),
)
"""Where packages put what everybody has, by the start of its path; a secret there counts only under another name."""
_PROGRAMS = ("curl",)
"""Names of programs outside of the build's own folder that are looked into."""
_TEXT_LIMIT = 1 << 20
"""Bytes of the longest text that is kept."""
_IN_MEMORY = 64 << 20
"""Bytes of one library that are held in memory while it is read; a larger one is put on disk meanwhile."""
_PIECE = 1 << 20
_CAPABILITIES = "SCHILY.xattr.security.capability"
_KINDS = (
    (tarfile.TarInfo.isreg, FileKind.FILE),
    (tarfile.TarInfo.isdir, FileKind.FOLDER),
    (tarfile.TarInfo.issym, FileKind.LINK),
)


def read_image(
    engine: Engine, image: str, *, timeout: float, run_id: str | None = None, contents: bool = True
) -> Files:
    """Read an image's file system; neither its stream nor its files are kept.

    Args:
        image: its ID.
        timeout: seconds.
        run_id: the run it is done for.
        contents: whether to look into files too, and not at their names, sizes and rights alone.

    Raises:
        CommandTimeout: it did not end in time.
        MachineError: no engine, the engine refused, or the disk is full.
    """
    return piped(
        lambda take: engine.export(image, take, timeout=timeout, run_id=run_id),
        lambda stream: read_archive(stream, contents=contents),
    )


def read_archive(stream: IO[bytes], *, contents: bool = True) -> Files:
    """Read a tar archive from start to end.

    Args:
        contents: whether to look into files too.

    Raises:
        tarfile.TarError: it is none, or cut off.
    """
    collector = _Collector(contents)
    with tarfile.open(fileobj=stream, mode="r|", bufsize=_PIECE) as archive:
        for member in archive:
            collector.take(archive, member)
    return collector.files()


@dataclass
class _Collector:
    contents: bool
    entries: dict[str, File] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    binaries: dict[str, Binary] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    digests: dict[str, str] = field(default_factory=dict)

    def take(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = absolute(member.name)
        if member.islnk():
            self._repeat(absolute(member.linkname), path)
            return
        self.entries[path] = _entry(path, member)
        content = archive.extractfile(member) if self.contents and member.isreg() else None
        if content is None:
            return
        if not path.startswith(SHIPPED):
            self._take_content(path, member.size, content)
            return
        digesting = Digesting(content)
        self._take_content(path, member.size, BufferedReader(digesting, _PIECE))
        self.digests[path] = digesting.finish()

    def _take_content(self, path: str, size: int, content: IO[bytes]) -> None:
        if _may_be_binary(path):
            self._look_into(path, size, content)
            return
        start = content.read(len(MAGIC))
        if start != MAGIC or may_hold_secrets(path):
            self._read_text(path, size, start, content)

    def files(self) -> Files:
        secrets = tuple(sorted(filter(may_hold_secrets, self.secrets)))
        return Files(self.entries, self.texts, self.binaries, self.damaged, secrets, self.digests)

    def _repeat(self, original: str, path: str) -> None:
        if original in self.entries:
            self.entries[path] = replace(self.entries[original], path=path)
        stores: tuple[dict[str, Any], ...] = (self.texts, self.binaries, self.damaged, self.digests)
        for store in stores:
            if original in store:
                store[path] = store[original]
        if original in self.secrets:
            self.secrets.add(path)

    def _read_text(self, path: str, size: int, start: bytes, content: IO[bytes]) -> None:
        if path.startswith(_TEXTS) and size <= _TEXT_LIMIT:
            self.texts[path] = start + content.read()
            start, content = b"", BytesIO(self.texts[path])
        if is_secret_in(content, start):
            self.secrets.add(path)

    def _look_into(self, path: str, size: int, content: IO[bytes]) -> None:
        start = content.read(len(MAGIC))
        if start != MAGIC:
            self._read_text(path, size, start, content)
            return
        with disk_errors(Path(gettempdir())), SpooledTemporaryFile(_IN_MEMORY) as whole:
            whole.write(start)
            while piece := content.read(_PIECE):
                whole.write(piece)
            try:
                self.binaries[path] = read_binary(whole, size)
            except DamagedBinary as error:
                self.damaged[path] = str(error)


def _entry(path: str, member: tarfile.TarInfo) -> File:
    return File(
        path=path,
        kind=next((kind for asks, kind in _KINDS if asks(member)), FileKind.OTHER),
        mode=member.mode,
        owner=member.uid,
        group=member.gid,
        size=member.size,
        target=member.linkname if member.issym() else "",
        capabilities=_CAPABILITIES in member.pax_headers,
    )


def _may_be_binary(path: str) -> bool:
    name = path.rpartition("/")[2]
    return path.startswith(f"{FOLDER}/") or name in _PROGRAMS or (".so" in name and "/gconv/" not in path)


def may_hold_secrets(path: str) -> bool:
    """Whether a file is where secrets are looked for, and not where packages put what everybody has."""
    return not path.startswith(PACKAGED)
