"""An image's file system, from archives made here."""

from __future__ import annotations

import io
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.gates.structure.elf import DamagedBinary, read_binary
from builder.gates.structure.files import File, FileKind, Files
from builder.gates.structure.reading import read_archive

LIBRARY = Path(next(line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libc.so" in line))
"""A real library: this process's C library."""


def member(name: str, *, kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, mode
    return info


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def read(*members: tuple[tarfile.TarInfo, bytes]) -> Files:
    return read_archive(io.BytesIO(archive(*members)))


def tree(**links: str) -> Files:
    entries = {f"/{name}": File(f"/{name}", FileKind.FOLDER, 0o755, 0, 0, 0) for name in ("a", "a/b", "c")}
    entries["/a/b/file"] = File("/a/b/file", FileKind.FILE, 0o755, 0, 0, 1)
    for name, target in links.items():
        entries[f"/{name}"] = File(f"/{name}", FileKind.LINK, 0o777, 0, 0, 0, target)
    return Files(entries)


@pytest.mark.parametrize("target", ["a/b", "/a/b", "./a//b/", "../../a/b", "c/../a/b"])
def test_links_are_followed_inside_the_images_root(target: str) -> None:
    found = tree(link=target).find("/link/file")
    assert found is not None
    assert found.path == "/a/b/file"


@pytest.mark.parametrize("target", ["link", "/nowhere", "/link/link"])
def test_links_to_themselves_or_nowhere_lead_nowhere(target: str) -> None:
    assert tree(link=target).find("/link/file") is None


def test_a_chain_of_forty_links_is_followed_and_a_longer_one_is_not() -> None:
    links = {f"l{number}": f"l{number + 1}" for number in range(60)}
    files = tree(**links, l60="a/b/file")
    assert files.find("/l21") is not None
    assert files.find("/l20") is None


def test_a_program_is_found_on_path_in_its_order_and_only_where_it_may_be_executed() -> None:
    files = tree(bin="a/b")
    assert files.on_path("file", "relative:/c:/bin") is files.entries["/a/b/file"]
    assert files.on_path("/bin/file", "") is files.entries["/a/b/file"]
    assert files.on_path("file", "/c") is None
    assert files.on_path("b", "/a") is None


def test_an_archive_is_read_with_hard_links_and_capabilities() -> None:
    ping = member("usr/bin/ping", mode=0o755)
    ping.pax_headers = {"SCHILY.xattr.security.capability": "\x01"}
    files = read(
        (member("./etc/passwd"), b"root:x:0:0\n"),
        (member("etc/passwd-", kind=tarfile.LNKTYPE, target="etc/passwd"), b""),
        (ping, b"#!"),
        (member("usr/bin/su", mode=0o4755), b"#!"),
    )
    assert files.texts["/etc/passwd-"] == b"root:x:0:0\n"
    assert [path for path, file in files.entries.items() if file.gives_rights] == ["/usr/bin/ping", "/usr/bin/su"]


def test_of_other_files_only_where_secrets_are_is_kept() -> None:
    key = b"-----BEGIN OPENSSH PRIVATE KEY-----\n"
    files = read((member("root/a"), key), (member("usr/share/a"), key), (member("b.pem"), key), (member("c"), b"x"))
    assert files.secrets == ("/b.pem", "/root/a")
    assert files.texts == {}


def test_secrets_are_found_under_other_names_in_large_texts_and_where_no_package_puts_files() -> None:
    token = b"token ghp_" + b"A1b2" * 9 + b"\n"
    link = member("root/copied", kind=tarfile.LNKTYPE, target="usr/share/doc/x")
    fill = b"x " * (1 << 19)
    files = read(
        (member("usr/share/doc/x"), token),
        (link, b""),
        (member("librarian/notes"), token),
        (member("usr/library/notes"), token),
        (member("home/first.log"), token + fill * 2),
        (member("home/across.log"), fill[:-20] + token + fill),
        (member("home/last.log"), fill * 2 + token),
        (member("home/harmless.log"), fill * 2),
        (member("opt/llama.cpp/notes.so.txt"), fill * 2 + token),
        (member("usr/lib/x"), token),
    )
    assert files.secrets == (
        *("/home/across.log", "/home/first.log", "/home/last.log", "/librarian/notes"),
        *("/opt/llama.cpp/notes.so.txt", "/root/copied", "/usr/library/notes"),
    )


def test_where_contents_do_not_matter_none_is_kept() -> None:
    content = archive((member("etc/passwd", mode=0o644), b"x"), (member("usr/lib/libc.so.6"), LIBRARY.read_bytes()))
    files = read_archive(io.BytesIO(content), contents=False)
    assert files.entries["/etc/passwd"].size == 1
    assert not files.texts
    assert not files.binaries


def test_a_real_library_is_looked_into_and_a_broken_one_is_told() -> None:
    content = LIBRARY.read_bytes()
    files = read(
        (member("usr/lib/libc.so.6"), content),
        (member("usr/lib/libcut.so"), content[: len(content) // 2]),
        (member("usr/lib/libtext.so"), b"INPUT(libc.so.6)"),
    )
    assert files.binaries["/usr/lib/libc.so.6"].soname == "libc.so.6"
    assert "GLIBC_2.17" in files.binaries["/usr/lib/libc.so.6"].defines
    assert "cut off" in files.damaged["/usr/lib/libcut.so"]
    assert "/usr/lib/libtext.so" not in files.binaries


@pytest.mark.parametrize("left", [0, 1, 100, 1000])
def test_an_archive_that_is_cut_off_is_no_archive(left: int) -> None:
    whole = archive((member("etc/passwd"), b"x" * 2000))
    with pytest.raises(tarfile.TarError):
        read_archive(io.BytesIO(whole[:left]))


@given(st.binary(max_size=300))
def test_what_only_begins_like_elf_is_damaged(rest: bytes) -> None:
    content = b"\x7fELF" + rest
    with pytest.raises(DamagedBinary):
        read_binary(io.BytesIO(content), len(content))


def test_list_of_symbol_versions_that_leads_back_to_itself_is_damage() -> None:
    from elftools.elf.elffile import ELFFile
    from elftools.elf.gnuversions import GNUVerNeedSection

    content = bytearray(LIBRARY.read_bytes())
    elf = ELFFile(io.BytesIO(content))
    index, section = next(pair for pair in enumerate(elf.iter_sections()) if isinstance(pair[1], GNUVerNeedSection))
    header = elf["e_shoff"] + index * elf["e_shentsize"]
    content[header + 44 : header + 48] = (2**32 - 1).to_bytes(4, "little")
    content[section["sh_offset"] + 12 : section["sh_offset"] + 16] = bytes(4)
    with pytest.raises(DamagedBinary, match="no end"):
        read_binary(io.BytesIO(content), len(content))


@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=8), st.booleans())
def test_a_library_with_wrong_bytes_is_read_or_damaged(changes: list[tuple[int, int]], at_the_end: bool) -> None:
    content = bytearray(LIBRARY.read_bytes())
    for place, value in changes:
        content[len(content) - 1 - place if at_the_end else place] = value
    with suppress(DamagedBinary):
        assert read_binary(io.BytesIO(content), len(content)).bits in (32, 64)
