"""Upstream's own test programs in a plan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from builder.plan.plan import Variant
from tests.unit.plan_trees import NEW, OLD, arguments, plan

_OPS, _ARCHS = "test-backend-ops", "test-llama-archs"


def _with_tests(tree: Mapping[str, str], cmake: str, *sources: str) -> Mapping[str, str]:
    files = {f"tests/{name}.cpp": "int main() {}\n" for name in sources}
    return {**tree, "tests/CMakeLists.txt": cmake, **files}


@pytest.mark.parametrize(
    ("cmake", "found"),
    [
        (f"llama_target_and_test({_OPS}.cpp)\n", (_OPS,)),
        (f"llama_build_and_test({_OPS}.cpp)\nllama_build({_ARCHS}.cpp)\n", (_OPS, _ARCHS)),
        (f"if (NOT WIN32)\n    llama_build({_ARCHS}.cpp)\nendif()\nllama_build(\n    {_OPS}.cpp\n)\n", (_OPS, _ARCHS)),
        (f"add_executable({_OPS} {_OPS}.cpp get-model.cpp)\n", (_OPS,)),
        (f"# llama_build({_OPS}.cpp)\nllama_build({_ARCHS}.cpp) # {_OPS}.cpp\n", (_ARCHS,)),
        (f"llama_test({_OPS} NAME again)\nllama_build({_OPS}-more.cpp)\n", ()),
    ],
)
def test_programs_are_read_from_the_tree(tmp_path: Path, cmake: str, found: tuple[str, ...]) -> None:
    planned = plan(tmp_path, _with_tests(NEW, cmake, _OPS, _ARCHS))
    assert planned.tests == found
    assert f"-DLLAMA_BUILD_TESTS={'ON' if found else 'OFF'}" in arguments(planned)
    assert planned.targets == ("llama-server", "llama-bench"), "the served image never has them"


@pytest.mark.parametrize("variant", Variant)
def test_old_trees_have_them_too(tmp_path: Path, variant: Variant) -> None:
    planned = plan(tmp_path, _with_tests(OLD, f"llama_target_and_test({_OPS}.cpp)\n", _OPS), variant=variant)
    assert planned.tests == (_OPS,)


def test_program_whose_source_is_not_there_is_not_planned(tmp_path: Path) -> None:
    files = _with_tests(NEW, f"llama_build({_OPS}.cpp)\nllama_build({_ARCHS}.cpp)\n", _OPS)
    assert plan(tmp_path, files).tests == (_OPS,)


def test_tree_without_tests(tmp_path: Path) -> None:
    planned = plan(tmp_path, NEW)
    assert planned.tests == ()
    assert "-DLLAMA_BUILD_TESTS=OFF" in arguments(planned)


@pytest.mark.parametrize(("value", "found"), [("OFF", ()), ("0", ()), ("no", ()), ("ON", (_OPS,)), ("1", (_OPS,))])
def test_a_persons_own_definition_decides(tmp_path: Path, value: str, found: tuple[str, ...]) -> None:
    files = _with_tests(NEW, f"llama_build({_OPS}.cpp)\n", _OPS)
    assert plan(tmp_path, files, definitions={"LLAMA_BUILD_TESTS": value}).tests == found


def test_whether_they_are_wanted_does_not_change_the_served_image(tmp_path: Path) -> None:
    files = _with_tests(NEW, f"llama_build({_OPS}.cpp)\n", _OPS)
    assert plan(tmp_path, files, tests=False) == plan(tmp_path, files, tests=True)
