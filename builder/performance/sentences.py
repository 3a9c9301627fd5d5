"""Judgements as sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable

from builder.performance.comparison import Judgement, Outcome
from builder.performance.rules import Rules

_NUMBER = re.compile(r"[0-9]+([.][0-9]+)?")


def percent(ratio: float) -> str:
    """A ratio as what is more or less of it, such as `+5.2 %`."""
    text = f"{(ratio - 1) * 100:+.1f} %"
    return "0.0 %" if text in ("+0.0 %", "-0.0 %") else text


def interval(judgement: Judgement) -> str:
    """The estimate with its interval, such as `+5.2 % (+3.1 % to +7.3 %)`; empty where there is none."""
    return spell_interval(judgement.ratio, judgement.low, judgement.high)


def spell_interval(ratio: float | None, low: float | None, high: float | None) -> str:
    """The same by its figures."""
    if ratio is None:
        return ""
    return percent(ratio) if low is None or high is None else f"{percent(ratio)} ({percent(low)} to {percent(high)})"


def reason(judgement: Judgement, rules: Rules) -> str:
    """Why a figure has been judged so."""
    name = judgement.question.name
    if judgement.ratio is None:
        return f"{name}: no round counts. {judgement.left_out[-1] if judgement.left_out else 'It was not measured.'}"
    if judgement.low is None:
        missing = rules.least_rounds - judgement.rounds
        return f"{name}: {interval(judgement)} so far; it needs {plural(missing, 'more whole round')} to be judged."
    seen = f"{name}: {interval(judgement)}, {judgement.direction}"
    if judgement.allowed is None:
        return f"{seen}."
    allowed = f"{judgement.allowed * 100:g} %"
    match judgement.outcome:
        case Outcome.NOT_WORSE:
            return f"{seen}; not more than {allowed} worse."
        case Outcome.WORSE:
            return f"{seen}; more than {allowed} worse."
        case _:
            return f"{seen}; whether it is more than {allowed} worse is open{_outlook(judgement)}."


def plural(number: int, thing: str) -> str:
    """`1 round`, `2 rounds`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def collapsed(sentences: Iterable[str]) -> tuple[str, ...]:
    """Sentences that differ in their numbers alone once, with how often they were said."""
    return tuple(
        said[0] if len(said) == 1 else f"{said[0]} (And {plural(len(said) - 1, 'time')} more.)"
        for said in _alike(sentences)
    )


def gathered(sentences: Iterable[str]) -> tuple[str, ...]:
    """The same, and those that begin alike, up to a colon, as one: `Clocks differ: here by 1 ms, 4 times; there.`"""
    alone: list[str] = []
    together: dict[str, list[str]] = {}
    for sentence in sentences:
        beginning, colon, rest = sentence.rstrip(".").partition(": ")
        if colon:
            together.setdefault(beginning, []).append(rest)
        else:
            alone.append(sentence)
    listed = {beginning: "; ".join(map(_counted, _alike(rest))) for beginning, rest in together.items()}
    return (*collapsed(alone), *(f"{beginning}: {parts}." for beginning, parts in listed.items()))


def _counted(said: list[str]) -> str:
    return said[0] if len(said) == 1 else f"{said[0]}, {plural(len(said), 'time')}"


def _alike(sentences: Iterable[str]) -> Iterable[list[str]]:
    """Sentences that differ in their numbers alone, together."""
    groups: dict[str, list[str]] = {}
    for sentence in sentences:
        groups.setdefault(_NUMBER.sub("#", sentence), []).append(sentence)
    return groups.values()


def _outlook(judgement: Judgement) -> str:
    if judgement.more_rounds is None:
        return ", and no number of rounds within reach would tell"
    return f", and {plural(judgement.more_rounds, 'more round')} would probably tell"
