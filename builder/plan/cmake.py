"""CMake's language, as far as it must be read without CMake: which commands stand in a file, with which arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    \#\[(?P<comment>=*)\[.*?\](?P=comment)\]
  | \#[^\n]*
  | \[(?P<fence>=*)\[(?P<bracket>.*?)\](?P=fence)\]
  | "(?P<quoted>(?:\\.|[^"\\])*)"
  | (?P<paren>[()])
  | (?P<word>(?:\\.|[^\s()\#"\\])+)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True)
class Command:
    """One command of a CMake file.

    Attributes:
        name: in lower case; CMake does not tell cases apart.
        arguments: as written, without quotes; variables are not replaced. Inner parentheses are arguments.
        line: where it starts, from 1.
    """

    name: str
    arguments: tuple[str, ...]
    line: int


def commands(text: str) -> Iterator[Command]:
    """The commands of a CMake file, in order, whatever blocks they stand in.

    What is not CMake is passed over: CMake itself is the one to complain of it.
    """
    name, line = "", 0
    arguments: list[str] = []
    depth, at, lines = 0, 0, 1
    for token in _TOKEN.finditer(text):
        lines += text.count("\n", at, token.start())
        at = token.start()
        paren, word = token["paren"], _argument(token)
        if depth == 0:
            if paren == "(" and name:
                depth, arguments = 1, []
            elif paren is None and word is None:
                continue
            else:
                name, line = (token["word"] or "").lower(), lines
            continue
        depth += {"(": 1, ")": -1}.get(paren or "", 0)
        if depth == 0:
            yield Command(name, tuple(arguments), line)
            name = ""
        elif (argument := paren or word) is not None:
            arguments.append(argument)


def _argument(token: re.Match[str]) -> str | None:
    """The text of an argument; None for a comment or a parenthesis."""
    if token["bracket"] is not None:
        return token["bracket"]
    written = token["quoted"] if token["quoted"] is not None else token["word"]
    return None if written is None else _ESCAPE.sub(r"\1", written)
