"""A bench from its first look to its record: rounds until enough is known, kept after each."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from builder import __version__
from builder.engine.machine_facts import look_at_machine
from builder.errors import BuilderError, ExitCode, UsageError
from builder.performance.aims import Aim, Baseline, Pair, Sweep
from builder.performance.archive import Archive
from builder.performance.comparison import Outcome
from builder.performance.effort import Effort
from builder.performance.frame import arguments_of, host_of, subject_record
from builder.performance.loop import Measure, Taken, seconds_left, take_rounds
from builder.performance.measure import Measured
from builder.performance.metrics import metric
from builder.performance.prepare import Prepared
from builder.performance.progress import Progress
from builder.performance.record import (
    JudgementRecord,
    MachineRecord,
    Record,
    record_of_rules,
    records_of_metrics,
    records_of_runs,
)
from builder.performance.rounds import Rounds, Start
from builder.performance.rules import Rules
from builder.performance.sentences import gathered
from builder.performance.tools import Tools

_PAIR = 2


@dataclass(frozen=True)
class Wish:
    """What is asked of a bench.

    Attributes:
        effort: how long a run may take.
        rules: how it is judged, and how long it may go on.
        baseline: rounds of a subject that is measured alone; 0 takes as many as a comparison has at least.
        target: what a sweep is for; empty takes the time to first token.
    """

    effort: Effort
    rules: Rules = field(default_factory=Rules)
    baseline: int = 0
    target: str = ""


@dataclass(frozen=True)
class Result:
    """What came of a bench.

    Attributes:
        file: where the record is kept.
        taken: all that was measured.
        error: why it is not whole; None where it is.
    """

    record: Record
    file: Path
    taken: Taken

    @property
    def error(self) -> BuilderError | None:
        """Why it is not whole; None where it is."""
        return self.taken.error

    @property
    def exit_code(self) -> ExitCode:
        """Not worse, or nothing to judge; worse; or not known."""
        return exit_code(self.record.outcome, settled=_settled(self.taken))


Over = Callable[[Record, Path], None]
"""Gets the record, and the file it is kept in, once rounds are over, whatever ended them."""


def _nobody(_record: Record, _file: Path) -> None:
    """For those who look at the result alone."""


def bench(
    prepared: Sequence[Prepared], wish: Wish, tools: Tools, archive: Archive, progress: Progress, over: Over = _nobody
) -> Result:
    """Measure subjects until it is known how they compare, or a limit is reached.

    After each round the record is written as a whole; where something ends the bench, it says what.

    Args:
        over: also gets what there is where an exception ends the rounds, before that goes on.

    Raises:
        UsageError: what a sweep is to be for is not measured.
        CouldNotMeasure: the first look at a subject failed, and nothing was measured.
        MachineError: no engine answers, or the disk is full.
    """
    prepared = level(prepared)
    aim = aim_of(prepared, wish, tools)
    started = datetime.now(UTC)
    rounds = Rounds(prepared, wish.effort, replace(tools, told=progress.measuring))
    start = rounds.begin()
    if start.first.error:
        raise start.first.error
    _require_target(aim, start)
    progress.begun(start)
    blank = _blank(prepared, wish, aim, tools, start, started)
    file = archive.place(blank)

    def measure(number: int, gone: Container[str]) -> Iterable[Measured]:
        return rounds.measure(number, start.work, gone)

    def tell(taken: Taken) -> None:
        if taken.interrupted and taken.runs:
            tools.reporter.notice(f"What was measured is kept: {file}")
        progress.round_over(taken, seconds_left(taken, aim))

    return keep_rounds(measure, aim, Growing(blank, archive, file), tell, over)


@dataclass
class Growing:
    """A record that is written again as it grows.

    Attributes:
        blank: what it says before anything is measured.
        written: as it was written last; None before the first run.
    """

    blank: Record
    archive: Archive
    file: Path
    written: Record | None = None

    def keep(self, taken: Taken) -> None:
        """Write what was measured so far.

        Raises:
            MachineError: the disk is full or may not be written to.
        """
        if taken.runs:
            self.write(filled(self.blank, taken))

    def write(self, record: Record) -> None:
        """Write it as a whole.

        Raises:
            MachineError: the disk is full or may not be written to.
        """
        self.archive.write(record, self.file)
        self.written = record


def keep_rounds(measure: Measure, aim: Aim, growing: Growing, tell: Callable[[Taken], None], over: Over) -> Result:
    """Take rounds, keep them as they come, and hand over the record whatever ends them.

    Args:
        tell: see `take_rounds`.

    Raises:
        MachineError: no engine answers, or the disk is full.
    """
    try:
        taken = take_rounds(measure, aim, growing.keep, tell)
    except BaseException:
        if growing.written:
            over(growing.written, growing.file)
        raise
    record = filled(growing.blank, taken, ended=datetime.now(UTC))
    growing.write(record)
    over(record, growing.file)
    return Result(record, growing.file, taken)


def level(prepared: Sequence[Prepared]) -> tuple[Prepared, ...]:
    """Subjects that are all measured by the same programs: where one has no llama-bench, the others' is left out."""
    lacking = [one.subject.reference for one in prepared if one.bench is None]
    if not lacking or len(lacking) == len(prepared):
        return tuple(prepared)
    note = f"llama-bench is not compared: {lacking[0]} has none."
    return tuple(replace(one, bench=None, notes=(*one.notes, note)) for one in prepared)


