"""Eighteen patches on real llama.cpp trees of different age, which two source distributions hold."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from builder.console import Reporter
from builder.paths import Paths
from builder.process import Runner
from builder.source.desk import Request
from builder.source.patches.bench import bench_of
from builder.source.patches.judge import judge
from builder.source.patches.patch import Patch
from builder.source.patches.status import FileConflict, Shift
from builder.source.prepare import prepare
from builder.upstream.git import Git
from tests.integration.patches.patch_labs import LINK, PROGRAM, File, Lab, edited, run_git

OLD, NEW = "pypi:llama-cpp-python==0.3.28", "pypi:llama-cpp-python==0.3.36"
SECONDS = 60
"""An upper bound for a busy machine; an idle one takes a twentieth of that."""


def tree_of(origin: str, logs: Path) -> Path:
    """The folder of a real tree."""
    runner, reporter = Runner(logs / "commands.sh"), Reporter()
    return prepare(Request(origin), paths=Paths.default(), runner=runner, reporter=reporter).path


def commit_folder(lab: Lab, folder: Path, message: str) -> str:
    """Put a folder on the default branch as it is."""
    git = ("--git-dir", str(lab.git_folder), "-c", "core.bare=false", "--work-tree", ".")
    run_git(folder, *git, "add", "--all", "--force", ".")
    tree = lab.git("write-tree").decode().strip()
    parents = lab.git("for-each-ref", "--format=-p %(objectname)", "refs/heads/master").decode().split()
    who = ("-c", "user.name=A", "-c", "user.email=a@example.invalid")
    commit = lab.git(*who, "commit-tree", "-m", message, *parents, tree).decode().strip()
    lab.git("update-ref", "refs/heads/master", commit)
    return commit


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, str, str, Path]:
    """An upstream of two commits, both of them, and the folder of the second."""
    place = tmp_path_factory.mktemp("real")
    lab = Lab(place / "lab")
    old, new = (tree_of(origin, place) for origin in (OLD, NEW))
    return lab, commit_folder(lab, old, "the old one"), commit_folder(lab, new, "the new one"), new


class Maker:
    """Makes patches on the old tree, by line numbers of its files."""

    def __init__(self, lab: Lab, old: str, new: str) -> None:
        self._lab = lab
        self._old = old
        self._new = new

    def file(self, path: str, revision: str | None = None) -> bytes:
        return self._lab.git("cat-file", "blob", f"{revision or self._old}:{path}")

    def line(self, path: str, number: int, revision: str | None = None) -> str:
        return self.file(path, revision).split(b"\n")[number - 1].decode()

    def marked(self, path: str, *numbers: int, word: str = "local", revision: str | None = None) -> bytes:
        """A file with a comment behind some lines."""
        lines = {number: f"{self.line(path, number, revision)} // {word}" for number in numbers}
        return edited(self.file(path, revision), lines)

    def patches(self) -> list[Patch]:
        ggml, backend, dl = "ggml/src/ggml.c", "ggml/src/ggml-backend.cpp", "ggml/src/ggml-backend-dl"
        logo, twice = "media/llama0-logo.png", self.line(ggml, 1104, self._new)
        made: list[Patch] = []

        def make(name: str, changes: dict[str, bytes | File | None], *, stacked: bool = False) -> None:
            base = self._lab.made() if stacked else self._old
            made.append(self._lab.patch(base, changes, f"{len(made) + 1:04}-{name}.patch", "-M"))

        make("clean", {f"{dl}.h": self.marked(f"{dl}.h", 10)})
        make("moved", {ggml: self.marked(ggml, 2500)})
        make("taken", {"CMakeLists.txt": self.file("CMakeLists.txt", self._new)})
        make("overlaps", {ggml: self.marked(ggml, 528)})
        make("needs-it", {ggml: self.marked(ggml, 528, revision=self._lab.made(), word="more")}, stacked=True)
        make("on-its-own", {"LICENSE": self.marked("LICENSE", 3)})
        gone = ".github/actions/linux-setup-vulkan/action.yml"
        make("file-gone", {gone: self.marked(gone, 5)})
        graph = "tests/export-graph-ops.cpp"
        make("file-renamed", {graph: self.marked(graph, 40)})
        make("renames", {f"{dl}.cpp": None, f"{dl}-x.cpp": self.marked(f"{dl}.cpp", 4)})
        make("new-file", {"local.txt": b"hello\n"})
        make("same-new-file", {"local.txt": b"other\n"})
        make("binary", {logo: self.file(logo) + b"\0local"})
        make("mode", {"LICENSE": File(self.file("LICENSE"), PROGRAM)})
        make("merged", {backend: self.marked(backend, 556)})
        make("taken-with-more", {ggml: edited(self.file(ggml), {1083: twice})})
        make(
            "two-files",
            {
                "common/common.cpp": self.marked("common/common.cpp", 53, 254, 1900),
                "src/llama-context.cpp": self.marked("src/llama-context.cpp", 447),
            },
        )
        make("in-the-way", {f"{dl}.h": self.marked(f"{dl}.h", 10, word="another")})
        make("link", {"docs/where.md": File(b"build.md", LINK)})
        return made


EXPECTED = [
    ("clean", ""),
    ("fuzzy", "1 hunk moved +48 lines"),
    ("upstream", "since b2: the new one"),
    ("conflict", "ggml/src/ggml.c: hunk #1 of 1"),
    ("blocked", "by 0004-overlaps.patch; it needs what that one brings"),
    ("clean", ""),
    ("conflict", ".github/actions/linux-setup-vulkan/action.yml: the tree has no such file"),
    ("fuzzy", "by three-way merge"),
    ("clean", ""),
    ("clean", ""),
    ("blocked", "by 0010-new-file.patch; it applies without it"),
    ("clean", ""),
    ("clean", ""),
    ("fuzzy", "by three-way merge"),
    ("upstream", "since b2: the new one"),
    ("conflict", "common/common.cpp: hunks #1, #2 of 3; src/llama-context.cpp: hunk #1 of 1"),
    ("blocked", "by 0001-clean.patch; it applies without it"),
    ("clean", ""),
]


def test_eighteen_patches_are_judged_in_one_go(trees: tuple[Lab, str, str, Path]) -> None:
    lab, old, new, _ = trees
    patches = Maker(lab, old, new).patches()
    assert len(patches) == 18
    started = time.monotonic()
    judged = lab.judge(new, *patches)
    seconds = time.monotonic() - started
    assert list(zip(judged.standings, judged.details, strict=True)) == EXPECTED
    rows = {status.name[5:-6]: status for status in judged.judgement.statuses}
    assert rows["moved"].shifts == (Shift("ggml/src/ggml.c", 1, 48),)
    assert rows["two-files"].conflicts[0] == FileConflict(
        "common/common.cpp", (1, 2), 3, "the lines it changes are others"
    )
    assert rows["needs-it"].alone is False
    assert rows["taken"].since == rows["taken-with-more"].since
    assert rows["taken"].since is not None
    assert rows["taken"].since.commit == new
    assert seconds < SECONDS
    assert judged.files["ggml/src/ggml.c"].content.count(b"// local") == 1
    assert judged.files["tests/test-export-graph-ops.cpp"].content.count(b"// local") == 1
    assert judged.files["LICENSE"].mode == PROGRAM
    assert judged.files["docs/where.md"] == File(b"build.md", LINK)
    assert lab.judge(new, *patches).judgement == judged.judgement


def test_a_folder_is_judged_by_lines_where_only_a_history_would_know(trees: tuple[Lab, str, str, Path]) -> None:
    lab, old, new, folder = trees
    with bench_of(folder, Git(Runner(), "a folder")) as bench:
        assert bench.base == lab.git("rev-parse", f"{new}^{{tree}}").decode().strip()
        judgement = judge(bench, Maker(lab, old, new).patches())
    details = [(str(status.standing), status.detail) for status in judgement.statuses]
    told = {
        2: ("upstream", "the tree has all of it"),
        7: ("conflict", "tests/export-graph-ops.cpp: the tree has no such file"),
        13: ("conflict", "ggml/src/ggml-backend.cpp: hunk #1 of 1"),
        14: ("upstream", "the tree has all of it"),
    }
    assert details == [told.get(number, row) for number, row in enumerate(EXPECTED)]


def test_on_what_they_were_made_on_all_are_clean_but_two_twins(trees: tuple[Lab, str, str, Path]) -> None:
    lab, old, new, _ = trees
    judged = lab.judge(old, *Maker(lab, old, new).patches())
    twins = {10: "blocked", 16: "blocked"}
    assert judged.standings == [twins.get(number, "clean") for number in range(18)]
