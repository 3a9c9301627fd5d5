"""What has to move so that a channel names an image, from what is there now.

The order is such that it may stop anywhere: a tag that is adopted names the old image or the new one, `previous` names
the old one before that, and files name only what the engine and the registry have. What cannot be undone comes last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from builder.channels.ledger.moves import Action, Step


@dataclass(frozen=True)
class Tag:
    """A tag and what it names.

    Attributes:
        subject: its whole name.
        names: a digest of its place; None for nothing.
        can_return: whether it could be made to name that again: a registry takes no tag away, and none that names what
            it has lost.
    """

    subject: str
    names: str | None
    can_return: bool = True


@dataclass(frozen=True)
class Site:
    """A place with tags, as it is found.

    Attributes:
        place: `engine` or `registry`.
        target: the digest by which it knows the image that is to be adopted.
        immutable: the image's own tag, which names it already.
        adopted: what the stack adopts.
        previous: what it had before.
    """

    place: str
    target: str
    immutable: Tag
    adopted: Tag
    previous: Tag


@dataclass(frozen=True)
class Moved:
    """A tag that somebody else moved.

    Attributes:
        recorded: what it named after the last promotion or rollback; None for nothing.
        now: what it names now.
    """

    place: str
    subject: str
    recorded: str | None
    now: str | None


def plan_steps(action: Action, sites: Sequence[Site], files: Sequence[Step]) -> tuple[Step, ...]:
    """All moves in order; one that changes nothing is there to be seen and written down.

    After a promotion `previous` names what was adopted. After a rollback it names what is adopted: never the image that
    was rolled back from. A place that adopts nothing yet, what it has lost, or the image already, keeps its `previous`.

    Args:
        sites: the engine's tags, then the registry's.
        files: moves of adoption files.
    """
    immutable = [Step(site.place, site.immutable.subject, site.target, site.target) for site in sites]
    previous = [step for site in sites if (step := _previous(action, site))]
    adopted = [Step(site.place, site.adopted.subject, site.adopted.names, site.target) for site in reversed(sites)]
    final = {(site.place, tag.subject) for site in sites for tag in (site.adopted, site.previous) if not tag.can_return}
    steps = [*immutable, *previous, *files, *adopted]
    return tuple(sorted(steps, key=lambda step: (step.place, step.subject) in final))


def is_change(step: Step) -> bool:
    """Whether a step changes anything."""
    return step.before != step.after


def find_moved(sites: Iterable[Site], said: Mapping[tuple[str, str], str | None]) -> tuple[Moved, ...]:
    """Tags that name neither what the last promotion left there nor already what is to be adopted.

    Args:
        said: what the last promotion left, by place and subject.
    """
    return tuple(
        Moved(site.place, tag.subject, left, tag.names)
        for site in sites
        for tag in (site.adopted, site.previous)
        if (key := (site.place, tag.subject)) in said and (left := said[key]) != tag.names and tag.names != site.target
    )


def _previous(action: Action, site: Site) -> Step | None:
    """The move of a site's `previous`; None where it is left alone."""
    if site.adopted.names == site.target and site.previous.names:
        return Step(site.place, site.previous.subject, site.previous.names, site.previous.names)
    if not _has_another(site):
        return None
    after = site.adopted.names if action == "promote" else site.target
    return Step(site.place, site.previous.subject, site.previous.names, after)


def _has_another(site: Site) -> bool:
    """Whether a place adopts another image, which it has."""
    return site.adopted.names not in (None, site.target) and site.adopted.can_return
