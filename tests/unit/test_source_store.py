"""Trees are kept by their content."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.errors import SourceError, UsageError
from builder.source.digest import digest_tree
from builder.source.store import MODIFIED, TreeStore
from builder.upstream.revision import Revision
from builder.upstream.supply import Traces

REVISION = Revision(None, None, None, None, "a sample", "sample")
TRACES = Traces("0c1e57098", datetime(2026, 10, 1, tzinfo=UTC))


@dataclass
class Sample:
    """A supply made of texts by path; counts how often it was written out."""

    files: dict[str, str] = field(default_factory=lambda: {"CMakeLists.txt": "option(GGML_CUDA x OFF)", "src/a": "a"})
    identity: str | None = "sample-1"
    revision: Revision = REVISION
    written: int = 0
    executable: str = ""

    def write(self, folder: Path) -> Traces:
        self.written += 1
        for path, text in self.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        if self.executable:
            (folder / self.executable).chmod(0o700)
        return TRACES


@pytest.fixture
def store(tmp_path: Path) -> TreeStore:
    return TreeStore(tmp_path, lambda _: None)


def test_the_second_time_nothing_is_written(store: TreeStore) -> None:
    sample = Sample()
    first = store.keep(sample)
    assert store.keep(sample) == first
    assert sample.written == 1
    assert first.traces == TRACES
    assert first.path.name == first.digest.removeprefix("sha256:")


def test_the_same_content_under_another_name_is_one_tree(store: TreeStore) -> None:
    first, second = store.keep(Sample()), store.keep(Sample(identity="sample-2"))
    assert first.path == second.path
    assert store.keep(Sample(identity=None)).path == first.path


def test_what_a_build_context_must_not_hold_is_gone(store: TreeStore) -> None:
    files = {**Sample().files, ".git/config": "", "sub/.git": "gitdir: x", ".dockerignore": "*", "sub/a": ""}
    kept = store.keep(Sample(files))
    assert {path.relative_to(kept.path).as_posix() for path in kept.path.rglob("*")} == {
        "CMakeLists.txt",
        "src",
        "src/a",
        "sub",
        "sub/a",
    }


def test_modes_and_times_are_always_the_same(store: TreeStore) -> None:
    kept = store.keep(Sample(executable="src/a"))
    assert (kept.path / "src" / "a").stat().st_mode & 0o777 == 0o755
    assert (kept.path / "CMakeLists.txt").stat().st_mode & 0o777 == 0o644
    assert {path.stat().st_mtime for path in kept.path.rglob("*")} == {MODIFIED}


def _append(tree: Path) -> None:
    with (tree / "src" / "a").open("a") as stream:
        stream.write("!")


@pytest.mark.parametrize(
    "tamper",
    [
        _append,
        lambda tree: (tree / "src" / "a").write_text("b"),
        lambda tree: (tree / "src" / "a").unlink(),
        lambda tree: (tree / "src" / "a").chmod(0o600),
        lambda tree: (tree / "new").write_text(""),
        shutil.rmtree,
        lambda tree: tree.with_name(tree.name + ".json").unlink(),
        lambda tree: tree.with_name(tree.name + ".json").write_text("{"),
    ],
)
def test_a_tree_that_was_changed_is_made_anew(store: TreeStore, tamper: object) -> None:
    sample = Sample()
    kept = store.keep(sample)
    assert callable(tamper)
    tamper(kept.path)
    assert store.keep(sample) == kept
    assert sample.written == 2
    assert digest_tree(kept.path).digest == kept.digest


@pytest.mark.parametrize("files", [{"README": ""}, {"CMakeLists.txt": "project(zlib)"}])
def test_no_tree_is_kept_that_is_not_llama_cpp(store: TreeStore, files: dict[str, str]) -> None:
    with pytest.raises(SourceError, match="a sample"):
        store.keep(Sample(files))
    assert [path.name for path in store.folder.iterdir()] == [".lock"]


_TREES = st.dictionaries(st.sampled_from("abcdef"), st.text("xy", max_size=2), min_size=1)


@given(_TREES, _TREES)
@settings(max_examples=60, deadline=None)
def test_digests_are_equal_exactly_where_trees_are(
    tmp_path_factory: pytest.TempPathFactory, one: dict[str, str], other: dict[str, str]
) -> None:
    digests = []
    for files in (one, other):
        folder = tmp_path_factory.mktemp("tree")
        for name, text in files.items():
            (folder / name).write_text(text)
        digests.append(digest_tree(folder).digest)
    assert (digests[0] == digests[1]) == (one == other)


def test_links_and_the_executable_bit_count_and_times_do_not(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("target")
    plain = digest_tree(tmp_path).digest
    os.utime(tmp_path / "f", (1, 1))
    assert digest_tree(tmp_path).digest == plain
    (tmp_path / "f").chmod(0o755)
    executable = digest_tree(tmp_path).digest
    (tmp_path / "f").unlink()
    (tmp_path / "f").symlink_to("target")
    assert len({plain, executable, digest_tree(tmp_path).digest}) == 3


def test_usage_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    from builder.console import Reporter
    from builder.paths import Paths
    from builder.process import Runner
    from builder.source.desk import Request
    from builder.source.prepare import prepare

    def ask(ref: str | None, number: int | None, repository: str = "https://i.invalid/x") -> None:
        request = Request("auto", ref, repository, "auto")
        paths = Paths(tmp_path / "cache")
        prepare(request, build_number=number, paths=paths, runner=Runner(), reporter=Reporter())

    for ref, number in (("--upload-pack=x", None), ("a..b", None), (None, 0), (None, 1), (None, -5)):
        with pytest.raises(UsageError):
            ask(ref, number)
    assert not (tmp_path / "cache").exists()
