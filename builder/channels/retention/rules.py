"""Which images may go: by what still reaches them, by their age, and by how many newer ones there are.

Nothing here asks or changes anything. Whatever is not known counts for keeping.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from builder.channels.ledger.values import short
from builder.console import spell_age

Kind = Literal["build", "companion", "name"]


@dataclass(frozen=True)
class Policy:
    """What is kept although nothing reaches it.

    Attributes:
        newest: so many builds of each variant, in each place.
        age: whatever is younger.
    """

    newest: int
    age: timedelta


@dataclass(frozen=True)
class Item:
    """Something that may go.

    Attributes:
        place: `engine` or `registry`.
        digest: the place's own.
        names: the whole names that go with it.
        size: bytes that are its alone.
        since: when it came to be; None where nobody knows.
        variant: such as `cuda`.
        bound: why it stays in any case, as a clause; empty where nothing of its own keeps it.
        follows: digest of the image that it goes with; None for one that stands alone.
        parts: digests of what it consists of; they stay while it does.
        left: why nobody misses it, as a clause; empty where somebody may.
        plan: digest of its plan, or its first digits; empty where there is none.
        kind: a build, something that belongs to one, or a name without which its image is still there.
    """

    place: str
    digest: str
    names: tuple[str, ...]
    size: int
    since: datetime | None = None
    variant: str = ""
    bound: str = ""
    follows: str | None = None
    parts: frozenset[str] = field(default=frozenset(), repr=False)
    left: str = ""
    plan: str = ""
    kind: Kind = "build"


@dataclass(frozen=True)
class Row:
    """What becomes of an item.

    Attributes:
        why: clause.
    """

    item: Item
    keep: bool
    why: str


def judge(items: Sequence[Item], roots: Mapping[str, str], policy: Policy, now: datetime) -> tuple[Row, ...]:
    """What may go, and why the rest stays, in the order of the items.

    Args:
        items: all that a place has of ours.
        roots: digests that something needs, with a clause that says what.
    """
    newest = _newest(items, policy.newest)
    alone = [_alone(item, roots, newest, policy, now) for item in items]
    rows = _with_parts(alone)
    leaders = {(row.item.place, row.item.digest): row for row in rows if row.item.kind == "build"}
    return tuple(_following(row, leaders, roots) for row in rows)


def freed(rows: Sequence[Row]) -> int:
    """Bytes that are free when all that may go is gone."""
    return sum(row.item.size for row in rows if not row.keep)


def _alone(
    item: Item, roots: Mapping[str, str], newest: Mapping[tuple[str, str], str], policy: Policy, now: datetime
) -> Row:
    needed = "" if item.kind == "name" else roots.get(item.digest, "")
    if why := needed or item.bound:
        return Row(item, True, why)
    if item.left:
        return Row(item, False, item.left)
    if item.kind == "build" and (why := newest.get((item.place, item.digest), "")):
        return Row(item, True, why)
    if item.since is None:
        return Row(item, True, "nobody knows how old it is")
    age = now - item.since
    if age < policy.age:
        return Row(item, True, f"only {spell_age(max(age, timedelta()))} old")
    return Row(item, False, f"nothing needs it, {spell_age(age)} old")


def _newest(items: Sequence[Item], number: int) -> Mapping[tuple[str, str], str]:
    """The last builds of each variant in each place."""
    kept: dict[tuple[str, str], str] = {}
    for place, variant in {(item.place, item.variant) for item in items}:
        known = {
            item.digest: item.since
            for item in items
            if (item.place, item.variant) == (place, variant) and item.since and item.kind == "build"
        }
        last = sorted(known, key=lambda digest: (known[digest], digest), reverse=True)[:number]
        which = f"the last {number} {variant} builds".replace("  ", " ")
        kept |= {(place, digest): f"one of {which}" if number > 1 else "the last build" for digest in last}
    return kept


def _with_parts(rows: Sequence[Row]) -> list[Row]:
    """What a kept item consists of is kept as well."""
    needed = {(row.item.place, part): row.item for row in rows if row.keep for part in row.item.parts}
    found = [(row, needed.get((row.item.place, row.item.digest))) for row in rows]
    return [replace(row, keep=True, why=f"part of {_name(whole)}") if whole else row for row, whole in found]


def _following(row: Row, leaders: Mapping[tuple[str, str], Row], roots: Mapping[str, str]) -> Row:
    """What belongs to an image stays and goes with it, unless something else needs it."""
    item = row.item
    leader = leaders.get((item.place, item.follows)) if item.follows else None
    if leader is None or item.digest in roots or item.bound:
        return row
    how = "belongs to" if leader.keep else "goes with"
    return Row(item, leader.keep, f"{how} {_name(leader.item)}")


def _name(item: Item) -> str:
    return item.names[0].rpartition(":")[2] if item.names else short(item.digest)
