"""What engine, registry and adoption files name, held against what the ledger says that they were made to name.

The ledger knows of tags and files what promotions did to them; who moves one by hand does not tell it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from builder.channels.ledger.ledger import Ledger
from builder.channels.ledger.moves import PromotionEntry, Step, StepState
from builder.channels.ledger.values import short
from builder.channels.places.place import ENGINE, FILE, REGISTRY

DiscrepancyKind = Literal["under way", "owed", "moved", "gone", "damaged", "unknown", "unread"]
_ID = 12
"""Digits of an image ID by which Docker's client knows it."""
_NOUNS = {"promote": "promotion", "rollback": "rollback"}


@dataclass(frozen=True)
class Actual:
    """What a tag or a file names now.

    Attributes:
        place: `engine`, `registry` or `file`.
        subject: a tag's whole name, or a file's absolute path.
        digests: what it names; none where it names nothing or is not there.
        built: whether builds move it, as they do the candidate, and not promotions.
        unread: why nobody could tell, as a sentence; empty where one could.
        present: whether the place still has what the ledger says that it names.
        lost: digests of parts of what it names that the place has no more.
    """

    place: str
    subject: str
    digests: tuple[str, ...]
    built: bool = False
    unread: str = ""
    present: bool = True
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class Expected:
    """What the ledger's promotions made a tag or a file name last.

    Attributes:
        digest: the place's own; of the image that it pins for a file; None for nothing.
    """

    digest: str | None
    promotion: PromotionEntry


Expectation = Callable[[str, str], Expected | None]
"""What the ledger says by place and subject; None where no promotion moved it."""


@dataclass(frozen=True)
class Discrepancy:
    """One thing that is not as the ledger says.

    Attributes:
        place: where; `ledger` where the ledger itself tells.
        subject: a tag's whole name, or a file's absolute path.
        said: the digest that the ledger says; None where it says nothing, or that nothing is named.
        seen: what is named; none where nothing is.
        why: a sentence.
        remedy: a sentence, what to do.
    """

    place: str
    subject: str
    kind: DiscrepancyKind
    said: str | None
    seen: tuple[str, ...]
    why: str
    remedy: str


def expected_of(ledger: Ledger, place: str, subject: str) -> Expected | None:
    """What a subject was made to name last; what is under way does not count yet.

    A promotion of another ledger, brought in from another machine, moved tags of a registry that is ours too, and of an
    engine that is not.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    promotion = ledger.promotions.last_of(place, subject, anywhere=place == REGISTRY)
    if promotion is None:
        return None
    after = next(step.after for step in promotion.steps if (step.place, step.subject) == (place, subject))
    return Expected(_pinned(promotion) if place == FILE and after else after, promotion)


def _pinned(promotion: PromotionEntry) -> str:
    """The image that adoption files pin: as the registry names it, where there is one."""
    there = next((step.after for step in promotion.adopting if step.place == REGISTRY), None)
    return there or promotion.after


def drifts(ledger: Ledger, seen: Sequence[Actual]) -> tuple[Discrepancy, ...]:
    """Whatever is not as the ledger says; empty where all is.

    Args:
        seen: what the channels' tags and the adoption files name.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    with ledger.at_once():
        moving = ledger.promotions.under_way()
        steps = {(step.place, step.subject): step for promotion in moving for step in promotion.steps}
        owing = ledger.promotions.owing()
        for promotion in owing:
            steps |= {(step.place, step.subject): step for step in map(promotion.steps.__getitem__, promotion.owing)}
        found = [*map(_under_way, moving), *map(_owing, owing)]
        for one in seen:
            key = (one.place, one.subject)
            if key not in steps or one.unread or not _is_between(ledger, one, steps[key]):
                found += _drift(ledger, one, expected_of(ledger, *key))
    return tuple(found)


def _is_between(ledger: Ledger, seen: Actual, step: Step) -> bool:
    """Whether a subject names what a promotion that is under way found or is to leave."""
    ends = [digest for digest in (step.before, step.after) if digest]
    return seen.place == FILE or not seen.digests or _is_one_of(ledger, seen.digests, ends)


def _drift(ledger: Ledger, seen: Actual, said: Expected | None) -> Iterator[Discrepancy]:
    digest = said.digest if said else None
    if seen.unread:
        yield Discrepancy(seen.place, seen.subject, "unread", digest, (), seen.unread, "See to it, and check again.")
    elif said is None:
        yield from _unknown(ledger, seen)
    elif not seen.digests:
        if digest:
            yield _of(seen, "gone", said, f"It names nothing, and {_says(said)}.")
    elif not _agrees(ledger, seen, said):
        yield _of(seen, "moved", said, f"It names {_listed(seen.digests)}, and {_says(said)}.")
    if seen.lost:
        why = f"The {seen.place} has lost {len(seen.lost)} parts of what it names, such as {short(seen.lost[0])}."
        remedy = "Push the image again with `docker push` from an engine that has it."
        yield Discrepancy(seen.place, seen.subject, "damaged", digest, seen.digests, why, remedy)


