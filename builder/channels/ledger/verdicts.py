"""The ledger's pages on verdicts and benchmarks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from builder.channels.ledger.database import Database, Row
from builder.channels.ledger.evidence import BenchmarkEntry, UsedGpu, VerdictEntry
from builder.channels.ledger.images import Images
from builder.channels.ledger.values import canonical, moment_of, short, spell

Kinds = tuple[str, ...]
"""Kinds of GPU, in order of their names; empty for none."""
_NEWEST_FIRST = """ORDER BY at DESC,
    CASE outcome WHEN 'fail' THEN 0 WHEN 'could not judge' THEN 1 ELSE 2 END, id"""
"""Of verdicts of one moment the worst counts."""


class Verdicts:
    """Verdicts and benchmarks, by the digest of what was judged."""

    def __init__(self, database: Database, images: Images) -> None:
        self._database = database
        self._images = images

    def record(self, entry: VerdictEntry) -> None:
        """Keep a verdict; one that is there already is no second one.

        Raises:
            LedgerError: the ledger cannot be written to.
        """
        facts = {
            "digest": entry.digest,
            "gate": entry.gate,
            "outcome": entry.outcome,
            "at": spell(entry.at),
            "machine": entry.machine,
            "document": canonical(entry.document).decode(),
        }
        with self._database.writing():
            self._images.mention(entry.digest)
            name = f"The verdict {short(entry.id)} of the gate {entry.gate}"
            self._database.put("verdicts", {"id": entry.id}, facts, name=name)
            for position, gpu in enumerate(entry.gpus):
                key: Row = {"verdict": entry.id, "position": position}
                used = {"uuid": gpu.uuid, "name": gpu.name, "driver": gpu.driver}
                self._database.put("verdict_gpus", key, used, name=name)

    def of(self, digest: str) -> tuple[VerdictEntry, ...]:
        """All verdicts about an image, by whichever of its digests it was judged, newest first."""
        with self._database.reading():
            return tuple(verdict for verdict in self._listed(self._images.same(digest)))

    def newest(self, digest: str) -> Mapping[tuple[str, Kinds], VerdictEntry]:
        """The last word of each gate about an image on each kind of GPU, by the gate's name and the kinds.

        Which kinds count, and how old a verdict may be, is for the one who asks.
        """
        last: dict[tuple[str, Kinds], VerdictEntry] = {}
        for verdict in self.of(digest):
            last.setdefault((verdict.gate, verdict.kinds), verdict)
        return last

    def all(self) -> tuple[VerdictEntry, ...]:
        """Every verdict, newest first."""
        with self._database.reading():
            rows = self._database.ask(f"SELECT * FROM verdicts {_NEWEST_FIRST}")
            return tuple(self._verdict(row) for row in rows)

    def record_benchmark(self, entry: BenchmarkEntry) -> None:
        """Keep where a record of measurements is, and its digest.

        Raises:
            LedgerError: the ledger cannot be written to.
        """
        facts = {
            "digest": entry.digest,
            "file": entry.file,
            "content": entry.content,
            "at": spell(entry.at),
            "machine": entry.machine,
            "document": canonical(entry.document).decode(),
        }
        with self._database.writing():
            self._images.mention(entry.digest)
            self._database.put("benchmarks", {"id": entry.id}, facts, name=f"The benchmark {short(entry.id)}")

    def benchmarks(self, digest: str | None = None) -> tuple[BenchmarkEntry, ...]:
        """Benchmarks, newest first.

        Args:
            digest: only those of the image that has it.
        """
        order = "ORDER BY at DESC, id"
        if digest is None:
            return tuple(_benchmark(row) for row in self._database.ask(f"SELECT * FROM benchmarks {order}"))
        with self._database.reading():
            digests = self._images.same(digest)
            marks = ", ".join("?" * len(digests))
            statement = f"SELECT * FROM benchmarks WHERE digest IN ({marks}) {order}"
            return tuple(_benchmark(row) for row in self._database.ask(statement, *digests))

    def _listed(self, digests: tuple[str, ...]) -> list[VerdictEntry]:
        marks = ", ".join("?" * len(digests))
        statement = f"SELECT * FROM verdicts WHERE digest IN ({marks}) {_NEWEST_FIRST}"
        return [self._verdict(row) for row in self._database.ask(statement, *digests)]

    def _verdict(self, row: dict[str, Any]) -> VerdictEntry:
        gpus = self._database.ask("SELECT * FROM verdict_gpus WHERE verdict = ? ORDER BY position", row["id"])
        return VerdictEntry(
            row["digest"],
            row["gate"],
            row["outcome"],
            moment_of(row["at"]),
            row["machine"],
            tuple(UsedGpu(str(gpu["uuid"]), str(gpu["name"]), str(gpu["driver"])) for gpu in gpus),
            json.loads(row["document"]),
        )


def _benchmark(row: dict[str, Any]) -> BenchmarkEntry:
    return BenchmarkEntry(
        row["digest"], row["file"], row["content"], moment_of(row["at"]), row["machine"], json.loads(row["document"])
    )
