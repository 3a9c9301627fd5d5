"""Moving the tags that the stack adopts: to an image that proved itself, or back to one that was adopted before.

What goes wrong before the first move is refused with nothing moved; after it, what was moved is moved back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from builder.channels.ledger.moves import Action, HoldEntry, PromotionEntry
from builder.channels.ledger.values import short
from builder.channels.places.place import FILE
from builder.channels.promotion.digests import Published, learn
from builder.channels.promotion.evidence import (
    inherited,
    require_ours,
    require_served,
    require_unheld,
    require_verdicts,
    was_adopted,
)
from builder.channels.promotion.faults import mentioning, nothing_moved
from builder.channels.promotion.finding import before_adopted, bring
from builder.channels.promotion.leftovers import Force, Request, announce_left, course_of, left, settle_left
from builder.channels.promotion.opening import Tools, opened, signer_of
from builder.channels.promotion.scene import Draft, Scene
from builder.channels.promotion.settled import Settled
from builder.channels.promotion.target import Target
from builder.channels.requirements import verdicts_of
from builder.channels.words import CANDIDATE, candidate_of
from builder.engine.naming import name_for_ever
from builder.errors import BuilderError, NothingMoved

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
        entry: as the ledger keeps it; None where nothing was moved, and the ledger knew that it is so.
        settled: what was left in the middle by others, and how it ended.
        held: what is held from now on: what was rolled back from.
        inherited: what was forced when the image was adopted before, where a rollback goes back to it.
    """

    result: Literal["done", "planned", "already"]
    draft: Draft
    entry: PromotionEntry | None
    settled: tuple[Settled, ...]
    held: tuple[HoldEntry, ...] = ()
    inherited: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resumed:
    """What came of what was left in the middle.

    Attributes:
        settled: how it ended.
        left: what was found, where it was not to be touched.
    """

    settled: tuple[Settled, ...]
    left: tuple[PromotionEntry, ...] = ()


def promote(word: str, wish: Wish, tools: Tools) -> Outcome:
    """Let the stack adopt an image that has shown what is asked for.

    Args:
        word: `candidate`, or an image by a tag, name, ID, digest or build name.

    Raises:
        NothingMoved: it may not be promoted, or it failed and all is as before.
        MovedPartly: it failed, and so did taking back.
        BuilderError: it is done, and something is amiss since.
    """
    return _Promotion(word, wish, tools).carry_out()


def rollback(word: str | None, wish: Wish, tools: Tools) -> Outcome:
    """Let the stack adopt the image before, or another that was adopted once, and hold the one that is adopted.

    Before anything moves the engine has it, and its server has printed its version.

    Args:
        word: an image by a tag, name, ID, digest or build name; None is what was adopted before.

    Raises:
        NothingMoved, MovedPartly, BuilderError: as for `promote`.
    """
    return _Rollback(word, wish, tools).carry_out()


def resume(end: Literal["finish", "undo"], wish: Wish, tools: Tools) -> Resumed:
    """Finish or undo what was left in the middle, of whichever images, which is said; nothing where nothing was.

    By force, which is recorded, it is done even where somebody else moved something meanwhile, and without a registry
    that does not answer. A dry run says what there is.

    Raises:
        NothingMoved: something is amiss, and nothing was moved.
        MovedPartly: it still stands in the middle.
    """
    force = None if wish.force is None else Force(wish.who, wish.force)
    request = Request(end, force, everywhere=True, tolerant=force is not None)
    settled: list[Settled] = []
    with ExitStack() as stack, nothing_moved(settled):
        scene = stack.enter_context(opened(tools, alone=not wish.dry_run))
        if wish.dry_run:
            announce_left(scene, tools.reporter.notice, request)
            return Resumed((), left(scene, request))
        settled.extend(settle_left(scene, tools.reporter.notice, request))
    return Resumed(tuple(settled))


