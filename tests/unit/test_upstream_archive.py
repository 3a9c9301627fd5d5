"""Archives that nobody vouches for."""

from __future__ import annotations

import errno
import gzip
import io
import os
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from builder.errors import SourceError
from builder.upstream.archive import Limits, commit_in, unpack

_PARTS = st.sampled_from(["a", "b", "..", ".", "", "c.txt", "link", "~", "C:", "\\..\\x", "é"])
_NAMES = st.lists(_PARTS, min_size=1, max_size=5).map("/".join) | st.text(max_size=20)
_MEMBERS = st.lists(
    st.tuples(_NAMES, st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]), _NAMES),
    max_size=8,
)


def _info(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", *, size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    info.size = size
    return info


def _tar(file: Path, *members: tuple[str, bytes, str], mode: str = "w:gz") -> Path:
    with tarfile.open(file, mode) as tar:  # type: ignore[call-overload]
        for name, kind, target in members:
            content = b"text" if kind == tarfile.REGTYPE else b""
            tar.addfile(_info(name, kind, target, size=len(content)), io.BytesIO(content))
    return file


def _file(name: str) -> tuple[str, bytes, str]:
    return name, tarfile.REGTYPE, ""


def _link(name: str, target: str) -> tuple[str, bytes, str]:
    return name, tarfile.SYMTYPE, target


def _unpack(file: Path, folder: Path, limits: Limits | None = None) -> None:
    folder.mkdir(exist_ok=True)
    unpack(file, folder, limits=limits, skip=lambda _: False)


def _all_inside(folder: Path) -> bool:
    """Whether every link leads to a place inside; loops lead nowhere, and `realpath` makes nonsense of some."""
    top = os.path.realpath(folder)
    return all(os.path.realpath(path).startswith(f"{top}/") or _loops(path) for path in _links(folder))


def _loops(path: Path) -> bool:
    try:
        path.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def _links(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_symlink() and os.path.realpath(path) != str(folder.resolve())]


def _everything_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_every_compression_is_unpacked(tmp_path: Path, mode: str) -> None:
    archive = _tar(tmp_path / "x", _file("top/a"), _link("top/sub/l", "../a"), mode=mode)
    _unpack(archive, tmp_path / "out")
    assert (tmp_path / "out" / "top" / "sub" / "l").read_text() == "text"


def test_modes_are_reduced_to_the_executable_bit(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x", "w:gz") as tar:
        for name, mode in (("run", 0o4777), ("read", 0o666)):
            info = _info(name)
            info.mode = mode
            tar.addfile(info)
    _unpack(tmp_path / "x", tmp_path / "out")
    assert (tmp_path / "out" / "run").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "out" / "read").stat().st_mode & 0o7777 == 0o644


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ([_file("../evil")], "../evil"),
        ([_file("top/../../evil")], "top/../../evil"),
        ([_file("/evil")], "/evil"),
        ([_link("l", "/etc")], "l"),
        ([_link("l", "..")], "l"),
        ([_link("a/l", "../../x")], "a/l"),
        ([_link("d", "."), _link("e", "d/../x")], "e"),
        ([_link("s/d", ".."), _link("e", "s/d/../x")], "e"),
        ([_link("l", "sub"), _file("l/evil")], "l/evil"),
        ([_file("f"), _file("f/evil")], "f/evil"),
        ([_link("l", "a"), _file("l")], "l"),
        ([_file("l"), _link("l", "a")], "l"),
        ([_file("d/x"), _link("d", "a")], "d"),
        ([("h", tarfile.LNKTYPE, "/etc/passwd")], "h"),
        ([("h", tarfile.LNKTYPE, "../x")], "h"),
        ([_link("l", "a"), ("h", tarfile.LNKTYPE, "l")], "h"),
        ([("p", tarfile.FIFOTYPE, "")], "p"),
        ([("dev", tarfile.CHRTYPE, "")], "dev"),
    ],
)
def test_what_reaches_outside_is_refused_by_name(
    tmp_path: Path, members: list[tuple[str, bytes, str]], named: str
) -> None:
    with pytest.raises(SourceError) as refusal:
        _unpack(_tar(tmp_path / "x.tar.gz", *members), tmp_path / "out")
    assert repr(named) in refusal.value.cause


@pytest.mark.parametrize(
    ("member", "sentence"),
    [
        (("p", tarfile.FIFOTYPE, ""), "x.tar.gz: the member 'p' is a device or a pipe."),
        (
            ("h", tarfile.LNKTYPE, "/etc/passwd"),
            "x.tar.gz: the hard link 'h' stands for '/etc/passwd', which is no file that came before it.",
        ),
    ],
)
def test_a_refusal_is_one_plain_sentence(tmp_path: Path, member: tuple[str, bytes, str], sentence: str) -> None:
    with pytest.raises(SourceError) as refusal:
        _unpack(_tar(tmp_path / "x.tar.gz", member), tmp_path / "out")
    assert refusal.value.cause == sentence


