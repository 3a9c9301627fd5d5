"""What an image has to show before tags are moved to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from builder.channels.ledger.ledger import Ledger
from builder.channels.promotion.target import Target
from builder.channels.requirements import Lack, lacks
from builder.errors import NothingMoved
from builder.plan.marks import PLAN, TESTS
from builder.settings import Settings

_FORCED = "or override it with `--force REASON`"


def require_served(target: Target) -> None:
    """See that an image is one that is served.

    Raises:
        NothingMoved: it holds upstream's test programs.
    """
    if TESTS in target.labels:
        raise NothingMoved(
            f"{target.shown} holds upstream's test programs: it judges the served image and is not served.",
            f"Name the served one, such as {re.sub('-tests$', '', target.shown)}.",
        )


def require_ours(target: Target) -> None:
    """See that an image was built here, so that it is known what it is.

    Raises:
        NothingMoved: it was not.
    """
    if PLAN not in target.labels:
        raise NothingMoved(
            f"{target.shown} was not built by builder: it has no label {PLAN}.", f"Name one that was, {_FORCED}."
        )


def require_unheld(ledger: Ledger, target: Target) -> None:
    """See that nothing holds an image back.

    Raises:
        NothingMoved: something does.
    """
    if held := ledger.holds.on(target.id):
        hold = held[0]
        raise NothingMoved(
            f"{target.shown} is held since {hold.at:%Y-%m-%d %H:%M} UTC by {hold.who}: {hold.reason.rstrip('.')}.",
            f"Lift it with `builder hold lift {hold.id[:9]}`, {_FORCED}.",
        )


def require_verdicts(ledger: Ledger, target: Target, settings: Settings, now: datetime, more: str = "") -> None:
    """See that an image has every verdict that is asked for.

    Args:
        more: a sentence on why they are asked for; empty where that goes without saying.

    Raises:
        NothingMoved: it lacks some; all are listed, each with the command that brings it.
    """
    if lacking := lacks(ledger, ledger.images.same(target.id), target.variant, settings, now):
        raise NothingMoved(
            f"{target.shown} lacks what promotion asks for: {', '.join(str(lack.requirement) for lack in lacking)}."
            f" {more}".rstrip(),
            f"Bring that, {_FORCED}.",
            excerpt=tuple(line for lack in lacking for line in (lack.why, _brought(lack, target))),
        )


def was_adopted(ledger: Ledger, digests: Sequence[str]) -> bool:
    """Whether an image was adopted by what it had shown, or was adopted before there was a ledger.

    What was forced shows nothing, nor does a tag that was put by hand.

    Args:
        digests: all under which it is known.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    shown = any(not entry.forces for entry in ledger.promotions.adoptions(digests))
    return shown or ledger.promotions.found_first(digests)


def inherited(ledger: Ledger, digests: Sequence[str]) -> tuple[str, ...]:
    """What was forced when an image was adopted the last time; empty where nothing was, or it never was adopted.

    Args:
        digests: all under which it is known.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    adoptions = ledger.promotions.adoptions(digests)
    return adoptions[-1].forces if adoptions else ()


def _brought(lack: Lack, target: Target) -> str:
    gpu = lack.requirement.gpu
    where = f"   on a machine with {gpu}" if gpu else ""
    return f"  builder judge {target.shown} --gate {lack.requirement.gate}{where}"
