"""The command itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli import forms
from builder.cli.prune.document import document
from builder.cli.prune.text import shown
from builder.cli.session import Session
from builder.errors import BuilderError, ExitCode, UsageError

if TYPE_CHECKING:
    from datetime import timedelta

    from builder.channels.retention.build_cache import BuildCache, CacheSurvey
    from builder.channels.retention.prune import Removal, Survey

_AGE = r"0|[0-9]{1,4}[mhdw]"


def command(
    context: typer.Context,
    keep: Annotated[int, typer.Option(min=0, help="Builds of each variant that stay in any case.")] = 5,
    older_than: Annotated[str, typer.Option(help="Whatever is younger stays: 12h, 7d, 2w or 0.")] = "7d",
    apply: Annotated[bool, typer.Option("--apply/--dry-run", help="Take it away; else only show it.")] = False,
    registry: Annotated[bool, typer.Option("--registry", help="Also in the registry.")] = False,
    build_cache: Annotated[bool, typer.Option("--build-cache", help="Also what builds left to be faster.")] = False,
    json: forms.Json = False,
) -> None:
    """Show which images nothing needs any more, or take them away.

    What a channel names, what was adopted before, what an adoption file or a container names, and what a promotion
    under way needs stays, whatever the options. Where a registry cannot be asked, and is not to be pruned itself, all
    stays on the engine that may be there. Exit status 3 where something could not be taken away.
    """
    from datetime import UTC, datetime

    from builder.channels.ledger.ledger import open_ledger
    from builder.channels.places.reach import Reach
    from builder.channels.retention.build_cache import BuildCache
    from builder.channels.retention.prune import Pruner
    from builder.channels.retention.rules import Policy
    from builder.engine.client import Engine

    session = Session.of(context)
    policy = Policy(keep, _age(older_than))
    settings = session.config.settings.registry
    if registry and not settings.repository:
        raise UsageError("There is no registry to prune.", "Name one as registry.repository in builder.toml.")
    engine, paths = Engine(session.runner), session.paths
    with (
        open_ledger(paths.ledger) as ledger,
        ledger.alone(session.reporter.notice) if apply else nullcontext(),
        Reach(engine, session.runner, paths.adoptions, settings.insecure) as reach,
    ):
        pruner = Pruner(session.config, ledger, reach, policy, paths.locks, lambda: datetime.now(UTC))
        surveys = [pruner.on_engine(), *([pruner.in_registry()] if registry else [])]
        cache = BuildCache(engine, policy.age)
        found = cache.look() if build_cache else None
        _tell_unread(surveys, session)
        done = {one.row: one for survey in surveys if apply for one in _said(pruner.remove(survey), session)}
        if found and apply:
            found = _emptied(cache, found, session)
    if json:
        session.reporter.show_json(document(surveys, done, found, applied=apply))
    else:
        session.reporter.show(shown(surveys, done, found, applied=apply))
    if not all(one.done for one in done.values()) or (found and found.why):
        raise typer.Exit(ExitCode.MACHINE)


def _age(text: str) -> timedelta:
    """A span of time.

    Raises:
        UsageError: it is none.
    """
    import re

    from builder.section import parse_duration

    if not re.fullmatch(_AGE, text):
        raise UsageError(f"--older-than {text!r} is no span of time.", "Write 30m, 12h, 7d, 2w or 0.")
    return parse_duration(text)


def _tell_unread(surveys: Iterable[Survey], session: Session) -> None:
    """Say that a registry could not be asked."""
    for survey in surveys:
        if survey.unread:
            session.reporter.warning(f"{survey.unread.cause} What it may name stays on the engine.")


def _emptied(cache: BuildCache, found: CacheSurvey, session: Session) -> CacheSurvey:
    """What was found in the build cache, now that it was taken away, or why it was not."""
    try:
        cache.empty()
    except BuilderError as error:
        session.reporter.warning(f"The build cache stays: {error.cause}", error)
        return replace(found, why=error.cause.rstrip("."))
    session.reporter.detail("Gone: the build cache")
    return found


def _said(removals: Iterable[Removal], session: Session) -> Iterator[Removal]:
    """What is taken away, said as it goes."""
    for one in removals:
        names = " ".join(one.row.item.names)
        if one.done:
            session.reporter.detail(f"Gone: {names}")
        else:
            session.reporter.warning(f"{names} stays: {one.why.rstrip('.')}.")
        yield one
