"""What the commands about upstream share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli import options
from builder.cli.session import Session

if TYPE_CHECKING:
    from datetime import datetime

    from builder.holds import Hold
    from builder.tracking.watch import Stale, Tools
    from builder.upstream.builds import Build
    from builder.upstream.choice import Choice
    from builder.upstream.moves import Move, Moves
    from builder.upstream.selection import PassedOver

Origin = Annotated[str | None, typer.Option(help="auto, or a git URL or path.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Channel = options.Channel
Cooldown = options.Cooldown
Ref = options.Ref
DIGITS = 9
"""How many digits of a commit are shown."""


def flags(origin: str | None, ref: str | None, channel: str | None, cooldown: str | None) -> Mapping[str, object]:
    """The options by configuration key; None was not given."""
    return {
        "upstream.origin": origin,
        "upstream.ref": ref,
        "upstream.channel": channel,
        "upstream.cooldown": cooldown,
    }


def repeated(context: typer.Context, *more: str) -> str:
    """The options that were given, for a command that is to look at the same; begins with a blank, or is empty.

    Args:
        more: names of further parameters than the origin.
    """
    import shlex

    from builder.process import without_credentials

    given = [(name, context.params.get(name)) for name in ("origin", *more)]
    return "".join(f" --{name} {shlex.quote(without_credentials(str(value)))}" for name, value in given if value)


def tools(session: Session) -> Tools:
    """What tracking works with."""
    from builder.engine.client import Engine
    from builder.tracking.watch import Tools

    return Tools(Engine(session.runner), session.runner, session.reporter, session.paths, session.logs.name)


def spell_build(build: Build, now: datetime, ref: str = "") -> str:
    """A build for people: `b10991 (v0.5.0, 0c1e57098), 3 h old`.

    Args:
        ref: what it was found by, for a commit that has no name of its own.
    """
    from builder.console import spell_age

    commit = build.commit[:DIGITS]
    release = f"v{build.release}, " if build.release and build.name != f"v{build.release}" else ""
    name = ref if ref and build.name == commit and not build.commit.startswith(ref) else build.name
    named = name if name == commit else f"{name} ({release}{commit})"
    return f"{named}, {spell_age(now - build.committed)} old"


def build_document(build: Build | None) -> dict[str, object] | None:
    """A build as JSON has it."""
    if build is None:
        return None
    return {
        "name": build.name,
        "commit": build.commit,
        "committed": build.committed.isoformat(),
        "build_number": build.number,
        "release": build.release,
        "tags": list(build.tags),
    }


def hindrance_document(one: PassedOver) -> dict[str, object]:
    """Why a build is not taken, as JSON has it."""
    return {
        "hindrance": one.hindrance.value,
        "detail": one.detail,
        "settles": one.settles.isoformat() if one.settles else None,
    }


def choice_document(choice: Choice | None) -> dict[str, object] | None:
    """What would be taken, as JSON has it."""
    if choice is None:
        return None
    return {
        "build": build_document(choice.build),
        "ref": choice.ref,
        "reason": choice.reason,
        "warnings": list(choice.warnings),
    }


def hold_document(hold: Hold | None) -> dict[str, object] | None:
    """A hold, as JSON has it."""
    return None if hold is None else {"ref": hold.ref, "reason": hold.reason}


def stale_document(stale: Stale | None) -> dict[str, object] | None:
    """Why a mirror is not up to date, as JSON has it."""
    if stale is None:
        return None
    return {"cause": stale.cause, "reached": stale.reached.isoformat() if stale.reached else None}


def moves_document(moves: Moves) -> dict[str, object]:
    """All that upstream rewrote, as JSON has it."""
    return {
        "moved_tags": [move_document(move) for move in moves.tags],
        "withdrawn_tags": [move_document(move) for move in moves.withdrawn],
        "rewritten_branches": [move_document(move) for move in moves.branches],
    }


def move_document(move: Move) -> dict[str, object]:
    """What upstream rewrote, as JSON has it."""
    return {"name": move.name, "ours": move.ours, "theirs": move.theirs}
