"""When no further round may be measured."""

from __future__ import annotations

from builder.performance.rules import Rules
from builder.performance.sentences import plural

_PATIENCE = 1.5
"""So many times the rounds that may count are measured where some do not count."""


def limit(rules: Rules, *, most: int, counted: int, batch: int, rounds: int, spent: float) -> str:
    """Which limit does not allow another round, as the beginning of a sentence; empty where all do.

    Args:
        most: rounds of a batch that may count.
        counted: rounds of this batch that count for what is open.
        batch: rounds of this batch that were measured.
        rounds: that were measured in all.
        spent: seconds that they took.
    """
    if counted >= most or batch >= _PATIENCE * most:
        return f"There were {plural(batch, 'round')} in this batch, as many as there may be"
    if rules.time_limit and rounds and spent * (rounds + 1) / rounds > rules.time_limit:
        return f"Another round would pass the limit of {rules.time_limit:g} s"
    return ""
