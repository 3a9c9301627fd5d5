"""What a tree declares: the CMake variables that a person may set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.errors import SourceError
from builder.plan.cmake import Command, commands

_FILES = (
    "CMakeLists.txt",
    "ggml/CMakeLists.txt",
    "ggml/src/CMakeLists.txt",
    "ggml/src/*/CMakeLists.txt",
    "common/CMakeLists.txt",
    "tools/CMakeLists.txt",
    "tools/*/CMakeLists.txt",
    "examples/server/CMakeLists.txt",
)


@dataclass(frozen=True)
class Declaration:
    """One variable that the project declares for its users.

    Attributes:
        name: such as `GGML_CUDA_GRAPHS`.
        type: CMake's cache type: `BOOL`, `STRING`, `PATH`, `FILEPATH`.
        default: as written, variables not replaced; such as `ON` or `${GGML_CUDA_GRAPHS_DEFAULT}`.
        file: relative to the tree.
        line: from 1.
        help: what the project says of it.
    """

    name: str
    type: str
    default: str
    file: str
    line: int
    help: str

    @property
    def evidence(self) -> str:
        """Where and how it is declared, as one line."""
        return f'{self.file}:{self.line} {self.name} "{self.help}" ({self.type}, default {self.default or "empty"})'


def declared(tree: Path) -> Mapping[str, Declaration]:
    """The declarations of a tree by name; of several with one name the first, which is the one that CMake keeps.

    Raises:
        SourceError: there is no CMakeLists.txt at the top.
    """
    if not (tree / "CMakeLists.txt").is_file():
        raise SourceError(
            "The tree has no CMakeLists.txt at its top.",
            "Give an origin whose top folder, or whose vendor/llama.cpp, is a llama.cpp tree.",
        )
    found: dict[str, Declaration] = {}
    for pattern in _FILES:
        for file in sorted(tree.glob(pattern)):
            for declaration in parse(file.read_text("utf-8", "replace"), str(file.relative_to(tree))):
                found.setdefault(declaration.name, declaration)
    return found


def parse(text: str, file: str) -> list[Declaration]:
    """The declarations in the text of one CMake file, in order.

    Counted are `option()`, `cmake_dependent_option()` and `set(... CACHE ...)` other than INTERNAL. An old name that a
    project only translates or warns of, such as with llama.cpp's `llama_option_depr()`, is not declared.
    """
    return list(_declarations(text, file))


def _declarations(text: str, file: str) -> Iterator[Declaration]:
    for command in commands(text):
        parts = _option(command) or _dependent_option(command) or _cache_entry(command)
        if parts and "$" not in (name := command.arguments[0]):
            kind, default, help_text = parts
            yield Declaration(name, kind, default, file, command.line, help_text)


def _option(command: Command) -> tuple[str, str, str] | None:
    match command.name, command.arguments:
        case "option", (_, help_text):
            return "BOOL", "OFF", help_text
        case "option", (_, help_text, default):
            return "BOOL", default, help_text
    return None


def _dependent_option(command: Command) -> tuple[str, str, str] | None:
    match command.name, command.arguments:
        case "cmake_dependent_option", (_, help_text, default, _, _):
            return "BOOL", default, help_text
    return None


def _cache_entry(command: Command) -> tuple[str, str, str] | None:
    words = command.arguments
    if command.name != "set" or "CACHE" not in words[1:]:
        return None
    at = words.index("CACHE", 1)
    kind, help_text = (*words[at + 1 : at + 3], "", "")[:2]
    return (kind, ";".join(words[1:at]), help_text) if kind and kind != "INTERNAL" else None
