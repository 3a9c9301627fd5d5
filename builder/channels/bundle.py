"""Several statements in one file: JSON lines, one statement each, as in-toto's bundles are.

https://github.com/in-toto/attestation/blob/main/spec/v1/bundle.md
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from builder.channels.statement import BadStatement, Statement, read_statement, write_statement


def write_bundle(statements: Iterable[Statement]) -> bytes:
    """The statements as they travel, in their order."""
    return b"".join(_line(statement) for statement in statements)


def read_bundle(content: bytes, source: str) -> tuple[Statement, ...]:
    """Read what `write_bundle` wrote, or a single statement in whatever lines.

    Args:
        source: where it came from, for people.

    Raises:
        BadStatement: it has none, is cut, or a statement is something else or does not fit together.
    """
    if _object(content):
        return (read_statement(content, source),)
    lines = [(number, line) for number, line in enumerate(content.split(b"\n"), 1) if line.strip()]
    if not lines:
        raise BadStatement(f"{source} has no statement.", "Take the file that `builder judge --out FILE` wrote.")
    return tuple(read_statement(line, f"Line {number} of {source}") for number, line in lines)


def is_bundle(content: bytes) -> bool:
    """Whether a file is meant to hold statements; whether it really does is seen when it is read."""
    first = content.lstrip().partition(b"\n")[0]
    return any("_type" in found for found in map(_object, (first, content)))


def _line(statement: Statement) -> bytes:
    document = json.loads(write_statement(statement))
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _object(content: bytes) -> dict[str, Any]:
    """The object that a text is in JSON; an empty one where it is none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
