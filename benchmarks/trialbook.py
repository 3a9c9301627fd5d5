"""Trials as a file, a line each, and what they come to.

A file holds trials of one kind of comparison; those that others on the machine have spoilt are in it too, and counted
apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from builder.performance.aims import Decision
from builder.performance.comparison import Outcome
from builder.performance.rules import Rules
from builder.performance.samples import Run

SAME, SLOWER = "A against A", "A against A slowed"
MOST_FALSE, LEAST_FOUND = 0.05, 0.9
"""Shares of the trials: 1 of 20 may be a false alarm, 18 of 20 have to be found."""
_HEADS = (
    *("trials", "number", "set aside", "said slower", "said faster", "gate fails", "gate passes", "undecided"),
    *("rounds", "seconds", "B over A"),
)


@dataclass(frozen=True)
class Terms:
    """What all trials of a file have in common.

    Attributes:
        image: the engine's ID of it.
        share: by how many per cent B's processor time is cut in half of them.
        measured: what each run asks for.
        rounds: of a batch, at most.
        limit: seconds for the rounds of one.
    """

    image: str
    share: float
    measured: str
    rounds: int
    limit: float


@dataclass(frozen=True)
class Trial:
    """What a comparison ended with.

    Attributes:
        outcome: what the gate would say.
        slower, faster: deciding figures in which B was said to be so, whatever is allowed: the interval that holds for
            all looks and all deciding figures together lies on one side of 1.
        ratios: of B over A, by figure.
        rounds: that were measured.
        counted: those of them in which no run was set aside.
    """

    kind: str
    outcome: str
    slower: tuple[str, ...]
    faster: tuple[str, ...]
    ratios: Mapping[str, float]
    rounds: int
    counted: int
    seconds: float

    @property
    def counts(self) -> bool:
        """Whether enough of it was measured in quiet, whatever it says: as many rounds as are looked at first."""
        return self.counted >= Rules.least_rounds


def trial(kind: str, runs: Sequence[Run], decision: Decision, seconds: float) -> Trial:
    """A comparison as a trial."""
    gating = [one for one in decision.judgements if one.gating]
    seen = [one for one in gating if one.direction.seen]
    rounds = {run.round for run in runs}
    return Trial(
        kind,
        str(decision.outcome),
        tuple(one.question.name for one in seen if not one.better),
        tuple(one.question.name for one in seen if one.better),
        {one.question.name: one.ratio for one in gating if one.ratio is not None},
        len(rounds),
        len(rounds - {run.round for run in runs if run.set_aside}),
        seconds,
    )


def append(file: Path, terms: Terms, one: Trial) -> None:
    """Add a trial to a file."""
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"terms": asdict(terms), "trial": asdict(one)}) + "\n")


def read(file: Path, terms: Terms) -> list[Trial]:
    """What earlier calls have finished; a line that was not written to its end is taken out of the file.

    Raises:
        SystemExit: the file holds trials on other terms.
    """
    if not file.exists():
        return []
    text = file.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole, encoding="utf-8")
    lines = [json.loads(line) for line in whole.splitlines()]
    if any(line["terms"] != asdict(terms) for line in lines):
        raise SystemExit(f"{file} holds trials of another image or on other terms. Name another with --file.")
    return [Trial(**line["trial"]) for line in lines]


def table(trials: Sequence[Trial]) -> Iterator[Sequence[str]]:
    """Both kinds, as counts and medians of those that count."""
    yield _HEADS
    for kind in (SAME, SLOWER):
        every = [one for one in trials if one.kind == kind]
        own = [one for one in every if one.counts]
        names = dict.fromkeys(name for one in own for name in one.ratios)
        ratios = {name: [one.ratios[name] for one in own if name in one.ratios] for name in names}
        outcomes = [one.outcome for one in own]
        yield (
            kind,
            str(len(own)),
            str(len(every) - len(own)),
            str(sum(bool(one.slower) for one in own)),
            str(sum(bool(one.faster) for one in own)),
            *(str(outcomes.count(one)) for one in (Outcome.WORSE, Outcome.NOT_WORSE, Outcome.UNDECIDED)),
            f"{median(one.rounds for one in own):g}" if own else "",
            f"{median(one.seconds for one in own):.0f}" if own else "",
            ", ".join(f"{name} {median(of):.3f} ({min(of):.3f}-{max(of):.3f})" for name, of in ratios.items()),
        )


@dataclass(frozen=True)
class Rate:
    """How often something was so, with what that says of how often it is (Clopper and Pearson's exact interval)."""

    times: int
    of: int

    def __str__(self) -> str:
        if not self.of:
            return "0 of 0"
        from scipy.stats import binomtest

        around = binomtest(self.times, self.of).proportion_ci()
        return f"{self.times} of {self.of} (95 %: {100 * around.low:.0f}-{100 * around.high:.0f} of 100)"


def false_alarms(trials: Sequence[Trial]) -> Rate:
    """How often B was said to be slower where it is A."""
    own = [one for one in trials if one.counts and one.kind == SAME]
    return Rate(sum(bool(one.slower) for one in own), len(own))


def found(trials: Sequence[Trial]) -> Rate:
    """How often B was said to be slower where it is."""
    own = [one for one in trials if one.counts and one.kind == SLOWER]
    return Rate(sum(bool(one.slower) for one in own), len(own))


def lacking(trials: Sequence[Trial], wanted: int) -> str:
    """Of which kinds there are fewer trials that count than were asked for; empty where there are enough."""
    counts = {kind: sum(one.counts and one.kind == kind for one in trials) for kind in (SAME, SLOWER)}
    return ", ".join(f"{number} of {wanted} {kind}" for kind, number in counts.items() if number < wanted)


def is_kept(trials: Sequence[Trial]) -> bool:
    """Whether there are trials of both kinds, and neither limit is passed."""
    wrong, right = false_alarms(trials), found(trials)
    tried = bool(wrong.of and right.of)
    return tried and wrong.times <= MOST_FALSE * wrong.of and right.times >= LEAST_FOUND * right.of
