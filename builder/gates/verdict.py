"""What a gate says about an image."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from builder.engine.machine_facts import MachineFacts

Measurements = Mapping[str, str | int | float | bool | None]
"""Figures by name."""


class Outcome(StrEnum):
    """The three answers of a gate. What could not be judged has not passed."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    UNJUDGED = "could not judge"


@dataclass(frozen=True)
class Check:
    """One thing that a gate looked at.

    Attributes:
        name: such as `libraries`.
        outcome: what came of it.
        detail: sentences a person can act on.
        excerpt: lines that show it, most telling first.
    """

    name: str
    outcome: Outcome
    detail: str
    excerpt: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """One gate's answer about one subject.

    Attributes:
        gate: the gate's name, such as `version`.
        outcome: the answer.
        subject: what was judged, in the words it was asked for.
        digest: the image ID where the subject is an image.
        reasons: sentences a person can act on; the first says why.
        measurements: figures by name.
        seconds: time taken.
        checks: what the gate looked at, in order; empty for a gate that asks one thing only.
        logs: files that it left, with all that was said.
        manifest: digest of the image's manifest where the engine's store has one; the classic store has none.
        repository_digests: `name@sha256:...` under which registries know the image.
        machine: where it was judged, with the GPU that it was judged on; None where nobody looked.
    """

    gate: str
    outcome: Outcome
    subject: str
    digest: str | None
    reasons: tuple[str, ...]
    measurements: Measurements
    seconds: float
    checks: tuple[Check, ...] = ()
    logs: tuple[str, ...] = ()
    manifest: str | None = None
    repository_digests: tuple[str, ...] = ()
    machine: MachineFacts | None = None


def passed(name: str, detail: str, excerpt: tuple[str, ...] = ()) -> Check:
    """A check that passed."""
    return Check(name, Outcome.PASS, detail, excerpt)


def failed(name: str, detail: str, excerpt: tuple[str, ...] = ()) -> Check:
    """A check that failed."""
    return Check(name, Outcome.FAIL, detail, excerpt)


def unjudged(name: str, detail: str, excerpt: tuple[str, ...] = ()) -> Check:
    """A check that could not be made."""
    return Check(name, Outcome.UNJUDGED, detail, excerpt)


def outcome_of(checks: Iterable[Check]) -> Outcome:
    """Fail if any check failed; else unjudged if any could not be judged, or there is none; else pass."""
    outcomes = {check.outcome for check in checks}
    if Outcome.FAIL in outcomes:
        return Outcome.FAIL
    return Outcome.PASS if outcomes == {Outcome.PASS} else Outcome.UNJUDGED


def verdict_of(
    gate: str,
    subject: str,
    digest: str | None,
    checks: Iterable[Check],
    *,
    measurements: Measurements,
    seconds: float,
    logs: tuple[str, ...] = (),
    owed: Collection[str] = (),
) -> Verdict:
    """The verdict that checks come to; its reasons are what failed, then what could not be judged.

    Args:
        owed: names of checks without which nothing passes: one that was not made could not be judged.
    """
    made = tuple(checks)
    if outcome_of(made) is Outcome.PASS:
        known = {check.name for check in made}
        made += tuple(unjudged(name, f"Nothing was looked at for `{name}`.") for name in owed if name not in known)
    bad = [check.detail for wanted in (Outcome.FAIL, Outcome.UNJUDGED) for check in made if check.outcome is wanted]
    good = f"All {len(made)} checks passed." if made else "Nothing was looked at."
    return Verdict(
        gate=gate,
        outcome=outcome_of(made),
        subject=subject,
        digest=digest,
        reasons=tuple(bad) or (good,),
        measurements=measurements,
        seconds=seconds,
        checks=made,
        logs=logs,
    )
