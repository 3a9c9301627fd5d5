"""Do whole models come out on the GPU as on the CPU?

Asked of upstream's `test-llama-archs`, which makes a random model of an architecture and computes it on both:

    |Model arch.|     Device|Config|  NMSE vs. CPU|Roundtrip|
    |      llama|NVIDIA H200| Dense| OK (1.21e-08)|       OK|

Nothing is proven by a row that was skipped, by an error that is no number, which the program takes for a small one,
nor by one of exactly 0, which is that of the CPU compared with itself: the first of these programs computed on every
device there is, whichever they were asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import uuid4

from builder.engine.statuses import KILLED, NOT_STARTED
from builder.gates.correctness.needed import read_model
from builder.gates.correctness.operations import bench_of
from builder.gates.correctness.program import ARCHITECTURES, PRELOADED, Bench, ProgramRun
from builder.gates.correctness.tests_image import Programs
from builder.gates.finding import Finding, bad
from builder.gates.gate import Scene
from builder.gates.serving.ending import in_words
from builder.gates.serving.trial import Trial
from builder.gates.verdict import passed, unjudged
from builder.server.running import ServerState

NAME = "architectures"
_ALWAYS = "llama"
_LIMIT = 120.0
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CELLS = r"\|\s*(?P<architecture>[a-z][^|]*?)\s*\|\s*(?P<device>[^|]*?)\s*\|\s*(?P<config>[^|]+?)\s*\|"
_ROW = re.compile(
    rf"{_CELLS}\s*(?P<word>OK|FAIL|SKIP)(?P<toggle> \(toggle\))?\s*(?:\((?P<error>[^()]+)\))?"
    r"\s*\|\s*(?P<again>OK|FAIL|SKIP)\s*\|"
)
_BEGUN = re.compile(rf"{_CELLS}\s*")


@dataclass(frozen=True)
class Row:
    """One model on one device.

    Attributes:
        device: its description.
        config: `Dense` or `MoE`.
        word: `OK`, `FAIL` or `SKIP`; empty where the program ended before it could say.
        error: how far its results are from the CPU's; None where they were not compared.
        again: the word for the same model after it was saved and loaded.
        line: as it was printed, without colours.
    """

    architecture: str
    device: str
    config: str
    word: str
    error: float | None
    again: str
    line: str

    @property
    def failed(self) -> bool:
        """Whether it is wrong."""
        return "FAIL" in (self.word, self.again) or (self.error is not None and not math.isfinite(self.error))

    @property
    def proves(self) -> bool:
        """Whether another device than the CPU computed it, and rightly."""
        return self.word == "OK" and bool(self.error) and not self.failed


def judge_architectures(programs: Programs, trials: Sequence[Trial], scene: Scene) -> Iterator[Finding]:
    """Compare whole models of the profiles' architectures, on the GPU with the CPU.

    Args:
        trials: one for each profile, of the image that the programs belong to; all set the same variables.

    Yields:
        One finding; none on the CPU, which would be compared with itself, nor where this llama.cpp has no such program.

    Raises:
        MachineError: no engine answers, or the disk is full.
    """
    if not any(trial.on_gpu for trial in trials):
        return
    if ARCHITECTURES not in programs.names:
        scene.reporter.notice(f"This llama.cpp has no {ARCHITECTURES}: whole models are not compared by it.")
        return
    bench = bench_of(programs, trials, scene)
    models = [model.architecture for trial in trials if (model := read_model(trial))]
    names = dict.fromkeys((_ALWAYS, *models))
    yield finding_of({name: _run(name, bench) for name in names})


def read_table(text: str) -> tuple[Row, ...]:
    """The rows of the program's table; lines of another shape are passed over."""
    lines = (_COLOUR.sub("", line).strip() for line in text.split("\n"))
    return tuple(row for line in lines if (row := _row(line)))


