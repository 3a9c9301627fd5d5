"""Where libraries are found: cache, configuration, and what is said where they are not."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.gates.structure.elf import Binary
from builder.gates.structure.files import File, FileKind, Files
from builder.gates.structure.loader import Lacking, Loader
from builder.gates.structure.search_path import expand, folders_of_configuration, read_cache

X86 = "x86-64"


def files(binaries: dict[str, Binary], texts: dict[str, bytes] | None = None) -> Files:
    entries: dict[str, File] = {}
    for path in (*binaries, *(texts or {})):
        parts = path.split("/")
        for end in range(2, len(parts)):
            folder = "/".join(parts[:end])
            entries[folder] = File(folder, FileKind.FOLDER, 0o755, 0, 0, 0)
        entries[path] = File(path, FileKind.FILE, 0o755, 0, 0, 1)
    return Files(entries, texts or {}, binaries)


def cache(*rows: tuple[str, str, int]) -> bytes:
    """A cache as glibc writes it, after an empty one of the old form."""
    strings, entries = b"", b""
    start = 48 + 24 * len(rows)
    for name, path, capabilities in rows:
        offsets = []
        for word in (name, path):
            offsets.append(start + len(strings))
            strings += word.encode() + b"\0"
        entries += struct.pack("<iIIIQ", 0x303, *offsets, 0, capabilities)
    header = struct.pack("<20sII20x", b"glibc-ld.so.cache1.1", len(rows), len(strings))
    return b"ld.so-1.7.0\0\0\0\0\0" + header + entries + strings


_WORDS = st.text("abc./", min_size=1, max_size=9)


@given(st.lists(st.tuples(_WORDS, _WORDS, st.integers(0, 1)), max_size=6))
def test_a_cache_gives_paths_by_name_in_its_order(rows: list[tuple[str, str, int]]) -> None:
    found = read_cache(cache(*rows))
    plain = [(name, path) for name, path, capabilities in rows if not capabilities]
    assert [(name, path) for name, paths in found.items() for path in paths] == sorted(
        plain, key=lambda row: [name for name, _ in plain].index(row[0])
    )


@given(st.binary(max_size=200), st.booleans())
def test_a_cache_of_any_bytes_is_read(content: bytes, begun: bool) -> None:
    assert isinstance(read_cache((b"glibc-ld.so.cache1.1" if begun else b"") + content), dict)


@pytest.mark.parametrize(
    ("folder", "wanted"),
    [
        ("$ORIGIN/../lib", "/opt/x/../lib"),
        ("${ORIGIN}", "/opt/x"),
        ("/usr/$LIB", "/usr/lib64"),
        ("$ORIGINAL", "$ORIGINAL"),
        ("/plain", "/plain"),
    ],
)
def test_tokens_are_put_in(folder: str, wanted: str) -> None:
    assert expand(folder, "/opt/x", "lib64") == wanted


def test_configuration_is_read_with_its_includes_once_each() -> None:
    texts = {
        "/etc/ld.so.conf": b"/first # that\ninclude ld.so.conf.d/*.conf\n/last\n",
        "/etc/ld.so.conf.d/b.conf": b"/b\ninclude /etc/ld.so.conf\n",
        "/etc/ld.so.conf.d/a.conf": b"/a\nhwcap 1 nosegneg\n",
        "/etc/ld.so.conf.d/c.other": b"/c\n",
    }
    assert list(folders_of_configuration(files({}, texts))) == ["/first", "/a", "/b", "/last"]


def test_the_cache_comes_before_the_default_folders() -> None:
    library = Binary(64, X86)
    binaries = {"/bin/x": Binary(64, X86, needed=("liby.so",)), "/elsewhere/liby.so": library, "/lib/liby.so": library}
    texts = {"/etc/ld.so.cache": cache(("liby.so", "/elsewhere/liby.so", 0))}
    assert Loader(files(binaries, texts)).load("/bin/x").paths == {"liby.so": "/elsewhere/liby.so"}
    assert Loader(files(binaries)).load("/bin/x").paths == {"liby.so": "/lib/liby.so"}


@pytest.mark.parametrize("other", [Binary(32, X86), Binary(64, "AArch64")])
def test_a_file_for_another_machine_is_passed_over(other: Binary) -> None:
    binaries = {"/bin/x": Binary(64, X86, needed=("liby.so",)), "/usr/lib64/liby.so": other}
    (missing,) = Loader(files(binaries)).load("/bin/x").missing
    assert (missing.name, missing.by) == ("liby.so", "/bin/x")
    assert f"/usr/lib64/liby.so is for {other.kind}" in missing.why
    process = Loader(files({**binaries, "/usr/lib/liby.so": Binary(64, X86)})).load("/bin/x")
    assert process.paths == {"liby.so": "/usr/lib/liby.so"}


def test_an_empty_element_of_the_library_path_is_the_working_folder() -> None:
    binaries = {"/bin/x": Binary(64, X86, needed=("liby.so",)), "/srv/liby.so": Binary(64, X86)}
    assert Loader(files(binaries), ":/nowhere", "/srv").load("/bin/x").paths == {"liby.so": "/srv/liby.so"}
    assert Loader(files(binaries), "", "/srv").load("/bin/x").missing


def test_versions_that_are_not_defined_are_told_but_not_of_libraries_without_versions() -> None:
    wants = Binary(64, X86, needed=("liby.so",), requires={"liby.so": ("Y_1", "Y_2")})
    for defines, lacking in ((frozenset({"Y_1"}), (Lacking("Y_2", "/lib/liby.so", "/bin/x"),)), (frozenset(), ())):
        binaries = {"/bin/x": wants, "/lib/liby.so": Binary(64, X86, defines=defines)}
        assert Loader(files(binaries)).load("/bin/x").lacking == lacking


def test_what_is_needed_in_a_circle_is_loaded_once() -> None:
    binaries = {
        "/lib/liba.so": Binary(64, X86, soname="liba.so", needed=("libb.so",)),
        "/lib/libb.so": Binary(64, X86, soname="libb.so", needed=("liba.so", "libgone.so")),
    }
    process = Loader(files(binaries)).load("/lib/liba.so")
    assert process.paths == {"libb.so": "/lib/libb.so"}
    assert [one.name for one in process.missing] == ["libgone.so"]
