"""What a source distribution says of the llama.cpp that it carries."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import SourceError
from builder.process import Runner
from builder.upstream.layout import NotATree, declared_release, find_llama_tree, require_llama_tree
from builder.upstream.sdist import commit_in_changelog, take_archive

CHANGELOG = Path(__file__).with_name("data").joinpath("llama-cpp-python-changelog.md").read_text(encoding="utf-8")
OPTIONS = 'option(GGML_CUDA "ggml: use CUDA" OFF)\n'


@pytest.mark.parametrize(
    ("version", "commit"),
    [
        ("0.3.36", "0c1e57098"),
        ("0.3.35", "4df29be4f"),
        ("0.3.28", "9e3b928fd"),
        ("0.3.25", "210a6570c"),
        ("0.3.16", "4227c9be4268ac844921b90f31595f81236bd317"),
        ("0.3.11", None),
        ("0.3.3", None),
        ("Unreleased", None),
    ],
)
def test_the_newest_update_under_exactly_that_version(version: str, commit: str | None) -> None:
    assert commit_in_changelog(CHANGELOG, version) == commit


@given(st.text(), st.text(max_size=10))
def test_any_change_log_can_be_read(text: str, version: str) -> None:
    commit = commit_in_changelog(text, version)
    assert commit is None or commit in text.lower()


def test_the_change_log_tells_where_there_is_no_git_folder(tmp_path: Path) -> None:
    top = tmp_path / "llama_cpp_python-0.3.35"
    (top / "vendor" / "llama.cpp").mkdir(parents=True)
    (top / "vendor" / "llama.cpp" / "CMakeLists.txt").write_text(OPTIONS)
    (top / "CHANGELOG.md").write_text(CHANGELOG)
    (top / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: llama_cpp_python\nVersion: 0.3.35\n")
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
        tar.add(top, top.name)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    traces = take_archive(tmp_path / "x.tar.gz", Runner()).write(scratch / "tree")
    assert (scratch / "tree" / "CMakeLists.txt").read_text() == OPTIONS
    assert traces.commit == "4df29be4f"
    assert traces.committed is None
    assert [path.name for path in scratch.iterdir()] == ["tree"]


def test_an_archive_without_a_tree_is_refused(tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text('option(LLAMA_BUILD "Build llama.cpp shared library" ON)\n')
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "CMakeLists.txt", "llama_cpp_python-0.0.1/CMakeLists.txt")
    (tmp_path / "scratch").mkdir()
    with pytest.raises(NotATree, match="carries no llama"):
        take_archive(tmp_path / "x.tar.gz", Runner()).write(tmp_path / "scratch" / "tree")


def test_a_file_that_may_not_be_read_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        take_archive(tmp_path, Runner())


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ('option(LLAMA_BUILD_IS_DEV "llama: dev build" ON)\n', "0.5.0-dev"),
        ('option(LLAMA_BUILD_IS_DEV "llama: dev build" OFF)\n', "0.5.0"),
    ],
)
def test_the_version_that_a_tree_gives_itself(tmp_path: Path, text: str, release: str) -> None:
    parts = "".join(f"set(LLAMA_VERSION_{part} {n})\n" for part, n in (("MAJOR", 0), ("MINOR", 5), ("PATCH", 0)))
    (tmp_path / "CMakeLists.txt").write_text(parts + text)
    assert declared_release(tmp_path) == release


def test_old_trees_give_themselves_no_version(tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text('project("llama.cpp" C CXX)\n')
    assert declared_release(tmp_path) is None


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({}, "no CMakeLists.txt"),
        ({"CMakeLists.txt": "project(zlib)\noption(BUILD_SHARED_LIBS x ON)"}, "is not llama.cpp"),
    ],
)
def test_a_folder_that_is_no_tree_is_refused(tmp_path: Path, files: dict[str, str], match: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(NotATree, match=match):
        require_llama_tree(tmp_path, "the folder")


def test_options_may_stand_in_ggml(tmp_path: Path) -> None:
    (tmp_path / "top" / "ggml").mkdir(parents=True)
    (tmp_path / "top" / "CMakeLists.txt").write_text("add_subdirectory(ggml)\n")
    (tmp_path / "top" / "ggml" / "CMakeLists.txt").write_text(OPTIONS)
    assert find_llama_tree(tmp_path) == tmp_path / "top"
