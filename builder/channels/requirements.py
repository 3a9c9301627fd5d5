"""Whether an image has shown what promotion asks for.

Only a gate's last word counts: on each GPU that an image was judged on, and for each profile that it served there. One
that is not a pass is a lack, whatever the same gate said before or elsewhere: a kind of GPU has passed where every GPU
of it has. Where no kinds are configured, every GPU counts on which the image was judged. A gate that serves profiles
has to have served all that are configured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from builder.channels.ledger.evidence import VerdictEntry
from builder.channels.ledger.ledger import Ledger
from builder.channels.ledger.values import spell
from builder.console import spell_age
from builder.plan.plan import Variant
from builder.promotion import Promotion
from builder.settings import Settings

ON_GPU = frozenset({"smoke", "correctness", "performance", "soak"})
"""Gates that compute, and so say something about a GPU."""
AHEAD = timedelta(minutes=5)
"""How far another machine's clock may be ahead."""
_WORST_FIRST = ("fail", "could not judge", "pass")
_LONGEST = 3
"""Names that a sentence lists."""


@dataclass(frozen=True)
class Requirement:
    """What one gate has to have said.

    Attributes:
        gpu: kind of GPU on which, such as `NVIDIA GeForce RTX 3090`; None takes any, and none where none is needed.
    """

    gate: str
    gpu: str | None

    def __str__(self) -> str:
        return f"{self.gate} on {self.gpu}" if self.gpu else self.gate


@dataclass(frozen=True)
class Lack:
    """A requirement that is not met.

    Attributes:
        verdict: the one that shows it; None where there is none.
        why: a sentence.
    """

    requirement: Requirement
    verdict: VerdictEntry | None
    why: str


def requirements(variant: str, policy: Promotion) -> tuple[Requirement, ...]:
    """All that an image has to have shown, in the order of the configuration.

    Args:
        variant: the image's own: `cuda` or `cpu`; empty where it does not say.
    """
    kinds = (None,) if variant == Variant.CPU or not policy.gpus else policy.gpus
    return tuple(
        Requirement(gate, kind)
        for gate in dict.fromkeys(policy.gates)
        for kind in (dict.fromkeys(kinds) if gate in ON_GPU else (None,))
    )


def lacks(ledger: Ledger, digests: Sequence[str], variant: str, settings: Settings, now: datetime) -> tuple[Lack, ...]:
    """What an image has not shown; empty where it may be promoted.

    A pass that is dated in the future does not count: nobody knows how old it is. What is no pass counts even then.

    Args:
        digests: all under which it is known.
        variant: the image's own: `cuda` or `cpu`; empty where it does not say.
        settings: what is asked for, and the profiles that are served.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    verdicts = verdicts_of(ledger, digests)
    wanted = requirements(variant, settings.promotion)
    found = (_lack(one, verdicts, variant == Variant.CUDA, settings, now) for one in wanted)
    return tuple(lack for lack in found if lack)


def verdicts_of(ledger: Ledger, digests: Iterable[str]) -> tuple[VerdictEntry, ...]:
    """All verdicts about an image by whichever of its digests, newest first, and of one moment the worst first.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    with ledger.at_once():
        known = {verdict.id: verdict for digest in digests for verdict in ledger.verdicts.of(digest)}
    worst_first = sorted(known.values(), key=lambda verdict: _WORST_FIRST.index(verdict.outcome))
    return tuple(sorted(worst_first, key=lambda verdict: verdict.at, reverse=True))


def _lack(
    wanted: Requirement, verdicts: Sequence[VerdictEntry], on_cuda: bool, settings: Settings, now: datetime
) -> Lack | None:
    said = [verdict for verdict in verdicts if verdict.gate == wanted.gate]
    fitting = [verdict for verdict in said if _fits(verdict, wanted, on_cuda=on_cuda)]
    counted = [verdict for verdict in fitting if verdict.outcome != "pass" or not _is_ahead(verdict, now)]
    if not counted:
        return Lack(wanted, next(iter(fitting or said), None), _missing(wanted, said, fitting))
    last = last_words(counted)
    for outcome in ("fail", "could not judge"):
        if bad := next((verdict for verdict in last if verdict.outcome == outcome), None):
            return Lack(wanted, bad, _told(bad, now))
    if unserved := _unserved(last, settings.profiles):
        return Lack(wanted, last[0], f"{wanted} was not judged with the profile {_listed(unserved)}.")
    policy = settings.promotion
    old = _outdated(last, policy.longest_age, now)
    return Lack(wanted, old, f"{_told(old, now)} At most {policy.max_age} are allowed.") if old else None


