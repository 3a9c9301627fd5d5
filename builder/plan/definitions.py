"""What every build asks of CMake, in the words of the tree at hand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from builder.errors import SourceError, UsageError
from builder.plan.facts import Facts
from builder.plan.plan import Definition

TARGETS = ("llama-server", "llama-bench")
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

    ccache stands before the compilers by CMake's launchers, not by the project's own search for it.

    Raises:
        SourceError: the tree has not all the targets.
    """
    examples = "ON" if any(file.startswith("examples/") for file in _target_files(facts)) else "OFF"
    wishes = [
        (("GGML_CCACHE", "LLAMA_CCACHE"), "OFF"),
        (("LLAMA_BUILD_TESTS",), "OFF"),
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


def _has_cpu_variants(facts: Facts, architecture: str) -> bool:
    """The first trees with CPU variants had none but x86's."""
    wanted = r"ggml_add_cpu_backend_variant\s*\(\s*(android_)?arm" if architecture == _ARM else ""
    return not wanted or facts.find(wanted, "ggml/src/CMakeLists.txt") is not None


def _declared(facts: Facts, wishes: Iterable[tuple[tuple[str, ...], str]]) -> Iterator[Definition]:
    for names, value in wishes:
        if option := facts.first_declared(*names):
            yield Definition(option.name, value)
