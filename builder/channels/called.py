"""What an image is called, for people who know it by no digest."""

from __future__ import annotations

from builder.channels.ledger.ledger import Ledger
from builder.channels.ledger.values import short
from builder.channels.promotion.target import immutable_tag


def called(ledger: Ledger, digest: str | None) -> str:
    """The tag that is an image's own, as far as the ledger knows it; else the beginning of its digest.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    if digest is None:
        return short(None)
    image = ledger.images.find(digest)
    tag = immutable_tag(image.labels) if image and image.labels else None
    return tag or _planned(ledger, digest) or short(digest)


def _planned(ledger: Ledger, digest: str) -> str:
    """The tag by the plan that the image was built by: an engine with containerd's store knows no more of it."""
    for build in ledger.images.builds(digest):
        plan = build.document.get("plan")
        if isinstance(plan, dict) and plan.get("tag"):
            return str(plan["tag"])
    return ""
