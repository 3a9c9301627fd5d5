"""The version gate: is what a binary says of itself at least what is wanted?

What is not known is neither old nor new: it is never a pass.
"""

from __future__ import annotations

from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from builder.gates.verdict import Outcome, Verdict
from builder.server.probe import Answer
from builder.server.startup import StartFailure
from builder.server.version import LAST_BUILD_WITHOUT_RELEASE, BinaryVersion
from builder.upstream.minimum import Minimum

NAME = "version"
_BUILD_NEW = "Build a new one with `builder build`."
_STAMP = "Build it from a tree whose number is known, or say it with `--build-number`."


@dataclass(frozen=True)
class _Ruling:
    outcome: Outcome
    reasons: tuple[str, ...]


def judge(subject: str, answer: Answer, minimum: Minimum, newest: int | None = None) -> Verdict:
    """Compare what a subject said with what is wanted.

    Args:
        subject: what was asked, in the user's words.
        answer: what it said.
        minimum: what is wanted.
        newest: newest upstream build that is known here.
    """
    version = answer.version
    ruling = _compare(version, minimum) if version else _unanswered(answer.failure)
    number = version.build_number if version else None
    counted = version is not None and number is not None and not _is_miscounted(version)
    behind = max(0, newest - number) if newest is not None and number is not None and counted else None
    return Verdict(
        gate=NAME,
        outcome=ruling.outcome,
        subject=subject,
        digest=answer.image,
        reasons=(*ruling.reasons, *answer.notes),
        measurements={
            "build_number": number,
            "commit": version.commit if version else None,
            "release": version.release if version else None,
            "compiler": version.compiler if version else None,
            "line": version.line if version else None,
            "minimum": str(minimum),
            "newest_upstream": newest,
            "builds_behind": behind,
        },
        seconds=answer.seconds,
    )


def _unanswered(failure: StartFailure | None) -> _Ruling:
    return _Ruling(Outcome.UNJUDGED, failure.sentences if failure else ("It said nothing.",))


def _compare(version: BinaryVersion, minimum: Minimum) -> _Ruling:
    if minimum.release is not None:
        return _against_release(version, minimum, minimum.release)
    assert minimum.build is not None
    return _against_build(version, minimum, minimum.build)


def _against_build(version: BinaryVersion, minimum: Minimum, wanted: int) -> _Ruling:
    number = version.build_number
    if version.release is not None and (number is None or _is_miscounted(version)):
        return _by_form(version, minimum, wanted)
    if number is None:
        return _unjudged("Its build number is not known: it was built without git, or from a shallow clone.")
    if number < wanted:
        return _fail(f"It is b{number}, older than {minimum}.")
    return _pass(f"It is b{number}, at least {minimum}.")


def _is_miscounted(version: BinaryVersion) -> bool:
    """Whether the number contradicts the line's form, as one from a shallow clone does."""
    number = version.build_number
    return version.release is not None and number is not None and number <= LAST_BUILD_WITHOUT_RELEASE


def _by_form(version: BinaryVersion, minimum: Minimum, wanted: int) -> _Ruling:
    later = f"It names the release {version.release}, so it is later than b{LAST_BUILD_WITHOUT_RELEASE}"
    number = version.build_number
    doubt = "its number is not known" if number is None else f"its number {number} is not upstream's count"
    if wanted <= LAST_BUILD_WITHOUT_RELEASE:
        return _pass(f"{later}, at least {minimum}; {doubt}.")
    return _unjudged(f"{later}, but {doubt}: whether it is at least {minimum} cannot be told.")


def _against_release(version: BinaryVersion, minimum: Minimum, wanted: Version) -> _Ruling:
    if version.release is None:
        return _without_release(version.build_number, minimum)
    try:
        release = Version(version.release)
    except InvalidVersion:
        return _unjudged(f"Its release {version.release} cannot be compared with {minimum}.")
    if release < wanted:
        return _fail(f"It is {version.release}, older than {minimum}.")
    return _pass(f"It is {version.release}, at least {minimum}.")


def _without_release(number: int | None, minimum: Minimum) -> _Ruling:
    if number is not None and number <= LAST_BUILD_WITHOUT_RELEASE:
        return _fail(f"It is b{number}, made before there were releases: older than {minimum}.")
    what = "no known build number" if number is None else f"the number {number}"
    return _Ruling(
        Outcome.UNJUDGED,
        (f"It names no release and has {what}: it cannot be compared with {minimum}.", "Give a build number instead."),
    )


def _pass(reason: str) -> _Ruling:
    return _Ruling(Outcome.PASS, (reason,))


def _fail(reason: str) -> _Ruling:
    return _Ruling(Outcome.FAIL, (reason, _BUILD_NEW))


def _unjudged(reason: str) -> _Ruling:
    return _Ruling(Outcome.UNJUDGED, (reason, _STAMP))
