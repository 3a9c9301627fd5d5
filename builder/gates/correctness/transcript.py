"""What `test-backend-ops` prints, in the forms of all its ages.

    Backend 1/2: CUDA0                          `Backend 1/2 (CUDA0)` before the end of 2024
      Device description: NVIDIA H200
      ADD(type=f32,ne=[1,1,8,1]): OK            with colours
      ADD(type=bf16,...): not supported [CUDA0]
      [ADD] ERR = 0.9 > 0.1   ADD(...): FAIL    the reason after the name before the summer of 2025, then before it
      12/13 tests passed                        of all the cases there are, whether run or not, before 2026
      Backend CUDA0: FAIL
    Backend 2/2: CPU
      Skipping

With several workers the reason of a failure may stand before the name of another case, so a line's own end alone says
how its case ended.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_BACKEND = re.compile(r"Backend \d+/\d+(?:: | \()(?P<name>[^()\s]+)\)?")
_DESCRIPTION = re.compile(r"  Device description: (?P<text>.+)")
_CASE = re.compile(r"(?:^|\s)(?P<operation>[A-Z][A-Z0-9_]*)\((?P<parameters>.*?)\): ?")
_LISTED = re.compile(r"  (?P<operation>[A-Z][A-Z0-9_]*)\((?P<parameters>.*)\)")
_END = re.compile(r"  Backend (?P<name>\S+): (?P<word>OK|FAIL)")
_UNSUPPORTED = re.compile(r"not supported \[(?P<names>[^\]]*)\]")
_BROKEN = re.compile(r"failed to allocate|failed to initialize", re.IGNORECASE)
_FAILURES = "Failing tests:"


class Result(StrEnum):
    """How a case ended; one that nothing is said of was begun last before the program ended."""

    PASSED = "passed"
    FAILED = "failed"
    UNSUPPORTED = "not supported"
    SKIPPED = "skipped"
    UNFINISHED = "unfinished"


@dataclass(frozen=True)
class Case:
    """One computation that was compared.

    Attributes:
        operation: such as `MUL_MAT`.
        parameters: such as `type_a=q8_0,type_b=f32,m=16,...`.
        line: all that was printed on its line, without colours.
        refused_by: backends that do not support it.
    """

    operation: str
    parameters: str
    result: Result
    line: str
    refused_by: frozenset[str] = frozenset()


@dataclass
class Run:
    """What one backend did.

    Attributes:
        name: such as `CUDA0`.
        description: of the device; empty where the program is too old to say.
        cases: those that it was asked for.
        ended: `OK` or `FAIL`, as the program sums it up; empty where it did not come to that.
    """

    name: str
    description: str = ""
    cases: list[Case] = field(default_factory=list)
    ended: str = ""


def read_transcript(text: str) -> tuple[Run, ...]:
    """What each backend did that the program named, in order; text of another shape gives none."""
    runs: list[Run] = []
    listing = False
    for line in (_COLOUR.sub("", line).rstrip("\r") for line in text.split("\n")):
        if found := _BACKEND.fullmatch(line):
            runs.append(Run(found["name"]))
            listing = False
        elif runs:
            listing = line == _FAILURES or (listing and bool(_LISTED.fullmatch(line)))
            _take(runs[-1], line, listing=listing)
    return tuple(runs)


def _take(run: Run, line: str, *, listing: bool) -> None:
    if listing:
        _take_listed(run, line)
    elif (end := _END.fullmatch(line)) and end["name"] == run.name:
        run.ended = end["word"]
    elif found := _DESCRIPTION.fullmatch(line):
        run.description = found["text"]
    else:
        run.cases += _cases(line)


def _take_listed(run: Run, line: str) -> None:
    """One that failed for want of memory has no line of its own."""
    found = _LISTED.fullmatch(line)
    if found is None:
        return
    name = (found["operation"], found["parameters"])
    if all((case.operation, case.parameters) != name for case in run.cases if case.result is Result.FAILED):
        run.cases.append(Case(*name, Result.FAILED, line.strip()))


def _cases(line: str) -> Iterator[Case]:
    """A case that fails for want of memory may end without a line break, so that the next one stands beside it."""
    starts = list(_CASE.finditer(line))
    ends = (*(found.start() for found in starts[1:]), len(line))
    for found, end in zip(starts, ends, strict=False):
        said = line[found.end() : end].strip()
        begin = 0 if len(starts) == 1 else found.start()
        refused = frozenset(name.strip() for names in _UNSUPPORTED.findall(said) for name in names.split(","))
        yield Case(found["operation"], found["parameters"], _result(said), line[begin:end].strip(), refused)


def _result(said: str) -> Result:
    endings = {
        Result.PASSED: said == "OK",
        Result.FAILED: said.endswith("FAIL") or _BROKEN.search(said) is not None,
        Result.UNSUPPORTED: _UNSUPPORTED.match(said) is not None,
        Result.SKIPPED: said.startswith("skipping"),
    }
    return next((result for result, holds in endings.items() if holds), Result.UNFINISHED)
