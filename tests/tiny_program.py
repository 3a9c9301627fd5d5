"""Programs of a few hundred bytes, made without a compiler: they write a text to standard error and then end.

They are what a container needs to behave like a llama-server that is asked for its version: real programs for
a real kernel, statically linked, for x86_64.
"""

from __future__ import annotations

import struct
from enum import Enum

MACHINE = "x86_64"
"""The architecture they are for, as `uname -m` names it."""

_BASE = 0x400000
_HEADERS = 64 + 56
_WRITE, _PAUSE, _EXIT = 1, 34, 60
_WRITING = 24
"""Bytes of code that write the text."""
_SYSCALL = b"\x0f\x05"
_AARCH64 = 183
_X86_64 = 62


class Fate(Enum):
    """How a program ends that does not exit."""

    HANG = b"\xb8" + struct.pack("<I", _PAUSE) + _SYSCALL + b"\xeb\xf7"
    ILLEGAL_INSTRUCTION = b"\x0f\x0b"
    SEGMENTATION_FAULT = b"\x31\xc0\x89\x00"
    FLOOD = b"\xeb"
    """Writes the text again and again."""


def program(text: bytes, end: int | Fate = 0, *, machine: int = _X86_64) -> bytes:
    """An ELF file that writes a text to standard error.

    Args:
        text: what it writes.
        end: its exit status, or what happens to it instead.
        machine: ELF's number of the architecture it claims to be for.
    """
    ending = _ending(end)
    write = b"\xb8" + struct.pack("<I", _WRITE) + b"\xbf\x02\x00\x00\x00" + b"\xba" + struct.pack("<I", len(text))
    behind = len(_SYSCALL) + len(ending)
    code = write + b"\x48\x8d\x35" + struct.pack("<i", behind) + _SYSCALL + ending
    assert len(code) == _WRITING + len(ending)
    size = _HEADERS + len(code) + len(text)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",
        *(2, machine, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0),
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + code + text


def program_for_aarch64() -> bytes:
    """One that the kernel of another architecture refuses to start."""
    return program(b"", machine=_AARCH64)


def _ending(end: int | Fate) -> bytes:
    if isinstance(end, int):
        return b"\xb8" + struct.pack("<I", _EXIT) + b"\xbf" + struct.pack("<I", end) + _SYSCALL
    code: bytes = end.value
    return code + struct.pack("<b", -_WRITING - 2) if end is Fate.FLOOD else code
