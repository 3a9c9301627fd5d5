"""What tried operations come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from builder.engine.statuses import KILLED, NOT_STARTED
from builder.gates.correctness.needed import Operations
from builder.gates.correctness.program import ProgramRun
from builder.gates.correctness.transcript import Case, Result, Run, read_transcript
from builder.gates.finding import Finding, bad, unknown
from builder.gates.serving.ending import in_words
from builder.gates.verdict import passed
from builder.server.running import ServerState

NAME = "operations"
_SHOWN = 6
_WIDTH = 240


@dataclass(frozen=True)
class Attempt:
    """One run of the program.

    Attributes:
        operations: what it was asked for.
        ending: how it ended; None where no time was left for it.
    """

    operations: tuple[str, ...]
    ending: ProgramRun | None


@dataclass(frozen=True)
class Tally:
    """All runs of the program.

    Attributes:
        backend: the one that was asked for, such as `CUDA0`.
        wanted: what was asked of it.
        known: the operations that the program knows; None where it cannot be asked.
        limit: seconds for all of it.
    """

    backend: str
    wanted: Operations
    known: frozenset[str] | None
    attempts: tuple[Attempt, ...]
    limit: float

    def finding(self) -> Finding:
        """Whether each operation that serving uses passed a case, and none failed."""
        runs = [(attempt, read_transcript(attempt.ending.output)) for attempt in self.attempts if attempt.ending]
        cases = [case for _, found in runs for run in found if run.name == self.backend for case in run.cases]
        wrong = [
            *self._failures(cases),
            *(word for one in runs for word in self._troubles(*one)),
            *self._refused(cases),
        ]
        if wrong:
            return bad(NAME, " ".join(dict.fromkeys(wrong)), self._excerpt(cases, runs), self._figures(cases))
        lacking = [*(word for one in runs for word in self._doubts(*one)), *self._untried(cases)]
        if lacking:
            return unknown(NAME, " ".join(dict.fromkeys(lacking)), self._excerpt(cases, runs))
        return Finding(passed(NAME, self._praise(cases, runs), _table(cases)), self._figures(cases))

    def _failures(self, cases: Sequence[Case]) -> Iterator[str]:
        failed = Counter(case.operation for case in cases if case.result is Result.FAILED)
        if failed:
            tried = sum(case.result in (Result.FAILED, Result.PASSED) for case in cases if case.operation in failed)
            names = ", ".join(failed)
            yield f"{failed.total()} of {tried} cases of {names} do not come out on {self.backend} as they should."

    def _troubles(self, attempt: Attempt, runs: Sequence[Run]) -> Iterator[str]:
        """What is wrong with how a run ended, apart from cases that failed."""
        ending = attempt.ending
        if ending is None or ending.status in (None, NOT_STARTED, KILLED):
            return
        mine = [run for run in runs if run.name == self.backend]
        failed = any(case.result is Result.FAILED for run in mine for case in run.cases)
        if ending.status not in (0, 1):
            yield f"The program {in_words(ServerState(False, ending.status, False))}{_at(mine)}."
        elif not mine:
            others = ", ".join(run.name for run in runs) or "none"
            yield f"It names no backend {self.backend}; those that it names: {others}."
        elif not failed and (ending.status or any(run.ended == "FAIL" for run in mine)):
            yield f"It says that {self.backend} failed, and not in which case."

    def _refused(self, cases: Sequence[Case]) -> Iterator[str]:
        for name in self._due(cases):
            own = [case for case in cases if case.operation == name]
            refused = sum(self.backend in case.refused_by for case in own)
            if refused and all(case.result is Result.UNSUPPORTED for case in own):
                yield f"{self.backend} supports none of {len(own)} cases of {name}: a server computes it on the CPU."

    def _doubts(self, attempt: Attempt, runs: Sequence[Run]) -> Iterator[str]:
        """Why a run in which nothing failed proves nothing."""
        ending = attempt.ending
        if ending is None or ending.status is None:
            return
        if ending.status == NOT_STARTED:
            yield f"The engine did not start the program: {' '.join(ending.last_words[:1]) or 'it did not say why'}"
        elif ending.status == KILLED:
            yield "The program was killed (status 137), as one is that needs more memory than its container may have."
        elif not all(run.ended for run in runs if run.name == self.backend):
            yield "The program ended without summing up."

    def _untried(self, cases: Sequence[Case]) -> Iterator[str]:
        seen = Counter(case.operation for case in cases if case.result is Result.PASSED)
        lacking = [name for name in self._due(cases) if not seen[name]]
        late = [name for name in lacking if name in self._unreached(cases)]
        if late:
            yield f"{', '.join(late)}: not reached within {self.limit:g} s. Raise operations-limit of [gates]."
        if rest := [name for name in lacking if name not in late]:
            yield f"{', '.join(rest)}: the program ran no case of it, so nothing tells whether it is right."

    def _due(self, cases: Sequence[Case]) -> tuple[str, ...]:
        """What serving needs and the program is known to know."""
        known = frozenset(case.operation for case in cases) if self.known is None else self.known
        return (*self.wanted.needed, *(name for name in self.wanted.later if name in known))

    def _unreached(self, cases: Sequence[Case]) -> tuple[str, ...]:
        """Operations for which time was too short, wholly or in part."""
        cut = [attempt for attempt in self.attempts if attempt.ending is None or attempt.ending.status is None]
        due = self._due(cases)
        return tuple(name for attempt in cut for name in attempt.operations if name in due)

    def _praise(self, cases: Sequence[Case], runs: Sequence[tuple[Attempt, Sequence[Run]]]) -> str:
        figures = self._figures(cases)
        description = next((run.description for _, found in runs for run in found if run.name == self.backend), "")
        device = f"{self.backend} ({description})" if description else self.backend
        count = f"{figures['operations']} operations come out right on {device} in {figures['operation_cases']} cases"
        refused = figures["operation_cases_not_supported"]
        rest = f"; {refused} more are not supported" if refused else ""
        cut = ", ".join(self._unreached(cases))
        return f"{count}{rest}.{f' Time was up in the midst of {cut}.' if cut else ''}"

    def _figures(self, cases: Sequence[Case]) -> dict[str, float]:
        results = Counter(case.result for case in cases)
        return {
            "operations": len({case.operation for case in cases if case.result is Result.PASSED}),
            "operation_cases": results[Result.PASSED],
            "operation_cases_failed": results[Result.FAILED],
            "operation_cases_not_supported": results[Result.UNSUPPORTED],
            "operation_seconds": round(sum(attempt.ending.seconds for attempt in self.attempts if attempt.ending), 1),
        }

    def _excerpt(self, cases: Sequence[Case], runs: Sequence[tuple[Attempt, Sequence[Run]]]) -> tuple[str, ...]:
        """Of each operation one case that failed, then others; then the last words of runs that ended badly."""
        failed = [case for case in cases if case.result is Result.FAILED]
        first = {case.operation: case for case in reversed(failed)}
        shown = [*(case for case in failed if first[case.operation] is case), *failed]
        last = [line for attempt, found in runs for line in self._last_words(attempt, found)]
        refused = [case for case in cases if case.result is Result.UNSUPPORTED]
        lines = [*(case.line for case in shown)][: _SHOWN - len(last)] + last or [case.line for case in refused]
        return tuple(line[:_WIDTH] for line in dict.fromkeys(lines))[:_SHOWN]

    def _last_words(self, attempt: Attempt, runs: Sequence[Run]) -> tuple[str, ...]:
        """What was printed as errors by a run that ended badly, or found no such backend."""
        ending = attempt.ending
        if ending is None or (not ending.status and any(run.name == self.backend for run in runs)):
            return ()
        return ending.last_words


def _table(cases: Sequence[Case]) -> tuple[str, ...]:
    return tuple(_row(name, [case for case in cases if case.operation == name]) for name in _names(cases))


def _row(name: str, cases: Sequence[Case]) -> str:
    counts = Counter(case.result for case in cases)
    words = (f"{counts[result]} {result.value}" for result in Result if counts[result])
    return f"{name}: {', '.join(words)}"


def _names(cases: Sequence[Case]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(case.operation for case in cases))


def _at(runs: Sequence[Run]) -> str:
    """Where a program was when it ended: the case that it had begun, else the one that it had ended last."""
    cases = [case for run in runs for case in run.cases]
    if not cases:
        return " before it compared anything"
    last = cases[-1]
    when = "in" if last.result is Result.UNFINISHED else "after"
    return f" {when} a case of {last.operation}"
