"""Is what a new image says of itself what was stamped into it, and at least the minimum?"""

from __future__ import annotations

from dataclasses import replace

from builder.engine.images import Image
from builder.errors import ExitCode
from builder.gates.gate import Scene, Subject
from builder.gates.verdict import Outcome, Verdict
from builder.gates.version import NAME, judge
from builder.plan.marks import OWN, PLAN
from builder.plan.plan import Stamp
from builder.server.probe import Answer, Prober
from builder.server.subject import ImageSubject
from builder.server.version import BinaryVersion
from builder.upstream.minimum import Minimum

VERSION_LIMIT = 60.0
"""Seconds for an image to print its version."""


class VersionGate:
    """Does it print what was stamped, and at least the minimum?"""

    name = NAME
    exit_code = ExitCode.VERSION
    needs_machine = False
    confirms = False
    alone = False
    profile: str | None = None

    def judge(self, subject: Subject, scene: Scene) -> Verdict:
        """Ask the image's server for its version and hold that against its labels; foreign images have none."""
        answer = Prober(scene.runner, scene.engine, run_id=scene.run_id, timeout=VERSION_LIMIT).ask(
            ImageSubject(subject.image.id)
        )
        minimum = Minimum.parse(scene.config.settings.version.minimum)
        stamp = _stamp(subject.image)
        return judge_built(subject.name, answer, stamp, minimum) if stamp else judge(subject.name, answer, minimum)


def _stamp(image: Image) -> Stamp | None:
    """What an image of ours was told to print; None for one that was not built here."""
    if PLAN not in image.labels:
        return None
    number, commit = image.labels.get(f"{OWN}build-number", ""), image.labels.get(f"{OWN}commit", "")
    return Stamp(int(number) if number.isdecimal() else None, commit or "unknown", (), None)


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
    if answer.status:
        wrong = (*wrong, f"Asked for its version, it ended with status {answer.status}, not 0: it is broken.")
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
