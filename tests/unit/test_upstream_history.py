"""What changed between two commits, and what of it matters."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from builder.process import Runner
from builder.upstream.git import Git
from builder.upstream.history import Area, Relation, areas_of, commits_between, relation
from builder.upstream.repository import Repository


@pytest.mark.parametrize(
    ("path", "areas"),
    [
        ("ggml/src/ggml-cuda/fattn.cu", (Area.CUDA,)),
        ("ggml/src/ggml-cuda/template-instances/mmq-instance-q4_0.cu", (Area.CUDA,)),
        ("ggml/src/ggml-cuda/CMakeLists.txt", (Area.CUDA, Area.BUILD)),
        ("ggml/include/ggml-cuda.h", (Area.CUDA,)),
        ("ggml/src/ggml-cuda.cu", (Area.CUDA,)),
        ("ggml-cuda.cu", (Area.CUDA,)),
        ("ggml-cuda/mmq.cu", (Area.CUDA,)),
        ("ggml/src/ggml-cudart/x.cu", ()),
        ("tools/server/server.cpp", (Area.SERVER,)),
        ("tools/server/CMakeLists.txt", (Area.SERVER, Area.BUILD)),
        ("examples/server/public/index.html", (Area.SERVER,)),
        ("common/arg.cpp", (Area.SERVER,)),
        ("common/CMakeLists.txt", (Area.SERVER, Area.BUILD)),
        ("common/build-info.cpp.in", (Area.SERVER, Area.BUILD)),
        ("ggml/src/ggml.c", (Area.GGML,)),
        ("ggml/src/ggml-backend-reg.cpp", (Area.GGML,)),
        ("ggml/src/ggml-quants.c", (Area.GGML,)),
        ("ggml/src/gguf.cpp", (Area.GGML,)),
        ("ggml/include/ggml.h", (Area.GGML,)),
        ("ggml.c", (Area.GGML,)),
        ("ggml-alloc.c", (Area.GGML,)),
        ("ggml/src/ggml-vulkan.cpp", ()),
        ("ggml/src/ggml-metal.m", ()),
        ("ggml/src/ggml-vulkan/ggml-vulkan.cpp", ()),
        ("ggml/src/ggml-cpu/ops.cpp", ()),
        ("ggml/include/ggml-metal.h", ()),
        ("CMakeLists.txt", (Area.BUILD,)),
        ("ggml/CMakeLists.txt", (Area.BUILD,)),
        ("ggml/src/CMakeLists.txt", (Area.BUILD,)),
        ("cmake/build-info.cmake", (Area.BUILD,)),
        ("ggml/cmake/common.cmake", (Area.BUILD,)),
        ("scripts/build-info.cmake", (Area.BUILD,)),
        ("scripts/ui-assets.cmake", (Area.BUILD,)),
        ("Makefile", (Area.BUILD,)),
        ("tests/CMakeLists.txt", ()),
        ("examples/llama.android/llama/src/main/cpp/CMakeLists.txt", ()),
        ("src/llama-model.cpp", ()),
        ("docs/backend/CUDA-FEDORA.md", ()),
        ("vendor/tools/server/server.cpp", ()),
        ("", ()),
    ],
)
def test_areas_by_path_in_every_layout_of_the_tree(path: str, areas: tuple[Area, ...]) -> None:
    assert areas_of([path]) == areas


def test_a_commit_has_every_area_that_any_of_its_files_has() -> None:
    paths = ["Makefile", "docs/x.md", "common/arg.cpp", "ggml/src/ggml-cuda/mmq.cu"]
    assert areas_of(paths) == (Area.CUDA, Area.SERVER, Area.BUILD)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "--initial-branch=master")
    commit(tmp_path, "first", "README.md")
    return tmp_path


def git(folder: Path, *args: str) -> str:
    names = {f"GIT_{who}_{what}": "a" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **names, "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(["git", "-C", folder, *args], check=True, capture_output=True, env=environment)
    return done.stdout.decode().strip()


def commit(folder: Path, subject: str, *paths: str) -> str:
    for path in paths:
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("a") as file:
            file.write("x\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--allow-empty-message", "--cleanup=verbatim", "-m", subject)
    return git(folder, "rev-parse", "HEAD")


def repository(folder: Path) -> Repository:
    return Repository(Git(Runner(), "upstream"), folder / ".git")


def test_commits_and_their_files_come_as_they_are(work: Path) -> None:
    odd = ("a b/ü.txt", '"quoted"', "new\nline", "tab\t", " ", "\nfirst")
    made = [
        commit(work, "", "tools/server/server.cpp"),
        commit(work, "nothing changed"),
        commit(work, "", *odd),
        commit(work, "cuda : \x1b[31mred\x1b[0m\a", "ggml/src/ggml-cuda/mmq.cu", "Makefile"),
    ]
    found = commits_between(repository(work), "HEAD~4", "HEAD")
    assert [one.commit for one in found] == made[::-1]
    assert [one.subject for one in found] == ["cuda :  [31mred [0m ", "", "nothing changed", ""]
    assert [set(one.paths) for one in found] == [
        {"ggml/src/ggml-cuda/mmq.cu", "Makefile"},
        set(odd),
        set(),
        {"tools/server/server.cpp"},
    ]
    assert [one.areas for one in found] == [(Area.CUDA, Area.BUILD), (), (), (Area.SERVER,)]


def test_the_author_s_time_is_told_beside_the_committer_s(work: Path) -> None:
    git(work, "commit", "--quiet", "--allow-empty", "--message=x", "--date=@1600000000 +0000")
    (one,) = commits_between(repository(work), "HEAD~1", "HEAD")
    assert one.authored == datetime.fromtimestamp(1_600_000_000, UTC) < one.committed


def test_a_renamed_file_counts_where_it_was_and_where_it_is(work: Path) -> None:
    commit(work, "old", "examples/server/server.cpp")
    (work / "src").mkdir()
    git(work, "mv", "examples/server/server.cpp", "src/server.cpp")
    commit(work, "moved")
    (moved, _) = commits_between(repository(work), "HEAD~2", "HEAD")
    assert set(moved.paths) == {"examples/server/server.cpp", "src/server.cpp"}
    assert moved.areas == (Area.SERVER,)


def test_a_merge_brings_its_commits_and_no_files_of_its_own(work: Path) -> None:
    git(work, "checkout", "--quiet", "-b", "side")
    commit(work, "on the side", "ggml/src/ggml.c")
    git(work, "checkout", "--quiet", "master")
    commit(work, "meanwhile", "docs/x.md")
    git(work, "merge", "--quiet", "--no-ff", "--message=merged", "side")
    found = commits_between(repository(work), "master~2", "master")
    assert {one.subject: one.areas for one in found} == {"merged": (), "meanwhile": (), "on the side": (Area.GGML,)}
    assert next(one for one in found if one.subject == "merged").paths == ()


def test_how_two_commits_lie_to_each_other(work: Path) -> None:
    git(work, "branch", "side")
    commit(work, "one")
    commit(work, "two")
    git(work, "checkout", "--quiet", "side")
    commit(work, "other")
    told = repository(work)
    assert relation(told, "master~2", "master") == Relation(added=2, lost=0)
    assert relation(told, "master", "master~2") == Relation(added=0, lost=2)
    assert relation(told, "master", "side") == Relation(added=1, lost=2)
    assert relation(told, "master", "master") == Relation(added=0, lost=0)
    assert commits_between(told, "master", "master") == ()