def _agrees(ledger: Ledger, seen: Actual, said: Expected) -> bool:
    """Whether all that a subject names is what it was made to name.

    A file is asked for the image that it pins: the one that was adopted, as any place names it.
    """
    if seen.place != FILE:
        return _is_one_of(ledger, seen.digests, [said.digest] if said.digest else [])
    promotion = said.promotion
    adopted = [step.after for step in promotion.adopting]
    return said.digest is not None and _is_one_of(
        ledger, seen.digests, [promotion.after, *(digest for digest in adopted if digest)]
    )


def _is_one_of(ledger: Ledger, digests: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether all digests are the same image's as some that is wanted."""
    known = {digest for one in wanted for digest in ledger.images.same(one)}
    return set(digests) <= known


def _unknown(ledger: Ledger, seen: Actual) -> Iterator[Discrepancy]:
    """What is named although no promotion of this ledger made it so."""
    if not seen.digests or (seen.built and _is_known(ledger, seen.digests)):
        return
    names = _listed(seen.digests)
    if seen.built:
        why = f"It names {names}, which the ledger never saw built or judged."
        yield Discrepancy(
            seen.place, seen.subject, "unknown", None, seen.digests, why, f"`builder judge {seen.subject}`."
        )
        return
    why = f"It names {names}, and no promotion of this ledger made it so."
    remedy = (
        "`builder promote IMAGE` writes it down, with the name of what is adopted; or bring in the ledger of the"
        " machine that moved it, or what this one had with `builder ledger import --restore`."
    )
    yield Discrepancy(seen.place, seen.subject, "unknown", None, seen.digests, why, remedy)


def _is_known(ledger: Ledger, digests: Sequence[str]) -> bool:
    return all(ledger.images.find(digest) or ledger.verdicts.of(digest) for digest in digests)


def _under_way(promotion: PromotionEntry) -> Discrepancy:
    done = sum(step.state is StepState.DONE for step in promotion.steps)
    turned = ", and is to be undone" if promotion.turned else ""
    why = (
        f"A {_NOUNS[promotion.action]} by {promotion.who} is under way since {promotion.at:%Y-%m-%d %H:%M} UTC:"
        f" {done} of {len(promotion.steps)} moves are made{turned}."
    )
    subject = f"{promotion.repository}:{promotion.channel}"
    remedy = f"`builder {promotion.action} --resume` finishes it, `builder {promotion.action} --undo` takes it back."
    return Discrepancy("ledger", subject, "under way", promotion.after, (), why, remedy)


def _owing(promotion: PromotionEntry) -> Discrepancy:
    subjects = [promotion.steps[position].subject for position in promotion.owing]
    why = (
        f"The {_NOUNS[promotion.action]} of {promotion.at:%Y-%m-%d %H:%M} UTC put off {', '.join(subjects)}:"
        " the registry was out of reach."
    )
    remedy = f"`builder {promotion.action} --resume` makes up for it, once the registry answers."
    subject = f"{promotion.repository}:{promotion.channel}"
    digest = promotion.after if promotion.result == "done" else promotion.before
    return Discrepancy("ledger", subject, "owed", digest, (), why, remedy)


def _of(seen: Actual, kind: DiscrepancyKind, said: Expected, why: str) -> Discrepancy:
    return Discrepancy(seen.place, seen.subject, kind, said.digest, seen.digests, why, _remedy(seen, said))


def _remedy(seen: Actual, said: Expected) -> str:
    if seen.place == FILE:
        return "Write it anew with `builder promote` or `builder rollback`."
    if said.digest is None:
        return "Take the tag away, or promote what is to be adopted."
    if not seen.present:
        return f"The {seen.place} does not have {short(said.digest)} any more: promote or roll back to another image."
    go_on = "`builder promote` and `builder rollback` go on from it with `--accept-moved`."
    if seen.place == ENGINE:
        image = said.digest.removeprefix("sha256:")[:_ID]
        return f"`docker tag {image} {seen.subject}` puts it back; {go_on}"
    return f"See who moved it; {go_on}"


def _says(said: Expected) -> str:
    promotion = said.promotion
    return f"the {_NOUNS[promotion.action]} of {promotion.at:%Y-%m-%d %H:%M} UTC made it name {short(said.digest)}"


def _listed(digests: Sequence[str]) -> str:
    return ", ".join(map(short, digests))
