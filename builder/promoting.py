"""Moving the tags that the stack adopts: to an image that proved itself, or back to one that was adopted before.

What goes wrong before the first move is refused with nothing moved; after it, what was moved is moved back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from builder.channels.ledger.moves import Action, PromotionEntry
from builder.channels.ledger.values import short
from builder.channels.promotion.digests import Published, learn
from builder.channels.promotion.evidence import (
    require_ours,
    require_served,
    require_unheld,
    require_verdicts,
    was_adopted,
)
from builder.channels.promotion.finding import before_adopted, bring, channel_tag
from builder.channels.promotion.leftovers import announce_left, course_of, settle_left
from builder.channels.promotion.opening import Tools, opened, seal_of
from builder.channels.promotion.publishing import name_here
from builder.channels.promotion.scene import Draft, Scene
from builder.channels.promotion.settling import Settled
from builder.channels.promotion.target import Target
from builder.channels.requirements import verdicts_of
from builder.errors import NothingMoved

CANDIDATE = "candidate"
_START = 60.0
"""Seconds for a server to print its version."""


@dataclass(frozen=True)
class Wish:
    """How it is asked for.

    Attributes:
        who: asks, such as `ops@gpu-1`.
        why: in their words; may be empty.
        force: why it is to be done without verdicts, or although it is held; None asks for them.
        accept_moved: whether to go on from tags that somebody else moved.
        dry_run: find out what would be moved, and move nothing.
    """

    who: str
    why: str = ""
    force: str | None = None
    accept_moved: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        result: `done`; `planned` in a dry run; `already` where everything named the image already.
        draft: the moves.
        entry: as the ledger keeps it; None where nothing was moved.
        settled: what was left in the middle by others, and how it ended.
    """

    result: Literal["done", "planned", "already"]
    draft: Draft
    entry: PromotionEntry | None
    settled: tuple[Settled, ...]


def promote(word: str, wish: Wish, tools: Tools) -> Outcome:
    """Let the stack adopt an image that has shown what is asked for.

    Args:
        word: `candidate`, or an image by a tag, name, ID, digest or build name.

    Raises:
        NothingMoved: it may not be promoted, or it failed and all is as before.
        MovedPartly: it failed, and so did taking back.
        BuilderError: something is amiss, and nothing was moved.
    """
    with opened(tools, alone=not wish.dry_run) as scene:
        settled = _see_to_leftovers(scene, wish, tools)
        wanted = channel_tag(scene, "candidate") if word == CANDIDATE else word
        target, there = _bring(scene, wanted, wish, tools)

        def require_evidence() -> None:
            if wish.force is None:
                require_ours(target)
                require_unheld(scene.ledger, target)
                require_verdicts(scene.ledger, target, tools.config.settings, tools.clock())

        draft = scene.draft("promote", target, there)
        if draft.is_empty:
            return Outcome("already", draft, None, settled)
        require_evidence()
        return _adopt("promote", (target, there), require_evidence, settled, scene, wish, tools)


def rollback(word: str | None, wish: Wish, tools: Tools) -> Outcome:
    """Let the stack adopt the image before, or another that was adopted once, and hold the one that is adopted.

    Before anything moves the engine has it, and its server has printed its version.

    Args:
        word: an image by a tag, name, ID, digest or build name; None is what was adopted before.

    Raises:
        NothingMoved, MovedPartly, BuilderError: as for `promote`.
    """
    with opened(tools, alone=not wish.dry_run) as scene:
        settled = _see_to_leftovers(scene, wish, tools)
        wanted = before_adopted(scene) if word is None else word
        target, there = _bring(scene, wanted, wish, tools)

        def require_evidence() -> None:
            if wish.force is None:
                require_unheld(scene.ledger, target)
                if not was_adopted(scene.ledger.promotions.history(), scene.ledger.images.same(target.id)):
                    require_verdicts(scene.ledger, target, tools.config.settings, tools.clock())

        draft = scene.draft("rollback", target, there)
        if draft.is_empty:
            return Outcome("already", draft, None, settled)
        require_evidence()
        if target.is_here:
            _require_start(target, tools)
        return _adopt("rollback", (target, there), require_evidence, settled, scene, wish, tools)


