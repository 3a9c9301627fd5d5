"""Command lines of the program that texts show, and how the program itself reads them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer.main

from builder.cli.app import app

_FENCE = re.compile(r"^ *```[a-z]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^|\n\n)((?: {4}[^\n]*\n)+)")
_INLINE = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
_USAGE = ("[OPTIONS]", " COMMAND")
"""What marks a row that shows a command's form and is no command line."""
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")
_BEFORE = ("$", "sudo", "nice", "exec", "if", "then", "!")
_PERHAPS = re.compile(r"\$\{\w+:\+([^}]*)\}")
"""Words of a shell that are there if a variable is."""
_NUMBERS = ("N", "SECONDS", "MINUTES")


@dataclass(frozen=True)
class Line:
    """A command line as it is written, and whether it may be a command's mere name."""

    words: tuple[str, ...]
    mention: bool = False

    def __str__(self) -> str:
        return shlex.join(self.words)


def in_markdown(text: str) -> Iterator[Line]:
    """Command lines in code blocks, tables and inline code."""
    blocks = [*_FENCE.findall(text), *_INDENTED.findall(text)]
    for block in blocks:
        yield from in_shell("\n".join(row for row in block.splitlines() if not any(one in row for one in _USAGE)))
    prose = _FENCE.sub("", text)
    for found in _INLINE.finditer(prose):
        row = prose[prose.rfind("\n", 0, found.start()) + 1 : found.start()]
        for line in in_shell(found[1].replace("\n", " ")):
            named = not row.startswith("|") and not any(word.startswith("-") for word in line.words)
            yield Line(line.words, mention=named)


def in_shell(text: str) -> Iterator[Line]:
    """Command lines of the program in a piece of shell script."""
    for row in _PERHAPS.sub(r"\1", text.replace("\\\n", " ")).splitlines():
        for part in re.split(r"\s(?:&&|\|\||\||;)\s|;\s", row):
            words = _words(part)
            while words and (words[0] in _BEFORE or _ASSIGNMENT.fullmatch(words[0])):
                words = words[1:]
            if words and words[0].rsplit("/", 1)[-1] == "builder":
                yield Line(tuple(words[1:]))


def _words(part: str) -> list[str]:
    try:
        words = shlex.split(part.replace("[", " ").replace("]", " "), comments=True)
    except ValueError:
        return []
    end = next((at for at, word in enumerate(words) if re.fullmatch(r"[0-9]?(>>?|<).*", word)), len(words))
    return words[:end]


def understand(line: Line) -> None:
    """Read it as the program would, and do nothing.

    Raises:
        Exception: a command or an option does not exist, or an argument is missing or does not fit.
    """
    words = [_filled(word) for word in line.words if not word.startswith("...")]
    command: Any = typer.main.get_command(app)
    if line.mention and _is_name(command, words):
        return
    context = command.make_context("builder", words)
    while hasattr(command, "commands"):
        left = [*context._protected_args, *context.args]  # noqa: SLF001
        if not left and command.invoke_without_command:
            return
        name, command, rest = command.resolve_command(context, left)
        context = command.make_context(name, list(rest), parent=context)


def _is_name(command: Any, words: list[str]) -> bool:
    for word in words:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            return False
    return True


def _filled(word: str) -> str:
    """A word with something for each placeholder: the first of `a|b`, a number for `N`."""
    first = word.partition("|")[0]
    return "60" if first in _NUMBERS else first
