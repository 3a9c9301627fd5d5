"""The number and commit that the binary prints, set in the way that the tree takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from builder.errors import SourceError
from builder.plan.facts import Facts
from builder.plan.plan import Definition, Stamp
from builder.upstream.revision import Revision

_DEFAULTS = ("cmake/build-info.cmake", "scripts/build-info.cmake")
_GENERATED = "common/build-info.cpp"
_GUARD = r"^\s*if\s*\(\s*NOT\s+DEFINED\s+LLAMA_BUILD_(NUMBER|COMMIT)\s*\)"
_NUMBER = re.compile(r"^(?P<head>\s*set\s*\(\s*BUILD_NUMBER\s+)\d+(?P<tail>\s*\))", re.MULTILINE | re.IGNORECASE)
_COMMIT = re.compile(r'^(?P<head>\s*set\s*\(\s*BUILD_COMMIT\s+)"[^"]*"(?P<tail>\s*\))', re.MULTILINE | re.IGNORECASE)
_SHOWN = 9
"""Hexadecimal digits of the commit that are shown."""


def plan_stamp(facts: Facts, revision: Revision) -> Stamp:
    """How a tree is told what it is.

    Since upstream's #14167 (June 2025) the tree takes LLAMA_BUILD_NUMBER and LLAMA_BUILD_COMMIT from CMake's command
    line: its CMakeLists.txt then sets each only where it is not defined. Before, the defaults in a file are set; they
    count where git finds no repository, as in a build context. Whether it calls itself a release is left to the tree.
    A commit with changes on it is stamped as `0c1e57098-dirty`, with the number of the commit.

    Raises:
        SourceError: the tree has neither.
    """
    number, commit = revision.build_number, revision.described_commit(_SHOWN)
    if facts.find(_GUARD, "CMakeLists.txt"):
        definitions = (
            Definition("LLAMA_BUILD_NUMBER", str(number or 0)),
            Definition("LLAMA_BUILD_COMMIT", commit),
        )
        return Stamp(number, commit, definitions, None)
    for file in _DEFAULTS:
        if (text := facts.text(file)) is not None:
            stamped_defaults(text, number, commit)
            return Stamp(number, commit, (), file)
    raise _unstampable()


def stamped_defaults(text: str, number: int | None, commit: str) -> str:
    """The text of `Stamp.defaults_file` with the defaults replaced.

    Args:
        number: None is unknown and written as 0.

    Raises:
        SourceError: the text does not set them.
    """
    text, numbers = _NUMBER.subn(rf"\g<head>{number or 0}\g<tail>", text, count=1)
    text, commits = _COMMIT.subn(rf'\g<head>"{commit}"\g<tail>', text, count=1)
    if not (numbers and commits):
        raise _unstampable()
    return text


def overlay(stamp: Stamp, tree: Path) -> Mapping[str, str]:
    """What must lie over the tree while it is configured and compiled: texts by file, relative to the tree.

    Besides the edited defaults this is an empty shell in the place of a generated build-info.cpp that a packager's
    build left in the tree: upstream's script leaves such a file alone where commit and compiler are those it would
    write, whatever number stands in it.

    Raises:
        SourceError: the defaults cannot be set.
    """
    if stamp.defaults_file is None:
        return {}
    text = (tree / stamp.defaults_file).read_text("utf-8", "replace")
    edited = {stamp.defaults_file: stamped_defaults(text, stamp.build_number, stamp.commit)}
    if (tree / _GENERATED).is_file():
        edited[_GENERATED] = "// Generated while compiling.\n"
    return edited


def _unstampable() -> SourceError:
    return SourceError(
        "This tree has no place for a build number and commit that is known here.",
        "Take a revision from b3294 on.",
    )
