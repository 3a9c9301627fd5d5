"""Is what a new image says of itself what was stamped into it, and at least the minimum?"""

from __future__ import annotations

from dataclasses import replace

from builder.gates.verdict import Outcome, Verdict
from builder.gates.version import Minimum, judge
from builder.plan.plan import Stamp
from builder.server.probe import Answer
from builder.server.version import BinaryVersion


def judge_built(subject: str, answer: Answer, stamp: Stamp, minimum: Minimum) -> Verdict:
    """The version gate for an image that we built.

    Args:
        subject: what it is called.
        answer: what it said.
        stamp: what it was told to say.
        minimum: what is wanted.
    """
    verdict = judge(subject, answer, minimum)
    if answer.version is None:
        return verdict
    wrong = _differences(answer.version, stamp)
    if wrong:
        return replace(verdict, outcome=Outcome.FAIL, reasons=(*wrong, *verdict.reasons))
    return verdict


def _differences(version: BinaryVersion, stamp: Stamp) -> tuple[str, ...]:
    wrong = []
    if version.build_number != stamp.build_number:
        wrong.append(
            f"It prints build {version.build_number or 'unknown'}, stamped was {stamp.build_number or 'unknown'}."
        )
    if not _same_commit(version.commit, None if stamp.commit == "unknown" else stamp.commit):
        wrong.append(f"It prints commit {version.commit or 'unknown'}, stamped was {stamp.commit}.")
    return tuple(wrong)


def _same_commit(printed: str | None, stamped: str | None) -> bool:
    if printed is None or stamped is None:
        return printed is stamped
    return printed.startswith(stamped) or stamped.startswith(printed)
