"""Is what the build put into the image still there, unchanged and usable, and nothing beside it?"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from builder.gates.structure.examined import Examined, listed
from builder.gates.structure.files import File, FileKind
from builder.gates.structure.identity import identity_of
from builder.gates.structure.reading import SHIPPED
from builder.gates.verdict import Check, failed, passed, unjudged
from builder.plan.marks import FOLDER

LIST = f"{FOLDER}/SHA256SUMS"
"""Where the build lists its files, as `sha256sum` does."""
_LINE = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<path>/.+)")
_PROGRAMS = "/usr/local/bin/"
_READ, _EXECUTE = 0o4, 0o1
_REMEDY = "Something changed the image after it was built. Build it again with `builder build`."


def check_shipped(examined: Examined) -> Iterator[Check]:
    """Checks about the files that the build's own list names, and about others among them."""
    text = examined.files.text(LIST)
    if text is None:
        yield unjudged(
            "shipped",
            f"There is no {LIST} that says which files the build made: the image is of an earlier recipe, or was "
            "changed afterwards. Build it again with `builder build`.",
        )
        return
    sums = _parse(text)
    if sums is None:
        yield failed("shipped", f"{LIST} is not a list of digests as the build writes it. {_REMEDY}")
        return
    yield _unchanged(examined, sums)
    yield _usable(examined, sums)


def _parse(text: str) -> Mapping[str, str] | None:
    """Digests by path; None where a line is none, or there is no line."""
    found = [_LINE.fullmatch(line) for line in text.splitlines()]
    sums = {match["path"]: match["digest"] for match in found if match}
    return sums if sums and len(sums) == len(found) and all(path.startswith(SHIPPED) for path in sums) else None


def _unchanged(examined: Examined, sums: Mapping[str, str]) -> Check:
    name = "shipped"
    entries, digests = examined.files.entries, examined.files.digests
    missing = [path for path in sums if path not in entries]
    replaced = [path for path in sums if path in entries and entries[path].kind is not FileKind.FILE]
    changed = [path for path in sums if path not in (*missing, *replaced) and digests.get(path) != sums[path]]
    added = [file.path for file in examined.files.below(FOLDER) if file.path not in {FOLDER, LIST, *sums}]
    parts = {"missing": missing, "no regular file": replaced, "changed": changed, "added": added}
    wrong = {what: sorted(paths) for what, paths in parts.items() if paths}
    if wrong:
        said = "; ".join(f"{what}: {listed(paths)}" for what, paths in wrong.items())
        excerpt = tuple(f"{what}: {path}" for what, paths in wrong.items() for path in paths)
        return failed(name, f"The files are not those that the build made. {said}. {_REMEDY}", excerpt)
    return passed(name, f"All {len(sums)} files are as the build made them, and there is no other in {FOLDER}.")


def _usable(examined: Examined, sums: Mapping[str, str]) -> Check:
    name, server, entries = "usable", identity_of(examined), examined.files.entries
    programs = [path for path in sums if _is_program(examined, path)]
    folders = sorted({folder for path in sums for folder in _folders_of(path)} & entries.keys())
    needed = {
        "read": _withheld(server.may, entries, (*sums, LIST, FOLDER), _READ),
        "execute": _withheld(server.may, entries, programs, _EXECUTE),
        "enter": _withheld(server.may, entries, folders, _EXECUTE),
    }
    said = [f"{what} {listed(paths)}" for what, paths in needed.items() if paths]
    if said:
        return failed(name, f"The server's user {server.said} may not {'; nor '.join(said)}. {_REMEDY}")
    return passed(name, f"The server's user may read all that the build made and execute its {len(programs)} programs.")


def _is_program(examined: Examined, path: str) -> bool:
    binary = examined.files.binaries.get(path)
    return path.startswith(_PROGRAMS) or (binary is not None and binary.interpreter is not None)


def _folders_of(path: str) -> Iterator[str]:
    while path != "/":
        path = posixpath.dirname(path)
        yield path


def _withheld(
    may: Callable[[File, int], bool], entries: Mapping[str, File], paths: Iterable[str], right: int
) -> list[str]:
    return sorted(path for path in paths if path in entries and not may(entries[path], right))
