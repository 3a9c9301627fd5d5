"""What every build asks of CMake, in the words of the tree at hand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from builder.errors import SourceError, UsageError
from builder.plan.evidence import plain
from builder.plan.facts import Facts
from builder.plan.plan import Definition

TARGETS = ("llama-server", "llama-bench")
TESTS = ("test-backend-ops", "test-llama-archs")
"""Upstream's own programs that hold a device's results against the CPU's: of single operations, of whole models."""
_BUILD_TESTS = "LLAMA_BUILD_TESTS"
_ARM = "arm64"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.+-]*")

PROJECT_INDEPENDENT = (
    Definition("CMAKE_BUILD_TYPE", "Release"),
    Definition("BUILD_SHARED_LIBS", "ON"),
    Definition("CMAKE_BUILD_WITH_INSTALL_RPATH", "ON"),
    Definition("CMAKE_INSTALL_RPATH", "$ORIGIN"),
)
"""Release; shared libraries that are found beside the program, wherever it is put."""


def backends(facts: Facts, architecture: str) -> list[Definition]:
    """How the CPU's part is built: for every machine, not for the one that builds.

    With loadable backends, the best of several CPU variants is chosen at start; without, a middling one is fixed.

    Args:
        architecture: the processor it runs on, in Docker's words.
    """
    wishes = [(("GGML_NATIVE", "LLAMA_NATIVE"), "OFF"), (("GGML_BACKEND_DL",), "ON")]
    if _has_cpu_variants(facts, architecture):
        wishes.append((("GGML_CPU_ALL_VARIANTS",), "ON"))
    return list(_declared(facts, wishes))


def components(facts: Facts) -> list[Definition]:
    """What is built and what is not: the targets and what they need, nothing fetched from a network.

    Test programs are declared wherever the tree has them, wanted or not, and compiled on request alone: the served
    image is the same whether or not they are made.

    ccache stands before the compilers by CMake's launchers, not by the project's own search for it.

    Raises:
        SourceError: the tree has not all the targets.
    """
    examples = "ON" if any(file.startswith("examples/") for file in _target_files(facts)) else "OFF"
    wishes = [
        (("GGML_CCACHE", "LLAMA_CCACHE"), "OFF"),
        ((_BUILD_TESTS,), "ON" if _tests_in(facts) else "OFF"),
        (("LLAMA_BUILD_EXAMPLES",), examples),
        (("LLAMA_BUILD_APP",), "OFF"),
        (("LLAMA_BUILD_TOOLS",), "ON"),
        (("LLAMA_BUILD_SERVER",), "ON"),
        (("LLAMA_USE_PREBUILT_UI", "LLAMA_USE_PREBUILT_WEBUI"), "OFF"),
        (("LLAMA_CURL",), "OFF"),
    ]
    return list(_declared(facts, wishes))


def for_cuda(facts: Facts) -> list[Definition]:
    """What a CUDA build asks for besides its features: no NCCL, a library of several hundred megabytes."""
    return list(_declared(facts, [(("GGML_CUDA_NCCL",), "OFF")]))


def tests(facts: Facts, definitions: Iterable[Definition]) -> tuple[str, ...]:
    """The test programs that can be had from this tree.

    Args:
        definitions: all that CMake is given; a person's own may turn the tests off.
    """
    on = any(definition.name == _BUILD_TESTS and plain(definition.value) is True for definition in definitions)
    return _tests_in(facts) if on else ()


def with_own(planned: Iterable[Definition], own: Mapping[str, str], fixed: Iterable[str]) -> tuple[Definition, ...]:
    """Planned definitions with a person's own after them; one of the same name takes the planned one's place.

    Args:
        fixed: names that features and the stamp depend on.

    Raises:
        UsageError: a name is not one that CMake takes here, is fixed, or a value holds a line break.
    """
    for name, value in own.items():
        if not _NAME.fullmatch(name) or not value.isprintable():
            raise UsageError(
                f"build.definitions holds {name!r} = {value!r}, which is no CMake definition.",
                "Give a variable's name without -D and without a type, and a value on one line.",
            )
        if name in fixed:
            raise UsageError(
                f"build.definitions sets {name}, which the plan sets itself.",
                "Leave it out; see build.features, --arch and --build-number.",
            )
    kept = [definition for definition in planned if definition.name not in own]
    return (*kept, *(Definition(name, value) for name, value in own.items()))


def _target_files(facts: Facts) -> list[str]:
    files = {target: facts.find_target(target) for target in TARGETS}
    if missing := [target for target, file in files.items() if not file]:
        raise SourceError(
            f"This tree does not build {' and '.join(missing)}.",
            "Take a revision from b3294 on: before June 2024 the programs had other names.",
        )
    return [file for file in files.values() if file]


def _tests_in(facts: Facts) -> tuple[str, ...]:
    return tuple(name for name in TESTS if facts.has_test(name))


def _has_cpu_variants(facts: Facts, architecture: str) -> bool:
    """The first trees with CPU variants had none but x86's."""
    wanted = r"ggml_add_cpu_backend_variant\s*\(\s*(android_)?arm" if architecture == _ARM else ""
    return not wanted or facts.find(wanted, "ggml/src/CMakeLists.txt") is not None


def _declared(facts: Facts, wishes: Iterable[tuple[tuple[str, ...], str]]) -> Iterator[Definition]:
    for names, value in wishes:
        if option := facts.first_declared(*names):
            yield Definition(option.name, value)