def aim_of(prepared: Sequence[Prepared], wish: Wish, tools: Tools) -> Aim:
    """What several subjects are measured for: two images against each other, else the best setting."""
    subjects = [one.subject for one in prepared]
    names = [subject.name for subject in subjects]
    if len(subjects) == 1:
        return Baseline(names[0], wish.rules, wish.baseline or wish.rules.least_rounds)
    if len(subjects) == _PAIR and subjects[0].variation == subjects[1].variation:
        return Pair(names[0], names[1], wish.rules)
    configured = tools.config.settings.profiles[subjects[0].profile_name]
    current = next((subject.name for subject in subjects if subject.profile == configured), names[0])
    alone = len({subject.image.id for subject in subjects}) == 1
    titles = {subject.name: subject.variation.words if alone else subject.title for subject in subjects}
    return Sweep(titles, current, wish.target, wish.rules)


def exit_code(outcome: Outcome | None, *, settled: bool) -> ExitCode:
    """The status that stands for an answer.

    Args:
        outcome: of a comparison; None where nothing is judged.
        settled: whether there is an answer.
    """
    if outcome is Outcome.WORSE:
        return ExitCode.PERFORMANCE
    return ExitCode.DONE if settled else ExitCode.UNJUDGED


def filled(blank: Record, taken: Taken, *, ended: datetime | None = None) -> Record:
    """A record with what was measured so far.

    Args:
        ended: when the rounds were over; None while they go on.
    """
    metrics = [metric(name) for name in dict.fromkeys(name for run in taken.runs for name in run.samples)]
    decision = taken.decision
    lost = tuple(f"{name} could not be measured to the end: {why}" for name, why in taken.gone.items())
    said = decision.notes if decision else ()
    chosen = decision.chosen if decision else ""
    return blank.model_copy(
        update={
            "ended": ended or (datetime.now(UTC) if taken.interrupted else None),
            "interrupted": taken.interrupted,
            "metrics": records_of_metrics(metrics),
            "runs": records_of_runs(taken.runs),
            "judgements": tuple(map(JudgementRecord.of, decision.judgements)) if decision else (),
            "outcome": decision.outcome if decision else blank.outcome,
            "recommended": chosen,
            "recommendation": decision.sentences if decision and chosen else (),
            "unsettled": _unsettled(taken) if ended else "",
            "notes": tuple(dict.fromkeys((*said, *lost, *taken.unseen, *blank.notes, *gathered(taken.notes)))),
        }
    )


def _blank(prepared: Sequence[Prepared], wish: Wish, aim: Aim, tools: Tools, start: Start, started: datetime) -> Record:
    facts = look_at_machine(tools.engine)
    used = tools.gpu and any(one.subject.on_gpu for one in prepared)
    facts = replace(facts, gpus=(tools.gpu,)) if used and tools.gpu else facts
    notes = (*(note for one in prepared for note in one.notes), *start.notes)
    return Record(
        product=__version__,
        started=started,
        subjects=tuple(map(subject_record, prepared)),
        machine=MachineRecord.of(facts, host_of(tools.engine.info().identity)),
        arguments=arguments_of(wish.effort, start.work),
        metrics=(),
        rules=record_of_rules(wish.rules),
        runs=(),
        outcome=Outcome.UNDECIDED if isinstance(aim, Pair) else None,
        notes=tuple(dict.fromkeys(notes)),
    )


def _require_target(aim: Aim, start: Start) -> None:
    """See that what a sweep is for is measured at all, before it is measured for long."""
    if not isinstance(aim, Sweep) or not aim.target:
        return
    known = sorted({name for one in start.first.metrics for name in (one.name, one.name.partition("/")[0])})
    if aim.target not in known:
        raise UsageError(f"{aim.target!r} is not measured.", f"Known: {', '.join(known)}.")


def _unsettled(taken: Taken) -> str:
    """What a base line or a choice lacks where a limit ended it; a comparison says by its outcome that it is open."""
    decision = taken.decision
    if decision is None or decision.settled or decision.outcome is not None:
        return ""
    return " ".join(decision.sentences)


def _settled(taken: Taken) -> bool:
    return taken.error is None and taken.decision is not None and taken.decision.settled
