"""What happened, from all pages of the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from builder.channels.called import called
from builder.channels.ledger.evidence import BenchmarkEntry, VerdictEntry
from builder.channels.ledger.ledger import Ledger
from builder.channels.ledger.moves import PromotionEntry
from builder.channels.requirements import last_words, profile_of, verdicts_of


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Attributes:
        kind: such as `verdict`.
        digest: of the image that it is about.
        name: what that image is called.
        what: clause for people.
    """

    at: datetime
    kind: str
    digest: str
    name: str
    what: str


def counts(ledger: Ledger) -> Mapping[str, int]:
    """How many entries there are of each kind.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    with ledger.at_once():
        return {
            "revisions": len(ledger.images.revisions()),
            "images": len(ledger.images.all()),
            "builds": len(ledger.images.builds()),
            "verdicts": len(ledger.verdicts.all()),
            "benchmarks": len(ledger.verdicts.benchmarks()),
            "promotions": len(ledger.promotions.history()),
            "holds": len(ledger.holds.all()),
        }


def newest(ledger: Ledger, limit: int) -> tuple[Event, ...]:
    """What happened last, newest first.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    with ledger.at_once():
        found = sorted(_events(ledger, limit), key=lambda one: one[0], reverse=True)[:limit]
        return tuple(Event(at, kind, digest, called(ledger, digest), what) for at, kind, digest, what in found)


def state_of(entry: PromotionEntry, ledger: str) -> str:
    """How far a promotion has come, in words.

    Args:
        ledger: our own; what another one has not ended is not ours to end.
    """
    if entry.result:
        return entry.result
    if entry.ledger != ledger:
        return "not ended when it was brought in"
    return "being undone" if entry.turned else "under way"


def grounds(ledger: Ledger, entry: PromotionEntry) -> tuple[VerdictEntry, ...]:
    """The last words of all gates about an image when it was adopted.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    earlier = [verdict for verdict in verdicts_of(ledger, (entry.after,)) if verdict.at <= entry.at]
    return last_words(earlier)


def spell_verdicts(verdicts: Sequence[VerdictEntry]) -> str:
    """Verdicts in one line: `version pass, smoke (chat) pass on NVIDIA L4`; those that say the same once."""
    told = dict.fromkeys(_spell(verdict) for verdict in sorted(verdicts, key=lambda one: one.at))
    return ", ".join(told) or "no verdicts"


def _events(ledger: Ledger, limit: int) -> Iterator[tuple[datetime, str, str, str]]:
    for build in ledger.images.builds()[:limit]:
        yield build.at, "build", build.image, f"on {build.machine}"
    for verdict in ledger.verdicts.all()[:limit]:
        yield verdict.at, "verdict", verdict.digest, _spell(verdict)
    for benchmark in ledger.verdicts.benchmarks()[:limit]:
        yield benchmark.at, "benchmark", benchmark.digest, _measured(benchmark)
    for entry in ledger.promotions.history(limit=limit):
        forced = ", forced" if entry.forces else ""
        what = f"{entry.repository}:{entry.channel} by {entry.who}, {state_of(entry, ledger.id)}{forced}"
        yield entry.at, entry.action, entry.after, what
    for hold in ledger.holds.all()[:limit]:
        yield hold.at, "hold", hold.digest, f"by {hold.who}: {hold.reason}{', lifted' if hold.lifted else ''}"


def _spell(verdict: VerdictEntry) -> str:
    profile = f" ({one})" if (one := profile_of(verdict)) else ""
    where = f" on {', '.join(verdict.kinds)}" if verdict.kinds else ""
    return f"{verdict.gate}{profile} {verdict.outcome}{where}"


def _measured(benchmark: BenchmarkEntry) -> str:
    document = benchmark.document
    told = " ".join(str(document.get(key)) for key in ("profile", "outcome") if document.get(key))
    return f"{told or 'measured'} on {benchmark.machine}"
