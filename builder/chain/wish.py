"""What is asked of the chain, and what it works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder import pipeline, promoting
from builder.gates.gate import Scene
from builder.settings import Until

if TYPE_CHECKING:
    from builder.channels.promotion.opening import Tools


@dataclass(frozen=True)
class Wish:
    """What is asked of the chain.

    Attributes:
        build: what is built.
        promotion: who promotes it, and why.
        until: the last stage.
        gpus: those that are judged on: `auto` (the first), `all`, `none`, or numbers and UUIDs such as `0,3`.
        soak: whether the soak is asked too, which takes long.
    """

    build: pipeline.Wish
    promotion: promoting.Wish
    until: Until = "promoted"
    gpus: str = "auto"
    soak: bool = False


def for_building(tools: Tools) -> pipeline.Tools:
    """What the build works with."""
    return pipeline.Tools(tools.engine, tools.runner, tools.reporter, tools.paths, tools.logs)


def for_judging(tools: Tools) -> Scene:
    """What gates work with."""
    return Scene(tools.engine, tools.runner, tools.reporter, tools.paths, tools.config, tools.logs)