def finding_of(endings: dict[str, ProgramRun]) -> Finding:
    """What the tables come to.

    Args:
        endings: how the program ended, by the architecture that it was asked for. Each has to prove something, but for
            those other than `llama` of which the program said, in coming to its end, that it can make none.
    """
    rows = {name: read_table(ending.output) for name, ending in endings.items()}
    every = [row for found in rows.values() for row in found]
    proven = [row for row in every if row.proves]
    figures = {
        "models_compared": len(proven),
        "models_worst_error": max((row.error or 0.0 for row in proven), default=0.0),
    }
    wrong = [sentence for name, ending in endings.items() for sentence in _troubles(name, ending, rows[name])]
    shown = tuple(row.line for row in sorted(every, key=lambda row: not row.failed and bool(row.word)))[:6]
    if wrong:
        last = dict.fromkeys(line for ending in endings.values() for line in ending.last_words)
        return bad(NAME, " ".join(wrong), (*shown, *last), figures)
    if unproven := [name for name, ending in endings.items() if not _settled(name, ending, rows[name])]:
        reasons = " ".join(_why_not(name, endings[name], rows[name]) for name in unproven)
        return Finding(unjudged(NAME, reasons, shown), figures)
    return Finding(passed(NAME, _praise(rows, proven), shown), figures)


def _run(name: str, bench: Bench) -> ProgramRun:
    log = bench.scene.logs / f"{NAME}-{name}-{uuid4().hex[:8]}.log"
    with bench.scene.cores:
        return bench.run(ARCHITECTURES, ("-a", name, "-b", "CUDA0", "-s", "1"), log, _LIMIT, options=PRELOADED)


def _row(line: str) -> Row | None:
    if found := _ROW.fullmatch(line):
        error = None if found["error"] is None else _number(found["error"])
        cells = (found["architecture"], found["device"], found["config"])
        return Row(*cells, "FAIL" if found["toggle"] else found["word"], error, found["again"], line)
    if found := _BEGUN.fullmatch(line):
        return Row(found["architecture"], found["device"], found["config"], "", None, "", line)
    return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _troubles(name: str, ending: ProgramRun, rows: Sequence[Row]) -> Iterator[str]:
    if ending.status in (None, NOT_STARTED, KILLED):
        return
    if ending.status not in (0, 1):
        yield f"Asked for a model of {name}, the program {in_words(ServerState(False, ending.status, False))}."
    elif failed := [row for row in rows if row.failed]:
        yield f"{len(failed)} of {len(rows)} models of {name} do not come out as on the CPU."
    elif ending.status and (name == _ALWAYS or rows):
        yield f"Asked for a model of {name}, the program gave up with status {ending.status}{_said(ending)}"
    elif rows and all(row.error == 0 for row in rows if row.word == "OK") and any(row.word == "OK" for row in rows):
        yield f"A model of {name} was computed on the CPU only, which was compared with itself."


def _settled(name: str, ending: ProgramRun, rows: Sequence[Row]) -> bool:
    if ending.status not in (0, 1) or not all(row.word for row in rows):
        return False
    return any(row.proves for row in rows) or (name != _ALWAYS and all(row.word == "SKIP" for row in rows))


def _why_not(name: str, ending: ProgramRun, rows: Sequence[Row]) -> str:
    if ending.status is None:
        return f"A model of {name} was not compared within {_LIMIT:g} s."
    if ending.status in (NOT_STARTED, KILLED):
        return f"Asked for a model of {name}, {ARCHITECTURES} ended with status {ending.status}{_said(ending)}"
    if not all(row.word for row in rows):
        return f"It ended in the midst of its table of {name}, without a word on how its models come out."
    return f"It compared no model of {name}{', but skipped it' if rows else ''}, so nothing tells whether one is right."


def _said(ending: ProgramRun) -> str:
    return f": {ending.last_words[-1]}" if ending.last_words else "."


def _praise(rows: dict[str, tuple[Row, ...]], proven: Sequence[Row]) -> str:
    worst = max(row.error or 0.0 for row in proven)
    names = ", ".join(dict.fromkeys(row.architecture for row in proven))
    devices = ", ".join(dict.fromkeys(row.device for row in proven))
    skipped = ", ".join(name for name, found in rows.items() if not any(row.proves for row in found))
    rest = f" The program can make no {skipped}." if skipped else ""
    return f"{len(proven)} models of {names} come out on {devices} as on the CPU, {worst:.1g} off at most.{rest}"
