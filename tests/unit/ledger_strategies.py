"""Entries for a ledger, as Hypothesis makes them up."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from builder.channels.ledger.evidence import UsedGpu, VerdictEntry
from tests.unit.ledger_entries import digest

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
WORDS = TEXT.filter(lambda text: bool(text.strip()))
MOMENTS = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9000, 1, 1), timezones=st.just(UTC))
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
DOCUMENTS = st.dictionaries(
    TEXT.filter(lambda key: key not in ("checks", "gate", "outcome", "digest")),
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)),
    max_size=3,
)
GPUS = st.lists(st.builds(UsedGpu, WORDS, WORDS, WORDS), max_size=3, unique_by=lambda gpu: gpu.uuid).map(tuple)
VERDICTS = st.builds(
    VerdictEntry,
    digest=st.integers(0, 9).map(digest),
    gate=st.sampled_from(["smoke", "version", "performance"]),
    outcome=st.sampled_from(["pass", "fail", "could not judge"]),
    at=MOMENTS,
    machine=WORDS,
    gpus=GPUS,
    document=DOCUMENTS,
)
