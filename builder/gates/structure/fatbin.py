"""Which GPU architectures a library holds code for.

nvcc puts fat binaries into the sections `.nv_fatbin` (ready to run) and `__nv_relfatbin` (relocatable). Their form
is not documented by NVIDIA; what is read here was found in the output of nvcc 13.0 and in libcublas, and is what
cuobjdump says of the same files. A section is a row of containers, each a header (magic 0xBA55ED50, version, length
of the header, length of what follows) and entries, each a header (kind, its length, length of the code, ...,
architecture, ..., flags) and the code, compressed or not.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import IO

SECTIONS = (".nv_fatbin", "__nv_relfatbin")

_CONTAINER = struct.Struct("<IHHQ")
_MAGIC = 0xBA55ED50
_ENTRY = struct.Struct("<HHIQ12xI8xQ")
"""Kind, version, length of the header, length of the code; at byte 28 the architecture; at byte 40 the flags."""
_PTX, _MACHINE_CODE = 1, 2
_ARCHITECTURE_SPECIFIC = 0x100000
_FAMILY_SPECIFIC = 0x200000
_ARCHITECTURES = range(10, 1000)


class FatBinaryError(Exception):
    """A section that is not what nvcc writes."""


class Form(StrEnum):
    """What a GPU gets."""

    MACHINE_CODE = "sm"
    PTX = "compute"


@dataclass(frozen=True, order=True)
class Code:
    """Code for one architecture.

    Attributes:
        number: such as 90.
        suffix: `a` for code that runs on this architecture only, `f` for its family, else empty.
    """

    number: int
    suffix: str
    form: Form

    def __str__(self) -> str:
        return f"{self.form}_{self.number}{self.suffix}"


def read_section(file: IO[bytes], start: int, size: int) -> Iterator[Code]:
    """What the entries of one section are for, in order, each as often as it is there.

    Args:
        start: where the section begins in the file.
        size: its bytes.

    Raises:
        FatBinaryError: it is cut off, or holds something else.
    """
    place, end = start, start + size
    while place < end:
        magic, _, header, length = _unpack(_CONTAINER, file, place, end)
        if magic != _MAGIC or header < _CONTAINER.size:
            raise FatBinaryError(f"byte {place - start} of {size} begins no fat binary")
        first, place = place + header, place + header + length
        if place > end:
            raise FatBinaryError(f"its last fat binary is cut off after {end - first} of {length} bytes")
        yield from _read_entries(file, first, place)


def _read_entries(file: IO[bytes], place: int, end: int) -> Iterator[Code]:
    while place < end:
        kind, _, header, length, number, flags = _unpack(_ENTRY, file, place, end)
        if header < _ENTRY.size or place + header + length > end or number not in _ARCHITECTURES:
            raise FatBinaryError("an entry of a fat binary has a header that is not known")
        if kind in (_PTX, _MACHINE_CODE):
            suffix = "a" if flags & _ARCHITECTURE_SPECIFIC else "f" if flags & _FAMILY_SPECIFIC else ""
            yield Code(number, suffix, Form.PTX if kind == _PTX else Form.MACHINE_CODE)
        place += header + length


def _unpack(form: struct.Struct, file: IO[bytes], place: int, end: int) -> tuple[int, ...]:
    if place + form.size > end:
        raise FatBinaryError("it is cut off")
    file.seek(place)
    content = file.read(form.size)
    if len(content) < form.size:
        raise FatBinaryError("the file ends before it does")
    return form.unpack(content)