def resume(wish: Literal["finish", "undo"], tools: Tools, *, over: bool = False) -> tuple[Settled, ...]:
    """Finish or undo what was left in the middle, which is said; nothing where nothing was.

    Args:
        over: even where somebody else moved something meanwhile.

    Raises:
        MovedPartly: it still stands in the middle.
        BuilderError: something is amiss, and nothing was moved.
    """
    with opened(tools, alone=True) as scene:
        return settle_left(scene, tools.reporter.notice, wish, over=over)


def _adopt(
    action: Action,
    image: tuple[Target, Published | None],
    require_evidence: Callable[[], None],
    settled: tuple[Settled, ...],
    scene: Scene,
    wish: Wish,
    tools: Tools,
) -> Outcome:
    """Have the image where it is to be adopted, then move the tags and files."""
    target, there = image
    draft = scene.draft(action, target, there)
    _require_unmoved(scene, draft, wish)
    _tell_lost(draft, tools)
    if wish.dry_run:
        return Outcome("planned", draft, None, settled)
    name_here(tools.engine, target.id, f"{scene.repository}:{target.tag}")
    if scene.press:
        there = scene.press.publish(target, there)
        learn(scene.ledger, target, there, scene.kind)
    _seal(action, target, there, scene, tools)
    # All that may take hours: what was looked at before is looked at again.
    require_evidence()
    draft = scene.draft(action, target, there)
    _require_unmoved(scene, draft, wish)
    entry = scene.entry(draft, who=wish.who, why=wish.why, forced=wish.force)
    scene.ledger.promotions.plan(entry)
    course_of(scene).carry_out(entry)
    return Outcome("done", draft, scene.ledger.promotions.find(entry.id), settled)


def _see_to_leftovers(scene: Scene, wish: Wish, tools: Tools) -> tuple[Settled, ...]:
    if wish.dry_run:
        announce_left(scene, tools.reporter.notice)
        return ()
    return settle_left(scene, tools.reporter.notice)


def _bring(scene: Scene, word: str, wish: Wish, tools: Tools) -> tuple[Target, Published | None]:
    """The image that is meant, if it is one that can be served and has tags here."""
    target, there = bring(scene, word, tools.reporter.notice, dry_run=wish.dry_run)
    require_served(target)
    if scene.config.settings.channels.per_variant and not target.variant:
        raise NothingMoved(
            f"{target.shown} does not say its variant, and each variant has tags of its own.",
            "Take {variant} out of the names in [channels], or name an image that was built here.",
        )
    return target, there


def _require_unmoved(scene: Scene, draft: Draft, wish: Wish) -> None:
    if (moved := scene.moved(draft)) and not wish.accept_moved:
        lines = tuple(f"{one.place} {one.subject}: {short(one.now)}, and not {short(one.recorded)}" for one in moved)
        raise NothingMoved(
            f"Somebody else moved {' and '.join(one.subject for one in moved)} since the last promotion.",
            "Find out who and why; `--accept-moved` goes on from what is there now.",
            excerpt=lines,
        )


def _tell_lost(draft: Draft, tools: Tools) -> None:
    for site in draft.sites:
        if site.adopted.names not in (None, site.target) and not site.adopted.can_return:
            tools.reporter.warning(
                f"The {site.place} has lost parts of what {site.adopted.subject} names: {site.previous.subject} stays."
            )


def _require_start(target: Target, tools: Tools) -> None:
    """See that an image's server starts.

    Raises:
        NothingMoved: it does not.
        MachineError: no engine answers.
    """
    from builder.server.probe import Prober
    from builder.server.subject import ImageSubject

    prober = Prober(tools.runner, tools.engine, run_id=tools.logs.name, timeout=_START)
    answer = prober.ask(ImageSubject(target.id))
    if answer.failure:
        raise NothingMoved(f"{target.shown} does not start here: {answer.failure.cause}", answer.failure.remedy)


def _seal(action: Action, target: Target, there: Published | None, scene: Scene, tools: Tools) -> None:
    """Sign what is promoted, and see that what is adopted is signed, as the configuration asks."""
    seal = seal_of(tools)
    reference = str(scene.press.place.reference.pinned(there.whole.digest)) if scene.press and there else ""
    if action == "promote":
        seal.put(reference, verdicts_of(scene.ledger, scene.ledger.images.same(target.id)))
    seal.require(reference)
