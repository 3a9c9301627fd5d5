"""One variable in a file that Compose reads as `.env` or `env_file`; every byte beside its value stays as it is.

The grammar is that of Compose's own reader: `NAME=value`, `NAME: value` or `NAME` alone, with or without `export`;
a value in quotes may have several lines, and one without ends at ` #`.
https://github.com/compose-spec/compose-go/blob/main/dotenv/parser.go
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from builder.errors import UsageError

_BLANK = rb"[ \t\v\f\r]"
_SKIPPED = re.compile(rb"(?:\xef\xbb\xbf)?(?:[ \t\v\f\r\n]+|\#[^\n]*)*")
_HEAD = re.compile(
    rb"(?:export%(b)s+)?(?P<name>[^=:\n]*?)%(b)s*(?:(?P<sign>[=:])%(b)s*|(?=\n)|\Z)" % {b"b": _BLANK},
)
_QUOTED = re.compile(rb"\"(?:\\.|[^\\\"])*\"|'(?:\\.|[^\\'])*'", re.DOTALL)
_BARE = re.compile(rb"(?P<value>[^\n]*?)%(b)s*(?:%(s)s\#[^\n]*)?(?=\n|\Z)" % {b"b": _BLANK, b"s": rb"\ "})
_QUOTES = (b'"', b"'")


@dataclass(frozen=True)
class _Assignment:
    """Where a variable's value is.

    Attributes:
        has_sign: whether there is a `=` or `:` before it; without, the variable comes from Compose's environment.
    """

    name: bytes
    start: int
    end: int
    has_sign: bool


def set_variable(content: bytes, name: str, value: str, file: str) -> bytes:
    """The content in which a variable has a value, wherever it is set, or at the end where it was not.

    Args:
        value: no blanks, quotes, dollars or hashes.
        file: where it came from, for people.

    Raises:
        UsageError: a quote in it is never closed, so that nobody knows what is a name.
    """
    wanted = value.encode()
    found = [one for one in _assignments(content, file) if one.name == name.encode()]
    if not found:
        return _appended(content, name.encode() + b"=" + wanted)
    for one in reversed(found):
        sign = b"" if one.has_sign else b"="
        quote = first if (first := content[one.start : one.start + 1]) in _QUOTES and one.has_sign else b""
        content = content[: one.start] + sign + quote + wanted + quote + content[one.end :]
    return content


def value_of(content: bytes, name: str, file: str) -> str | None:
    """What a variable is set to, which is what the last line says; None where none does.

    Raises:
        UsageError: a quote in it is never closed.
    """
    found = [one for one in _assignments(content, file) if one.name == name.encode() and one.has_sign]
    if not found:
        return None
    value = content[found[-1].start : found[-1].end]
    return (value[1:-1] if value[:1] in _QUOTES else value).decode(errors="replace")


def _assignments(content: bytes, file: str) -> Iterator[_Assignment]:
    position = _past(_SKIPPED, content, 0)
    while position < len(content):
        head = _HEAD.match(content, position)
        assert head, "every line is a name, with a sign or without"
        start = head.end() if head["sign"] else head.end("name")
        end = _end_of_value(content, start, file) if head["sign"] else start
        yield _Assignment(head["name"], start, end, bool(head["sign"]))
        position = _past(_SKIPPED, content, max(end, head.end()))


def _end_of_value(content: bytes, start: int, file: str) -> int:
    if content[start : start + 1] in _QUOTES:
        quoted = _QUOTED.match(content, start)
        if not quoted:
            line = content.count(b"\n", 0, start) + 1
            raise UsageError(f"The quote in line {line} of {file} is never closed.", "Close it, and try again.")
        return quoted.end()
    bare = _BARE.match(content, start)
    assert bare, "a value without quotes ends with its line"
    return bare.end("value")


def _past(pattern: re.Pattern[bytes], content: bytes, position: int) -> int:
    found = pattern.match(content, position)
    return found.end() if found else position


def _appended(content: bytes, line: bytes) -> bytes:
    """The content with one more line, ended as the others are."""
    first = content.partition(b"\n")[0]
    end = b"\r\n" if b"\n" in content and first.endswith(b"\r") else b"\n"
    between = b"" if not content or content.endswith(b"\n") else end
    return content + between + line + end