def _fits(verdict: VerdictEntry, wanted: Requirement, *, on_cuda: bool) -> bool:
    """Whether a verdict of the gate is about what is asked for."""
    if wanted.gpu:
        return wanted.gpu in verdict.kinds
    return bool(verdict.gpus) or not on_cuda or wanted.gate not in ON_GPU


def _is_ahead(verdict: VerdictEntry, now: datetime) -> bool:
    return verdict.age(now) < -AHEAD


def last_words(verdicts: Iterable[VerdictEntry]) -> tuple[VerdictEntry, ...]:
    """The newest of each gate and profile on each GPU, newest first.

    Args:
        verdicts: newest first.
    """
    last: dict[tuple[str, str, tuple[str, ...]], VerdictEntry] = {}
    for verdict in verdicts:
        gpus = tuple(sorted(gpu.uuid for gpu in verdict.gpus))
        last.setdefault((verdict.gate, profile_of(verdict), gpus), verdict)
    return tuple(last.values())


def profile_of(verdict: VerdictEntry) -> str:
    """The profile that was served; empty where the gate serves none, or all."""
    measurements = verdict.document.get("measurements")
    return str(measurements.get("profile") or "") if isinstance(measurements, dict) else ""


def _unserved(verdicts: Iterable[VerdictEntry], profiles: Iterable[str]) -> list[str]:
    """Profiles that no verdict is about; none where the gate serves no profiles."""
    served = {name for verdict in verdicts for name in _profiles_of(verdict)}
    return [name for name in profiles if name not in served] if served else []


def _profiles_of(verdict: VerdictEntry) -> Sequence[str]:
    measurements = verdict.document.get("measurements")
    several = str(measurements.get("profiles") or "") if isinstance(measurements, dict) else ""
    return [name for name in (profile_of(verdict), *several.split(",")) if name]


def _outdated(passes: Iterable[VerdictEntry], longest: timedelta | None, now: datetime) -> VerdictEntry | None:
    """The newest pass of a profile that has none that is young enough."""
    newest: dict[str, VerdictEntry] = {}
    for verdict in passes:
        newest.setdefault(profile_of(verdict), verdict)
    return next((one for one in newest.values() if longest is not None and one.age(now) > longest), None)


def _missing(wanted: Requirement, said: Sequence[VerdictEntry], fitting: Sequence[VerdictEntry]) -> str:
    if fitting:
        ahead = fitting[0]
        return f"The clock of {ahead.machine} is ahead: it dated the pass of {wanted} {spell(ahead.at)}."
    kinds = sorted({kind for verdict in said for kind in verdict.kinds})
    if wanted.gpu and kinds:
        return f"{wanted.gate} was judged on {_listed(kinds)}, and not on {wanted.gpu}."
    if said:
        return f"{wanted.gate} was judged without a GPU, and it has to be on {wanted.gpu or 'one'}."
    return f"{wanted} was not judged."


def _told(verdict: VerdictEntry, now: datetime) -> str:
    """What a verdict says, of which profile, when and where; its first reason where it is no pass."""
    profile = profile_of(verdict)
    name = f"{verdict.gate} ({profile})" if profile else verdict.gate
    how = {"pass": "passed", "fail": "failed", "could not judge": "could not be judged"}[verdict.outcome]
    where = "".join(f" on {gpu.name} ({gpu.uuid})" for gpu in verdict.gpus)
    when = f"on {spell(verdict.at)}, by a clock that is ahead" if _is_ahead(verdict, now) else _ago(verdict, now)
    sentence = f"{name} {how}{where} {when}"
    reason = next(_reasons(verdict), "") if verdict.outcome != "pass" else ""
    return f"{sentence}: {reason}" if reason else f"{sentence}."


def _ago(verdict: VerdictEntry, now: datetime) -> str:
    return f"{spell_age(max(verdict.age(now), timedelta()))} ago"


def _reasons(verdict: VerdictEntry) -> Iterator[str]:
    reasons = verdict.document.get("reasons")
    yield from (str(reason) for reason in reasons) if isinstance(reasons, list | tuple) else ()


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LONGEST
    return ", ".join((*names[:_LONGEST], *([f"{more} more"] if more > 0 else [])))
