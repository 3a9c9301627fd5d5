"""What a run of the chain would do, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from builder import pipeline
from builder.chain.known import Known, look_up
from builder.chain.wish import Wish, for_building
from builder.channels.ledger.ledger import open_ledger
from builder.channels.promotion.opening import Tools
from builder.engine.images import Image
from builder.image.names import find_built


@dataclass(frozen=True)
class Step:
    """One thing that would be done, or not.

    Attributes:
        what: in few words.
        why: a clause.
    """

    stage: Literal["build", "judge", "promote"]
    what: str
    why: str


@dataclass(frozen=True)
class Foresight:
    """What a run would do.

    Attributes:
        image: the one that is there already for the same inputs; None where it would be built.
    """

    planned: pipeline.Planned
    image: Image | None
    steps: tuple[Step, ...]


def foresee(wish: Wish, tools: Tools) -> Foresight:
    """Find out what a run would do; nothing is built, judged or moved.

    Raises:
        BuilderError: of the stage that failed.
    """
    planned = pipeline.make_build_plan(wish.build, for_building(tools))
    plan = planned.plan
    image = find_built(tools.engine, plan, wish.build.settings.image.repository, tools.paths.images)
    with open_ledger(tools.paths.ledger) as ledger:
        digest = image.id if image else plan.digest
        known = look_up(ledger, digest, plan.variant.value, tools.config.settings, tools.clock())
    return Foresight(planned, image, tuple(_steps(wish, image, known, plan.tag)))


def _steps(wish: Wish, image: Image | None, known: Known, tag: str) -> Iterator[Step]:
    if image:
        yield Step("build", "nothing", f"{tag} is there for the same inputs")
    else:
        yield Step("build", tag, "no image was built from these inputs here")
    if wish.until == "built":
        return
    if known.failed:
        yield Step("judge", "nothing", f"it failed {known.failed[0]} before")
        return
    gates = known.to_ask(soak=wish.soak)
    reasons = {lack.requirement.gate: lack.why for lack in reversed(known.lacks)}
    for gate in gates:
        yield Step("judge", gate, reasons.get(gate, f"{gate} was asked for."))
    if not gates:
        yield Step("judge", "nothing", "it has passed all that promotion asks for")
    if wish.until == "judged":
        return
    if known.holds:
        yield Step("promote", "nothing", f"it is held: {known.holds[0].reason}")
    else:
        yield Step("promote", tag, "if it passes" if gates else "it has passed all that is asked for")
