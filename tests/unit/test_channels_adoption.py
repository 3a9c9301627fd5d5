"""Adoption files: what is written into them, and that every byte of others stays."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from builder.channels.adoption.env_file import set_variable, value_of
from builder.channels.adoption.place import FilePlace
from builder.channels.adoption.render import Pinned, Places, files_for, images_of
from builder.channels.ledger.values import digest_of
from builder.config import Config, load
from builder.errors import MachineError, UsageError

DIGEST = f"sha256:{'ab' * 32}"
IMAGE = f"registry.example:5000/ai/llama@{DIGEST}"
PINNED = Pinned(IMAGE, "0123456789abcdef" * 2, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "b10991")
NOBODY = 65534


def config(folder: Path, **adoption: object) -> Config:
    lines = [f"{name.replace('_', '-')} = {value!r}" for name, value in adoption.items()]
    file = folder / "builder.toml"
    file.write_text("[adoption]\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return load(file, environ={})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"X=new\n"),
        (b"A=1", b"A=1\nX=new\n"),
        (b"A=1\r\n", b"A=1\r\nX=new\r\n"),
        (b"A=1\r\nB=2", b"A=1\r\nB=2\r\nX=new\r\n"),
        (b"X=old", b"X=new"),
        (b"X=old\r\nA=1\r\n", b"X=new\r\nA=1\r\n"),
        (b"X=\nA=1\n", b"X=new\nA=1\n"),
        (b"X\nA=1\n", b"X=new\nA=1\n"),
        (b"X", b"X=new"),
        (b"export X=old\n", b"export X=new\n"),
        (b"  export   X = old  # why\n", b"  export   X = new  # why\n"),
        (b"X: old\n", b"X: new\n"),
        (b"X=old#no-comment\n", b"X=new\n"),
        (b'X="old # no comment" # comment\n', b'X="new" # comment\n'),
        (b"X='o\\'ld'\n", b"X='new'\n"),
        (b'X="two\nlines"\nA=1\n', b'X="new"\nA=1\n'),
        (b'X=""A=1\n', b'X="new"A=1\n'),
        (b"X=1\nA=2\nX=3\n", b"X=new\nA=2\nX=new\n"),
        (b"# X=old\n", b"# X=old\nX=new\n"),
        (b"XX=old\nAX=old\nX.Y=old\n", b"XX=old\nAX=old\nX.Y=old\nX=new\n"),
        (b'A="first\nX=old\n"\n', b'A="first\nX=old\n"\nX=new\n'),
        (b"A='first\nX=old\n'\nX=old\n", b"A='first\nX=old\n'\nX=new\n"),
        (b'A="with \\" quote"\nX=old\n', b'A="with \\" quote"\nX=new\n'),
        (b'A=in"side\nX=old\n', b'A=in"side\nX=new\n'),
        (b"\xef\xbb\xbfX=old\n", b"\xef\xbb\xbfX=new\n"),
        (b"A=\xff\xfe\nX=old\n", b"A=\xff\xfe\nX=new\n"),
        (b"no assignment at all\nX=old\n", b"no assignment at all\nX=new\n"),
        (b'A="a" X=old\n', b'A="a" X=new\n'),
    ],
)
def test_only_the_value_of_the_variable_changes(before: bytes, after: bytes) -> None:
    assert set_variable(before, "X", "new", ".env") == after
    assert value_of(after, "X", ".env") == "new"


@pytest.mark.parametrize("content", [b'A="never closed\nX=old\n', b"X='old\n"])
def test_a_quote_that_is_never_closed_is_refused_with_its_line(content: bytes) -> None:
    line = content[: content.find(b"'" if b"'" in content else b'"')].count(b"\n") + 1
    with pytest.raises(UsageError, match=rf"line {line} of \.env"):
        set_variable(content, "X", "new", ".env")


_NAMES = st.sampled_from([b"A", b"XX", b"X_", b"B.c", b"AX", b"x"])
_VALUES = st.one_of(
    st.from_regex(rb"[^\n\"' #][^\n]{0,20}", fullmatch=True),
    st.from_regex(rb"\"([^\\\"]|\\.){0,20}\"", fullmatch=True),
    st.from_regex(rb"'([^\\']|\\.){0,20}'", fullmatch=True),
    st.just(b""),
)
_OTHERS = st.one_of(
    st.builds(lambda name, value: name + b"=" + value, _NAMES, _VALUES),
    st.builds(lambda name, value: b"export " + name + b" = " + value + b" # X=why", _NAMES, _VALUES),
    st.from_regex(rb"[ \t]*#[^\n]{0,20}", fullmatch=True),
    st.sampled_from([b"", b"  ", b"A", b"# X=old"]),
)
_OURS = st.sampled_from([b"X=old", b"export X='old'", b'X="a\nb"', b"X : old", b"X"])
_ENDS = st.sampled_from([b"\n", b"\r\n"])


@given(st.lists(st.tuples(_OTHERS, _ENDS)), _OURS, st.lists(st.tuples(_OTHERS, _ENDS)))
def test_what_stands_before_and_after_the_variable_stays_byte_for_byte(
    before: list[tuple[bytes, bytes]], ours: bytes, after: list[tuple[bytes, bytes]]
) -> None:
    head = b"".join(line + end for line, end in before)
    tail = b"".join(line + end for line, end in after)
    changed = set_variable(head + ours + b"\n" + tail, "X", "new", ".env")
    assert changed.startswith(head)
    assert changed.endswith(b"\n" + tail)
    assert value_of(changed, "X", ".env") == "new"


@given(st.binary(max_size=200) | st.text(alphabet="X=: '\"\\#\n\r\texport", max_size=40).map(str.encode))
def test_any_bytes_are_refused_or_name_the_new_value_once_and_for_all(content: bytes) -> None:
    try:
        changed = set_variable(content, "X", "new", ".env")
    except UsageError:
        return
    assert value_of(changed, "X", ".env") == "new"
    assert set_variable(changed, "X", "new", ".env") == changed


def test_nothing_is_written_where_no_file_is_named(tmp_path: Path) -> None:
    assert files_for(config(tmp_path), PINNED) == {}


def test_files_are_found_from_the_configuration_files_folder(tmp_path: Path) -> None:
    found = config(tmp_path, env_file="stack/.env", compose_file="stack/compose.llama.yaml", services=["chat-1"])
    assert set(files_for(found, PINNED)) == {tmp_path / "stack/.env", tmp_path / "stack/compose.llama.yaml"}


def test_a_file_that_a_variable_names_is_found_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "builder.toml").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path.parent)
    found = load(tmp_path / "builder.toml", environ={"BUILDER_ADOPTION_ENV_FILE": "here.env"})
    assert Places.of(found).env_file == tmp_path.parent / "here.env"


def test_one_file_cannot_be_both(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="are the same"):
        files_for(config(tmp_path, env_file="a", compose_file="a", services=["x"]), PINNED)


def test_the_override_pins_each_service_once_whatever_it_is_called(tmp_path: Path) -> None:
    names = ["chat-1", "on", "1", "chat-1", 'we"ird']
    found = config(tmp_path, compose_file="c.yaml", services=names)
    content = files_for(found, PINNED)[tmp_path / "c.yaml"]
    assert yaml.safe_load(content) == {"services": {name: {"image": IMAGE} for name in dict.fromkeys(names)}}
    assert content.count(b"chat-1") == 1
    assert all(len(line) <= 120 for line in content.splitlines())


def test_an_image_of_the_engine_alone_is_never_pulled(tmp_path: Path) -> None:
    found = config(tmp_path, compose_file="c.yaml", services=["chat-1"])
    pinned = Pinned(DIGEST, PINNED.promotion, PINNED.at, "b1")
    content = files_for(found, pinned)[tmp_path / "c.yaml"]
    assert yaml.safe_load(content)["services"]["chat-1"] == {"image": DIGEST, "pull_policy": "never"}


def test_an_override_of_somebody_else_is_refused_and_ours_is_replaced(tmp_path: Path) -> None:
    found = config(tmp_path, compose_file="c.yaml", services=["chat-1"])
    file = tmp_path / "c.yaml"
    file.write_bytes(files_for(found, PINNED)[file])
    files_for(found, PINNED)
    file.write_text("services: {}\n", encoding="utf-8")
    with pytest.raises(UsageError, match="was not written by builder"):
        files_for(found, PINNED)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    found = config(tmp_path, env_file=".env", compose_file="c.yaml", services=["a", "b"])
    assert images_of(found) == {tmp_path / ".env": (), tmp_path / "c.yaml": ()}
    for file, content in files_for(found, PINNED).items():
        file.write_bytes(content)
    assert images_of(found) == {tmp_path / ".env": (IMAGE,), tmp_path / "c.yaml": (IMAGE,)}


@pytest.mark.parametrize("image", ["llama:latest", f"llama@{DIGEST} ", f"$x@{DIGEST}", f"a\n@{DIGEST}", "sha256:1"])
def test_only_a_digest_pins(image: str) -> None:
    with pytest.raises(ValueError, match="by its digest"):
        Pinned(image, PINNED.promotion, PINNED.at, PINNED.name)


def test_a_file_moves_to_what_is_kept_and_back(tmp_path: Path) -> None:
    place, file = place_in(tmp_path), tmp_path / ".env"
    assert place.read(str(file)) is None
    file.write_bytes(b"SECRET=1\n")
    before, after = place.read(str(file)), place.keep(b"X=new\n")
    place.move(str(file), after)
    assert (file.read_bytes(), place.read(str(file))) == (b"X=new\n", after)
    place.move(str(file), before)
    assert file.read_bytes() == b"SECRET=1\n"
    place.move(str(file), None)
    assert not file.exists()
    assert [stat.S_IMODE(kept.stat().st_mode) for kept in place.store.iterdir()] == [0o600, 0o600]


def test_mode_and_owner_of_the_file_stay(tmp_path: Path) -> None:
    place, file = place_in(tmp_path), tmp_path / ".env"
    file.write_bytes(b"")
    file.chmod(0o640)
    if os.getuid() == 0:
        os.chown(file, NOBODY, NOBODY)
    before = file.stat()
    place.move(str(file), place.keep(b"X=new\n"))
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    place.move(str(tmp_path / "new"), place.keep(b"X=new\n"))
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o644


def test_a_symbolic_link_stays_one_and_what_it_points_at_is_written(tmp_path: Path) -> None:
    place, link, file = place_in(tmp_path), tmp_path / "link", tmp_path / "elsewhere/.env"
    file.parent.mkdir()
    link.symlink_to("elsewhere/.env")
    place.move(str(link), place.keep(b"X=new\n"))
    assert link.is_symlink()
    assert file.read_bytes() == b"X=new\n"


def test_a_link_to_itself_a_folder_and_a_missing_folder_are_told(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    digest = place.keep(b"X=new\n")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("loop", "store", "missing/.env"):
        with pytest.raises(MachineError, match=name.partition("/")[0]):
            place.move(str(tmp_path / name), digest)


@pytest.mark.parametrize("harm", [Path.unlink, lambda kept: kept.write_bytes(b"other")])
def test_what_is_not_what_was_kept_is_never_written(tmp_path: Path, harm: object) -> None:
    place, file = place_in(tmp_path), tmp_path / ".env"
    digest = place.keep(b"X=new\n")
    assert callable(harm)
    harm(place.store / digest.removeprefix("sha256:"))
    with pytest.raises(MachineError, match=r"is (lost|damaged)"):
        place.move(str(file), digest)
    assert not file.exists()
    assert place.keep(b"X=new\n") == digest
    place.move(str(file), digest)


def test_a_folder_that_may_not_be_written_to_leaves_the_file_as_it_was() -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        place, file = place_in(folder), folder / ".env"
        file.write_bytes(b"X=old\n")
        digest = place.keep(b"X=new\n")
        with without_rights(folder, *place.store.iterdir()), pytest.raises(MachineError, match="may not be used"):
            place.move(str(file), digest)
        assert file.read_bytes() == b"X=old\n"
        assert {one.name for one in folder.iterdir()} == {".env", "store"}


def test_a_digest_is_that_of_the_content(tmp_path: Path) -> None:
    assert place_in(tmp_path).keep(b"x") == digest_of(b"x")


def place_in(folder: Path) -> FilePlace:
    store = folder / "store"
    store.mkdir()
    return FilePlace(store)


@contextmanager
def without_rights(folder: Path, *read: Path) -> Iterator[None]:
    """While this lasts, this process is a user who may read a folder and these files, and write nothing there."""
    folder.chmod(0o555)
    (folder / "store").chmod(0o777)
    for file in read:
        file.chmod(0o644)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o755)


def test_only_contents_that_are_wanted_are_kept(tmp_path: Path) -> None:
    place = FilePlace(tmp_path)
    old, new = place.keep(b"SECRET=1"), place.keep(b"SECRET=2")
    assert place.has(old)
    place.forget([new])
    assert not place.has(old)
    assert place.has(new)


def test_what_a_killed_process_left_beside_a_file_goes_with_the_next_move_and_nothing_else(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    place = FilePlace(store)
    file, left, foreign = tmp_path / ".env", tmp_path / ".new-.env-k3j2", tmp_path / ".new-other"
    for one in (left, foreign, store / ".new-sha256-1"):
        one.write_text("half")
    place.tidy()
    place.move(str(file), place.keep(b"LLAMA_IMAGE=a\n"))
    assert file.read_bytes() == b"LLAMA_IMAGE=a\n"
    assert not left.exists()
    assert foreign.exists()
    assert [kept.name.startswith(".new-") for kept in store.iterdir()] == [False]
