"""What a tree says of itself, with file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from builder.plan.cmake import commands
from builder.plan.options import Declaration, declared

_DEFINE = frozenset({"add_compile_definitions", "target_compile_definitions", "add_definitions"})


@dataclass(frozen=True)
class Line:
    """A line of a file in the tree.

    Attributes:
        file: relative to the tree.
        number: from 1.
        text: without the space around it.
    """

    file: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.number} {self.text}"


class Facts:
    """A tree that answers questions.

    Args:
        path: its top folder.

    Raises:
        SourceError: there is no CMakeLists.txt at the top.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.declared: Mapping[str, Declaration] = declared(path)

    def first_declared(self, *names: str) -> Declaration | None:
        """The first of these names that the tree declares."""
        return next((self.declared[name] for name in names if name in self.declared), None)

    def text(self, file: str) -> str | None:
        """The text of a file, relative to the tree; None where there is none."""
        path = self._path / file
        return path.read_text("utf-8", "replace") if path.is_file() else None

    def find(self, pattern: str, *files: str) -> Line | None:
        """The first line that matches a regular expression, in the first of these files that has one."""
        expression = re.compile(pattern)
        for file in files:
            for number, line in enumerate((self.text(file) or "").splitlines(), 1):
                if expression.search(line):
                    return Line(file, number, line.strip())
        return None

    def find_target(self, name: str) -> str | None:
        """The CMake file, relative to the tree, that makes an executable of this name; None where none does."""
        naming = re.compile(rf"\b(?:set\s*\(\s*TARGET\s+|add_executable\s*\(\s*){re.escape(name)}\b")
        for folder in ("tools", "examples"):
            for file in sorted((self._path / folder).glob("*/CMakeLists.txt")):
                if naming.search(file.read_text("utf-8", "replace")):
                    return str(file.relative_to(self._path))
        return None

    def has_test(self, name: str) -> bool:
        """Whether the tree has one of its own test programs: its source, and a CMake command that takes it.

        Blocks that the command stands in are not weighed.
        """
        source = f"{name}.cpp"
        named = any(source in command.arguments for command in commands(self.text("tests/CMakeLists.txt") or ""))
        return named and self.text(f"tests/{source}") is not None

    def macro_of(self, option: str, *, when: bool) -> str | None:
        """The preprocessor macro that the tree's CMake files define where an option is on, or where it is off.

        Args:
            when: the option's state: `if (X) add_compile_definitions(M)` for True, `if (NOT X) ...` for False.
        """
        condition = (option,) if when else ("NOT", option)
        return next((macro for given, macro in self._macros if given[: len(condition)] == condition), None)

    @cached_property
    def _macros(self) -> list[tuple[tuple[str, ...], str]]:
        files = ("ggml/src/ggml-cuda/CMakeLists.txt", "ggml/src/CMakeLists.txt", "CMakeLists.txt")
        return [pair for file in files for pair in _conditional_macros(self.text(file) or "")]


def _conditional_macros(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each `if (...)` that is followed at once by a definition for the compiler: its condition and the macro."""
    before = None
    for command in commands(text):
        if before and before.name == "if" and command.name in _DEFINE and command.arguments:
            yield before.arguments, command.arguments[-1].removeprefix("-D").partition("=")[0]
        before = command
