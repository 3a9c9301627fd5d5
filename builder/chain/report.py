"""What a run of the chain came to."""

from __future__ import annotations

from dataclasses import dataclass

from builder import pipeline, promoting
from builder.chain.known import Known
from builder.channels.ledger.evidence import VerdictEntry
from builder.channels.requirements import profile_of
from builder.engine.images import Image
from builder.errors import BuilderError, ExitCode
from builder.gates.catalogue import EXIT_CODES
from builder.gates.verdict import Outcome, Verdict
from builder.settings import Until
from builder.tracking.changes import Changes


@dataclass(frozen=True)
class Report:
    """What a run of the chain came to.

    Attributes:
        until: the last stage that was asked for.
        built: what the build ended with.
        adopted: the image that was adopted before; None where none was.
        news: the commits that it brings; None where nobody can tell.
        verdicts: what gates said in this run, in order.
        known: what the ledger says of the image at the end.
        promotion: what was moved; None where it did not come to that.
        refusal: why nothing was promoted, or what went wrong with it.
        seconds: that each stage took, by its name, in order.
        recorded: whether the ledger has everything.
    """

    until: Until
    built: pipeline.Result
    adopted: Image | None
    news: Changes | None
    verdicts: tuple[Verdict, ...]
    known: Known
    promotion: promoting.Outcome | None
    refusal: BuilderError | None
    seconds: tuple[tuple[str, float], ...]
    recorded: bool

    @property
    def exit_code(self) -> ExitCode:
        """The status that stands for it: that of the first stage that did not give what was asked for."""
        if self.built.verdict.outcome is not Outcome.PASS:
            return ExitCode.VERSION if self.built.verdict.outcome is Outcome.FAIL else ExitCode.UNJUDGED
        if self.until == "built":
            return self._recorded(ExitCode.DONE)
        if self.failed:
            return EXIT_CODES[self.failed[0]]
        if self.refusal:
            return self.refusal.exit_code
        if self.promotion is None and (self.known.lacks or not self._passed):
            return ExitCode.UNJUDGED
        return self._recorded(ExitCode.DONE)

    @property
    def failed(self) -> tuple[str, ...]:
        """Gates at which the image failed, in this run or before."""
        now = tuple(verdict.gate for verdict in self.verdicts if verdict.outcome is Outcome.FAIL)
        return now or (() if self.promotion else self.known.failed)

    @property
    def before(self) -> tuple[VerdictEntry, ...]:
        """What had been said of the image before this run, oldest first."""
        now = {(verdict.gate, str(verdict.measurements.get("profile") or "")) for verdict in self.verdicts}
        said = reversed(self.known.said)
        return tuple(entry for entry in said if (entry.gate, profile_of(entry)) not in now)

    @property
    def _passed(self) -> bool:
        return all(verdict.outcome is Outcome.PASS for verdict in self.verdicts)

    def _recorded(self, code: ExitCode) -> ExitCode:
        return code if self.recorded else ExitCode.MACHINE
