"""What the layers of an image hold that later ones hide: whoever has the image has that too.

`docker save` hands over an archive of archives: those of Docker before 25 are named `layer.tar`, later ones by their
digest, and containerd's store keeps them packed.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Literal

from builder.gates.structure.credentials import is_kept_in
from builder.gates.structure.elf import MAGIC
from builder.gates.structure.files import absolute
from builder.gates.structure.reading import may_hold_secrets
from builder.gates.structure.tokens import is_secret_in

_BLOCK = 512
_TAR = slice(257, 262)
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_PIECE = 1 << 20


@dataclass(frozen=True)
class Layers:
    """What was found in an image's layers.

    Attributes:
        read: how many were read.
        unread: how many could not be, for they are packed in a way that is not known here.
        secrets: files that hold a token, a private key or a password in any layer.
    """

    read: int
    unread: int
    secrets: tuple[str, ...]


def read_layers(stream: IO[bytes]) -> Layers:
    """Read what `docker save` writes, from start to end.

    Raises:
        tarfile.TarError: it is no archive, or cut off.
    """
    read, unread, secrets = 0, 0, dict[str, None]()
    with tarfile.open(fileobj=stream, mode="r|", bufsize=_PIECE) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() and member.size else None
            form = _form(content) if content else ""
            if content is None or not form:
                continue
            if form == "zst":
                unread += 1
                continue
            read += 1
            secrets |= dict.fromkeys(_secrets(content, "r|gz" if form == "gz" else "r|"))
    return Layers(read, unread, tuple(sorted(secrets)))


def _form(content: IO[bytes]) -> Literal["", "tar", "gz", "zst"]:
    """How a layer is packed; empty for what is none, such as the image's configuration."""
    start: bytes = content.peek(_BLOCK)  # type: ignore[attr-defined]
    if start.startswith(_GZIP):
        return "gz"
    if start.startswith(_ZSTD):
        return "zst"
    return "tar" if start[_TAR] == b"ustar" else ""


def _secrets(content: IO[bytes], mode: Literal["r|", "r|gz"]) -> Iterator[str]:
    with tarfile.open(fileobj=content, mode=mode, bufsize=_PIECE) as layer:
        for member in layer:
            path = absolute(member.name)
            if not member.isreg() or not member.size or not may_hold_secrets(path):
                continue
            if is_kept_in(path) or _holds_one(layer.extractfile(member)):
                yield path


def _holds_one(content: IO[bytes] | None) -> bool:
    """Whether a file has a secret in it; programs and libraries are not searched."""
    start = content.read(len(MAGIC)) if content else MAGIC
    return content is not None and start != MAGIC and is_secret_in(content, start)
