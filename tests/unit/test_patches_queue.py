"""Queues as people write them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import BuilderError, ExitCode
from builder.source.patches.patch import BadPatch
from builder.source.patches.queue import BadQueue, digest, load_queue, named

PATCH = b"Subject: [PATCH] %s\n\n---\ndiff --git a/x.c b/x.c\n--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-b\n+c\n"
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A queue of a series and patches of these names."""

    def call(series: str | bytes, *names: str) -> Path:
        folder = tmp_path / "patches"
        folder.mkdir()
        (folder / "series").write_bytes(series.encode() if isinstance(series, str) else series)
        for name in names:
            (folder / name).write_bytes(PATCH % name.encode())
        return folder

    return call


def refused(folder: Path, **options: bool) -> BuilderError:
    with pytest.raises(BuilderError) as caught:
        load_queue(folder, **options)
    assert caught.value.exit_code in (ExitCode.SOURCE, ExitCode.MACHINE)
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    "series",
    [
        "b.patch\na.patch\n",
        "b.patch\na.patch",
        "# ours\n\n  b.patch  \n\ta.patch # why\n#c.patch\n",
        "b.patch\r\n# ours\r\n\r\na.patch\r\n",
        "\ufeffb.patch\na.patch\n",
    ],
)
def test_a_series_is_read_in_order(make: Make, series: str) -> None:
    queue = load_queue(make(series, "a.patch", "b.patch", "c.patch"))
    assert [patch.name for patch in queue.patches] == ["b.patch", "a.patch"]
    assert [patch.subject for patch in queue.patches] == ["b.patch", "a.patch"]


@given(st.text(max_size=30))
def test_a_line_names_a_patch_or_nothing(line: str) -> None:
    name = named(line)
    assert not name.startswith("#")
    assert name == name.strip()
    assert name in line
    assert bool(name) == bool(line.strip() and not line.strip().startswith("#"))


def test_a_name_may_hold_a_hash(make: Make) -> None:
    assert load_queue(make("a#1.patch\n", "a#1.patch")).patches[0].name == "a#1.patch"


def test_an_empty_series_is_an_empty_queue(make: Make) -> None:
    folder = make("# nothing yet\n")
    assert load_queue(folder, required=True).patches == ()
    (folder / "series").unlink()
    assert load_queue(folder).patches == ()
    assert load_queue(folder / "elsewhere").patches == ()


def test_a_queue_that_a_person_named_must_be_there(tmp_path: Path) -> None:
    assert "There is no patch queue" in refused(tmp_path, required=True).cause
    assert "There is no patch queue" in refused(tmp_path / "none", required=True).cause


@pytest.mark.parametrize(
    ("series", "said"),
    [
        ("a.patch\n\na.patch\n", "names a.patch twice, on lines 1 and 3"),
        ("a.patch\nb.patch\n", "names b.patch, which is not there"),
        ("sub\n", "names sub, which is not a file"),
        ("a.patch b.patch\n", "Line 1 of"),
        ("a.patch -p0\n", "has more than a name"),
        ("sub/a.patch\n", "is no file beside it"),
        ("../a.patch\n", "is no file beside it"),
        ("/etc/passwd\n", "is no file beside it"),
        ("..\n", "is no file beside it"),
        ("series\n", "is no file beside it"),
        ("a\0.patch\n", "which is not there"),
        ("x" * 300 + "\n", "cannot be used here"),
        (b"a.patch\n\xff.patch\n", "Line 2 of"),
    ],
)
def test_a_series_that_is_not_in_order_is_refused(make: Make, series: str | bytes, said: str) -> None:
    folder = make(series, "a.patch")
    (folder / "sub").mkdir()
    assert said in refused(folder).cause


def test_a_misspelt_name_gets_the_nearest(make: Make) -> None:
    error = refused(make("0001-serve.patch\n", "0001-server.patch"))
    assert error.remedy == "Did you mean 0001-server.patch?"


@pytest.mark.parametrize("required", [False, True])
def test_a_series_that_is_no_file_is_refused(tmp_path: Path, required: bool) -> None:
    series = tmp_path / "series"
    series.mkdir()
    assert "is no file" in refused(tmp_path, required=required).cause
    series.rmdir()
    series.symlink_to("nowhere")
    assert "is no file" in refused(tmp_path, required=required).cause
    series.unlink()
    os.mkfifo(series)
    assert "is no file" in refused(tmp_path, required=required).cause


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_that_may_not_be_read_are_said_so(make: Make) -> None:
    folder = make("a.patch\n", "a.patch")
    for file in (folder / "a.patch", folder / "series"):
        file.chmod(0)
        assert refused(folder).exit_code == ExitCode.MACHINE
    folder.chmod(0)
    assert refused(folder).exit_code == ExitCode.MACHINE
    folder.chmod(0o755)


def test_a_patch_that_is_none_is_named(make: Make) -> None:
    folder = make("a.patch\nb.patch\n", "a.patch")
    (folder / "b.patch").write_text("<html></html>")
    with pytest.raises(BadPatch, match=r"b\.patch holds no change"):
        load_queue(folder)


def test_patches_are_found_by_what_a_person_types(make: Make) -> None:
    names = ["0001-server.patch", "0002-serve.patch", "0010-x.patch", "local.patch"]
    queue = load_queue(make("\n".join(names), *names))
    for asked, found in (
        ("0001-server.patch", names[0]),
        ("0001", names[0]),
        ("1", names[0]),
        ("1-serv", names[0]),
        ("2", names[1]),
        ("10", names[2]),
        ("local", names[3]),
    ):
        assert queue.find(asked).name == found
    with pytest.raises(BadQueue, match=r"`00` fits 0001-server\.patch, 0002-serve\.patch"):
        queue.find("00")
    with pytest.raises(BadQueue, match="has no patch `3`"):
        queue.find("3")
    with pytest.raises(BadQueue) as caught:
        queue.find("0001-sever.patch")
    assert "0001-server.patch" in caught.value.remedy


def test_what_a_tree_has_of_a_queue_does_not_depend_on_its_line_ends(make: Make) -> None:
    folder = make("a.patch\nb.patch\n", "a.patch", "b.patch")
    queue = load_queue(folder)
    both, one = queue.digest_of(["b.patch", "a.patch"]), queue.digest_of(["a.patch"])
    assert len({both, one, queue.digest_of([])}) == 3
    for name in ("a.patch", "b.patch"):
        (folder / name).write_bytes((folder / name).read_bytes().replace(b"\n", b"\r\n"))
    converted = load_queue(folder)
    assert converted.digest_of(["a.patch", "b.patch"]) == both
    assert converted.digest != queue.digest


def test_an_empty_queue_finds_nothing(make: Make) -> None:
    with pytest.raises(BadQueue) as caught:
        load_queue(make("")).find("x")
    assert caught.value.remedy == "It is empty."


def test_the_digest_stands_for_names_bytes_and_order(make: Make) -> None:
    folder = make("a.patch\nb.patch\n", "a.patch", "b.patch")
    queue = load_queue(folder)
    assert queue.digest.startswith("sha256:")
    (folder / "series").write_text("# other words\na.patch\nb.patch\n")
    assert load_queue(folder).digest == queue.digest
    digests = {queue.digest, digest([])}
    assert len(digests) == 2
    (folder / "series").write_text("b.patch\na.patch\n")
    assert load_queue(folder).digest not in digests
    (folder / "series").write_text("a.patch\nb.patch\n")
    (folder / "b.patch").write_bytes(PATCH % b"b.patch" + b"\n")
    assert load_queue(folder).digest not in digests
