"""The ledger as JSON lines: a copy for a rainy day, and the way from one machine to another.

The first line says what the file is and the last how many entries it has, so that one that was cut is not taken for a
whole one. In between, each line is one entry, after those that it refers to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from builder.channels.ledger.evidence import BenchmarkEntry, BuildEntry, ImageEntry, RevisionEntry, VerdictEntry
from builder.channels.ledger.faults import Contradiction
from builder.channels.ledger.ledger import Ledger
from builder.channels.ledger.moves import HoldEntry, PromotionEntry
from builder.channels.ledger.reading import EntryReader
from builder.channels.ledger.values import ID, canonical
from builder.errors import UsageError

SCHEMA = 2
_READ = (1, 2)
"""Versions that are understood; since 2 a promotion tells what was put off, and what was ended by force."""
_KIND = "builder-ledger"
_READERS: Mapping[str, EntryReader[Any]] = {
    "revision": EntryReader(RevisionEntry),
    "image": EntryReader(ImageEntry),
    "build": EntryReader(BuildEntry),
    "verdict": EntryReader(VerdictEntry),
    "benchmark": EntryReader(BenchmarkEntry),
    "promotion": EntryReader(PromotionEntry),
    "hold": EntryReader(HoldEntry),
}


class BadExport(UsageError):
    """A file that was to be brought in is no whole export; nothing of it was."""


@dataclass(frozen=True)
class Import:
    """What came of bringing in an export.

    Attributes:
        ledger: of which ledger it was.
        entries: how many it had, those that were here already among them.
    """

    ledger: str
    entries: int


def export(ledger: Ledger) -> Iterator[bytes]:
    """All of a ledger as lines, from one moment.

    Raises:
        LedgerError: it cannot be read.
    """
    with ledger.at_once():
        entries = [(kind, entry) for kind, listed in _listed(ledger) for entry in listed]
    yield _line({"schema_version": SCHEMA, "kind": _KIND, "ledger": ledger.id})
    for kind, entry in entries:
        yield _line({"entry": kind, **entry.plain()})
    yield _line({"entry": "end", "entries": len(entries)})


def bring_in(ledger: Ledger, lines: Iterable[bytes], name: str) -> Import:
    """Take over what an export holds: all of it, or nothing.

    What is here already is left as it is; doing it twice is doing it once.

    Args:
        name: of the file, for people.

    Raises:
        BadExport: it is no export, a newer version's, or not whole.
        Contradiction: it says of something else than this ledger does; the line is named.
        LedgerError: the ledger cannot be written to.
    """
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    source = _header(next(numbered, None), name)
    records = _recorders(ledger)
    count = 0
    with ledger.together():
        for number, line in numbered:
            document = _document(line, number, name)
            kind = document.pop("entry", None)
            if kind == "end":
                _require_whole(document, count, next(numbered, None), name)
                return Import(source, count)
            _take(records, str(kind), document, f"line {number} of {name}")
            count += 1
        raise BadExport(f"{name} ends in the middle, after {count} entries.", "Export it again.")


def restore(ledger: Ledger, lines: Iterable[bytes], name: str) -> Import:
    """Make an empty ledger the one that an export was made of, with all it holds: it goes on where that one ended.

    Whoever opens it from then on finds that ledger's identity.

    Args:
        name: of the file, for people.

    Raises:
        UsageError: the ledger is not empty.
        BadExport, LedgerError: as for `bring_in`.
    """
    with ledger.together():
        if any(next(iter(listed), None) is not None for _, listed in _listed(ledger)):
            raise UsageError(
                f"The ledger {ledger.file} is not empty, and keeps what it is.",
                "Bring the export in without `--restore`, or move the file and what begins with its name away.",
            )
        taken = bring_in(ledger, lines, name)
        ledger.take_over(taken.ledger)
    return taken


def _listed(ledger: Ledger) -> Iterator[tuple[str, Iterable[Any]]]:
    """Every entry by its kind, those first that others refer to."""
    yield "revision", ledger.images.revisions()
    yield "image", ledger.images.all()
    yield "build", reversed(ledger.images.builds())
    yield "verdict", reversed(ledger.verdicts.all())
    yield "benchmark", reversed(ledger.verdicts.benchmarks())
    yield "promotion", ledger.promotions.in_order()
    yield "hold", reversed(ledger.holds.all())


def _recorders(ledger: Ledger) -> dict[str, Callable[[Any], None]]:
    return {
        "revision": ledger.images.record_revision,
        "image": ledger.images.record,
        "build": ledger.images.record_build,
        "verdict": ledger.verdicts.record,
        "benchmark": ledger.verdicts.record_benchmark,
        "promotion": ledger.promotions.merge,
        "hold": ledger.holds.record,
    }


def _line(document: dict[str, Any]) -> bytes:
    return canonical(document) + b"\n"


def _header(first: tuple[int, bytes] | None, name: str) -> str:
    document = _document(first[1], first[0], name) if first else {}
    if document.get("kind") != _KIND or not ID.fullmatch(str(document.get("ledger"))):
        raise BadExport(f"{name} is no export of a ledger.", "Make one with `builder ledger export`.")
    if document.get("schema_version") not in _READ:
        raise BadExport(
            f"{name} is of version {document.get('schema_version')!r}, and this builder knows {SCHEMA}.",
            "Use the builder that wrote it, or a newer one.",
        )
    return str(document["ledger"])


def _document(line: bytes, number: int, name: str) -> dict[str, Any]:
    try:
        document = json.loads(line)
        canonical(document)
    except (ValueError, RecursionError) as error:
        raise BadExport(f"Line {number} of {name} is not JSON: {error}.", "Export it again.") from error
    if not isinstance(document, dict):
        raise BadExport(f"Line {number} of {name} is no entry.", "Export it again.")
    return document


def _require_whole(document: dict[str, Any], count: int, further: object, name: str) -> None:
    if document != {"entries": count} or further is not None:
        raise BadExport(f"{name} does not hold what its last line says.", "Export it again.")


def _take(records: dict[str, Callable[[Any], None]], kind: str, document: dict[str, Any], where: str) -> None:
    if kind not in records:
        raise BadExport(f"There is no entry of the kind {kind!r} ({where}).", "Export it again.")
    try:
        entry = _READERS[kind].read(document)
    except ValueError as error:
        raise BadExport(f"The {kind} in {where} is not as it should be: {error}.", "Export it again.") from error
    try:
        records[kind](entry)
    except Contradiction as error:
        raise Contradiction(f"{error.cause} ({where})", error.remedy) from error