@given(_MEMBERS)
@settings(max_examples=60, deadline=None)
@example([("a", tarfile.SYMTYPE, "b"), ("b", tarfile.SYMTYPE, ".."), ("a/x", tarfile.REGTYPE, "")])
@example([("\ud800", tarfile.REGTYPE, "")])
@example([("a", tarfile.SYMTYPE, "a//a")])
def test_nothing_is_ever_written_outside(members: list[tuple[str, bytes, str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        around = Path(name)
        try:
            _tar(around / "x.tar.gz", *members)
        except (UnicodeError, ValueError):
            return
        out = around / "deep" / "out"
        out.mkdir(parents=True)
        with suppress(SourceError):
            _unpack(around / "x.tar.gz", out)
        assert {path.name for path in around.iterdir()} == {"x.tar.gz", "deep"}
        assert {path.name for path in (around / "deep").iterdir()} == {"out"}
        assert _all_inside(out)


@given(st.lists(st.tuples(_NAMES, st.booleans(), _NAMES), max_size=6))
@settings(max_examples=40, deadline=None)
def test_nothing_is_ever_written_outside_by_a_zip(members: list[tuple[str, bool, str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        around = Path(name)
        try:
            with zipfile.ZipFile(around / "x.zip", "w") as archive:
                for member, is_link, target in dict((row[0], row) for row in members).values():  # noqa: C402
                    info = zipfile.ZipInfo(member)
                    info.external_attr = (0o120777 if is_link else 0o100644) << 16
                    archive.writestr(info, target)
        except UnicodeError:
            return
        with suppress(SourceError):
            _unpack(around / "x.zip", around / "out")
        assert {path.name for path in around.iterdir()} == {"x.zip", "out"}
        assert _all_inside(around / "out")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_an_archive_cut_off_anywhere_is_refused(tmp_path: Path, mode: str) -> None:
    with tarfile.open(tmp_path / "whole", mode) as tar:  # type: ignore[call-overload]
        for number in range(3):
            tar.addfile(_info(f"top/{number}", size=700), io.BytesIO(bytes(range(70)) * 10))
    whole = (tmp_path / "whole").read_bytes()
    content_end = 3 * (512 + 1024) if mode == "w" else len(whole)
    cuts = sorted({*range(1, content_end, max(1, content_end // 40)), *(512 * n for n in range(content_end // 512))})
    for number, cut in enumerate(cuts):
        (tmp_path / "cut").write_bytes(whole[:cut])
        with pytest.raises(SourceError):
            _unpack(tmp_path / "cut", tmp_path / f"out{number}")


def test_a_zip_cut_off_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a", b"text" * 500)
    (tmp_path / "x.zip").write_bytes((tmp_path / "x.zip").read_bytes()[:-30])
    with pytest.raises(SourceError, match="damaged or cut off"):
        _unpack(tmp_path / "x.zip", tmp_path / "out")


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "x", *(_file(f"f{number}") for number in range(50)))
    content = bytearray(archive.read_bytes())
    content[-6] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(SourceError, match="damaged or cut off"):
        _unpack(archive, tmp_path / "out")


def test_too_many_bytes_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x", "w:gz") as tar:
        tar.addfile(_info("zeros", size=50_000_000), io.BytesIO(bytes(50_000_000)))
    with pytest.raises(SourceError, match="too much"):
        _unpack(tmp_path / "x", tmp_path / "out", Limits(size=10_000_000))
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*")) <= 10_000_000


def test_skipped_members_count_towards_the_bound(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x", "w:gz") as tar:
        tar.addfile(_info("zeros", size=50_000_000), io.BytesIO(bytes(50_000_000)))
        tar.addfile(_info("after"))
    (tmp_path / "out").mkdir()
    with pytest.raises(SourceError, match="too much"):
        unpack(
            tmp_path / "x",
            tmp_path / "out",
            limits=Limits(10_000_000, members=100),
            skip=lambda path: path.name == "zeros",
        )


def test_a_header_that_claims_gigabytes_is_not_read(tmp_path: Path) -> None:
    header = _info("pax", tarfile.XHDTYPE, size=8 << 30).tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "x").write_bytes(gzip.compress(header + bytes(4096)))
    with pytest.raises(SourceError, match="too much"):
        _unpack(tmp_path / "x", tmp_path / "out")


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "x", *(_file(f"f{number}") for number in range(20)))
    with pytest.raises(SourceError, match="members"):
        _unpack(archive, tmp_path / "out", Limits(members=10))


@pytest.mark.parametrize("content", [b"", b"plain text", bytes(2000), b"\x1f\x8b", b"PK\x03\x04"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(SourceError):
        _unpack(tmp_path / "x", tmp_path / "out")


def _commented_tar(file: Path, comment: str) -> None:
    with tarfile.open(file, "w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": comment}) as tar:
        tar.addfile(_info("a"))


def _commented_zip(file: Path, comment: str) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.comment = comment.encode()


@pytest.mark.parametrize("make", [_commented_tar, _commented_zip])
def test_the_commit_in_the_comment_is_read(tmp_path: Path, make: Callable[[Path, str], None]) -> None:
    commit = "0c1e57098bba43ac29e6e3b677cdceebdd22334f"
    make(tmp_path / "x", commit)
    assert commit_in(tmp_path / "x") == commit
    make(tmp_path / "y", "made by hand")
    assert commit_in(tmp_path / "y") is None


def test_the_folder_is_whole_after_a_good_archive(tmp_path: Path) -> None:
    _unpack(_tar(tmp_path / "x", _file("./top/a"), ("top/d", tarfile.DIRTYPE, "")), tmp_path / "out")
    assert _everything_below(tmp_path / "out") == {"top", "top/a", "top/d"}