@dataclass(frozen=True)
class _Attempt(ABC):
    """One way to have an image adopted, from the word for it to the tags that name it.

    Attributes:
        settled: what was left in the middle by others and ended before, as it comes.
    """

    word: str | None
    wish: Wish
    tools: Tools
    settled: list[Settled] = field(default_factory=list)
    action: ClassVar[Action]

    def carry_out(self) -> Outcome:
        """Find the image, see what it has shown, and move the tags."""
        with ExitStack() as stack:
            with nothing_moved(self.settled):
                scene = stack.enter_context(opened(self.tools, alone=not self.wish.dry_run))
                self._settle(scene)
                target, there = self._bring(scene)
                draft, is_known = self._judged(scene, target, there)
                if self.wish.dry_run or is_known:
                    return self._outcome("already" if draft.is_empty else "planned", draft)
                result: Literal["done", "already"] = "already" if draft.is_empty else "done"
                draft = self._published(scene, target, there)
                entry = scene.entry(draft, who=self.wish.who, why=self.wish.why, forced=self.wish.force)
                scene.ledger.promotions.plan(entry)
                earlier = _inherited(scene, target) if self.action == "rollback" else ()
            with mentioning(self.settled):
                held = course_of(scene).carry_out(entry)
            _let_contents_go(scene, entry)
            return self._outcome(result, draft, _kept(scene, entry), held, earlier)

    @abstractmethod
    def _wanted(self, scene: Scene) -> str:
        """The word for the image."""

    @abstractmethod
    def _require_evidence(self, scene: Scene, target: Target) -> None:
        """See that the image has shown what is asked for.

        Raises:
            NothingMoved: it has not.
        """

    @abstractmethod
    def _require_ready(self, target: Target) -> None:
        """See that the image can be adopted at once.

        Raises:
            NothingMoved: it cannot.
        """

    @property
    @abstractmethod
    def _request(self) -> Request:
        """How what was left in the middle is to end."""

    def _settle(self, scene: Scene) -> None:
        say = self.tools.reporter.notice
        if self.wish.dry_run:
            announce_left(scene, say, self._request)
        else:
            self.settled.extend(settle_left(scene, say, self._request))

    def _bring(self, scene: Scene) -> tuple[Target, Published | None]:
        """The image that is meant, if it is one that can be served and has tags here."""
        wanted, say = self._wanted(scene), self.tools.reporter.notice
        target, there = bring(scene, wanted, say, dry_run=self.wish.dry_run)
        require_served(target)
        if scene.config.settings.channels.per_variant and not target.variant:
            raise NothingMoved(
                f"{target.shown} does not say its variant, and each variant has tags of its own.",
                "Take {variant} out of the names in [channels], or name an image that was built here.",
            )
        return target, there

    def _judged(self, scene: Scene, target: Target, there: Published | None) -> tuple[Draft, bool]:
        """The moves to an image that may be adopted, and whether there are none and the ledger knows that."""
        draft = scene.draft(self.action, target, there)
        if draft.is_empty and scene.knows(draft):
            return draft, True
        self._require_evidence(scene, target)
        self._require_ready(target)
        _require_unmoved(scene, draft, self.wish)
        _tell_lost(draft, self.tools)
        return draft, False

    def _published(self, scene: Scene, target: Target, there: Published | None) -> Draft:
        """The moves, with the image where it is to be adopted, signed, and looked at again: all that may take hours."""
        name_for_ever(self.tools.engine, target.id, f"{scene.repository}:{target.tag}")
        if scene.publisher:
            there = scene.publisher.publish(target, there)
            learn(scene.ledger, target, there, scene.kind)
        _sign(self.action, target, there, scene, self.tools)
        self._require_evidence(scene, target)
        draft = scene.draft(self.action, target, there)
        _require_unmoved(scene, draft, self.wish)
        return draft

    def _outcome(
        self,
        result: Literal["done", "planned", "already"],
        draft: Draft,
        entry: PromotionEntry | None = None,
        held: tuple[HoldEntry, ...] = (),
        earlier: tuple[str, ...] = (),
    ) -> Outcome:
        return Outcome(result, draft, entry, tuple(self.settled), held, earlier)


class _Promotion(_Attempt):
    """To an image that proved itself."""

    action = "promote"

    def _wanted(self, scene: Scene) -> str:
        return candidate_of(scene.reach.engine, scene.config.settings) if self.word in (None, CANDIDATE) else self.word

    def _require_evidence(self, scene: Scene, target: Target) -> None:
        if self.wish.force is None:
            require_ours(target)
            require_unheld(scene.ledger, target)
            require_verdicts(scene.ledger, target, scene.config.settings, scene.clock())

    def _require_ready(self, target: Target) -> None:
        """Its gates have seen it start."""

    @property
    def _request(self) -> Request:
        return Request()


class _Rollback(_Attempt):
    """Back to an image that was adopted before."""

    action = "rollback"

    def _wanted(self, scene: Scene) -> str:
        return before_adopted(scene) if self.word is None else self.word

    def _require_evidence(self, scene: Scene, target: Target) -> None:
        if self.wish.force is not None:
            return
        require_unheld(scene.ledger, target)
        if not was_adopted(scene.ledger, scene.ledger.images.same(target.id)):
            forced = "; ".join(_inherited(scene, target))
            more = f"It was adopted by force alone: {forced}." if forced else ""
            require_verdicts(scene.ledger, target, scene.config.settings, scene.clock(), more)

    def _require_ready(self, target: Target) -> None:
        if target.is_here:
            _require_start(target, self.tools)

    @property
    def _request(self) -> Request:
        return Request(tolerant=self.wish.force is not None)


def _inherited(scene: Scene, target: Target) -> tuple[str, ...]:
    """What was forced when an image was adopted the last time."""
    return inherited(scene.ledger, scene.ledger.images.same(target.id))


def _kept(scene: Scene, entry: PromotionEntry) -> PromotionEntry:
    """A promotion that is done as the ledger has it; it is done even where the ledger cannot be asked any more."""
    with suppress(BuilderError):
        return scene.ledger.promotions.find(entry.id) or entry
    return entry


def _let_contents_go(scene: Scene, entry: PromotionEntry) -> None:
    """Keep of what adoption files held only what a move may still be undone to."""
    with suppress(BuilderError):
        entries = (entry, *scene.ledger.promotions.under_way())
        steps = (step for one in entries for step in one.steps if step.place == FILE)
        scene.reach.files.forget([digest for step in steps for digest in (step.before, step.after) if digest])


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


def _sign(action: Action, target: Target, there: Published | None, scene: Scene, tools: Tools) -> None:
    """Sign what is promoted, and see that what is adopted is signed, as the configuration asks."""
    signer = signer_of(tools)
    reference = str(scene.publisher.place.reference.pinned(there.whole.digest)) if scene.publisher and there else ""
    if action == "promote":
        signer.put(reference, verdicts_of(scene.ledger, scene.ledger.images.same(target.id)))
    signer.require(reference)
