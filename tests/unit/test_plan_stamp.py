"""Number and commit in every era."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import SourceError
from builder.plan.facts import Facts
from builder.plan.plan import Definition
from builder.plan.stamp import overlay, plan_stamp, stamped_defaults
from builder.upstream.revision import Revision
from tests.unit.plan_trees import BUILD_INFO, COMMIT, NEW, OLD, write


def _revision(number: int | None, commit: str | None = COMMIT) -> Revision:
    return Revision(commit, number, None, None, "here", "latest")


def test_by_definition_where_the_tree_takes_it(tmp_path: Path) -> None:
    stamp = plan_stamp(Facts(write(tmp_path, NEW)), _revision(10991))
    assert stamp.definitions == (
        Definition("LLAMA_BUILD_NUMBER", "10991"),
        Definition("LLAMA_BUILD_COMMIT", COMMIT[:9]),
    )
    assert overlay(stamp, tmp_path) == {}


def test_by_the_defaults_of_a_file_in_older_trees(tmp_path: Path) -> None:
    stamp = plan_stamp(Facts(write(tmp_path, OLD)), _revision(3294))
    assert (stamp.definitions, stamp.defaults_file) == ((), "cmake/build-info.cmake")
    (file, text), *others = overlay(stamp, tmp_path).items()
    assert (file, others) == ("cmake/build-info.cmake", [])
    assert text == BUILD_INFO.replace("NUMBER 0", "NUMBER 3294", 1).replace("unknown", COMMIT[:9], 1)


def test_defaults_where_they_were_before(tmp_path: Path) -> None:
    files = {**OLD, "scripts/build-info.cmake": BUILD_INFO}
    del files["cmake/build-info.cmake"]
    assert plan_stamp(Facts(write(tmp_path, files)), _revision(3000)).defaults_file == "scripts/build-info.cmake"


def test_what_a_packagers_build_left_is_covered(tmp_path: Path) -> None:
    left = f'int LLAMA_BUILD_NUMBER = 1;\nchar const *LLAMA_COMMIT = "{COMMIT[:9]}";\n'
    tree = write(tmp_path, {**OLD, "common/build-info.cpp": left})
    covered = overlay(plan_stamp(Facts(tree), _revision(3294)), tree)["common/build-info.cpp"]
    assert covered.strip()
    assert "LLAMA_COMMIT" not in covered
    assert ";" not in covered


def test_unknown_is_zero_and_unknown(tmp_path: Path) -> None:
    assert plan_stamp(Facts(write(tmp_path, NEW)), _revision(None, None)).definitions == (
        Definition("LLAMA_BUILD_NUMBER", "0"),
        Definition("LLAMA_BUILD_COMMIT", "unknown"),
    )


def test_changes_on_a_commit_are_stamped_too(tmp_path: Path) -> None:
    dirty = Revision(COMMIT, 10991, None, None, "here", "master (dirty)", dirty=True)
    assert plan_stamp(Facts(write(tmp_path / "new", NEW)), dirty).definitions == (
        Definition("LLAMA_BUILD_NUMBER", "10991"),
        Definition("LLAMA_BUILD_COMMIT", f"{COMMIT[:9]}-dirty"),
    )
    tree = write(tmp_path / "old", OLD)
    assert f'"{COMMIT[:9]}-dirty"' in overlay(plan_stamp(Facts(tree), dirty), tree)["cmake/build-info.cmake"]


def test_only_the_defaults_are_edited() -> None:
    text = stamped_defaults(BUILD_INFO, 5, "abc")
    assert "set(BUILD_NUMBER 5)" in text
    assert 'set(BUILD_COMMIT "abc")' in text
    assert "set(BUILD_NUMBER ${COUNT})" in text
    assert 'set(BUILD_COMPILER "unknown")' in text


@pytest.mark.parametrize("text", ["", "set(BUILD_NUMBER 0)", "set(BUILD_NUMBER ${COUNT})\nset(BUILD_COMMIT ${HEAD})"])
def test_defaults_that_are_not_there(text: str) -> None:
    with pytest.raises(SourceError, match="no place"):
        stamped_defaults(text, 5, "abc")


def test_tree_with_neither(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no place"):
        plan_stamp(Facts(write(tmp_path, {"CMakeLists.txt": "project(x)"})), _revision(5))
