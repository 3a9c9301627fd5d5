"""Round after round until enough is known; what was measured is handed over after each, and whatever ends it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field, replace
from itertools import count

from builder.errors import BuilderError, InterruptedBySignal
from builder.performance.aims import Aim, Decision
from builder.performance.comparison import Outcome
from builder.performance.measure import Measured
from builder.performance.planner import Why
from builder.performance.samples import Run
from builder.performance.sentences import plural

Measure = Callable[[int, Container[str]], Iterable[Measured]]
"""Gives the runs of a round, by its number; before each it looks whether the subject is among those given up."""


@dataclass(frozen=True)
class Taken:
    """All that was measured so far.

    Attributes:
        runs: every run, also those that do not count.
        spent: seconds that they took.
        notes: a sentence for each thing that a person should know of the figures.
        unseen: what would keep runs from counting and could not be looked for, a sentence each.
        decision: what is known after the last whole round; None before the first.
        error: why the rounds ended early; None where they did not.
        interrupted: the same as a sentence; empty where they ended as they should.
        gone: why a subject could not be measured to the end, by its name.
    """

    runs: tuple[Run, ...] = ()
    spent: float = 0.0
    notes: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    decision: Decision | None = None
    error: BuilderError | None = None
    interrupted: str = ""
    gone: dict[str, str] = field(default_factory=dict)

    @property
    def rounds(self) -> int:
        """Rounds that were begun."""
        return len({run.round for run in self.runs})


def take_rounds(
    measure: Measure, aim: Aim, keep: Callable[[Taken], None], tell: Callable[[Taken], None] = lambda _: None
) -> Taken:
    """Measure until the aim is reached or cannot be.

    Args:
        keep: gets what there is after every round, before it is decided on and after that, and at the end, also where
            an exception ends it.
        tell: gets what there is after every round that was decided on, and at the end.

    Returns:
        What was measured; where a subject could not be measured to the end and is needed, with the error.

    Raises:
        MachineError: no engine answers, or the disk is full.
    """
    taken, gone = Taken(), set[str]()
    for number in count(1):
        try:
            for one in measure(number, gone):
                taken = _with(taken, one, aim)
                gone.update(taken.gone)
                if taken.error:
                    break
            keep(taken)
            if taken.error is None:
                decision = aim.decide([run for run in taken.runs if run.subject not in gone], taken.spent)
                taken = replace(taken, decision=decision)
                keep(taken)
            tell(taken)
        except BaseException as ending:
            ended = replace(taken, interrupted=taken.interrupted or _why(ending, number))
            keep(ended)
            tell(ended)
            raise
        if taken.error or (taken.decision and not taken.decision.step.go_on):
            break
    return taken


def seconds_left(taken: Taken, aim: Aim) -> float | None:
    """Seconds that the rounds will probably still take; None before the first is over."""
    if taken.decision is None or not taken.rounds:
        return None
    if not taken.decision.step.go_on:
        return 0.0
    rules, done = aim.rules, taken.rounds
    more = taken.decision.step.more_rounds
    open_ = rules.most_rounds - done if more is None else more
    expected = max(rules.least_rounds - done, min(open_, rules.most_rounds - done), 1) * taken.spent / done
    return min(expected, max(rules.time_limit - taken.spent, 0.0)) if rules.time_limit else expected


def _with(taken: Taken, one: Measured, aim: Aim) -> Taken:
    run, error = one.run, one.error
    run = run if error is None else replace(run, set_aside=error.cause)
    taken = replace(
        taken,
        runs=(*taken.runs, run),
        spent=taken.spent + one.took,
        notes=tuple(dict.fromkeys((*taken.notes, *one.notes))),
        unseen=tuple(dict.fromkeys((*taken.unseen, *one.unseen))),
    )
    if error is None:
        return taken
    if run.subject in aim.dispensable and len(taken.gone) + 1 < len(aim.dispensable):
        return replace(taken, gone={**taken.gone, run.subject: error.cause})
    return replace(taken, error=error, interrupted=f"In round {run.round}: {error.cause}")


def _why(ending: BaseException, number: int) -> str:
    if isinstance(ending, BuilderError):
        return f"In round {number}: {ending.cause}"
    if isinstance(ending, InterruptedBySignal):
        return f"Ended by {signal.Signals(ending.signum).name} in round {number}."
    if isinstance(ending, KeyboardInterrupt):
        return f"Interrupted in round {number}."
    return f"The program failed in round {number}."


def progress_of(taken: Taken) -> str:
    """How far it is, in a few words."""
    if taken.decision is None:
        return ""
    gating = [judgement for judgement in taken.decision.judgements if judgement.gating]
    if not gating:
        return taken.decision.step.sentence.rstrip(".")
    decided = [one for one in gating if one.outcome is not Outcome.UNDECIDED]
    confirming = ", confirming a regression" if taken.decision.step.why is Why.CONFIRMING else ""
    return f"{len(decided)} of {plural(len(gating), 'figure')} decided{confirming}"
