"""Entries for a ledger, each from a seed."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from builder.channels.ledger.evidence import UsedGpu, VerdictEntry
from builder.channels.ledger.moves import PromotionEntry, Step

NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)
H100 = UsedGpu("GPU-1", "NVIDIA H100", "580.1")
L4 = UsedGpu("GPU-2", "NVIDIA L4", "580.1")


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder in memory where there is one: what is written there need not reach a disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def digest(seed: object) -> str:
    """A digest of its own for each seed."""
    return f"sha256:{hashlib.sha256(str(seed).encode()).hexdigest()}"


def name(seed: object) -> str:
    """A name of 32 hexadecimal digits for each seed."""
    return hashlib.md5(str(seed).encode(), usedforsecurity=False).hexdigest()


def verdict(image: object = "image", gate: str = "smoke", outcome: Any = "pass", **changes: Any) -> VerdictEntry:
    """A verdict on an H100 at noon."""
    facts = {"at": NOON, "machine": "host", "gpus": (H100,), "document": {"reasons": ["All checks passed."]}, **changes}
    return VerdictEntry(digest(image), gate, outcome, **facts)


def promotion(ledger: str, seed: object = "promotion", after: object = "new", **changes: Any) -> PromotionEntry:
    """A promotion of three moves, not begun."""
    steps = tuple(Step("engine", f"llama:{tag}", None, digest(after)) for tag in ("b10991", "previous", "latest"))
    names = {"repository": "llama", "channel": "latest", "variant": "", "who": "me", "why": "", "forced": None}
    facts: dict[str, Any] = {"before": digest("old"), "after": digest(after), "at": NOON, "steps": steps, **names}
    return PromotionEntry(name(seed), ledger, "promote", **{**facts, **changes})


def after(minutes: float) -> datetime:
    """A moment after noon."""
    return NOON + timedelta(minutes=minutes)
