"""A process that writes to a ledger without end, or until it has written so many rounds.

python -m tests.integration.channels.writing FILE WRITER ROUNDS

It says `id number` of each round once the ledger has it: one verdict, and a promotion of three steps that is finished.
"""

from __future__ import annotations

import sys
from pathlib import Path

from builder.channels.ledger.evidence import ImageEntry
from builder.channels.ledger.faults import LedgerError
from builder.channels.ledger.ledger import Ledger, open_ledger
from tests.unit.ledger_entries import NOON, after, digest, promotion, verdict

STEPS = 3


def write_round(ledger: Ledger, writer: str, number: int) -> None:
    """One image, its verdict, and its promotion, step by step."""
    seed = f"{writer} {number}"
    with ledger.together():
        ledger.images.record(ImageEntry(digest(seed), (digest(f"manifest {seed}"),)))
        ledger.verdicts.record(verdict(seed, document={"padding": "x" * 2000}))
    entry = promotion(ledger.id, seed, seed, variant=writer, at=after(number))
    ledger.promotions.plan(entry)
    for position in range(STEPS):
        ledger.promotions.mark(entry.id, position, "begun", NOON)
        ledger.promotions.mark(entry.id, position, "done", NOON)
    ledger.promotions.end(entry.id, "done", after(number))


def finish(ledger: Ledger, writer: str) -> None:
    """What the next run does with what a killed one left."""
    for entry in ledger.promotions.under_way("llama", writer):
        for position in range(STEPS):
            if not entry.steps[position].done:
                ledger.promotions.mark(entry.id, position, "begun", NOON)
                ledger.promotions.mark(entry.id, position, "done", NOON)
        ledger.promotions.end(entry.id, "done", entry.at)


def main(file: Path, writer: str, rounds: int) -> None:
    """Write, and say so."""
    with open_ledger(file) as ledger:
        finish(ledger, writer)
        first = len([one for one in ledger.promotions.history() if one.variant == writer])
        for number in range(first, first + rounds):
            write_round(ledger, writer, number)
            sys.stdout.write(f"{writer} {number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    except LedgerError as error:
        sys.exit(f"{type(error).__name__}: {error.cause} {error.remedy}")
