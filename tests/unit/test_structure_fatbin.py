"""Fat binaries as nvcc 13.0 writes them; headers taken from its output, code left out."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.gates.structure.fatbin import Code, FatBinaryError, Form, read_section

# Headers of entries in libraries made by nvcc 13.0; cuobjdump lists them as named.
SM_90 = "0200010140000000700e0000000000000000000000000000080001005a0000000000000000000000110000000000000000000000"
SM_90A = "0200010140000000700e0000000000000000000000000000080001005a0000000000000000000000110010000000000000000000"
SM_103A = "020001017000000098140000000000000000000000004000080001006700000000000000000000001100100100000000000000"
COMPUTE_100F = "010001015000000008010000000000000801000040000000000009006400000000000000000000001180200000000000000000"


def real_entry(header: str) -> bytes:
    start = bytes.fromhex(header)
    length = int.from_bytes(start[4:8], "little")
    size = int.from_bytes(start[8:16], "little")
    return start.ljust(length, b"\0")[:length] + b"\xaa" * size


def entry(kind: int, number: int, flags: int, code: bytes, header: int = 64) -> bytes:
    start = struct.pack("<HHIQIIHHIQQ", kind, 0x101, header, len(code), 0, 0, 8, 1, number, 0, flags)
    return start.ljust(header, b"\0") + code


def container(*entries: bytes) -> bytes:
    body = b"".join(entries)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def read(section: bytes, start: int = 0) -> list[Code]:
    return list(read_section(io.BytesIO(b"\xff" * start + section), start, len(section)))


@pytest.mark.parametrize(
    ("header", "name"),
    [(SM_90, "sm_90"), (SM_90A, "sm_90a"), (SM_103A, "sm_103a"), (COMPUTE_100F, "compute_100f")],
)
def test_real_headers_are_what_cuobjdump_says(header: str, name: str) -> None:
    assert [str(code) for code in read(container(real_entry(header)))] == [name]


_CODES = st.builds(Code, st.integers(50, 129), st.sampled_from(["", "a", "f"]), st.sampled_from(Form))


@given(st.lists(st.lists(st.tuples(_CODES, st.binary(max_size=60)), max_size=4), max_size=4), st.integers(0, 9))
def test_every_entry_of_every_container_is_read_wherever_the_section_begins(
    wanted: list[list[tuple[Code, bytes]]], start: int
) -> None:
    flags = {"": 0x11, "a": 0x100011, "f": 0x200011}
    kinds = {Form.PTX: 1, Form.MACHINE_CODE: 2}
    section = b"".join(
        container(*(entry(kinds[code.form], code.number, flags[code.suffix], body) for code, body in entries))
        for entries in wanted
    )
    assert read(section, start) == [code for entries in wanted for code, _ in entries]


@given(st.binary(max_size=200))
def test_what_is_no_fat_binary_is_refused_or_empty(content: bytes) -> None:
    try:
        read(content)
    except FatBinaryError:
        return
    assert content == b"" or content.startswith(b"\x50\xed\x55\xba")


@given(st.integers(1, 143))
def test_a_section_that_is_cut_off_is_refused(left: int) -> None:
    whole = container(entry(2, 90, 0x11, b"x" * 64))
    with pytest.raises(FatBinaryError):
        read(whole[:left])


def test_a_file_that_ends_before_its_section_is_refused() -> None:
    with pytest.raises(FatBinaryError, match="ends before"):
        list(read_section(io.BytesIO(b""), 0, 64))


def test_entries_of_other_kinds_are_passed_over() -> None:
    assert read(container(entry(8, 90, 0, b"other"), entry(2, 75, 0x11, b"code"))) == [Code(75, "", Form.MACHINE_CODE)]
