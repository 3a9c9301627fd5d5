"""In which order subjects are measured within a round."""

from __future__ import annotations

from collections.abc import Sequence


def order(subjects: Sequence[str], number: int) -> tuple[str, ...]:
    """The order of one round: there and back, so that each subject is measured twice and a steady drift cancels.

    A B B A, and in the next round B A A B. The alternation matters where a disturbance lasts longer than a run: the two
    runs side by side at the border of two rounds are of different subjects then. Without it, A's runs would stand in
    twos like B's, and a disturbance of two runs would hit one subject at a time: in simulation, 4 false alarms in 100
    where 1 is stated. More than two subjects begin with another one in each round.

    Args:
        number: the round's, from 1.
    """
    shift = (number - 1) % len(subjects)
    there = (*subjects[shift:], *subjects[:shift])
    return (*there, *reversed(there))
